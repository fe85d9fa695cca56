"""Screens plain documents at once, on the event loop, and leaves the rest to a pool of processes."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, TypeVar

from orchestrator.core.jsonld import NotPlain
from orchestrator.core.policy import Facts, Judgement, PolicySet, judge_plain
from orchestrator.core.screening import Screening, screen_plain
from orchestrator.core.shapes.patterns import Unbounded
from orchestrator.screener.pool import Rulebook, ScreeningPool

_T = TypeVar("_T")
LONGEST: Final = 16_384
"""Bytes of a body that is looked at here: what it may cost grows with them."""
_LARGE: Final = 4_096
"""Bytes from which on one body at a time is looked at."""
_KEPT: Final = 512 * 1024
"""Bytes of bodies whose reading is kept until they are processed, a moment later."""


class DirectScreener:
    """The `Screener` port: at once where the length of a body bounds the time that it takes."""

    def __init__(self, rulebook: Rulebook, pool: ScreeningPool) -> None:
        """Judge by `rulebook`, and let `pool`, which has the same one, judge what is not plain."""
        self._rules = rulebook.rules()
        self._pool = pool
        self._read: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self._held = 0
        self._turn = asyncio.Lock()

    @property
    def works(self) -> bool:
        """Whether every document can be judged."""
        return self._pool.works

    async def close(self) -> None:
        """End the pool."""
        await self._pool.close()

    async def screen(self, body: bytes) -> Screening:
        """Screen `body` (see `core.screening`); a document over its budget is refused as too costly."""
        if len(body) <= LONGEST:
            try:
                if len(body) <= _LARGE:
                    found = screen_plain(body, self._rules)
                else:
                    found = await self._in_turn(lambda: screen_plain(body, self._rules))
            except (NotPlain, Unbounded):
                pass
            else:
                if found.root is not None and found.screening.accepted:
                    self._keep(body, found.root)
                return found.screening
        return await self._pool.screen(body)

    async def judge(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement:
        """Project and match an accepted `body` (see `core.policy`). Raises `TooCostly`, `Overloaded`."""
        if len(body) <= LONGEST:
            try:
                return await self._in_turn(lambda: judge_plain(self._root(body), facts, policies))
            except (NotPlain, Unbounded):
                pass
        return await self._pool.judge(body, facts, policies)

    def judge_at_once(self, body: bytes, facts: Facts, policies: PolicySet) -> Judgement | None:
        """Project and match a small plain `body`; None for any other."""
        if len(body) > _LARGE:
            return None
        try:
            return judge_plain(self._root(body), facts, policies)
        except (NotPlain, Unbounded):
            return None

    async def _in_turn(self, work: Callable[[], _T]) -> _T:
        """Do `work` on a large body, one at a time: after each, the event loop sees to everybody else."""
        async with self._turn:
            try:
                return work()
            finally:
                await asyncio.sleep(0)

    def _root(self, body: bytes) -> dict[str, Any]:
        root = self._read.pop(body, None)
        if root is not None:
            self._held -= len(body)
            return root
        found = screen_plain(body, self._rules)
        if found.root is None:
            raise NotPlain
        return found.root

    def _keep(self, body: bytes, root: dict[str, Any]) -> None:
        if body not in self._read:
            self._held += len(body)
        self._read[body] = root
        while self._held > _KEPT:
            forgotten, _ = self._read.popitem(last=False)
            self._held -= len(forgotten)
