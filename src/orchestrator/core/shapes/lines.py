"""On which line of a Turtle file something stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.core.rdf import Graph, URIRef
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shapes.terms import local

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something wrong with a shape."""

    owner: RdfNode
    """The named subject under which it stands."""
    message: str
    term: str = ""
    """What the offending line holds: a prefixed name, whose prefix may be empty for any."""
    first: bool = False
    """Whether the first such line offends, even if there are several."""
    severity: Severity = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is to be said of a file."""

    source: str
    message: str
    line: int | None = None
    severity: Severity = "error"

    def __str__(self) -> str:
        """Return it as compilers do."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.severity}: {self.message}"


class Source:
    """A file, and where its named subjects begin."""

    def __init__(self, name: str, text: str, graph: Graph) -> None:
        """Read where the subjects of `graph`, which is what `text` says, begin."""
        self.name = name
        self._lines = text.split("\n")
        named = {subject for subject in graph.subjects() if isinstance(subject, URIRef)}
        self._begins: dict[RdfNode, int] = {
            subject: line for subject in named if (line := self._beginning(subject))
        }

    def remark(self, trouble: Trouble, message: str) -> Remark:
        """Return a remark on the line of the trouble, if it is plain which, else on its owner's."""
        line = begins = self.line_of(trouble.owner)
        if trouble.term and begins is not None:
            end = min((other - 1 for other in self._begins.values() if other > begins), default=None)
            lines = list(self.lines_with(trouble.term, begins, end))
            line = lines[0] if len(lines) == 1 or (lines and trouble.first) else begins
        return Remark(source=self.name, message=message, line=line, severity=trouble.severity)

    def line_of(self, subject: RdfNode) -> int | None:
        """Return the line where `subject` begins, else the first that names it."""
        return self._begins.get(subject) or next(self.lines_with(f":{local(subject)}"), None)

    def lines_with(self, term: str, first: int = 1, end: int | None = None) -> Iterator[int]:
        """Yield the lines with `term`: a prefixed name, whose prefix may be empty for any."""
        prefix, _, name = term.partition(":")
        start = rf"(?:\b{prefix}:|[#/])" if prefix else "[:#/]"
        said = re.compile(rf"{start}{re.escape(name)}(?![\w:-])")
        return (n for n, line in enumerate(self._lines[:end], 1) if n >= first and said.search(line))

    def _beginning(self, subject: URIRef) -> int | None:
        name = re.escape(local(subject))
        begins = re.compile(rf"\s*(?:<(?:[^>]*[#/])?{name}>|[\w.-]*:{name}(?![\w:-]))")
        return next((n for n, line in enumerate(self._lines, 1) if begins.match(line)), None)
