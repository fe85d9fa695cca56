"""Notifications to send: those of `fixtures/notifications`, each time with an id of its own."""

import functools
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any

from orchestrator.catalogue import packaged

_NUMBER = "%NUMBER%"
_RUN = "%RUN%"


@dataclass(frozen=True, slots=True)
class Template:
    """The text of a notification, cut where the number of the notification stands."""

    parts: tuple[str, ...]

    def fill(self, run: str, number: int) -> bytes:
        """Return a notification that no other run and number has."""
        return f"{number:012x}".join(self.parts).replace(_RUN, run).encode()


@functools.cache
def templates() -> tuple[Template, ...]:
    """Return the valid fixture of every pattern: 0.9 to 1.9 kB, indented as most editors write them.

    The id is new each time, and so is the object of an announcement: a hub is told of a topic once.
    """
    found = []
    for path in sorted(packaged("specimens").glob("*/valid.json")):
        text = path.read_text("utf-8")
        document = json.loads(text)
        text = text.replace(document["id"], f"urn:uuid:{_RUN}-0000-4000-8000-{_NUMBER}", 1)
        told = document.get("object")
        identifier = told.get("id") if isinstance(told, dict) else None
        if isinstance(identifier, str) and identifier.startswith("https:"):
            text = text.replace(f'"{identifier}"', f'"{identifier}?n={_RUN}{_NUMBER}"')
        found.append(Template(tuple(text.split(_NUMBER))))
    return tuple(found)


def new_run() -> str:
    """Return eight hex digits that set the notifications of a run apart."""
    return secrets.token_hex(4)


def stream(run: str | None = None) -> Iterator[bytes]:
    """Yield notifications without end, all patterns in turn."""
    run = run or new_run()
    return (template.fill(run, number) for number, template in zip(count(1), cycle(templates())))


def lua(run: str) -> str:
    """Return the templates as the Lua table of tables of strings that `post.lua` reads."""
    rows = []
    for template in templates():
        parts = ",".join(f"[==[{part.replace(_RUN, run)}]==]" for part in template.parts)
        rows.append(f"{{{parts}}}")
    return ",\n".join(rows)


def broken() -> Iterator[bytes]:
    """Yield every document of `invalid.json`: a valid one, changed by a patch (RFC 6902)."""
    for path in sorted(packaged("specimens").glob("*/invalid.json")):
        valid = (path.parent / "valid.json").read_text("utf-8")
        for case in json.loads(path.read_text("utf-8")):
            document = json.loads(valid)
            for operation in case["patch"]:
                _change(document, **operation)
            yield json.dumps(document, indent=2, ensure_ascii=False).encode()


def _change(document: Any, op: str, path: str, value: object = None) -> None:  # noqa: ANN401  (JSON of any form)
    *steps, last = (step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:])
    for step in steps:
        document = document[int(step)] if isinstance(document, list) else document[step]
    if isinstance(document, list):
        place = len(document) if last == "-" else int(last)
        document[place : place + (op != "add")] = [] if op == "remove" else [value]
    elif op == "remove":
        del document[last]
    else:
        document[last] = value
