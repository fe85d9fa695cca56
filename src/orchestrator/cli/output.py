"""What commands print: data on stdout, talk on stderr, and nothing that a terminal would obey."""

import json
import re
from collections.abc import Iterable
from typing import Final

import click

# C0 and C1 controls, lone surrogates, line separators, and what turns the direction of writing.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_UNSAFE_IN_JSON: Final = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", ""))


def plain(text: object) -> str:
    """Return `text` on one line, with what a terminal would obey written as JSON writes it."""
    return _UNSAFE.sub(_escaped, str(text))


def as_json(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON that is safe to look at."""
    # json escapes C0 controls in strings itself; those that are left are its own line ends.
    return _UNSAFE_IN_JSON.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=indent))


def show(value: object) -> None:
    """Print one JSON document."""
    click.echo(as_json(value, indent=2))


def show_line(value: object) -> None:
    """Print one line of newline-delimited JSON, at once: somebody may be following."""
    click.echo(as_json(value))


def say(text: str) -> None:
    """Tell the person at the terminal."""
    click.echo(plain(text), err=True)


def table(rows: Iterable[Iterable[object]]) -> None:
    """Print rows in columns; the last one is as long as it is."""
    lines = [[plain("-" if cell is None else cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        click.echo("  ".join([*cells, line[-1]]).rstrip())


def count(number: int, word: str) -> str:
    """Return `3 warnings`, and `1 warning`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def good(text: str) -> str:
    """Return `text` in the colour of success; click leaves colours out where there is no terminal."""
    return click.style(text, fg="green")


def bad(text: str) -> str:
    """Return `text` in the colour of refusal."""
    return click.style(text, fg="red")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
