"""Another event log, read from where the last pass ended: ours by number, any other LDES page by page.

What it tells goes to an inbox of its own (`core.source.FOLLOWED`) and to the policies; our own log tells
again only of what is ours.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.core.errors import AnswerRefused
from orchestrator.core.source import is_same_origin
from orchestrator.core.stream import ACCEPT, ACCEPT_OURS, StreamPage, Told
from orchestrator.core.vocabulary import AS_PROFILE
from orchestrator.pipeline.asking import Asking, usable
from orchestrator.pipeline.taking import Taking, Tally
from orchestrator.ports.sources import Fetched, Found, Listings, MemberState

_NOT_MODIFIED: Final = 304
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
        if self.progress.get("form") != "ldes":
            is_all = await self._ours()
            if is_all is not None:
                self.progress["form"] = "orchestrator"
                return is_all
            self.progress["form"] = "ldes"
        return await self._stream()

    async def _ours(self) -> bool | None:
        """Ask a log of ours for what comes after the last number that we know; None where it is no such."""
        url = self._since()
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
            since = int(self.progress.get("since", 0))
            news = [told for told in page.members if (told.sequence or 0) > since]
            await self._take(news)
            if news:
                self.progress["since"] = news[-1].sequence
            self.progress.update(asked=url, etag=answer.etag)
            if self.tally.seen >= _MOST_EVENTS:
                return False
            url = next(iter(page.following), url) if news else url
        return True

    def _since(self) -> str:
        mark = "&" if "?" in self.log else "?"
        return f"{self.log}{mark}since={int(self.progress.get('since', 0))}"

    async def _page_of_ours(self, answer: Fetched) -> StreamPage | None:
        is_known = self.progress.get("form") == "orchestrator"
        if not is_known and not 200 <= answer.status < 300:  # noqa: PLR2004
            # Another kind of log need not know the parameter.
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
        """Visit every page that may have changed, and those that they lead to."""
        pages: dict[str, Any] = self.progress.setdefault("pages", {})
        left = deque([self.log, *(url for url, known in pages.items() if not known.get("final"))])
        visited: set[str] = set()
        while left:
            url = left.popleft()
            known = pages.get(url, {})
            if url in visited or known.get("final") or not is_same_origin(url, self.log):
                continue
            if len(visited) >= _MOST_PAGES or len(pages) >= _MOST_PAGES:
                raise AnswerRefused(f"{self.log} has more than {_MOST_PAGES} pages.")
            visited.add(url)
            answer = await self.asking.get(url, accept=ACCEPT, limit=self.limit, etag=known.get("etag"))
            if answer.status == _NOT_MODIFIED:
                continue
            usable(answer)
            page = await self.listings.read_log(answer.body, answer.media_type, answer.url, is_ours=False)
            if page is None:
                raise AnswerRefused(f"{url} is no page of an event log.")
            wanted = set(await self.wanted({told.iri: "" for told in page.members}))
            await self._take([told for told in page.members if told.iri in wanted])
            pages[url] = {"etag": answer.etag, "final": answer.is_final}
            left.extend(page.following)
            if self.tally.seen >= _MOST_EVENTS:
                # Pages that were not reached are found again from those that lead to them.
                pages[url] = {"etag": None, "final": False}
                return False
        return True

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
