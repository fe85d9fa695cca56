"""What polling asks of the store and of other people's servers.

Times are integers: milliseconds since 1970-01-01T00:00:00Z.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from orchestrator.core.event import stamp
from orchestrator.core.source import Source, members_of
from orchestrator.ports import Lease

if TYPE_CHECKING:  # rdflib, which a look at sources does not need
    from orchestrator.core.stream import StreamPage

Declarer = Literal["configuration", "operator"]


class MemberState(StrEnum):
    """What became of a member of a source."""

    KEPT = "KEPT"
    """Received: it is in an inbox of ours, from here or from elsewhere."""
    IGNORED = "IGNORED"
    """Of a sender that the source's policy does not admit."""
    INVALID = "INVALID"
    """Junk: no notification that we take. Not fetched again unless it changes."""
    GONE = "GONE"
    """Listed, and not there."""
    RETRY = "RETRY"
    """To be fetched again, at its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of one member."""

    url: str
    mark: str
    """What the listing said of its size and last change."""
    state: MemberState
    reason: str | None = None
    token: str | None = None
    """Of the receipt, where it was kept."""
    is_new: bool = False
    """Whether it was kept for the first time."""
    retry_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member that we know."""

    url: str
    mark: str
    state: MemberState
    reason: str | None
    token: str | None
    attempts: int
    seen: int
    """When it was last looked at."""
    retry_at: int | None

    def described(self) -> dict[str, object]:
        """Return it as JSON, for commands and answers."""
        return {
            "url": self.url,
            "state": self.state.value,
            "reason": self.reason,
            "notification": self.token,
            "attempts": self.attempts,
            "seen": stamp(self.seen),
            "retry": _stamp(self.retry_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The right to read a source once, and how far it was read before."""

    lease: Lease
    source: Source
    progress: Mapping[str, Any]
    """Whatever the last pass left for this one; JSON."""
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a pass ended."""

    progress: Mapping[str, Any]
    next_at: int
    """When to poll again; at once all the same when somebody asked for it meanwhile and it did not fail."""
    requests: int
    reason: str | None = None
    """Why it failed."""
    is_whole: bool = True
    """Whether everything was read that was there. A pass that did not fail and was broken off says nothing
    of how it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A source, with what is known of it."""

    source: Source
    declared_by: Declarer
    paused: bool
    next_at: int
    requests: int
    """Made so far."""
    failures: int
    """Passes that failed since the last that did not."""
    reason: str | None
    """Why the last pass failed."""
    attempted: int | None
    """When the last pass ended."""
    succeeded: int | None
    """When the last pass ended well."""
    is_polled: bool
    """Whether a pass is under way."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[MemberState, int] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """How it goes, in a word."""
        if self.paused:
            return "paused"
        if self.is_polled:
            return "polling"
        if self.reason is not None:
            return "failing"
        return "new" if self.succeeded is None else "well"

    def described(self) -> dict[str, object]:
        """Return it as JSON, for commands and answers; of its token, only the file's name is known."""
        return {
            **members_of(self.source),
            "declaredBy": self.declared_by,
            "state": self.state,
            "reason": self.reason,
            "failures": self.failures,
            "requests": self.requests,
            "attempted": _stamp(self.attempted),
            "succeeded": _stamp(self.succeeded),
            "next": None if self.paused else stamp(self.next_at),
            "reads": self.progress.get("inbox", self.source.url),
            "channel": self.progress.get("channel"),
            "members": {state.value: self.members.get(state, 0) for state in MemberState},
        }


def _stamp(at: int | None) -> str | None:
    return None if at is None else stamp(at)


class Sources(Protocol):
    """The sources that there are. Whatever returns has been committed."""

    async def configure(self, sources: Sequence[Source], *, now: int) -> None:
        """Take `sources` as those of the configuration: new and changed ones become due, others are let be.

        A source that the configuration no longer has is forgotten, with its progress.
        """
        ...

    async def add(self, source: Source, *, who: str, now: int) -> None:
        """Add a source, due at once. Raises `BadRequest` where there is one of that name."""
        ...

    async def remove(self, name: str, *, who: str, now: int) -> None:
        """Forget a source and its progress; what was received stays.

        Raises `NotFound`, and `BadRequest` for one that the configuration declares.
        """
        ...

    async def pause(self, name: str, *, paused: bool, who: str, now: int) -> None:
        """Stop polling a source, or go on. Raises `NotFound`."""
        ...

    async def hurry(self, name: str, *, now: int, patient: bool = False) -> None:
        """Make a source due at once, or again when it is being read. Raises `NotFound`.

        A `patient` caller lets one that failed alone until its time.
        """
        ...

    async def statuses(self, name: str | None = None, *, now: int = 0) -> Sequence[Status]:
        """Return every source, or the one of that name, sorted by name; `now` tells leases that ran out.

        Raises `NotFound`.
        """
        ...

    async def members(
        self, name: str, *, state: MemberState | None = None, limit: int = 100
    ) -> Sequence[Member]:
        """Return the members of a source, those looked at last first."""
        ...


class Progress(Protocol):
    """How far sources were read."""

    async def due(self) -> int | None:
        """Return when a source can next be claimed; one that is being read, when its lease runs out."""
        ...

    async def claim(
        self, owner: str, *, limit: int, now: int, lease: int, name: str | None = None
    ) -> Sequence[Pass]:
        """Claim up to `limit` due sources for `lease` ms; with a `name` that one, due or paused or not.

        No two claims overlap: a source that is being read is left out.
        """
        ...

    async def renew(self, lease: Lease, *, until: int) -> None:
        """Hold a source for longer. Raises `LeaseLost`."""
        ...

    async def wanted(self, name: str, listed: Mapping[str, str]) -> Sequence[str]:
        """Return those of `listed` (URL → mark) that we have not seen, or not with that mark, in order."""
        ...

    async def known(self, name: str, *, most: int) -> int:
        """Return how many members of a source have been noted, counted up to `most`."""
        ...

    async def overdue(self, name: str, *, now: int, limit: int) -> Sequence[Member]:
        """Return members that are to be fetched again by now."""
        ...

    async def note(self, lease: Lease, found: Sequence[Found], *, now: int) -> None:
        """Commit what became of members; junk and what was ignored is journalled. Raises `LeaseLost`."""
        ...

    async def finish(self, lease: Lease, ended: Ended, *, now: int) -> None:
        """Commit how a pass ended. Raises `LeaseLost`: a late finisher changes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a server answered to a GET."""

    url: str
    """Where it came from in the end."""
    status: int
    media_type: str = ""
    etag: str | None = None
    body: bytes = b""
    following: tuple[str, ...] = ()
    """Targets of its links with the relation `next`."""
    channel: str | None = None
    """Where it tells of changes (Solid StreamingHTTPChannel2023)."""
    is_final: bool = False
    """Whether it says that it never changes (RFC 8246, `immutable`)."""
    retry_after: float | None = None
    """Seconds that it asks us to wait."""


class Remotes(Protocol):
    """Other people's inboxes and logs, read and nothing else, through the guarded egress."""

    async def get(
        self,
        url: str,
        *,
        accept: str,
        limit: int,
        etag: str | None = None,
        token: str | None = None,
        feed: Callable[[str], Callable[[bytes], None] | None] = lambda _: None,
    ) -> Fetched:
        """GET `url`, following up to three redirects; with an `etag`, 304 when nothing has changed.

        At most `limit` bytes of the body are read. `feed`, given the media type of a 200, may return what
        takes the body piece by piece; then none is returned. The `token` is shown to the origin of `url`
        only. Raises `PeerError`.
        """
        ...

    def listen(self, url: str, *, token: str | None = None) -> AsyncIterator[None]:
        """Yield once when the channel at `url` is open, then at each sign of a change, until it ends.

        Raises `PeerError`.
        """
        ...


class Listings(Protocol):
    """Reads listings, and pages of logs, where that can be bounded."""

    async def read(
        self, body: bytes, media_type: str, url: str, *, most: int
    ) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Return the members of a listing, URL → mark, and where it goes on (`core.listing`).

        Raises `AnswerRefused` for what is none, is too long, or costs too much.
        """
        ...

    async def read_log(self, body: bytes, media_type: str, url: str, *, is_ours: bool) -> "StreamPage | None":
        """Return what a page of a log says (`core.stream`): one of our form, or of any other.

        None for what is not of our form, where that was asked. Raises `AnswerRefused` as `read` does.
        """
        ...
