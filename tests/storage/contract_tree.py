"""The tree over all events: what is appended, undone, erased."""

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.examples import NOW, arrival
from tests.storage.trees import WIDTH, NaiveTree, decide, grow

from orchestrator.core.errors import StorageError
from orchestrator.core.event import LifecycleEvent
from orchestrator.core.merkle import Frontier, hash_of, nodes_of
from orchestrator.ports import Query
from orchestrator.storage import Store, schema
from orchestrator.storage.bulk import Bulk

_ADD_EVENTS = Bulk(sa.insert(schema.event), [column.name for column in schema.event.columns])


async def naive(store: Store) -> NaiveTree:
    """Return the tree over the envelopes that readers get."""
    return NaiveTree([event.envelope for event in await store.reader.events(Query(limit=100_000))])


async def check(store: Store, size: int) -> NaiveTree:
    """Look at everything that must hold of a tree that has grown to `size`; return what it should be."""
    tree, expected = await store.tree.frontier(), await naive(store)
    assert (tree.size, len(expected.leaves)) == (size, size)
    assert tree.root() == expected.head(0, size)
    wanted = [(level, index) for level in range(4) for index in range(size // WIDTH**level // WIDTH + 2)]
    found = await store.tree.tiles(wanted, size)
    assert found == {place: hashes for place in wanted if (hashes := expected.tile(*place, size))}, (
        "and a tile of which there is nothing is left out"
    )
    return expected


def rows_of_tree(store: Store) -> list[Any]:
    with store.engine.connect() as connection:
        subtrees = connection.execute(sa.select(schema.subtree).order_by(*schema.subtree.primary_key)).all()
        return [*subtrees, *connection.execute(sa.select(schema.log_head)).all()]


@contextmanager
def breaking(store: Store, beginning: str, word: str = "") -> Iterator[list[str]]:
    """Let the first statement that begins so, and has `word` in it or its values, fail where `word` is."""
    broken: list[str] = []

    def fail(_connection: object, _cursor: object, text: str, values: object, *_: object) -> None:
        if text.startswith(beginning) and word in str(values) and (word or not broken):
            broken.append(text)
            raise ValueError("broken by a test")

    sa.event.listen(store.engine, "before_cursor_execute", fail)
    try:
        yield broken
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", fail)


class TreeContract:
    """Behaviours of `Tree`, and of `Ledger.record` that it shows."""

    async def test_a_log_without_events_has_the_empty_tree(self, store: Store) -> None:
        """Its root is that of no leaves, and it has no tiles and no keys."""
        assert await store.tree.frontier() == Frontier(0, ())
        assert (await store.tree.frontier()).root() == hashlib.sha256().digest()
        assert await store.tree.tiles([(0, 0), (1, 0), (63, 2**62)], 0) == {}
        assert await store.tree.keys() == []

    @pytest.mark.parametrize(
        "groups",
        [[1] * 40, [250, 250, 13], [255, 1, 255 - 6, 6, 1, 88], [128] * 4 + [90], [3, 250, 7, 249, 5]],
        ids=["one by one", "large", "at the edge of a tile", "halves of a tile", "over the edge"],
    )
    async def test_after_each_group_the_tree_is_that_of_all_envelopes(
        self, store: Store, groups: list[int]
    ) -> None:
        """However many a transaction appends."""
        size = 0
        for group in groups:
            await grow(store, _parts(group), first=size + 1)
            size += group
            await check(store, size)

    async def test_groups_of_any_sizes_give_the_tree_of_every_size(self, store: Store) -> None:
        """From what is stored when the log has 600 events, every earlier tree can be shown."""
        chance = random.Random(6962)
        groups: list[int] = []
        while sum(groups) < 600:
            groups.append(min(chance.choice((1, 2, 3, 17, 60, 127, 128, 129, 200)), 600 - sum(groups)))
        await grow(store, groups)
        expected = await check(store, 600)
        for size in range(1, 601):
            wanted = [(0, 0), (0, 1), (0, 2), (1, 0)]
            tiles = await store.tree.tiles(wanted, size)
            assert tiles == {place: found for place in wanted if (found := expected.tile(*place, size))}
            assert hash_of(nodes_of(0, size), tiles) == expected.head(0, size)

    async def test_the_tree_goes_on_past_65536_events(self, store: Store) -> None:
        """Where a third level of tiles begins."""
        before = 65_530
        await grow(store, [1])
        await _leap(store, before)
        await grow(store, [1, 3, 6], first=before + 1)
        events = await store.reader.events(Query(since=before))
        expected = NaiveTree([*map(_entry, range(before)), *(event.envelope for event in events)])
        tree = await store.tree.frontier()
        assert (tree.size, tree.root()) == (65_540, expected.head(0, 65_540))
        wanted = [(0, 0), (0, 255), (0, 256), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
        counts = {}
        for size in (65_280, 65_535, 65_536, 65_540):
            found = await store.tree.tiles(wanted, size)
            assert found == {place: hashes for place in wanted if (hashes := expected.tile(*place, size))}
            assert hash_of(nodes_of(0, size), found) == expected.head(0, size)
            counts[size] = {place: len(hashes) for place, hashes in found.items()}
        assert counts[65_535] == {(0, 0): 256, (0, 255): 255, (1, 0): 255}
        assert counts[65_540] == {(0, 0): 256, (0, 255): 256, (0, 256): 4, (1, 0): 256, (2, 0): 1}

    async def test_no_tile_is_too_far_to_be_asked_for(self, store: Store) -> None:
        """What lies beyond the end is left out, however far."""
        await grow(store, [3])
        far = [(0, 2**62), (0, 1), (1, 0), (7, 2**55), (63, 0), (63, 2**62)]
        assert list(await store.tree.tiles([*far, (0, 0)], 3)) == [(0, 0)]

    async def test_a_transaction_that_is_undone_leaves_the_tree_as_it_was(self, store: Store) -> None:
        """Also where it was about to make a tile whole; and the next one goes on as if nothing was."""
        await grow(store, [128, 127])
        before = rows_of_tree(store)
        decided = await decide(store, [256], now=NOW + 256)
        with breaking(store, "UPDATE log_head ") as broken:
            [result] = await store.ledger.record(decided, now=NOW + 256)
        assert (len(broken), isinstance(result, ValueError)) == (1, True)
        assert rows_of_tree(store) == before
        await check(store, 255)
        [event] = await store.ledger.record(decided, now=NOW + 256)
        assert isinstance(event, LifecycleEvent)
        await check(store, 256)

    async def test_what_one_breaks_for_its_group_does_not_show_in_the_tree(self, store: Store) -> None:
        """The group is written in parts, without its cause."""
        await grow(store, [250])
        decided = await decide(store, range(251, 264), now=NOW + 300)
        with breaking(store, "INSERT INTO event ", arrival(257).notification.id) as broken:
            written = await store.ledger.record(decided, now=NOW + 300)
        assert len(broken) > 1
        assert [number for number, one in enumerate(written, 251) if isinstance(one, ValueError)] == [257]
        await check(store, 262)

    async def test_a_group_that_meets_a_full_disk_leaves_the_tree_as_it_was(self, store: Store) -> None:
        """All of it is refused, and nothing of it is there."""
        await grow(store, [250])
        before = rows_of_tree(store)
        decided = await decide(store, range(251, 271), now=NOW + 300)

        def full(_connection: sa.Connection) -> None:
            raise sa.exc.OperationalError("", {}, OSError("no room"))

        sa.event.listen(store.engine, "commit", full)
        written = await store.ledger.record(decided, now=NOW + 300)
        sa.event.remove(store.engine, "commit", full)
        assert all(isinstance(one, StorageError) for one in written)
        assert rows_of_tree(store) == before
        await check(store, 250)

    async def test_two_stores_keep_one_tree(self, open_store: Callable[[], Store]) -> None:
        """In turn and at once: each goes on where the other stopped."""
        stores = [open_store(), open_store()]
        size = 0
        for turn, group in enumerate((1, 100, 154, 1, 1, 30)):
            await grow(stores[turn % 2], [group], first=size + 1)
            size += group
            assert await stores[0].tree.frontier() == await stores[1].tree.frontier()
        decided = await decide(stores[0], range(size + 1, size + 101), now=NOW + 10_000)
        await asyncio.gather(
            *(stores[turn % 2].ledger.record([one], now=NOW + 10_000) for turn, one in enumerate(decided))
        )
        await check(stores[0], size + 100)
        await check(stores[1], size + 100)

    async def test_an_erased_payload_leaves_the_tree_as_it_was(self, store: Store) -> None:
        """Threat T22: "proof of neighbours still verifies", and that of the erased one does too."""
        await grow(store, [200, 100])
        before = rows_of_tree(store)
        tiles = await store.tree.tiles([(0, 0), (0, 1), (1, 0)], 300)
        gone = sa.update(schema.event).where(schema.event.c.sequence.in_([7, 256, 300]))
        with store.engine.begin() as connection:
            assert connection.execute(gone.values(payload=None, salt=None)).rowcount == 3
        erased = await store.reader.event(7)
        assert erased is not None
        assert (erased.payload, erased.salt, erased.leaf) == (None, None, tiles[0, 0][6])
        assert rows_of_tree(store) == before
        await check(store, 300)
        await grow(store, [1], first=301)
        await check(store, 301)

    async def test_the_tree_is_the_same_after_reopening(
        self, store: Store, open_store: Callable[[], Store]
    ) -> None:
        """And grows on."""
        await grow(store, [250, 10])
        await store.close()
        again = open_store()
        await check(again, 260)
        await grow(again, [3], first=261)
        await check(again, 263)


def _parts(group: int) -> list[int]:
    """Return the group as transactions that do not lead the clock too far."""
    return [group] if group <= 250 else [250, group - 250]


def _entry(index: int) -> bytes:
    return b"entry %d" % index


async def _leap(store: Store, size: int) -> None:
    """Lay as many events into the log as if they had been appended, all like the first but for their leaves."""
    tree = NaiveTree([_entry(index) for index in range(size)])
    with store.engine.begin() as connection:
        first = dict(connection.execute(sa.select(schema.event)).mappings().one())
        # Indexes that have nothing to do with the tree stay small.
        first |= dict.fromkeys(("artefact", "artefact_id", "actor"))
        connection.execute(sa.update(schema.event).values(envelope=_entry(0), leaf=tree.leaves[0]))
        _ADD_EVENTS.run(
            connection,
            [
                {
                    **first,
                    "sequence": index + 1,
                    "identity": b"%d" % index,
                    "envelope": _entry(index),
                    "leaf": tree.leaves[index],
                }
                for index in range(1, size)
            ],
        )
        whole = [
            {"log": 1, "level": 1, "place": place, "hash": top}
            for place, top in enumerate(tree.tile(1, 0, size))
        ]
        connection.execute(sa.insert(schema.subtree), whole)
        kept, start = list[bytes](), 0
        for height in reversed(range(size.bit_length())):
            if size >> height & 1:
                kept.append(tree.head(start, start + (1 << height)))
                start += 1 << height
        connection.execute(
            sa.update(schema.log_head).values(
                sequence=size, created=first["created"], frontier=b"".join(kept)
            )
        )
