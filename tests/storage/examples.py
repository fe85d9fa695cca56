"""Small notifications, drafts and plans, and the way from one to the next."""

import dataclasses
from collections.abc import Sequence

from orchestrator.core import vocabulary as v
from orchestrator.core.event import Draft, LifecycleEvent
from orchestrator.core.finding import Finding
from orchestrator.core.notification import Notification
from orchestrator.ports import Arrival, Background, Claimed, Decided, NotificationState, Outcome, Plan, Thread
from orchestrator.storage import Store

BASE = "https://orchestrator.example"
NOW = 1_700_000_000_000
LEASE = 45_000
ANNOUNCE = v.AS + "Announce"
REVIEW = v.NOTIFY + "ReviewAction"
WARNING = Finding(rule="urn:rule", message="Say who acts.", pointer="", term="actor", severity="Warning")


def activity(number: int) -> str:
    """Return the id of the notification of that number."""
    return f"urn:uuid:00000000-0000-4000-8000-{number:012d}"


def arrival(
    number: int = 1,
    *,
    inbox: str = "inbox",
    content: str = "first",
    sender: str | None = "https://sender.example/",
    types: tuple[str, ...] = (ANNOUNCE, REVIEW),
    received: int = NOW,
) -> Arrival:
    """Return a notification that is to be kept."""
    notification = Notification(
        id=activity(number),
        types=types,
        pattern="announce-review",
        digest=f"digest of {content}",
        origin=sender,
        objects=("https://review.example/1",),
        title="Ein schönes Gutachten",
    )
    return Arrival(
        inbox=inbox,
        body=f'{{"content":"{content}"}}'.encode(),
        media_type="application/ld+json",
        received=received,
        notification=notification,
        warnings=(WARNING,),
    )


def draft(
    notification: Notification,
    *,
    artefact: str | None = "https://artefact.example/1",
    actor: str | None = "https://person.example/me",
    in_reply_to: str | None = None,
) -> Draft:
    """Return the event that a notification becomes."""
    return Draft(
        types=notification.types,
        activity=notification.id,
        sender=notification.sender,
        received=NOW,
        artefact=artefact,
        actor=actor,
        origin=notification.origin,
        in_reply_to=in_reply_to,
        correlated_by="inReplyTo" if in_reply_to else None,
        caused_by=None,
        policy_set="urn:policies:1",
        payload=b'{"id":"urn:payload"}',
        salt="c2FsdA",
    )


def plan(target: str = "https://hub.example/", *policies: str) -> Plan:
    """Return a delivery that an event makes necessary."""
    return Plan(target=target, policies=policies or ("urn:policy:1",))


def outcome(event: Draft | None, *plans: Plan) -> Outcome:
    """Return that the notification was processed."""
    return Outcome(
        state=NotificationState.PROCESSED, draft=event, deliveries=plans, note={"policies": ["urn:policy:1"]}
    )


async def claim(
    store: Store, *, now: int = NOW, owner: str = "worker", limit: int = 1000
) -> Sequence[Claimed]:
    """Claim what waits."""
    return await store.ledger.claim(owner, limit=limit, now=now, lease=LEASE)


async def record(
    store: Store, claimed: Claimed, decided: Outcome, *, now: int = NOW
) -> LifecycleEvent | None:
    """Record one outcome; raise what kept it from being written."""
    (result,) = await store.ledger.record([Decided(claimed=claimed, outcome=decided)], now=now)
    if isinstance(result, Exception):
        raise result
    return result


async def background(
    store: Store, *, number: int = 99, target: str | None = None, answers: str | None = None
) -> Background:
    """Return what is known of a notification of that number, to `target`, that answers `answers`."""
    asked = dataclasses.replace(arrival(number).notification, target=target, in_reply_to=answers)
    (found,) = await store.reader.background([asked])
    return found


async def thread(store: Store, answers: str, *, author: str | None = None) -> Thread | None:
    """Return the event that an answer to `answers`, addressed to `author`, follows."""
    return (await background(store, target=author, answers=answers)).thread


async def log(
    store: Store,
    number: int,
    *plans: Plan,
    now: int = NOW,
    types: tuple[str, ...] = (ANNOUNCE, REVIEW),
    artefact: str | None = "https://artefact.example/1",
    actor: str | None = "https://person.example/me",
    in_reply_to: str | None = None,
) -> LifecycleEvent:
    """Take one notification all the way into the log."""
    await store.ledger.keep(arrival(number, types=types))
    (claimed,) = await claim(store, now=now)
    event = draft(claimed.notification, artefact=artefact, actor=actor, in_reply_to=in_reply_to)
    written = await record(store, claimed, outcome(event, *plans), now=now)
    assert written is not None
    return written
