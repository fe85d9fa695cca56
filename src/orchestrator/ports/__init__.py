"""What the pipeline asks of the world, as contracts. Adapters fulfil them; `bootstrap` chooses.

Times are integers: milliseconds since 1970-01-01T00:00:00Z.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from orchestrator.core.delivery import DeliveryState, Verdict
from orchestrator.core.event import Draft, LifecycleEvent
from orchestrator.core.finding import Finding
from orchestrator.core.notification import Notification

if TYPE_CHECKING:  # pySHACL and rdflib, which a look into the database does not need
    from orchestrator.core.policy import Facts, Judgement, PolicySet, Trust
    from orchestrator.core.screening import Screening


class NotificationState(StrEnum):
    """What became of a notification."""

    RECEIVED = "RECEIVED"
    RETRY = "RETRY"
    PROCESSED = "PROCESSED"
    IGNORED = "IGNORED"
    PARKED = "PARKED"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a notification was found that nobody posted to us."""

    source: str
    """Name of the source."""
    via: str
    """URL of the member of its inbox, or IRI of the event of its log."""
    trust: "Trust" = "unknown"
    """What the source vouches for about the sender."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A screened notification that is to be kept."""

    inbox: str
    """Path name of the inbox; the main one is `inbox`."""
    body: bytes
    media_type: str
    received: int
    notification: Notification
    warnings: tuple[Finding, ...] = ()
    provenance: Provenance | None = None
    """None for what was posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The proof of keeping."""

    token: str
    """Last part of `/inbox/{token}`."""
    fresh: bool
    """False when the same content was here before: then this is the first receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to finish one thing until a time; a later holder's `fence` is larger.

    With fence 0 it is no right, only the knowledge that nobody had taken the thing.
    """

    key: str
    owner: str
    fence: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A notification that its claimant alone may decide about while the lease lasts."""

    lease: Lease
    inbox: str
    token: str
    body: bytes
    received: int
    notification: Notification
    attempts: int
    """Claims so far, this one included, but for those that our own trouble ended."""
    accepted: bool = False
    """Whether the maintainer has accepted it after a policy parked it."""
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A delivery that an event makes necessary."""

    target: str
    """The service hub: its IRI, from which its inbox is discovered."""
    policies: tuple[str, ...]
    """IRIs of all policies that asked for it."""
    topic: str = ""
    """What is told (`core.announcement.topic_of`): a target is told of a topic once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that processing a notification changes, kept in one transaction or not at all."""

    state: NotificationState
    reason: str | None = None
    draft: Draft | None = None
    """The event to append, where there is one."""
    is_logged: bool = True
    """False for what another log told and ours does not repeat: then `draft` says what is told of, and no
    event is appended."""
    deliveries: tuple[Plan, ...] = ()
    retry_at: int | None = None
    counts: bool = True
    """Whether this was an attempt: trouble of our own is none."""
    note: Mapping[str, object] = field(default_factory=dict)
    """For the private journal: which policies matched, and what they asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What its claimant has decided about a notification."""

    claimed: Claimed
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """The event that an answer follows."""

    iri: str
    artefact: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is in the log already that bears on a notification."""

    sent: bool
    """Whether its id is that of a notification of ours."""
    thread: Thread | None
    """The event that it answers: one that we told of under that id, or the event of that activity.

    Of several events of the activity, the one that the answer's target sent, else the first.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A notification in an inbox, with what became of it."""

    key: int
    """Position in the order of arrival; increases along every inbox, with gaps."""
    token: str
    inbox: str
    body: bytes
    media_type: str
    received: int
    notification: Notification
    warnings: tuple[Finding, ...]
    state: NotificationState
    reason: str | None
    attempts: int
    event: int | None
    """Sequence of the event that it became."""
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which events to read: those after `since` for which every given field is equal."""

    since: int = 0
    until: int | None = None
    """Last sequence wanted."""
    type: str | None = None
    """IRI of a type of the activity."""
    artefact: str | None = None
    actor: str | None = None
    in_reply_to: str | None = None
    limit: int = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the log; sequence 0 when nothing is in it."""

    sequence: int
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A notification of ours on its way to a service hub."""

    id: str
    """Id of the activity that is sent, the same in every attempt."""
    event: int | None
    """Sequence of the event that it tells of."""
    told: str | None = None
    """Without one, the token of the notification in which another log told of it."""
    target: str
    policies: tuple[str, ...]
    state: DeliveryState
    reason: str | None
    attempts: int
    """Attempts that have ended; one that a crash of ours cut short is none."""
    next_at: int | None
    inbox: str | None
    """URL of the hub's inbox, once discovered."""
    body: bytes | None
    """The bytes that every attempt sends, fixed before the first."""
    location: str | None
    status: int | None
    created: int
    finished: int | None
    lease: Lease | None = None


class Ledger(Protocol):
    """Notifications on their way from receipt to outcome. Whatever returns has been committed."""

    async def keep(self, arrival: Arrival) -> Receipt:
        """Keep a notification durably, once for each (inbox, sender, id).

        The same content again returns the first receipt. Raises `ConflictingContent` for other content
        under the same sender and id; the first stays, and the attempt is journalled. Raises `Overloaded`
        at once when too much waits to be written.
        """
        ...

    def fresh(self, owner: str, *, limit: int) -> Sequence[Claimed]:
        """Return up to `limit` notifications that this process kept a moment ago, oldest first, each once.

        They are not claimed, which spares a commit: of several who decide about one, the first to `record`
        wins, and whoever claims one takes it away. What is never asked for here is left to `claim`.
        """
        ...

    async def claim(self, owner: str, *, limit: int, now: int, lease: int) -> Sequence[Claimed]:
        """Claim up to `limit` waiting notifications, oldest first, for `lease` ms.

        Waiting are RECEIVED and due RETRY ones without a live lease. No two claims overlap.
        """
        ...

    async def record(
        self, decided: Sequence[Decided], *, now: int
    ) -> Sequence[LifecycleEvent | Exception | None]:
        """Commit each outcome whole: event, deliveries, journal and state, or nothing of it.

        Returns for each, in order, its event, None, or why nothing of it was written: `LeaseLost` when a
        later claimant holds the notification, `LogAhead` when the log's time would lead the clock too far,
        or whatever failed; one that fails keeps no other from being written. Events are appended in the
        order given. Sequence numbers have no gaps; `created` increases strictly. A draft whose (sender,
        activity) is in the log already changes the outcome to IGNORED(duplicate). Raises ValueError for
        deliveries without a draft that they could tell of.
        """
        ...

    async def settle(self, inbox: str, token: str, *, accept: bool, who: str, now: int) -> None:
        """Let a PARKED notification be processed as if no policy had parked it, or end it as IGNORED(policy).

        `who` decided, for the journal. Raises `NotFound`, or `BadRequest` for one that is not PARKED.
        """
        ...

    async def pending(self) -> int:
        """Return how many notifications wait, claimed ones included; counted up to 10,001, “very many”."""
        ...


class Reader(Protocol):
    """Questions about what is in the inboxes and the log."""

    async def listing(self, inbox: str, *, after: int = 0, limit: int = 1000) -> Sequence[Stored]:
        """Return up to `limit` notifications of an inbox in order of arrival, after key `after`."""
        ...

    async def tokens(self, inbox: str, *, after: int = 0, limit: int = 1000) -> Sequence[tuple[int, str]]:
        """Return key and token of what `listing` returns, from the index alone: no row is read."""
        ...

    async def latest(self, inbox: str) -> int:
        """Return the key of the last notification of an inbox, 0 when empty: one index look-up."""
        ...

    async def notification(self, inbox: str, token: str) -> Stored | None:
        """Return one notification."""
        ...

    async def head(self) -> Head:
        """Return the end of the log."""
        ...

    async def event(self, sequence: int) -> LifecycleEvent | None:
        """Return one event."""
        ...

    async def events(self, query: Query) -> Sequence[LifecycleEvent]:
        """Return matching events in log order."""
        ...

    async def times(self, sequences: Sequence[int]) -> Mapping[int, int]:
        """Return when each of these events was written; those that are not there are left out."""
        ...

    async def artefact(self, identifier: str) -> str | None:
        """Return the IRI of the artefact that `/artefacts/{identifier}` names, if any event is about it."""
        ...

    async def background(self, notifications: Sequence[Notification]) -> Sequence[Background]:
        """Return what the log knows already that bears on each of `notifications`, from one state of it."""
        ...


class Outbox(Protocol):
    """Deliveries on their way to service hubs."""

    async def claim(self, owner: str, *, limit: int, now: int, lease: int) -> Sequence[Delivery]:
        """Claim up to `limit` due deliveries, each with its lease, for `lease` ms."""
        ...

    async def prepare(self, lease: Lease, *, inbox: str, body: bytes) -> None:
        """Fix the inbox, and with the first call the bytes that every attempt sends. Raises `LeaseLost`."""
        ...

    async def finish(
        self, lease: Lease, verdict: Verdict, *, now: int, status: int | None, location: str | None
    ) -> None:
        """Commit what an attempt came to. Raises `LeaseLost`: a late finisher changes nothing."""
        ...

    async def deliveries(self, *, state: DeliveryState | None = None, limit: int = 100) -> Sequence[Delivery]:
        """Return deliveries, newest first."""
        ...

    async def retry(self, identifier: str, *, now: int) -> Delivery:
        """Make a DEAD delivery due at once. Raises `NotFound` or `BadRequest`."""
        ...

    async def due(self) -> int | None:
        """Return when the next delivery is due, ms since the epoch."""
        ...


class Screener(Protocol):
    """Judges strangers' bytes where that can be bounded."""

    async def screen(self, body: bytes) -> "Screening":
        """Screen a body (`core.screening`). Raises `Overloaded` when too much waits already."""
        ...

    async def judge(self, body: bytes, facts: "Facts", policies: "PolicySet") -> "Judgement":
        """Project an accepted body and match it with `policies` (`core.policy`).

        Raises `TooCostly` when that takes more than its budget.
        """
        ...

    def judge_at_once(self, body: bytes, facts: "Facts", policies: "PolicySet") -> "Judgement | None":
        """Do the same without waiting; None when that could keep the caller for longer than a moment."""
        ...


class Policies(Protocol):
    """The policies in force."""

    def snapshot(self) -> "PolicySet":
        """Return the set that is in force now; it never changes, a reload puts another in its place."""
        ...


class Clock(Protocol):
    """The time."""

    def now(self) -> int:
        """Return the present, in ms since the epoch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a peer's inbox said to a POST."""

    status: int
    location: str | None = None
    retry_after: float | None = None
    """Seconds that the peer asks us to wait, where it does."""
    detail: str = ""
    """The beginning of the body, printable."""


class Peers(Protocol):
    """Everything that we ask of other people's servers, through the guarded egress."""

    async def discover(self, target: str) -> str:
        """Return the URL of `target`'s LDN inbox (W3C LDN section 3.1.1): Link header, then body.

        Answers are remembered for a while. Raises `PeerError`: `InboxNotFound` when the resource
        advertises none.
        """
        ...

    def forget(self, target: str) -> None:
        """Discover `target` anew the next time."""
        ...

    async def send(self, inbox: str, body: bytes) -> Answer:
        """POST `body` to `inbox` once, following no redirect (W3C LDN section 3.1.2).

        Raises `PeerError` when there was no usable answer: the notification may have arrived.
        """
        ...

    async def status(self, url: str) -> int:
        """Return the status of a HEAD of `url`; raises `PeerError`."""
        ...
