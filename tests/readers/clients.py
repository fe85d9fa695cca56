"""The readers, run as their users run them: `ldes-client` 0.3.0 and the SPARQL engine Comunica 3.3.0."""

import asyncio
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.service import until_true

HERE = Path(__file__).parent
_LDES = HERE / "node_modules/ldes-client/dist/bin/cli.js"
_SPARQL = HERE / "node_modules/@comunica/query-sparql/bin/query.js"
_XSD_INTEGER = "http://www.w3.org/2001/XMLSchema#integer"
_SHORT = re.compile(r" (-?\d+)( <[^>]*>)? \.$", re.MULTILINE)
_EVENT = re.compile(
    rf'^<([^>]+)> <[^>]+/log#sequence> "\d+"\^\^<{re.escape(_XSD_INTEGER)}> \.$', re.MULTILINE
)
_PATIENCE = 100


def are_installed() -> bool:
    """Return whether both readers can be run."""
    return shutil.which("node") is not None and _LDES.is_file() and _SPARQL.is_file()


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member as the LDES client hands it over."""

    iri: str
    quads: str
    """N-Quads."""

    @property
    def sequence(self) -> int:
        return int(self.iri.rpartition("/")[2])


def _members(out: str) -> list[Member]:
    """Return the members that were printed whole; a blank line ends each."""
    found = []
    for block in out.split("\n\n")[:-1]:
        # It abbreviates numbers as Turtle does, which N-Quads do not know.
        quads = _SHORT.sub(rf' "\1"^^<{_XSD_INTEGER}>\2 .', block) + "\n"
        named = _EVENT.search(quads)
        assert named is not None, block
        found.append(Member(iri=named[1], quads=quads))
    return found


@dataclass(kw_only=True)
class Replica:
    """A copy of a log that `ldes-client` keeps, in the order of the log; it may be read on by several runs."""

    url: str
    folder: Path
    _process: subprocess.Popen[bytes] | None = None
    _runs: int = field(default=0)

    async def read(self) -> list[Member]:
        """Read the log to its end; return what had not been read before."""
        self._begin()
        assert self._process is not None
        await until_true(lambda: self._has_ended, within=_PATIENCE)
        assert self._process.returncode == 0, self._said
        return self.members()

    def follow(self) -> None:
        """Read the log and go on reading it, five times a second, until `end`."""
        self._begin("--follow", "--poll-interval", "200", LOG_LEVEL="debug")

    def members(self) -> list[Member]:
        """Return the members that this run has emitted so far."""
        return _members(self._out.read_text())

    async def arrived(self, number: int) -> None:
        """Wait until a run that follows has emitted so many members."""
        await until_true(lambda: self._has_ended or len(self.members()) >= number)
        assert not self._has_ended, self._said[-2_000:]

    async def looked_again(self, times: int) -> None:
        """Wait until a run that follows has come to the end of the log so many times more."""
        before = self._polls()
        await until_true(lambda: self._has_ended or self._polls() >= before + times)
        assert not self._has_ended, self._said[-2_000:]

    async def end(self) -> None:
        """Stop a run that follows."""
        if self._process is not None and not self._has_ended:
            self._process.terminate()
            await until_true(lambda: self._has_ended)

    def _begin(self, *more: str, **environment: str) -> None:
        assert self._process is None or self._has_ended
        self.folder.mkdir(exist_ok=True)
        self._runs += 1
        words = [self.url, "--ordered", "ascending", "--save", str(self.folder / "state"), *more]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                ["node", str(_LDES), *words],
                stdout=out,
                stderr=err,
                cwd=self.folder,
                env={**os.environ, **environment},
            )

    def _polls(self) -> int:
        return self._said.count("Let's repoll")

    @property
    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def _said(self) -> str:
        return self._err.read_text()

    @property
    def _out(self) -> Path:
        return self.folder / f"members-{self._runs}.nq"

    @property
    def _err(self) -> Path:
        return self.folder / f"log-{self._runs}.txt"


async def select(query: str, *sources: str) -> list[dict[str, str]]:
    """Ask Comunica a SELECT query over web resources; return the values of its solutions."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(_SPARQL),
        *sources,
        *("--query", query),
        *("--outputType", "application/sparql-results+json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), _PATIENCE)
    assert process.returncode == 0, err.decode()
    bindings = json.loads(out)["results"]["bindings"]
    return [{name: term["value"] for name, term in solution.items()} for solution in bindings]
