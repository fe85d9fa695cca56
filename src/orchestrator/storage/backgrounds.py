"""What the log knows of notifications that are to be decided about: a few questions for all of them."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import bindparam

from orchestrator.core.notification import Notification
from orchestrator.ports import Background, Thread
from orchestrator.storage import rows, schema
from orchestrator.storage.bulk import find_each
from orchestrator.storage.schema import LOG

_e = schema.event.c
_d = schema.delivery.c
_THREAD: Final = (_e.sequence, _e.artefact)

_SENT: Final = sa.select(_d.id).where(_d.id.in_(bindparam("ids", expanding=True)))
_TOLD_BY: Final = (
    sa.select(_d.id, *_THREAD)
    .join(schema.event, sa.and_(_e.log == _d.log, _e.sequence == _d.event))
    .where(_d.id.in_(bindparam("ids", expanding=True)))
)
# Anyone may have used the id first: whom the answer is addressed to is its author.
_BY_AUTHOR: Final = sa.select(_e.identity, *_THREAD).where(
    _e.log == LOG, _e.identity.in_(bindparam("identities", expanding=True))
)
# One at a time: a stranger can have an id used by as many senders as he likes.
_OF_ACTIVITY: Final = (
    sa.select(*_THREAD)
    .where(_e.log == LOG, _e.activity == bindparam("activity"))
    .order_by(_e.sequence)
    .limit(1)
)


def find(
    connection: sa.Connection, notifications: Sequence[Notification], *, public_url: str
) -> list[Background]:
    """Return the background of each of `notifications`, in order."""
    sent = {row.id for row in find_each(connection, _SENT, "ids", {each.id for each in notifications})}
    asked = {(each.target, activity) for each in notifications if (activity := each.answered) is not None}
    threads = _threads(connection, asked, public_url)
    return [
        Background(sent=each.id in sent, thread=threads.get((each.target, each.answered)))
        for each in notifications
    ]


def _threads(
    connection: sa.Connection, asked: set[tuple[str | None, str]], public_url: str
) -> dict[tuple[str | None, str | None], Thread]:
    """Return the events that answers follow, by their target and what they answer."""
    told = {row.id: row for row in find_each(connection, _TOLD_BY, "ids", {each for _, each in asked})}
    authors = {
        (author, activity): rows.identity(author or "", activity)
        for author, activity in asked
        if activity not in told
    }
    found = find_each(connection, _BY_AUTHOR, "identities", set(authors.values()))
    by_author = {row.identity: row for row in found}
    threads: dict[tuple[str | None, str | None], Thread] = {}
    for author, activity in asked:
        row = told.get(activity) or by_author.get(authors[author, activity])
        if row is None:
            row = connection.execute(_OF_ACTIVITY, {"activity": activity}).first()
        if row is not None:
            iri = rows.event_iri(public_url, row.sequence)
            threads[author, activity] = Thread(iri=iri, artefact=row.artefact)
    return threads
