"""Appending to the log: numbers without gaps, times that increase strictly, deliveries in the same breath."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core import event as events
from orchestrator.core.delivery import DeliveryState, delivery_id
from orchestrator.core.errors import StorageError
from orchestrator.core.event import Draft, LifecycleEvent
from orchestrator.ports import Plan
from orchestrator.storage import rows, schema
from orchestrator.storage.schema import LOG
from orchestrator.storage.writer import Transaction

_head = schema.log_head.c
_event = schema.event.c

# Locked before anything is looked up: of two who append the same activity, the second sees the first's.
_HEAD: Final = (
    sa.select(_head.sequence, _head.created, _head.public_url).where(_head.log == LOG).with_for_update()
)
# Asked for each sender: with the activities alone SQLite would walk through the whole index of identities.
_KNOWN: Final = sa.select(_event.activity).where(
    _event.log == LOG,
    _event.sender == bindparam("sender"),
    _event.activity.in_(bindparam("activities", expanding=True)),
)
_ADD_EVENTS: Final = sa.insert(schema.event)
_ADD_TYPES: Final = sa.insert(schema.event_type)
_ADD_DELIVERIES: Final = sa.insert(schema.delivery)
_TOLD: Final = (
    sa.select(schema.delivery.c.id)
    .where(
        schema.delivery.c.log == LOG,
        schema.delivery.c.target == bindparam("target"),
        schema.delivery.c.topic == bindparam("topic"),
        schema.delivery.c.state.not_in((DeliveryState.DEAD, DeliveryState.CANCELLED)),
    )
    .limit(1)
)
_ADVANCE: Final = sa.update(schema.log_head).where(_head.log == LOG)


class Appending:
    """The events that one transaction appends: collected with `append`, then `write`, then `advance`."""

    def __init__(self, transaction: Transaction, *, public_url: str, drafts: Iterable[Draft]) -> None:
        """Take hold of the log's end, and look up which of `drafts` are in the log already."""
        self._transaction = transaction
        self._public_url = public_url
        self._rows: list[dict[str, object]] = []
        self._types: list[dict[str, object]] = []
        self._deliveries: list[dict[str, object]] = []
        self._known: set[tuple[str, str]] = set()
        self._told: dict[int, list[str]] = {}
        asked: dict[str, set[str]] = {}
        for draft in drafts:
            asked.setdefault(draft.sender, set()).add(draft.activity)
        if asked:
            self._sequence, self._created, base = transaction.connection.execute(_HEAD).one()
            if base != public_url:
                # A second process was started on this file, under another URL, before the first event.
                raise StorageError(
                    f"The events of this log are named {base}/log/e/…, not {public_url}/log/e/…."
                )
        for sender, activities in asked.items():
            values = {"sender": sender, "activities": list(activities)}
            found = transaction.connection.execute(_KNOWN, values).scalars()
            self._known.update((sender, activity) for activity in found)

    def has(self, draft: Draft) -> bool:
        """Whether the log tells of `draft`'s activity already."""
        return (draft.sender, draft.activity) in self._known

    def append(self, draft: Draft, plans: Sequence[Plan], *, now: int) -> LifecycleEvent | None:
        """Give `draft` the next number and time; None when the time would lead `now` too far."""
        created = events.next_time(self._created, now)
        if created is None:
            return None
        event = events.seal(draft, sequence=self._sequence + 1, created=created, public_url=self._public_url)
        self._rows.append(_row(draft, event))
        self._types += [
            {"log": LOG, "type": name, "sequence": event.sequence} for name in dict.fromkeys(event.types)
        ]
        for made in _deliveries(event, plans):
            if self._is_told(made):
                self._told.setdefault(event.sequence, []).append(str(made["target"]))
            else:
                self._deliveries.append(made)
        self._known.add((draft.sender, draft.activity))
        self._sequence, self._created = event.sequence, created
        return event

    def told_already(self, event: LifecycleEvent) -> list[str]:
        """Return the targets that are not told of `event`, because they know of its topic."""
        return self._told.get(event.sequence, [])

    def _is_told(self, made: Mapping[str, object]) -> bool:
        """Whether a target knows of a topic, or will: appends take turns, so nobody else adds one now."""
        sought = (made["target"], made["topic"])
        if any((other["target"], other["topic"]) == sought for other in self._deliveries):
            return True
        values = {"target": sought[0], "topic": sought[1]}
        return self._transaction.connection.execute(_TOLD, values).first() is not None

    def write(self) -> None:
        """Write what was collected, but for the log's end."""
        for statement, values in (
            (_ADD_EVENTS, self._rows),
            (_ADD_TYPES, self._types),
        ):
            if values:
                self._transaction.connection.execute(statement, values)
        if self._deliveries:
            self._transaction.connection.execute(_ADD_DELIVERIES, self._deliveries)

    def advance(self) -> None:
        """Move the log's end: the last statement of the transaction."""
        if self._rows:
            self._transaction.connection.execute(
                _ADVANCE, {"sequence": self._sequence, "created": self._created}
            )
            self._transaction.changed.add("event")
        if self._deliveries:
            self._transaction.changed.add("delivery")


def _row(draft: Draft, event: LifecycleEvent) -> dict[str, object]:
    return {
        **rows.from_event(event),
        "received": draft.received,
        "artefact_id": None if draft.artefact is None else events.artefact_id(draft.artefact),
        "actor": draft.actor,
        "in_reply_to": draft.in_reply_to,
    }


def _deliveries(event: LifecycleEvent, plans: Sequence[Plan]) -> list[dict[str, object]]:
    """Return one row per target, with the policies of all plans for it."""
    policies: dict[str, set[str]] = {}
    topics = {plan.target: plan.topic for plan in plans}
    for plan in plans:
        policies.setdefault(plan.target, set()).update(plan.policies)
    return [
        {
            "id": delivery_id(event.iri, target),
            "log": LOG,
            "event": event.sequence,
            "target": target,
            # Without a topic every event is news of its own.
            "topic": topics[target] or event.iri,
            "policies": rows.to_json(sorted(asked)),
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "next_at": event.created,
            "created": event.created,
            "fence": 0,
        }
        for target, asked in policies.items()
    ]
