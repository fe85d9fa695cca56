"""The keys that sign for the log's tree: `Tree.use_key`."""

import asyncio
from collections.abc import Callable

import pytest
from tests.storage.examples import NOW, log

from orchestrator.ports.tree import PublishedKey
from orchestrator.storage import Store

ONE, TWO, THREE = (f"log.example/log+0000000{number}+AAA" for number in (1, 2, 3))


class KeyContract:
    """Behaviours of `Tree.use_key`."""

    async def test_the_first_key_is_published_once(self, store: Store) -> None:
        """Who uses it again is told that it is the one."""
        await log(store, 1)
        assert await store.tree.use_key(ONE, now=NOW)
        assert await store.tree.use_key(ONE, now=NOW + 5)
        assert await store.tree.use_key(ONE, now=NOW + 6, replaces=True)
        assert await store.tree.keys() == [PublishedKey(verifier=ONE, since=NOW)]

    async def test_another_key_is_refused_unless_it_replaces_the_first(self, store: Store) -> None:
        """Then the first has an end, and stays published."""
        await log(store, 1)
        assert await store.tree.use_key(ONE, now=NOW)
        assert not await store.tree.use_key(TWO, now=NOW + 5)
        assert await store.tree.keys() == [PublishedKey(verifier=ONE, since=NOW)]
        assert await store.tree.use_key(TWO, now=NOW + 6, replaces=True)
        assert await store.tree.keys() == [
            PublishedKey(verifier=ONE, since=NOW, until=NOW + 6),
            PublishedKey(verifier=TWO, since=NOW + 6),
        ]
        assert not await store.tree.use_key(ONE, now=NOW + 7)
        assert await store.tree.use_key(TWO, now=NOW + 8)

    async def test_a_key_that_has_ended_is_never_used_again(self, store: Store) -> None:
        """Not even in the place of another: its time is over for all who read of it."""
        await log(store, 1)
        for turn, key in enumerate((ONE, TWO, THREE)):
            assert await store.tree.use_key(key, now=NOW + turn, replaces=True)
        before = await store.tree.keys()
        for ended in (ONE, TWO):
            assert not await store.tree.use_key(ended, now=NOW + 9)
            assert not await store.tree.use_key(ended, now=NOW + 9, replaces=True)
        assert await store.tree.keys() == before
        assert [(key.verifier, key.until) for key in before] == [
            (ONE, NOW + 1),
            (TWO, NOW + 2),
            (THREE, None),
        ]

    @pytest.mark.parametrize("later", [0, -60_000], ids=["at once", "under a clock that goes back"])
    async def test_the_key_in_use_is_the_last_whatever_the_clock_says(self, store: Store, later: int) -> None:
        """A key never ends before it begins."""
        await log(store, 1)
        assert await store.tree.use_key(THREE, now=NOW)
        assert await store.tree.use_key(TWO, now=NOW + later, replaces=True)
        assert await store.tree.use_key(ONE, now=NOW + later, replaces=True)
        keys = await store.tree.keys()
        assert [key.verifier for key in keys] == [THREE, TWO, ONE]
        assert [key.until is None for key in keys] == [False, False, True]
        assert all(key.since <= (key.until or key.since) for key in keys)

    async def test_an_empty_log_forgets_the_keys_of_another_name(self, store: Store) -> None:
        """It may still get another name; with the first event they stay."""
        other = f"another.{ONE}"
        assert await store.tree.use_key(other, now=NOW)
        assert await store.tree.use_key(ONE, now=NOW + 1)
        assert [key.verifier for key in await store.tree.keys()] == [ONE]
        await log(store, 1)
        assert not await store.tree.use_key(other, now=NOW + 3)
        assert [key.verifier for key in await store.tree.keys()] == [ONE]

    async def test_an_empty_log_keeps_the_key_of_a_service_that_runs(self, store: Store) -> None:
        assert await store.tree.use_key(ONE, now=NOW)
        assert not await store.tree.use_key(TWO, now=NOW + 1)
        assert [key.verifier for key in await store.tree.keys()] == [ONE]

    async def test_of_two_keys_at_once_one_is_the_log_s(self, open_store: Callable[[], Store]) -> None:
        """The other is told that it is not."""
        stores = [open_store(), open_store()]
        await log(stores[0], 1)
        used = await asyncio.gather(
            *(store.tree.use_key(key, now=NOW) for store, key in zip(stores, (ONE, TWO), strict=True))
        )
        assert sorted(used) == [False, True]
        [key] = await stores[1].tree.keys()
        assert key.verifier == (ONE, TWO)[used.index(True)]
