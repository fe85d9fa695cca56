"""Another event log, read from where the last pass ended: ours by number, any other LDES page by page.

What it tells goes to an inbox of its own (`core.source.FOLLOWED`) and to the policies; our own log tells
again only of what is ours.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from orchestrator.core.errors import AnswerRefused
from orchestrator.core.source import is_same_origin
from orchestrator.core.stream import ACCEPT, ACCEPT_OURS, StreamPage, Told
from orchestrator.core.vocabulary import AS_PROFILE
from orchestrator.pipeline.asking import Asking, usable
from orchestrator.pipeline.taking import Taking, Tally
from orchestrator.ports.sources import Fetched, Found, Listings, MemberState

_NOT_MODIFIED: Final = 304
_OURS: Final = "orchestrator"
_LDES: Final = "ldes"
_UNREAD: Final[Mapping[str, Any]] = {"etag": None, "final": False}
_UNASKED: Final = frozenset((400, 404, 406))
_MOST_EVENTS: Final = 10_000
"""Members that one pass takes; the next one, at once, goes on."""
_MOST_PAGES: Final = 10_000
_AT_ONCE: Final = 32
"""Received together, in order: they share a commit."""


@dataclass(slots=True, kw_only=True)
class Following:
    """Reads the log of one source once."""

    log: str
    progress: dict[str, Any]
    """What the last pass left for this one; changed while members are noted."""
    asking: Asking
    listings: Listings
    taking: Taking
    note: Callable[[list[Found]], Awaitable[None]]
    wanted: Callable[[Mapping[str, str]], Awaitable[Sequence[str]]]
    """Which members have not been noted yet."""
    tally: Tally
    limit: int
    """Bytes of a page that are read."""

    async def read(self) -> bool:
        """Read what is new; return whether that was all of it. Raises `PeerError`."""
        if self.progress.get("log") != self.log:
            self.progress.clear()
            self.progress.update(log=self.log)
        if self.progress.get("form") != _LDES:
            is_all = await self._ours()
            if is_all is not None:
                return is_all
        return await self._stream()

    async def _ours(self) -> bool | None:
        """Ask a log of ours for what comes after the last number that we know; None where it is no such."""
        url = self._since(int(self.progress.get("since", 0)))
        visited: set[str] = set()
        while url not in visited and is_same_origin(url, self.log):
            visited.add(url)
            etag = self.progress.get("etag") if self.progress.get("asked") == url else None
            answer = await self.asking.get(url, accept=ACCEPT_OURS, limit=self.limit, etag=etag)
            if answer.status == _NOT_MODIFIED and etag is not None:
                return True
            page = await self._page_of_ours(answer)
            if page is None:
                return None
            self.progress["form"] = _OURS
            since = int(self.progress.get("since", 0))
            news = [told for told in page.members if (told.sequence or 0) > since]
            if not news:
                await self._check_end(since)
            await self._take(news)
            if news:
                self.progress.update(since=news[-1].sequence, last=_seal(news[-1]))
            self.progress.update(asked=url, etag=answer.etag)
            if self.tally.seen >= _MOST_EVENTS:
                return False
            url = next(iter(page.following), url) if news else url
        return True

    async def _check_end(self, since: int) -> None:
        """See that the last event that we know is there, and the same.

        A log that was reset, or restored from a backup, would have nothing new for us for a long time. Raises
        `AnswerRefused`, and has it read from its beginning: what was received is known.
        """
        if not since or self.progress.get("last") is None:
            return
        url = self._since(since - 1)
        answer = usable(await self.asking.get(url, accept=ACCEPT_OURS, limit=self.limit))
        page = await self.listings.read_log(answer.body, answer.media_type, answer.url, is_ours=True)
        last = next((told for told in page.members if told.sequence == since), None) if page else None
        # What has lost its payload since then is still there: it was erased.
        if last is None or (last.body is not None and _seal(last) != self.progress["last"]):
            self.progress.update(since=0, last=None, etag=None)
            raise AnswerRefused(
                f"{self.log} has no event {since}, or another one than before: it was reset or restored, "
                "and is read again from its beginning."
            )

    def _since(self, since: int) -> str:
        return f"{self.log}{'&' if '?' in self.log else '?'}since={since}"

    async def _page_of_ours(self, answer: Fetched) -> StreamPage | None:
        is_known = self.progress.get("form") == _OURS
        if not is_known and answer.status in _UNASKED:
            # Another kind of log need not know the parameter, or the media type.
            return None
        usable(answer)
        try:
            page = await self.listings.read_log(answer.body, answer.media_type, answer.url, is_ours=True)
        except AnswerRefused:
            if is_known:
                raise
            return None
        if page is None and is_known:
            raise AnswerRefused(f"{answer.url} is no page of an event log any more.")
        return page

    async def _stream(self) -> bool:
        """Visit every page that may have changed, and those that they lead to.

        A page is noted as read only after those that it leads to are noted as to be read: whatever ends a
        pass, they are found again.
        """
        pages: dict[str, Any] = self.progress.setdefault("pages", {})
        pages.setdefault(self.log, dict(_UNREAD))
        left = deque([self.log, *(url for url, known in pages.items() if not known.get("final"))])
        visited: set[str] = set()
        while left:
            url = left.popleft()
            if url in visited:
                continue
            visited.add(url)
            page, etag, is_final = await self._changed(url, pages[url].get("etag"))
            if page is not None:
                await self._take_new(page)
                for following in page.following:
                    if following not in pages and is_same_origin(following, self.log):
                        pages[following] = dict(_UNREAD)
                if len(pages) > _MOST_PAGES:
                    raise AnswerRefused(f"{self.log} has more than {_MOST_PAGES} pages.")
                left.extend(each for each in page.following if each in pages and not pages[each]["final"])
                pages[url] = {"etag": etag, "final": is_final and url != self.log}
                self.progress["form"] = _LDES
            if self.tally.seen >= _MOST_EVENTS:
                return False
        return True

    async def _changed(self, url: str, etag: str | None) -> tuple[StreamPage | None, str | None, bool]:
        """Return a page, its ETag and whether it is final; no page when it is as it was."""
        answer = await self.asking.get(url, accept=ACCEPT, limit=self.limit, etag=etag)
        if answer.status == _NOT_MODIFIED and etag is not None:
            return None, etag, False
        usable(answer)
        page = await self.listings.read_log(answer.body, answer.media_type, answer.url, is_ours=False)
        if page is None:
            raise AnswerRefused(f"{url} is no page of an event log.")
        return page, answer.etag, answer.is_final

    async def _take_new(self, page: StreamPage) -> None:
        """Take what has not been noted yet, each once."""
        told = {each.iri: each for each in page.members}
        await self._take([told[iri] for iri in await self.wanted(dict.fromkeys(told, ""))])

    async def _take(self, members: Sequence[Told]) -> None:
        """Receive what `members` tell, in their order, and note what became of each."""
        self.tally.members += len(members)
        for start in range(0, len(members), _AT_ONCE):
            some = members[start : start + _AT_ONCE]
            # Started in order, they are kept in order; what needs a worker may come a little later.
            found = await asyncio.gather(*(self._one(told) for told in some))
            for each in found:
                self.tally.add(each)
            await self.note(list(found))

    async def _one(self, told: Told) -> Found:
        if told.body is None:
            return Found(url=told.iri, mark="", state=MemberState.INVALID, reason=told.problem)
        return await self.taking.take(told.body, AS_PROFILE.partition(";")[0], told.iri)


def _seal(told: Told) -> str:
    """Return what stands for an event: another one under the same number has another."""
    return sha256(b"%s %s" % (told.iri.encode(), told.body or b"")).hexdigest()
