"""Verifying a log from outside: its signed checkpoint, every event of it, and what it said before.

RFC 6962 (the tree), C2SP tlog-checkpoint, signed-note and tlog-tiles. Nothing that the log says is believed
but what its key has signed.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Final, cast
from urllib.parse import parse_qs, quote, urlsplit

from orchestrator.client import pages
from orchestrator.client.exchange import Exchange, shown
from orchestrator.client.pages import EVENT_SEQUENCE, Page
from orchestrator.client.proofs import Proofs
from orchestrator.client.values import Kept, Trust, Verified
from orchestrator.core.checkpoint import BadCheckpoint, Checkpoint, VerifierKey, open_note, parse_note
from orchestrator.core.errors import AnswerRefused
from orchestrator.core.merkle import Frontier, verify_consistency
from orchestrator.core.verification import Auditor, Findings

Progress = Callable[[int, int], None]
"""Is told how many events were read, and how many there are."""
_MOST_ON_A_PAGE: Final = 1_000
_NO_END: Final = 1 << 62


async def verify(
    exchange: Exchange,
    url: str,
    *,
    key: str | None,
    kept: Kept | None,
    quick: bool,
    progress: Progress,
) -> Verified:
    """See `Client.verify`."""
    verifying = _Verifying(exchange, url)
    trust = await verifying.begin(key, kept)
    before, now = verifying.before, verifying.now
    auditor = None
    if before is not None and before.size > now.size:
        verifying.findings.add(
            "truncated",
            f"the log ends with event {now.size}; when you kept its checkpoint it had {before.size} events:"
            " it was cut, or put back to an earlier state",
        )
    if before is None or not quick:
        auditor = await verifying.read(progress)
    elif before.size <= now.size:
        await verifying.prove(before)
    return Verified(
        log=verifying.name,
        origin=now.origin,
        size=now.size,
        root=now.root,
        checkpoint=Kept(note=verifying.note, key=verifying.signer),
        trust=trust,
        kept_size=before.size if before else None,
        events=auditor.count if auditor else None,
        erased=auditor.erased if auditor else 0,
        discrepancies=tuple(verifying.findings.found),
        more=verifying.findings.more,
    )


class _Verifying:
    """What is known of a log so far."""

    name: str
    """IRI of the log: what its events are named after."""
    note: bytes
    now: Checkpoint
    signer: str | None = None
    """The key that signed the checkpoint; None when nobody did whom we know."""
    before: Checkpoint | None = None
    """What was kept, if it can be believed."""

    def __init__(self, exchange: Exchange, url: str) -> None:
        self.findings = Findings()
        self._exchange = exchange
        self._url = url
        self._proofs = Proofs(exchange, url)

    async def begin(self, key: str | None, kept: Kept | None) -> Trust:
        """Get the checkpoint and look at signatures; return whose word the key is. Raises `PeerError`."""
        remembered = kept.key if kept else None
        known = [VerifierKey.parse(text) for text in (key, remembered) if text is not None]
        root = await pages.fetch(self._exchange, self._url)
        name = root.root.get("id") if root else None
        if not isinstance(name, str) or root is None or root.total is None:
            raise AnswerRefused(f"{shown(self._url)} is no log of our form, or only a part of one.")
        self.name = name
        self.note = await self._proofs.note()
        keys = known or await self._proofs.keys()
        self._open(keys[:1] if key is not None else keys)
        if kept is not None:
            self._open_kept(kept, keys)
        return "given" if key is not None else "kept" if known else "first use"

    def _open(self, keys: Sequence[VerifierKey]) -> None:
        try:
            self.now = open_note(self.note, keys)
        except BadCheckpoint as error:
            self.findings.add("signature", error.message)
            self.now = parse_note(self.note)
        else:
            self.signer = next(key.text() for key in keys if _has_signed(self.note, key))
        expected = quote(self.name.partition("://")[2], safe="/:[]%~")
        if self.now.origin != expected:
            self.findings.add(
                "origin",
                f"the checkpoint is that of {self.now.origin}, not of {expected}: this is another log",
            )

    def _open_kept(self, kept: Kept, keys: Sequence[VerifierKey]) -> None:
        try:
            before = open_note(kept.note, keys)
        except BadCheckpoint as error:
            self.findings.add("kept", f"the checkpoint that you kept says nothing: {error.message}")
            return
        if before.origin != self.now.origin:
            self.findings.add(
                "kept", f"the checkpoint that you kept is that of {before.origin}: name the log's own"
            )
            return
        self.before = before

    async def read(self, progress: Progress) -> Auditor:
        """Read every event that the checkpoint covers, and compare."""
        size = self.now.size
        auditor = Auditor(self.name, size, self.findings)
        async with aclosing(self._pages(0, size)) as found:
            async for page in found:
                for event in page.events:
                    auditor.take(event)
                progress(auditor.count, size)
        if auditor.wants_tombstones:  # an erasure meanwhile has its own after the checkpoint
            async with aclosing(self._pages(size, _NO_END)) as later:
                async for page in later:
                    for event in page.events:
                        auditor.take(event)
        auditor.end()
        if self.before is not None and self.before.size <= size:
            self._compare_prefix(auditor, self.before)
        root = auditor.root(size)
        if root is not None and root != self.now.root:
            self.findings.add("root", "the events that are served do not make up the root that was signed")
        if root != self.now.root:
            await self._compare_leaves(auditor, is_whole=root is not None)
        return auditor

    def _compare_prefix(self, auditor: Auditor, before: Checkpoint) -> None:
        root = auditor.root(before.size)
        if root is not None and root != before.root:
            self.findings.add(
                "prefix",
                f"events 1 to {before.size} are not those that you kept the checkpoint of: the log was"
                " written anew. Show both checkpoints to others: they are signed",
            )

    async def _pages(self, since: int, until: int) -> AsyncGenerator[Page, None]:
        """Yield pages in the log's own order, from after event `since` to event `until` or the log's end."""
        while since < until:
            url = pages.with_query(self._url, since=since, limit=_MOST_ON_A_PAGE)
            page = cast("Page", await pages.fetch(self._exchange, url))
            yield page
            place = _onward(page)
            if place <= since:
                return
            since = place

    async def _compare_leaves(self, auditor: Auditor, *, is_whole: bool) -> None:
        """Say which events are not those whose leaves are in the tiles, if the tiles are those signed."""
        try:
            leaves = await self._proofs.leaves(self.now.size)
        except AnswerRefused:
            leaves = []
        if Frontier(0, ()).extend(leaves)[0].root() == self.now.root:
            auditor.compare(1, leaves)
        elif is_whole:
            self.findings.add(
                "tiles",
                "the log's tiles do not make up the root that was signed, either: which events were changed"
                " can be told only with a copy that somebody kept",
            )

    async def prove(self, before: Checkpoint) -> None:
        """See that the log continues what was kept, by its proof (RFC 6962, section 2.1.2)."""
        first, second = before.size, self.now.size
        hashes = await self._proofs.consistency(first, second)
        if not verify_consistency(first, second, before.root, self.now.root, hashes):
            self.findings.add(
                "prefix",
                f"the log does not prove that its {second} events begin with the {first} that you kept the"
                " checkpoint of: verify without --quick to see what was changed",
            )


def _has_signed(note: bytes, key: VerifierKey) -> bool:
    try:
        open_note(note, [key])
    except BadCheckpoint:
        return False
    return True


def _onward(page: Page) -> int:
    """Return the number after which the log goes on, by its own word where it has one; 0 for the end.

    Its word is the place in its order, which the numbers of its events may not tell.
    """
    for link in page.following:
        since = parse_qs(urlsplit(link).query).get("since", [""])[0]
        if since.isascii() and since.isdigit():
            return int(since[:18])
    return max((int(event[EVENT_SEQUENCE]) for event in page.events), default=0) if page.following else 0
