"""A directed search for the document that holds the event loop longest (B15).

python -m benchmarks.search [--minutes 60] [--seed N] [--keep FOLDER]

Documents breed: the slowest are changed, crossed and kept, within the bytes that are screened on the event
loop. What counts is the CPU time of one call that nothing can interrupt: to screen a body, or to judge one
that was accepted. What a search finds goes to `benchmarks/found/`, where B15 takes it up.
"""

import argparse
import contextlib
import copy
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import subjects, worst
from orchestrator.catalogue import packaged, read_folder
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.jsonld import NotPlain
from orchestrator.core.policy import PolicySet, judge_plain
from orchestrator.core.screening import screen_plain
from orchestrator.core.vocabulary import AS_CONTEXT, LDP_CONTEXT, NOTIFY_CONTEXT
from orchestrator.screener.direct import LONGEST

_POPULATION: Final = 60
_TELL: Final = 20.0
"""Seconds between lines of progress."""
_WORDS: Final = (
    *("id", "type", "actor", "object", "target", "origin", "context", "inReplyTo", "inbox", "url", "name"),
    *("summary", "content", "nameMap", "orderedItems", "items", "published", "totalItems", "tag"),
    *("mediaType", "ietf:cite-as", "ietf:item", "sorg:name", "as:object", "as:subject"),
    *("@value", "@language", "unknown"),
)
_TYPES: Final = (
    *("Announce", "Offer", "Accept", "Reject", "Undo", "Flag", "Service", "Person", "Page"),
    *("sorg:Review", "coar-notify:ReviewAction"),
)
_CONTEXTS: Final = (
    [AS_CONTEXT, NOTIFY_CONTEXT],
    [AS_CONTEXT],
    [AS_CONTEXT, LDP_CONTEXT, NOTIFY_CONTEXT],
    AS_CONTEXT,
)
Json = Any


def seconds(body: bytes, policies: PolicySet) -> float:
    """Return how long `body` holds the event loop: the longer of both calls, the better of two tries."""
    return min(_once(body, policies) for _ in range(2))


def _once(body: bytes, policies: PolicySet) -> float:
    begun = time.thread_time()
    try:
        found = screen_plain(body, subjects.rules())
    except (NotPlain, OrchestratorError):
        return time.thread_time() - begun
    screened = time.thread_time() - begun
    if found.root is None or not found.screening.accepted:
        return screened
    begun = time.thread_time()
    with contextlib.suppress(NotPlain, OrchestratorError):
        judge_plain(found.root, subjects.FACTS, policies)
    return max(screened, time.thread_time() - begun)


class Search:
    """A population of documents, the slowest first."""

    def __init__(self, seed: int) -> None:
        """Begin with the specimens and with the worst that is known, cut to size."""
        self._chance = random.Random(seed)  # noqa: S311  (a search, no secret)
        folder = packaged("policies")
        self._policies = PolicySet(
            {f"{name}.ttl": text for name, text in read_folder(folder, ".ttl").items()}
        )
        bodies = [path.read_bytes() for path in sorted(packaged("specimens").glob("*/[mv]*.json"))]
        bodies += [make() for make in worst.DOCUMENTS.values()]
        self.best: list[tuple[float, bytes]] = []
        self.tried = 0
        for body in bodies:
            self._try(body)

    def step(self) -> None:
        """Try one more document."""
        _, body = self._chance.choice(self.best[: self._chance.choice((5, 20, _POPULATION))])
        document = json.loads(body)
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            document = self._changed(document)
        self._try(
            json.dumps(document, ensure_ascii=self._chance.random() < 0.1, separators=(",", ":")).encode()
        )

    def _try(self, body: bytes) -> None:
        if len(body) > LONGEST:
            return
        try:
            json.loads(body)
        except ValueError:
            return
        self.tried += 1
        took = seconds(body, self._policies)
        if len(self.best) < _POPULATION or took > self.best[-1][0]:
            self._rank([*self.best, (min(took, seconds(body, self._policies)), body)])

    def doubt(self) -> None:
        """Measure those that are kept once more, for a slow moment of the machine lies."""
        self._rank([(min(took, seconds(body, self._policies)), body) for took, body in self.best])

    def _rank(self, found: list[tuple[float, bytes]]) -> None:
        self.best = sorted(found, key=lambda each: -each[0])[:_POPULATION]

    def _changed(self, document: Json) -> Json:
        chance = self._chance
        document = copy.deepcopy(document)
        if not isinstance(document, dict):
            return document
        if chance.random() < 0.03:
            document["@context"] = chance.choice(_CONTEXTS)
        path = chance.choice(list(_paths(document)))
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        value = parent[path[-1]]
        change = chance.randrange(7)
        if change == 0:
            parent[path[-1]] = self._value()
        elif change == 1:
            parent[path[-1]] = [copy.deepcopy(value) for _ in range(chance.choice((2, 10, 50, 99)))]
        elif change == 2:
            parent[path[-1]] = {"id": self._iri(), chance.choice(_WORDS): value}
        elif change == 3 and isinstance(value, dict):
            for _ in range(chance.choice((1, 5, 30))):
                value[chance.choice(_WORDS) if chance.random() < 0.7 else self._iri()] = self._value()
        elif change == 4 and isinstance(value, str):
            parent[path[-1]] = (value or "a") * chance.choice((2, 10, 100)) + chance.choice(
                ("", "!", " ", "\u0000")
            )
        elif change == 5 and isinstance(value, list):
            value.extend(self._value() for _ in range(chance.choice((1, 10, 90))))
        elif isinstance(parent, dict):
            del parent[path[-1]]
        return document

    def _value(self) -> Json:
        chance = self._chance
        makers: tuple[Callable[[], Json], ...] = (
            lambda: {"type": chance.choice(_TYPES), chance.choice(_WORDS): self._iri()},
            lambda: [self._iri() for _ in range(chance.choice((2, 20, 99)))],
            lambda: {"@value": "x" * chance.choice((1, 100)), "@type": "xsd:dateTime"},
            lambda: chance.choice((None, True, 1, 0.1, "", "relative", "_:b0", "@type")),
            lambda: {f"{chr(97 + n % 26)}{chr(97 + n // 26)}": "x" for n in range(chance.choice((2, 50)))},
            lambda: chance.choice(_TYPES),
            dict,
            self._iri,
        )
        return chance.choice(makers)()

    def _iri(self) -> str:
        chance = self._chance
        scheme = chance.choice(("https://a.example/", "urn:x:", "as:", "http://schema.org/", "mailto:"))
        return scheme + "a" * chance.choice((1, 10, 500)) + str(chance.randrange(200))


def _paths(value: Json) -> Iterator[tuple[str | int, ...]]:
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, child in children:
        yield (step,)
        for below in _paths(child):
            yield (step, *below)


def main() -> None:
    """Search for as long as is asked, and write down the worst."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--keep", type=Path, help="a folder for the worst document")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    search, begun, told = Search(asked.seed), time.monotonic(), 0.0
    while (passed := time.monotonic() - begun) < asked.minutes * 60:
        search.step()
        if passed - told >= _TELL:
            told = passed
            search.doubt()
            _tell(search, passed)
    search.doubt()
    _tell(search, passed)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        (asked.keep / f"seed-{asked.seed}.json").write_bytes(search.best[0][1])


def _tell(search: Search, passed: float) -> None:
    took, body = search.best[0]
    print(f"{passed:.0f} s, {search.tried} documents: {took * 1e3:.2f} ms for {len(body)} bytes", flush=True)


if __name__ == "__main__":
    main()
