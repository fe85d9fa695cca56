"""Appending to the log: numbers without gaps, times that increase strictly, deliveries in the same breath."""

from collections.abc import Mapping, Sequence
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core import event as events
from orchestrator.core.delivery import DeliveryState, delivery_id
from orchestrator.core.errors import StorageError
from orchestrator.core.event import Draft, LifecycleEvent
from orchestrator.core.merkle import Frontier
from orchestrator.ports import Outcome, Plan
from orchestrator.storage import rows, schema
from orchestrator.storage.bulk import Bulk, find_each
from orchestrator.storage.schema import LOG
from orchestrator.storage.writer import Transaction

_head = schema.log_head.c
_event = schema.event.c
_d = schema.delivery.c

# Locked before anything is looked up: of two who append the same activity, the second sees the first's.
_HEAD: Final = (
    sa.select(_head.sequence, _head.created, _head.public_url, _head.frontier)
    .where(_head.log == LOG)
    .with_for_update()
)
_KNOWN: Final = sa.select(_event.identity).where(
    _event.log == LOG, _event.identity.in_(bindparam("identities", expanding=True))
)
_ADD_EVENTS: Final = Bulk(sa.insert(schema.event), [column.name for column in schema.event.columns])
_ADD_TYPES: Final = Bulk(sa.insert(schema.event_type), ("log", "type", "sequence"))
_ADD_SUBTREES: Final = Bulk(sa.insert(schema.subtree), [column.name for column in schema.subtree.columns])
_NEW_DELIVERY: Final = (
    "id",
    "log",
    "event",
    "told",
    "target",
    "topic",
    "policies",
    "state",
    "attempts",
    "next_at",
    "created",
    "fence",
)
_ADD_DELIVERIES: Final = Bulk(sa.insert(schema.delivery), _NEW_DELIVERY)
_TOLD: Final = sa.select(_d.target, _d.topic).where(
    _d.log == LOG,
    _d.topic.in_(bindparam("topics", expanding=True)),
    _d.state.not_in((DeliveryState.DEAD, DeliveryState.CANCELLED)),
)
_ADVANCE: Final = sa.update(schema.log_head).where(_head.log == LOG)


class Appending:
    """The events that one transaction appends: collected with `append`, then `write`, then `advance`."""

    def __init__(self, transaction: Transaction, *, public_url: str, outcomes: Sequence[Outcome]) -> None:
        """Take hold of the log's end, and look up what it knows of the events of `outcomes`."""
        self._transaction = transaction
        self._public_url = public_url
        self._rows: list[dict[str, object]] = []
        self._types: list[dict[str, object]] = []
        self._deliveries: list[dict[str, object]] = []
        self._untold: dict[int, list[str]] = {}
        self._known: set[bytes] = set()
        self._told: set[tuple[str, str]] = set()
        drafts = [each.draft for each in outcomes if each.draft is not None]
        if not drafts:
            return
        connection = transaction.connection
        self._sequence, self._created, base, frontier = connection.execute(_HEAD).one()
        self._frontier = Frontier.from_bytes(self._sequence, frontier)
        if base != public_url:
            # A second process was started on this file, under another URL, before the first event.
            raise StorageError(f"The events of this log are named {base}/log/e/…, not {public_url}/log/e/….")
        self._identities = {
            (draft.sender, draft.activity): rows.identity(draft.sender, draft.activity) for draft in drafts
        }
        sought = set(self._identities.values())
        self._known.update(row[0] for row in find_each(connection, _KNOWN, "identities", sought))
        topics = {plan.topic for each in outcomes for plan in each.deliveries if plan.topic}
        self._told.update((row[0], row[1]) for row in find_each(connection, _TOLD, "topics", topics))

    def has(self, draft: Draft) -> bool:
        """Whether the log tells of `draft`'s activity already."""
        return self._identities[draft.sender, draft.activity] in self._known

    def append(self, draft: Draft, plans: Sequence[Plan], *, now: int) -> LifecycleEvent | None:
        """Give `draft` the next number and time; None when the time would lead `now` too far."""
        created = events.next_time(self._created, now)
        if created is None:
            return None
        event = events.seal(draft, sequence=self._sequence + 1, created=created, public_url=self._public_url)
        identity = self._identities[draft.sender, draft.activity]
        self._rows.append(rows.from_event(draft, event, identity))
        self._types += [
            {"log": LOG, "type": name, "sequence": event.sequence} for name in dict.fromkeys(event.types)
        ]
        self._untold[event.sequence] = self._deliver(
            _deliveries(event.iri, plans, at=created, about={"event": event.sequence, "told": None})
        )
        self._known.add(identity)
        self._sequence, self._created = event.sequence, created
        return event

    def tell(self, token: str, plans: Sequence[Plan], *, now: int) -> list[str]:
        """Tell of what the notification `token` told us of another log's event; append none of ours.

        Returns the targets that are not told, because they know of its topic. The deliveries are named after
        the token, which is ours: another log may name its events as it likes, and as we name ours.
        """
        about = {"event": None, "told": token}
        return self._deliver(_deliveries(f"urn:told:{token}", plans, at=now, about=about))

    def _deliver(self, made: Sequence[dict[str, object]]) -> list[str]:
        """Take deliveries to those who do not know; return the others."""
        untold: list[str] = []
        for each in made:
            # A target that knows of a topic, or will: appends take turns, so nobody else adds one now.
            news = (str(each["target"]), str(each["topic"]))
            if news in self._told:
                untold.append(news[0])
            else:
                self._told.add(news)
                self._deliveries.append(each)
        return untold

    def told_already(self, event: LifecycleEvent) -> list[str]:
        """Return the targets that are not told of `event`, because they know of its topic."""
        return self._untold.get(event.sequence, [])

    def write(self) -> None:
        """Write what was collected, but for the log's end."""
        connection = self._transaction.connection
        _ADD_EVENTS.run(connection, self._rows)
        _ADD_TYPES.run(connection, self._types)
        _ADD_DELIVERIES.run(connection, self._deliveries)

    def advance(self) -> None:
        """Move the log's end: the last statement of the transaction."""
        if self._rows:
            self._grow()
            self._transaction.connection.execute(
                _ADVANCE,
                {
                    "sequence": self._sequence,
                    "created": self._created,
                    "frontier": self._frontier.to_bytes(),
                },
            )
            self._transaction.changed.add("event")
        if self._deliveries:
            self._transaction.changed.add("delivery")

    def _grow(self) -> None:
        """Take the new events into the tree of all (RFC 6962, section 2.1)."""
        leaves = (cast("bytes", row["leaf"]) for row in self._rows)
        self._frontier, whole = self._frontier.extend(leaves)
        found = [{"log": LOG, "level": level, "place": place, "hash": top} for level, place, top in whole]
        _ADD_SUBTREES.run(self._transaction.connection, found)


def _deliveries(
    iri: str, plans: Sequence[Plan], *, at: int, about: Mapping[str, object]
) -> list[dict[str, object]]:
    """Return one row per target, with the policies of all plans for it; `iri` names what is told of."""
    policies: dict[str, set[str]] = {}
    topics = {plan.target: plan.topic for plan in plans}
    for plan in plans:
        policies.setdefault(plan.target, set()).update(plan.policies)
    return [
        {
            "id": delivery_id(iri, target),
            "log": LOG,
            **about,
            "target": target,
            # Without a topic every event is news of its own.
            "topic": topics[target] or iri,
            "policies": rows.names_json(tuple(sorted(asked))),
            "state": DeliveryState.PENDING.value,
            "attempts": 0,
            "next_at": at,
            "created": at,
            "fence": 0,
        }
        for target, asked in policies.items()
    ]
