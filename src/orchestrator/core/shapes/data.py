"""What shapes are judged on: the triples of one document, indexed by subject and predicate."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.shapes.patterns import Unbounded

Term = str | tuple[str, str, str]
"""An IRI; a blank node, which begins with `_:`; or a literal: (lexical form, datatype IRI, language).

A literal always has a datatype: xsd:string if it is plain, rdf:langString if it has a language. The
language is in lower case (RDF 1.1 Concepts, section 3.3: tags that differ in case only are one), else "".
"""

MOST_STEPS: Final = 20_000
"""Steps for which one document may keep the event loop; a usual one takes less than a hundred."""
_NOTHING: Final[dict[str, list[Term]]] = {}


class Data:
    """The triples of one document."""

    __slots__ = ("_inverse", "_left", "properties", "unbounded")

    def __init__(self, properties: dict[str, dict[str, list[Term]]] | None = None) -> None:
        """Take `properties`: subject → predicate → distinct values in the order of the document."""
        self.properties = {} if properties is None else properties
        self.unbounded = False
        """Whether it may take long: a pattern without a bound on a long text, or any number of steps."""
        self._left = MOST_STEPS
        self._inverse: dict[str, dict[Term, list[str]]] | None = None

    @classmethod
    def from_quads(cls, dataset: Mapping[str, Sequence[Mapping[str, Any]]], name: str = "@default") -> "Data":
        """Index one graph of a dataset as pyld writes it (`core.jsonld.to_quads`)."""
        properties: dict[str, dict[str, list[Term]]] = {}
        seen = set[tuple[str, str, Term]]()
        for triple in dataset.get(name, ()):
            subject, predicate = triple["subject"]["value"], triple["predicate"]["value"]
            value = _term(triple["object"])
            if (subject, predicate, value) not in seen:
                seen.add((subject, predicate, value))
                properties.setdefault(subject, {}).setdefault(predicate, []).append(value)
        return cls(properties)

    def spend(self, steps: int) -> None:
        """Count `steps` from a node to its values; raises `Unbounded` when these are too many.

        Nodes may name each other, and then a shape that leads on from each value to its values takes as
        many steps as there are ways: ten million in a document of 5 kB.
        """
        self._left -= steps
        if self._left < 0 and not self.unbounded:
            raise Unbounded

    def add(self, subject: str, predicate: str, value: Term) -> None:
        """Add a triple, if it is not there yet."""
        values = self.properties.setdefault(subject, {}).setdefault(predicate, [])
        if value not in values:
            values.append(value)
            self._inverse = None

    def __len__(self) -> int:
        """Return the number of triples."""
        return sum(len(values) for about in self.properties.values() for values in about.values())

    def triples(self) -> Iterator[tuple[str, str, Term]]:
        """Yield every triple, in the order of the document."""
        for subject, about in self.properties.items():
            for predicate, values in about.items():
                for value in values:
                    yield subject, predicate, value

    def values(self, subject: Term, predicate: str) -> Sequence[Term]:
        """Return the values of a property; none if `subject` is a literal."""
        return self.properties.get(subject, _NOTHING).get(predicate, ())  # type: ignore[arg-type]

    def subjects(self, predicate: str, value: Term) -> Sequence[str]:
        """Return what has `value` under `predicate` (sh:inversePath)."""
        if self._inverse is None:
            self._inverse = {}
            for subject, name, term in self.triples():
                self._inverse.setdefault(name, {}).setdefault(term, []).append(subject)
        return self._inverse.get(predicate, {}).get(value, ())

    def blank_nodes(self) -> dict[str, int]:
        """Return each blank node, and of how many triples it is the object."""
        found = {subject: 0 for subject in self.properties if subject.startswith("_:")}
        for _, _, value in self.triples():
            if type(value) is str and value.startswith("_:"):
                found[value] = found.get(value, 0) + 1
        return found


def _term(value: Mapping[str, Any]) -> Term:
    text: str = value["value"]
    if value["type"] != "literal":
        return text
    if "language" in value:
        return text, v.RDF + "langString", value["language"].lower()
    return text, value["datatype"], ""
