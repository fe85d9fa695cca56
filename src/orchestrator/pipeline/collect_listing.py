"""What a remote inbox lists: one conditional request when nothing has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.core.errors import AnswerRefused
from orchestrator.core.listing import ACCEPT, Lines, Members, too_many
from orchestrator.core.source import is_same_origin
from orchestrator.core.vocabulary import N_TRIPLES
from orchestrator.pipeline.asking import Asking, usable
from orchestrator.ports.sources import Fetched, Listings

_NOT_MODIFIED: Final = 304
_MOST_PAGES: Final = 1_000
_RELIST: Final = 86_400_000
"""Milliseconds after which an inbox is listed anew, whatever its ETag says: a server may forget to change
it, and some (Community Solid Server) do not when a member's content changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A listing, as far as it is news."""

    members: Members
    """URL → mark, without the members of pages that have not changed."""
    progress: Mapping[str, Any]
    """What to remember once every member has been seen to."""
    elsewhere: int = 0
    """Members on other servers, which are not asked for."""


@dataclass(slots=True, kw_only=True)
class _Page:
    url: str
    etag: str | None
    members: Members = field(default_factory=dict)
    following: tuple[str, ...] = ()
    is_known: bool = False
    """Whether it has not changed since we remembered it."""


@dataclass(slots=True, kw_only=True)
class Listing:
    """Reads the listing of the inbox at `inbox`, with what the last pass left in `progress`."""

    inbox: str
    progress: Mapping[str, Any]
    asking: Asking
    listings: Listings
    now: int
    most: int
    """Members that are read at once."""
    limit: int
    """Bytes of a page that are read."""

    _channel: str | None = None

    async def read(self) -> Listed:
        """Return what is listed and may be news. Raises `PeerError`."""
        known = self._known()
        try:
            return await self._read(known)
        except AnswerRefused:
            if not known:
                raise
            # A page that we remember is there no more: the inbox has shrunk.
            return await self._read({})

    async def _read(self, known: dict[str, str]) -> Listed:
        # A page may say that it has not changed when another one has: so the last is asked too, and with
        # it those after it. Inboxes grow at one of their ends.
        first = await self._page(self.inbox, known)
        pages = [first]
        if first.is_known and len(known) > 1:
            pages = [_Page(url=url, etag=etag, is_known=True) for url, etag in known.items()]
            pages[-1] = await self._page(pages[-1].url, known)
        members = dict(first.members if len(pages) == 1 else pages[-1].members)
        await self._walk(pages, members, {} if first.is_known else known)
        channel = self._channel if self._channel and is_same_origin(self._channel, self.inbox) else None
        here = {url: mark for url, mark in members.items() if is_same_origin(url, self.inbox)}
        if members and not here:
            raise AnswerRefused(
                f"{self.inbox} lists members on another server only, such as {next(iter(members))}: give the "
                "URL that the inbox has there."
            )
        return Listed(
            members=here,
            elsewhere=len(members) - len(here),
            progress={
                "inbox": self.inbox,
                # A page without an ETag cannot be asked whether it has changed.
                "pages": [[page.url, page.etag] for page in pages] if all(p.etag for p in pages) else [],
                "listed": self.progress.get("listed", self.now) if known else self.now,
                "channel": channel,
            },
        )

    def _known(self) -> dict[str, str]:
        """Return the pages of the last listing with their ETags, unless it is time to look at all of it."""
        age = self.now - int(self.progress.get("listed", 0))
        if self.progress.get("inbox") != self.inbox or not 0 <= age < _RELIST:
            return {}
        return {str(url): str(etag) for url, etag in self.progress.get("pages", ())}

    async def _walk(self, pages: list[_Page], members: dict[str, str], known: Mapping[str, str]) -> None:
        """Follow the last of `pages` to the end, adding to `pages` and `members`."""
        visited = {page.url for page in pages}
        remembered = list(known)
        while True:
            last = pages[-1]
            following = last.following
            if last.is_known and last.url in remembered:
                following = tuple(remembered[remembered.index(last.url) + 1 :][:1])
            url = next((link for link in following if link not in visited), None)
            if url is None or not is_same_origin(url, self.inbox):
                return
            if len(pages) >= _MOST_PAGES:
                raise AnswerRefused(f"{self.inbox} has more than {_MOST_PAGES} pages.")
            visited.add(url)
            pages.append(await self._page(url, known))
            members.update(pages[-1].members)
            if len(members) > self.most:
                raise too_many(self.inbox, self.most)

    async def _page(self, url: str, known: Mapping[str, str]) -> _Page:
        lines = Lines(url, most=self.most)
        is_lines = False

        def feed(media_type: str) -> Any:  # noqa: ANN401
            nonlocal is_lines
            is_lines = media_type.partition(";")[0].strip().lower() == N_TRIPLES
            return lines.feed if is_lines else None

        answer = await self.asking.get(url, accept=ACCEPT, limit=self.limit, etag=known.get(url), feed=feed)
        self._channel = answer.channel or self._channel or self.progress.get("channel")
        if answer.status == _NOT_MODIFIED and url in known:
            return _Page(url=url, etag=known[url], is_known=True)
        usable(answer)
        if is_lines:
            return _Page(url=url, etag=answer.etag, members=lines.members(), following=answer.following)
        return await self._whole(url, answer)

    async def _whole(self, url: str, answer: Fetched) -> _Page:
        # Relative links are resolved against what answered; the page keeps the name that we ask it by.
        members, following = await self.listings.read(
            answer.body, answer.media_type, answer.url, most=self.most
        )
        return _Page(url=url, etag=answer.etag, members=members, following=(*answer.following, *following))
