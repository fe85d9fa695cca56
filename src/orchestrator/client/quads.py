"""A log as N-Quads, page by page: what events say, without what pages say of themselves."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from orchestrator.client import pages
from orchestrator.client.exchange import LISTING_BYTES, Exchange, shown, usable
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused

_MOST_ON_A_PAGE: Final = 250
_SEQUENCE: Final = re.compile(
    rb'^(<[^>]*>) <%b> "([0-9]{1,18})"\^\^<%b> \.$'
    % (re.escape(v.LOG + "sequence").encode(), re.escape(v.XSD + "integer").encode()),
    re.MULTILINE,
)
"""The statement by which something is an event: in the default graph, which payloads are not in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quads:
    """Some events as N-Quads, in the order of the log."""

    text: bytes
    """Whole lines; blank nodes are named after their events."""
    last: int
    """The number of the last of them."""
    count: int


async def quads(exchange: Exchange, url: str, since: int) -> AsyncGenerator[Quads, None]:
    """See `Client.quads`."""
    while True:
        page = pages.with_query(url, since=since, limit=_MOST_ON_A_PAGE)
        answer = usable(await exchange.get(page, v.N_QUADS, LISTING_BYTES))
        if answer.media_type != v.N_QUADS:
            raise AnswerRefused(f"{shown(url)} is not available as N-Quads.")
        events = _SEQUENCE.findall(answer.body)
        if not events:
            return
        numbers = [int(number) for _, number in events]
        if numbers != sorted(set(numbers)) or numbers[0] <= since:
            raise AnswerRefused(f"{shown(url)} does not have its events in their order.")
        yield Quads(text=_of_events(answer.body, events[0][0]), last=numbers[-1], count=len(numbers))
        since = numbers[-1]
        if not answer.linked("next"):
            return


def _of_events(body: bytes, first: bytes) -> bytes:
    """Return the statements from the first about the event `first` on: the page's own come before."""
    start = re.search(rb"^%b " % re.escape(first), body, re.MULTILINE)
    return body[start.start() :] if start else b""
