"""`orchestrator policy`: what the editors of policies need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from orchestrator.cli.commands import Command
from orchestrator.cli.options import json_option
from orchestrator.cli.output import bad, count, plain, say, show
from orchestrator.core.errors import ConfigurationError


@click.group
def policy() -> None:
    """Check policy files."""


@policy.command(
    cls=Command,
    examples=(
        "orchestrator policy lint policies/",
        "orchestrator policy lint announce-reviews.ttl --strict",
    ),
)
@click.argument(
    "places", metavar="DIR|FILE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.option("--strict", is_flag=True, help="Warnings end with 1 too.")
@json_option
def lint(places: Sequence[Path], *, strict: bool, is_json: bool) -> None:
    """Say what is wrong with policies: one line each, `file:line: severity: text`.

    A folder is checked as the one set that it would be in force; files named together are one set too.
    Ends with 1 when there are errors.
    """
    files = [place for place in places if not place.is_dir()]
    sets = [place for place in places if place.is_dir()]
    remarks = [remark for folder in sets for remark in _folder(folder)]
    remarks += _files(files) if files else []
    errors = sum(remark["severity"] == "error" for remark in remarks)
    if is_json:
        show(remarks)
    else:
        for remark in remarks:
            click.echo(_line(remark))
        say(f"{count(errors, 'error')}, {count(len(remarks) - errors, 'warning')}")
    raise click.exceptions.Exit(1 if errors or (strict and remarks) else 0)


def _folder(folder: Path) -> Iterator[dict[str, object]]:
    from orchestrator.catalogue import read_folder

    try:
        texts = read_folder(folder, ".ttl")
    except ConfigurationError as error:
        yield _remark(str(folder), None, "error", error.message)
        return
    if not texts:
        yield _remark(str(folder), None, "warning", "no *.ttl file is here")
    named = {f"{name}.ttl": text for name, text in texts.items()}
    yield from _lint(named, {name: folder / name for name in named})


def _files(files: Sequence[Path]) -> Iterator[dict[str, object]]:
    places: dict[str, Path] = {}
    texts: dict[str, str] = {}
    for file in files:
        if file.name in places:
            raise click.UsageError(f"{file} and {places[file.name]} have one name and cannot be one set")
        places[file.name] = file
        try:
            texts[file.name] = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            yield _remark(str(file), None, "error", f"byte {error.start} is not UTF-8")
        except OSError as error:
            raise click.UsageError(f"{file}: {error.strerror or error}") from None
    yield from _lint(texts, places)


def _lint(texts: Mapping[str, str], places: Mapping[str, Path]) -> Iterator[dict[str, object]]:
    from orchestrator.core.policy import lint as remarks_on

    for remark in remarks_on(texts):
        place = places.get(remark.source)
        yield _remark(str(place or remark.source), remark.line, remark.severity, remark.message)


def _remark(file: str, line: int | None, severity: str, text: str) -> dict[str, object]:
    return {"file": file, "line": line, "severity": severity, "text": text}


def _line(remark: Mapping[str, object]) -> str:
    place = f"{remark['file']}:{remark['line']}" if remark["line"] else str(remark["file"])
    severity = str(remark["severity"])
    return f"{plain(place)}: {bad(severity) if severity == 'error' else severity}: {plain(remark['text'])}"
