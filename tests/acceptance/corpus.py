"""Posts a corpus of other people's notifications to inboxes of ours, and says what became of each file.

    python tests/acceptance/corpus.py ../shared/corpus/coar-notify [--markdown docs/reference/corpus.md]

First every file goes to an inbox of its own, in a fresh database. Then all go, twice, to the one inbox of a
server process. Ends with 1 when anything is as it must not be; what that is stands at the end.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

sys.path.append(str(Path(__file__).resolve().parents[2]))  # it is run as a program, too

from tests.acceptance.service import JSON_LD, ROOT, Answer, Service, ask, until

from orchestrator import bootstrap
from orchestrator.config import Settings
from orchestrator.storage import Store

PATTERNS = ROOT / "docs" / "reference" / "patterns.md"
PAGE = ROOT / "docs" / "reference" / "corpus.md"
_SHOWN: Final = 3
_CREATED, _REFUSED, _CONFLICT, _BROKEN = 201, 400, 409, 500
_TABLE: Final = ("file", "its source says", "status", "pattern", "refused by", "where first", "warnings")


# The corpus


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A file of the corpus, and what its source says of it."""

    path: Path
    says: str

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def is_invalid(self) -> bool:
        return self.says.startswith("INVALID")

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def document(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def key(self) -> tuple[str, str] | None:
        """Sender and id, by which an inbox knows a notification again (read here as plain JSON)."""
        document = self.document
        if not isinstance(document, dict) or not isinstance(document.get("id"), str):
            return None
        for member in ("origin", "actor"):
            party = document.get(member)
            identifier = party.get("id") if isinstance(party, dict) else party
            if isinstance(identifier, str):
                return identifier, document["id"]
        return "", document["id"]


def read_index(folder: Path) -> list[Specimen]:
    """Return the files that INDEX.md lists, in its order; it must list every file that is there."""
    found: list[Specimen] = []
    section, columns = folder, list[str]()
    for line in (folder / "INDEX.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = folder / line.removeprefix("## ").strip()
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        if cells[0] == "file":
            columns = cells
            continue
        row = dict(zip(columns, cells, strict=False))
        found.append(Specimen(path=section / row["file"], says=row["verdict by source"]))
    there = {path for path in folder.rglob("*") if path.is_file() and path.name != "INDEX.md"}
    listed = {specimen.path for specimen in found}
    if there != listed or len(found) != len(listed):
        message = f"INDEX.md and the files differ: {sorted(map(str, there ^ listed))}"
        raise ValueError(message)
    return found


def argued(patterns: Path = PATTERNS) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Return the refusals that the reference argues: words of the source, and names of the files."""
    section = (
        patterns.read_text(encoding="utf-8").partition("## Corpus verdicts argued")[2].partition("\n## ")[0]
    )
    table = section.partition("| source | file | refused for |")[2].partition("\n\n")[0]
    rows = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) > 1 and cells[0] and not set(line) <= set("|- "):
            words = frozenset(re.findall(r"[a-z0-9.]+", cells[0].lower()))
            names = frozenset(name.removesuffix(".json") for name in re.findall(r"`([^`]+)`", cells[1]))
            rows.append((words, names))
    return rows


def is_argued(specimen: Specimen, rows: Sequence[tuple[frozenset[str], frozenset[str]]]) -> bool:
    """Whether the reference says by name why this file is refused."""
    source = set(specimen.path.parent.name.split("-"))
    return any(source <= words and specimen.path.stem in names for words, names in rows)


# What becomes of it


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an inbox said to a file."""

    specimen: Specimen
    status: int
    pattern: str | None = None
    refusal: str | None = None
    findings: tuple[dict[str, Any], ...] = ()
    location: str | None = None
    state: str | None = None
    """What processing came to, where it was waited for."""
    rehearsed: bool | None = None
    """Whether the dry run said the same, where there was one."""

    @property
    def violations(self) -> list[dict[str, Any]]:
        return [found for found in self.findings if found["severity"] == "Violation"]

    @property
    def warnings(self) -> int:
        return len(self.findings) - len(self.violations)

    @property
    def pointers(self) -> list[str]:
        """Where the violations are; a member that is missing is named after its parent's place."""
        places = (
            (found["pointer"] or "/") + (f" (no {found['term']})" if "term" in found else "")
            for found in self.violations
            if "pointer" in found
        )
        return list(dict.fromkeys(places))


async def post(inbox: str, specimen: Specimen, *, query: str = "") -> Answer:
    """POST a file as it is."""
    return await ask("POST", inbox + query, specimen.body, Content_Type=JSON_LD)


async def told(inbox: str, specimen: Specimen) -> Result:
    """Rehearse, post, and follow a file until nothing more becomes of it."""
    rehearsal = (await post(inbox, specimen, query="?dry-run=true")).json
    answer = await post(inbox, specimen)
    result = Result(specimen=specimen, status=answer.status, pattern=rehearsal["pattern"])
    if answer.status == _CREATED:

        async def report() -> Any:
            return (await ask("GET", f"{answer.location}/report", Accept="application/json")).json

        settled = await until(report, lambda found: found["state"] not in ("RECEIVED", "RETRY"))
        result = replace(
            result, location=answer.location, state=settled["state"], findings=tuple(settled["violations"])
        )
    elif "problem+json" in answer.headers.get("Content-Type", ""):
        problem = answer.json
        result = replace(
            result,
            refusal=problem["type"].rpartition("/")[2],
            findings=tuple(problem.get("violations", ())),
        )
    same = (
        rehearsal["accepted"] == (answer.status == _CREATED)
        and rehearsal["refusal"] == result.refusal
        and tuple(rehearsal["violations"]) == result.findings
    )
    return replace(result, rehearsed=same)


class _Errors(logging.Handler):
    """Keeps what a server must not have to say."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.lines.append(self.format(record))


async def run_fresh(specimens: Sequence[Specimen]) -> tuple[list[Result], list[str]]:
    """Post each file to an inbox of its own; return the results, and the errors that the servers logged.

    The screening processes are shared; the database and everything that knows it are new for each.
    """
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    settings = Settings(port=0, workers=2, budget=30.0, interval=0.2)
    catalogue = bootstrap.catalogue_of(settings)
    screener = bootstrap.screener_of(settings, catalogue)
    folder = Path(tempfile.mkdtemp(prefix="corpus-"))
    try:
        empty = folder / "empty.sqlite"
        store = await asyncio.to_thread(Store.open, f"sqlite:///{empty}", public_url="http://127.0.0.1")
        await store.close()
        results = []
        for number, specimen in enumerate(specimens):
            database = shutil.copy(empty, folder / f"{number}.sqlite")
            fresh = replace(settings, database=f"sqlite:///{database}")
            async with bootstrap.running(fresh, catalogue=catalogue, screener=screener) as service:
                results.append(await told(f"{service.url}/inbox/", specimen))
        return results, errors.lines
    finally:
        await screener.close()
        logging.getLogger().removeHandler(errors)
        shutil.rmtree(folder)


def complaints(results: Sequence[Result], errors: Sequence[str]) -> Iterator[str]:
    """Yield everything that must not be."""
    rows = argued()
    for result in results:
        name, is_accepted = result.specimen.name, result.status == _CREATED
        if result.status >= _BROKEN:
            yield f"{name}: answered {result.status}"
        elif result.status not in (_CREATED, _REFUSED):
            yield f"{name}: answered {result.status} in an empty inbox"
        if not result.rehearsed:
            yield f"{name}: the dry run said something else"
        if is_accepted and result.state != "PROCESSED":
            yield f"{name}: accepted, and then {result.state}"
        if is_accepted and result.violations:
            yield f"{name}: accepted with violations"
        if is_accepted and result.specimen.is_invalid:
            yield f"{name}: accepted, and its source calls it invalid"
        if not is_accepted and not result.pointers:
            yield f"{name}: refused without a place"
        if not is_accepted and not result.specimen.is_invalid and not is_argued(result.specimen, rows):
            yield f"{name}: refused, its source says “{result.specimen.says}”, and no page says why"
    for line in errors:
        yield f"logged: {line}"


# All in one inbox


Why = Literal["first receipt", "other content"]


def explain(results: Sequence[Result]) -> dict[int, tuple[int, Why]]:
    """Return which files meet an earlier one of the same sender and id in one inbox, and how they differ.

    From the files alone: place → place of the first of that sender and id that an inbox takes, and
    whether the content is the same.
    """
    first: dict[tuple[str, str], int] = {}
    met: dict[int, tuple[int, Why]] = {}
    for place, result in enumerate(results):
        key = result.specimen.key
        if result.status != _CREATED or key is None:
            continue
        if key not in first:
            first[key] = place
            continue
        same = result.specimen.document == results[first[key]].specimen.document
        met[place] = (first[key], "first receipt" if same else "other content")
    return met


async def run_together(inbox: str, fresh: Sequence[Result]) -> list[list[Result]]:
    """Post all files, twice, to one inbox."""
    rounds = []
    for _ in range(2):
        results = []
        for result in fresh:
            answer = await post(inbox, result.specimen)
            location = answer.headers.get("Location")
            results.append(Result(specimen=result.specimen, status=answer.status, location=location))
        rounds.append(results)
    return rounds


def differences(fresh: Sequence[Result], rounds: Sequence[Sequence[Result]]) -> Iterator[str]:
    """Yield every difference from the fresh run that ids used twice do not explain."""
    met = explain(fresh)
    first, second = rounds
    for place, (alone, once, again) in enumerate(zip(fresh, first, second, strict=True)):
        name = alone.specimen.name
        expected, location = alone.status, None
        if place in met:
            earlier, why = met[place]
            expected = _CREATED if why == "first receipt" else _CONFLICT
            location = first[earlier].location if why == "first receipt" else None
        if once.status != expected:
            yield f"{name}: {once.status} where {expected} was to be expected"
        if location is not None and once.location != location:
            yield f"{name}: the same as {first[met[place][0]].specimen.name}, and not the same receipt"
        if (again.status, again.location) != (once.status, once.location):
            yield f"{name}: {again.status} the second time, {once.status} the first"
    taken = [result.location for result in first if result.status == _CREATED]
    kept = len(taken) - sum(why == "first receipt" for _, why in met.values())
    if len(set(taken)) != kept:
        yield f"{len(set(taken))} receipts for {kept} notifications"


@contextlib.asynccontextmanager
async def one_service() -> AsyncIterator[Service]:
    """Run a server process in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        service = Service(folder=Path(folder), settings={})
        try:
            await service.start()
            yield service
            await service.stop()
        finally:
            await service.end()


# Telling


def rows_of(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return the table, a row for each file."""
    return [
        (
            result.specimen.name,
            result.specimen.says,
            str(result.status),
            result.pattern or "-",
            result.refusal or "-",
            _first(result.pointers),
            str(result.warnings),
        )
        for result in results
    ]


def _first(pointers: Sequence[str]) -> str:
    more = len(pointers) - _SHOWN
    return ", ".join(pointers[:_SHOWN]) + (f" and {more} more" if more > 0 else "") or "-"


def totals(results: Sequence[Result]) -> list[str]:
    """Return the sums, one sentence each."""
    counted = Counter(
        ("invalid" if result.specimen.is_invalid else "valid", result.status == _CREATED)
        for result in results
    )
    warned = sum(bool(result.warnings) for result in results if result.status == _CREATED)
    met = explain(results)
    same = sum(why == "first receipt" for _, why in met.values())
    return [
        f"{len(results)} files.",
        (
            f"Called valid, accepted or as sent by their source: {counted['valid', True]} accepted "
            f"({warned} of them with warnings), {counted['valid', False]} refused."
        ),
        f"Called invalid: {counted['invalid', False]} refused, {counted['invalid', True]} accepted.",
        (
            f"All in one inbox: {len(met)} files use the id of an earlier one of the same sender; {same} have "
            f"the same content and get its receipt, {len(met) - same} have other content and get 409."
        ),
    ]


def page(results: Sequence[Result]) -> str:
    """Return the page of the reference."""
    table = [_TABLE, ("---",) * len(_TABLE), *rows_of(results)]
    lines = ["| " + " | ".join(_code(row) if number > 1 else row) + " |" for number, row in enumerate(table)]
    refused = [
        f"- `{result.specimen.name}` ({result.specimen.says})"
        for result in results
        if result.status != _CREATED and not result.specimen.is_invalid
    ]
    met = [
        f"- `{results[place].specimen.name}` (`{results[earlier].specimen.name}`)"
        for place, (earlier, why) in explain(results).items()
        if why == "other content"
    ]
    return _PAGE.format(
        totals="\n".join(f"- {line}" for line in totals(results)),
        refused="\n".join(refused),
        conflicts="\n".join(met),
        table="\n".join(lines),
    )


def _code(row: Sequence[str]) -> tuple[str, ...]:
    name, says, status, pattern, refusal, places, warnings = row
    return f"`{name}`", says, status, pattern, refusal, "-" if places == "-" else f"`{places}`", warnings


_PAGE: Final = """\
# The corpus

Notifications of other people: the examples of COAR Notify 0.9.0, 1.0.0 and 1.0.1, and what the implementations that are
in use send, accept and refuse in their tests. The files lie beside the checkout (`../shared/corpus/coar-notify`), not in
it, since they have licences of their own; here are their names, what their sources say of them, and what an inbox of ours
answers out of the box, with the profile [lenient](patterns.md#how-to-read-the-tables).

This page is written, and all of this is checked, by

```sh
python tests/acceptance/corpus.py ../shared/corpus/coar-notify --markdown docs/reference/corpus.md
```

It posts each file over HTTP to an inbox with a database of its own, as a dry run and then in earnest, and follows it
until it is an event; then it posts all of them, twice, to the one inbox of a server process. It ends with 1 when

- anything is answered with 5xx, or a server logs an error;
- a file is refused that its source calls valid, accepted or as sent, and
  [Corpus verdicts argued](patterns.md#corpus-verdicts-argued) does not say by name why;
- a file is accepted that its source calls invalid, or one is refused without a place in it;
- the dry run says something else than the inbox, or what was accepted does not become an event;
- in the one inbox anything differs from the above that is not the first receipt again, or a 409 for an id that its sender
  has used before.

`tests/acceptance/test_corpus.py` runs the same, and holds this page against it.

## Totals

{totals}

## Refused, though their sources do not

Why: [Corpus verdicts argued](patterns.md#corpus-verdicts-argued).

{refused}

## Ids that are used again for something else

In one inbox these are answered with 409, since their sender has used the id before for other content (the file in
brackets). The specification's examples share ids across versions, and so do the fixtures that were made from them.

{conflicts}

## Every file

The pattern is the one that was recognised; places are JSON pointers, `/` is the whole document.

{table}
"""


def text(results: Sequence[Result]) -> str:
    """Return the table and the totals as text."""
    rows = [_TABLE, *rows_of(results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TABLE))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    return "\n".join([*lines, "", *totals(results)])


async def run(folder: Path) -> tuple[list[Result], list[str]]:
    """Run both; return what became of each file in an inbox of its own, and everything that must not be."""
    fresh, errors = await run_fresh(read_index(folder))
    wrong = list(complaints(fresh, errors))
    async with one_service() as service:
        wrong += differences(fresh, await run_together(service.inbox, fresh))
    return fresh, wrong


def main() -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page of the reference")
    given = parser.parse_args()
    results, wrong = asyncio.run(run(given.folder))
    said = [text(results), "", *wrong, f"{len(wrong)} things are as they must not be."]
    sys.stdout.write("\n".join(said) + "\n")
    if given.markdown is not None:
        given.markdown.write_text(page(results), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
