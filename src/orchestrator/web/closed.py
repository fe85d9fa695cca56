"""Closed pages of the log, ready to be sent: made once, kept within a bound (decision 0010).

What is here has been closed, and a closed page changes only when a payload is erased (`forget`).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiohttp import web

Key = tuple[int, str]
"""A page's number and the media type of its form."""
_ANSWERS: Final = 1_000
_LONGEST: Final = 300
"""Characters of a question whose answer is remembered."""
_OVERHEAD: Final = 2_048
"""Bytes that an entry takes beside its bodies: headers and keys."""


class Form(NamedTuple):
    """One representation of a page in one content coding."""

    body: bytes
    headers: dict[str, str]
    """All that never change: every one but Link, which tells where the log ends now."""
    head: bytes = b""
    """The head that these headers make with Link, where it is known (`web.ready`)."""


Asked = tuple[str, str | None, str | None]
"""A query string, Accept and Accept-Encoding, as they were sent."""
Forms = dict[str, Form]
"""A page in one media type by content coding; empty for a page that is too large to be kept."""


class ClosedPages:
    """As many closed pages as fit into `most` bytes, those asked for last."""

    def __init__(self, *, page_size: int, most: int) -> None:
        """Keep pages of `page_size` events."""
        self._page_size = page_size
        self._most = most
        self._kept: OrderedDict[Key, Forms] = OrderedDict()
        self._size = 0
        self._under_way: dict[Key, asyncio.Task[Forms]] = {}
        self._answers: dict[Asked, tuple[Key, Form]] = {}
        self._erasures = 0
        self._end = 0
        self.times: dict[int, int] = {}
        """When the first event of each page was written, as far as somebody asked."""

    @property
    def end(self) -> int:
        """The last sequence that this process has seen in the log."""
        return self._end

    def see(self, sequence: int) -> None:
        """Take note that the log has come to `sequence`: links to its end may be others now."""
        if sequence > self._end:
            self._end = sequence
            self._answers.clear()

    def recall(self, asked: Asked) -> Form | None:
        """Return the form that answered just this question, and answers it still."""
        known = self._answers.get(asked)
        if known is None:
            return None
        self._kept.move_to_end(known[0])
        return known[1]

    def remember(self, asked: Asked, key: Key, form: Form) -> None:
        """Let `form`, of the page `key`, answer `asked` for as long as it stays right and kept."""
        if key in self._kept and sum(map(len, filter(None, asked))) <= _LONGEST:
            if len(self._answers) >= _ANSWERS:
                self._answers.clear()
            self._answers[asked] = (key, form)

    def get(self, key: Key) -> Forms | None:
        """Return what is kept of a page; None when it has to be made."""
        forms = self._kept.get(key)
        if forms is not None:
            self._kept.move_to_end(key)
        return forms

    async def make(self, key: Key, build: Callable[[], Awaitable[Forms]]) -> Forms:
        """Return what `build` makes of a closed page, and keep it. All who ask meanwhile get the same."""
        kept = self.get(key)  # perhaps it was made while the caller asked for the log's end
        if kept is not None:
            return kept
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._make(key, build))
        return await asyncio.shield(task)

    async def _make(self, key: Key, build: Callable[[], Awaitable[Forms]]) -> Forms:
        try:
            while True:
                erasures = self._erasures
                forms = await build()
                if erasures == self._erasures:  # else it may hold what was erased meanwhile
                    self._keep(key, forms)
                    return forms
        finally:
            del self._under_way[key]

    def _keep(self, key: Key, forms: Forms) -> None:
        size = _size(forms)
        if size > self._most:
            return
        self._kept[key] = forms
        self._size += size
        while self._size > self._most:
            self._drop(next(iter(self._kept)))

    def forget(self, sequence: int) -> None:
        """Make the page of the event `sequence` anew in all its forms, from what is stored now."""
        self._erasures += 1
        number = -(-sequence // self._page_size)
        for key in [key for key in self._kept if key[0] == number]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        self._size -= _size(self._kept.pop(key))
        self._answers.clear()


def _size(forms: Forms) -> int:
    return _OVERHEAD + sum(len(form.body) for form in forms.values())


PAGES: Final = web.AppKey("pages", ClosedPages)
