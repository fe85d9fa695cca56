"""Every statement of the store finds its rows by an index, and in the index's order."""

import asyncio
import dataclasses
import itertools
import math
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.storage.examples import (
    BASE,
    LEASE,
    NOW,
    activity,
    arrival,
    claim,
    draft,
    log,
    outcome,
    plan,
    record,
)
from tests.storage.statements import Statement, statements

from orchestrator.core.delivery import DeliveryState, Verdict
from orchestrator.core.errors import ConflictingContent
from orchestrator.ports import Query
from orchestrator.storage import Store

FIELDS: dict[str, Any] = {"type": "urn:t", "artefact": "urn:a", "actor": "urn:b", "in_reply_to": "urn:c"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return a store with a little of everything in it."""
    opened = Store.open(f"sqlite:///{tmp_path / 'x.db'}", public_url=BASE)
    for number in range(5):
        await log(opened, number, plan())
    yield opened
    await opened.close()


def plans(path: Path, ran: list[Statement]) -> dict[str, list[str]]:
    """Return how SQLite finds the rows of each statement."""
    connection = sqlite3.connect(path)
    found = {
        text: [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + text, values)]
        for text, values in (
            (text, values[0] if isinstance(values, list) else values) for text, values in ran
        )
        if re.match("SELECT|UPDATE|INSERT|DELETE", text)
    }
    connection.close()
    return found


async def test_no_statement_scans_a_table_or_sorts(store: Store, tmp_path: Path) -> None:
    """Not when all notifications and events of ten years are in it either."""
    ran: list[Statement] = []
    with statements(store, ran):
        await _use_inbox(store)
        await _use_outbox(store)
        await _use_log(store)
    found = plans(tmp_path / "x.db", ran)
    assert len(found) >= 28
    for text, steps in found.items():
        for step in steps:
            assert not step.startswith("SCAN") or _is_bounded(text, step), (text, steps)
            assert "TEMP B-TREE" not in step, (text, steps)
            assert "AUTOMATIC" not in step, (text, steps)
            assert not step.endswith("(log=?)") or _ends_early(text, step), (text, steps)


@pytest.mark.parametrize("size", range(5))
async def test_every_combination_of_filters_uses_an_index(store: Store, tmp_path: Path, size: int) -> None:
    """And reads events in the log's order, without sorting."""
    ran: list[Statement] = []
    with statements(store, ran):
        for names in itertools.combinations(FIELDS, size):
            await store.reader.events(
                dataclasses.replace(Query(since=2, until=9), **{name: FIELDS[name] for name in names})
            )
    found = plans(tmp_path / "x.db", ran)
    assert len(found) == math.comb(len(FIELDS), size)
    for text, steps in found.items():
        assert steps
        assert all(step.startswith("SEARCH") for step in steps), (text, steps)


async def test_waiting_and_due_ones_have_an_index_of_their_own(store: Store, tmp_path: Path) -> None:
    """What is finished costs a claim nothing."""
    ran: list[Statement] = []
    with statements(store, ran):
        await claim(store)
        await store.ledger.pending()
        await store.outbox.claim("me", limit=2, now=NOW, lease=LEASE)
        await store.outbox.due()
        await store.reader.listing("inbox", after=3)
        await store.reader.latest("inbox")
    text = str(plans(tmp_path / "x.db", ran))
    for index in ("processing_waiting", "delivery_due", "delivery_leased", "notification_inbox"):
        assert f"INDEX {index} (log=?" in text, index


async def test_nothing_is_counted_or_skipped(store: Store) -> None:
    """Only `pending` counts, and only what waits; pages begin at a key."""
    ran: list[Statement] = []
    with statements(store, ran):
        await _use_inbox(store)
        await _use_outbox(store)
        await _use_log(store)
    # SQLAlchemy writes “OFFSET ?” beside every limit in SQLite: it must be nothing.
    assert [values[-1] for text, values in ran if "OFFSET" in text and values[-1] != 0] == []
    counting = [text for text, _ in ran if "count(" in text]
    assert all("state IN ('RECEIVED', 'RETRY')" in text for text in counting)
    assert len(counting) == 1


def _is_bounded(text: str, step: str) -> bool:
    """Tell whether it only walks over what a limit inside the statement has let through, or rows to insert."""
    if "CONSTANT ROW" in step:
        return text.startswith("INSERT")
    return step == "SCAN anon_1" and "LIMIT" in text.partition("AS anon_1")[0]


def _ends_early(text: str, step: str) -> bool:
    """Tell whether a walk along a log's whole index is short: over what waits, or to the first few."""
    partial = ("INDEX processing_waiting", "INDEX delivery_due", "INDEX delivery_leased")
    return any(index in step for index in partial) or ("ORDER BY" in text and "LIMIT" in text)


async def _use_inbox(store: Store) -> None:
    for number in range(10, 20):
        await store.ledger.keep(arrival(number))
    receipt = await store.ledger.keep(arrival(10))
    with pytest.raises(ConflictingContent):
        await store.ledger.keep(arrival(10, content="other"))
    # Together: SQLite plans for a list of one otherwise than for a list of many.
    await asyncio.gather(
        *(
            record(store, one, outcome(draft(one.notification), plan()), now=NOW + 100)
            for one in await claim(store, now=NOW + 100)
        )
    )
    await store.ledger.pending()
    await store.reader.listing("inbox", after=2, limit=3)
    await store.reader.latest("inbox")
    await store.reader.tokens("inbox", after=2, limit=3)
    await store.reader.notification("inbox", receipt.token)


async def _use_outbox(store: Store) -> None:
    first, *_ = await store.outbox.claim("me", limit=2, now=NOW + 1000, lease=LEASE)
    assert first.lease is not None
    await store.outbox.prepare(first.lease, inbox="https://hub.example/inbox", body=b"{}")
    dead = Verdict(state=DeliveryState.DEAD, reason="gone")
    await store.outbox.finish(first.lease, dead, now=NOW, status=410, location=None)
    await store.outbox.retry(first.id, now=NOW)
    await store.outbox.deliveries()
    await store.outbox.deliveries(state=DeliveryState.DEAD)
    await store.outbox.due()


async def _use_log(store: Store) -> None:
    await store.reader.head()
    await store.reader.event(2)
    await store.reader.events(Query(since=1))
    await store.reader.artefact("none")
    answers = [activity(1), "urn:unknown", activity(2)]
    asked = [
        dataclasses.replace(arrival(50).notification, target="https://sender.example/", in_reply_to=answered)
        for answered in answers
    ]
    await store.reader.background(asked)
