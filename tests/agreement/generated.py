"""Generated shapes and generated data: every component, nested, shared and on every form of path."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from tests.agreement.oracle import Dataset

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import RDF, SH, BNode, Graph, Literal, Node, URIRef, new_graph
from orchestrator.core.shapes.checking import SHAPES, Reach

_T = TypeVar("_T")
EX = "https://x.example/"
XSD = v.XSD
ROOT = EX + "a"
PREDICATES = [EX + f"p{n}" for n in range(4)]
CLASSES = [EX + name for name in ("A", "B", "C")]
NODES = [ROOT, EX + "b", EX + "c", "_:b0", "_:b1"]
LITERALS: list[tuple[str, str, str]] = [
    *(
        (text, XSD + "string", "")
        for text in ("", "a", "abc", "Ab\nb", "https://x.example/a", "10", "ex")
    ),
    ("a", v.RDF + "langString", "en"), ("b", v.RDF + "langString", "EN"), ("a", v.RDF + "langString", "de-CH"),
    ("b", v.RDF + "langString", "de-ch"), ("c", v.RDF + "langString", "fr"), ("x", v.RDF + "langString", ""),
    ("1", XSD + "integer", ""), ("01", XSD + "integer", ""), ("5", XSD + "integer", ""), ("-3", XSD + "integer", ""),
    ("x", XSD + "integer", ""), ("5", XSD + "int", ""), ("1.5", XSD + "decimal", ""), ("5.0", XSD + "decimal", ""), ("2.5E0", XSD + "double", ""),
    ("NaN", XSD + "double", ""), ("INF", XSD + "float", ""), ("true", XSD + "boolean", ""), ("maybe", XSD + "boolean", ""),
    ("2031-01-01", XSD + "date", ""), ("2031-13-01", XSD + "date", ""), ("2031-01-01T00:00:00Z", XSD + "dateTime", ""),
    ("2031-01-01T00:00:00", XSD + "dateTime", ""), ("2032-01-01T00:00:00+01:00", XSD + "dateTime", ""), ("12:00:00", XSD + "time", ""),
    ("P1Y", XSD + "duration", ""), ("P1D", XSD + "dayTimeDuration", ""), ("2031", XSD + "gYear", ""), ("a", EX + "datatype", ""),
    ("https://x.example/a", XSD + "anyURI", ""), ("ff", XSD + "hexBinary", ""),
]  # fmt: skip
TAGGED = [literal for literal in LITERALS if literal[2]]
DATATYPES = [
    *(XSD + name for name in ("string", "integer", "decimal", "double", "float", "boolean", "date", "dateTime", "time", "anyURI")),
    v.RDF + "langString", v.RDFS + "Literal", v.RDFS + "Datatype", EX + "datatype",
]  # fmt: skip
PATTERNS = ["^https?://", "a", "^a", "b$", "^[a-z]+$", ".", "^$", "", "(?i)AB", "^b", "^(a|https)", "[0-9]+"]
BOUNDS = [Literal(3), Literal(1.5), Literal("b"), Literal("2031-06-01", datatype=URIRef(XSD + "date")), Literal("2031-06-01T00:00:00Z", datatype=URIRef(XSD + "dateTime"))]  # fmt: skip
KINDS = ["IRI", "Literal", "BlankNode", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral"]
OF_VALUES = [
    "class", "datatype", "nodeKind", "minLength", "maxLength", "pattern", "languageIn", "in", "hasValue", "minInclusive",
    "maxInclusive", "minExclusive", "maxExclusive", "equals", "disjoint", "closed",
]  # fmt: skip
OF_PROPERTIES = ["minCount", "maxCount", "uniqueLang", "lessThan", "lessThanOrEquals", "qualified"]
NESTING = ["property", "node", "not", "and", "or", "xone"]


@dataclass
class Pair:
    """Shapes, which of them are asked of the root, and data."""

    shapes: Graph
    tops: list[Node]
    dataset: Dataset


def pair(rng: Random) -> Pair:
    """Return sound shapes and data; `rng` decides everything."""
    while True:
        maker = _Maker(rng)
        tops = [maker.shape(depth=3, named=True, has_path=False) for _ in range(rng.randint(1, 2))]
        troubles = {one.message for top in tops for one in Reach(maker.graph, top, top, SHAPES).troubles()}
        if not troubles:
            return Pair(maker.graph, tops, dataset(rng))
        # A shape that stands beside itself among qualified shapes; there is no other way to go wrong.
        assert all("refers to itself" in trouble or "too large" in trouble for trouble in troubles), troubles


def dataset(rng: Random) -> Dataset:
    triples: list[dict[str, Any]] = []
    for number in range(rng.randint(3, 24)):
        subject = ROOT if number < 6 else rng.choice(NODES)
        predicate = rng.choice([*PREDICATES, *PREDICATES, v.RDF + "type", v.RDFS + "subClassOf"])
        if predicate in PREDICATES:
            texts = TAGGED if rng.random() < 0.3 else LITERALS
            value = _node(rng.choice(NODES)) if rng.random() < 0.4 else _literal(rng.choice(texts))
        else:
            subject = subject if predicate.endswith("type") else rng.choice(CLASSES)
            value = _node(rng.choice([*CLASSES, v.RDFS + "Resource"]))
        triples.append({"subject": _node(subject), "predicate": _node(predicate), "object": value})
    return {"@default": triples}


def _node(name: str) -> dict[str, str]:
    return {"type": "blank node" if name.startswith("_:") else "IRI", "value": name}


def _literal(term: tuple[str, str, str]) -> dict[str, str]:
    text, datatype, language = term
    value = {"type": "literal", "value": text, "datatype": datatype}
    return value | {"language": language} if language else value


@dataclass
class _Maker:
    """Writes sound shapes into a graph."""

    rng: Random
    graph: Graph = field(default_factory=new_graph)
    made: dict[bool, list[Node]] = field(default_factory=lambda: {False: [], True: []})

    def pick(self, options: list[_T]) -> _T:
        return self.rng.choice(options)

    def add(self, subject: Node, name: str, value: Node) -> None:
        self.graph.add((subject, SH[name], value))

    def list_of(self, items: list[Node]) -> Node:
        head: Node = RDF.nil
        for item in reversed(items):
            cell = BNode()
            self.graph.add((cell, RDF.first, item))
            self.graph.add((cell, RDF.rest, head))
            head = cell
        return head

    def shape(self, *, depth: int, has_path: bool, named: bool = False) -> Node:
        if not named and self.made[has_path] and self.rng.randint(0, 5) == 0:
            return self.pick(self.made[has_path])
        number = sum(map(len, self.made.values()))
        shape: Node = URIRef(f"{EX}shape{number}-{depth}") if named or self.pick([True, False]) else BNode()
        if has_path:
            self.add(shape, "path", self.path())
        if named:
            self.graph.add((shape, RDF.type, SH.PropertyShape if has_path else SH.NodeShape))
        names = OF_VALUES + OF_PROPERTIES * 2 * has_path + NESTING * 3 * (depth > 0)
        for name in dict.fromkeys(self.pick(names) for _ in range(self.rng.randint(1, 3))):
            getattr(self, f"_{name}")(shape, depth)
        if named:
            self._property(shape, depth)
        if self.rng.randint(0, 4) == 0:
            self.add(shape, "severity", self.pick([SH.Warning, SH.Info]))
        if self.rng.randint(0, 4) == 0:
            self.add(shape, "message", Literal("mend it", lang="en"))
        self.made[has_path].append(shape)
        return shape

    def path(self) -> Node:
        way = self.rng.randint(0, 7)
        if way > 1:
            return URIRef(self.pick([*PREDICATES, v.RDF + "type"]))
        return self.step() if way else self.list_of([self.step() for _ in range(self.rng.randint(2, 3))])

    def step(self) -> Node:
        iri = URIRef(self.pick(PREDICATES))
        if self.pick([True, False]):
            return iri
        back = BNode()
        self.add(back, "inversePath", iri)
        return back

    def term(self) -> Node:
        if self.pick([True, False]):
            return URIRef(self.pick([*(name for name in NODES if not name.startswith("_:")), *CLASSES]))
        text, datatype, language = self.pick(LITERALS)
        if language:
            return Literal(text, lang=language)
        return (
            Literal(text)
            if datatype == XSD + "string"
            else Literal(text, datatype=URIRef(datatype), normalize=False)
        )

    def any_shape(self, depth: int) -> Node:
        return self.shape(depth=depth - 1, has_path=self.rng.randint(0, 3) == 0)

    def _class(self, shape: Node, _depth: int) -> None:
        for _ in range(self.rng.randint(1, 2)):
            self.add(shape, "class", URIRef(self.pick(CLASSES)))

    def _datatype(self, shape: Node, _depth: int) -> None:
        self.add(shape, "datatype", URIRef(self.pick(DATATYPES)))

    def _nodeKind(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "nodeKind", SH[self.pick(KINDS)])

    def _minLength(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "minLength", Literal(self.rng.randint(1, 4)))

    def _maxLength(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "maxLength", Literal(self.rng.randint(0, 20)))

    def _pattern(self, shape: Node, _depth: int) -> None:
        for _ in range(self.rng.randint(1, 2)):
            self.add(shape, "pattern", Literal(self.pick(PATTERNS)))
        if self.pick([True, False]):
            self.add(shape, "flags", Literal(self.pick(["i", "m", "im"])))

    def _languageIn(self, shape: Node, _depth: int) -> None:  # noqa: N802
        ranges = self.rng.sample(["en", "DE", "de-CH", "*"], self.rng.randint(1, 2))
        self.add(shape, "languageIn", self.list_of([Literal(one) for one in ranges]))

    def _in(self, shape: Node, _depth: int) -> None:
        self.add(shape, "in", self.list_of([self.term() for _ in range(self.rng.randint(1, 6))]))

    def _hasValue(self, shape: Node, _depth: int) -> None:  # noqa: N802
        for _ in range(self.rng.randint(1, 2)):
            self.add(shape, "hasValue", self.term())

    def _minInclusive(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "minInclusive", self.pick(BOUNDS))

    def _maxInclusive(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "maxInclusive", self.pick(BOUNDS))

    def _minExclusive(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "minExclusive", self.pick(BOUNDS))

    def _maxExclusive(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "maxExclusive", self.pick(BOUNDS))

    def _equals(self, shape: Node, _depth: int) -> None:
        self.add(shape, "equals", URIRef(self.pick(PREDICATES)))

    def _disjoint(self, shape: Node, _depth: int) -> None:
        self.add(shape, "disjoint", URIRef(self.pick(PREDICATES)))

    def _lessThan(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "lessThan", URIRef(self.pick(PREDICATES)))

    def _lessThanOrEquals(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "lessThanOrEquals", URIRef(self.pick(PREDICATES)))

    def _closed(self, shape: Node, _depth: int) -> None:
        self.add(shape, "closed", Literal(True))
        ignored = self.rng.sample([*PREDICATES, v.RDF + "type"], self.rng.randint(0, 5))
        if ignored:
            self.add(shape, "ignoredProperties", self.list_of([URIRef(name) for name in ignored]))

    def _minCount(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "minCount", Literal(self.rng.randint(1, 2)))

    def _maxCount(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "maxCount", Literal(self.rng.randint(0, 2)))

    def _uniqueLang(self, shape: Node, _depth: int) -> None:  # noqa: N802
        self.add(shape, "uniqueLang", Literal(True))

    def _qualified(self, shape: Node, depth: int) -> None:
        self.add(shape, "qualifiedValueShape", self.any_shape(depth))
        names = self.pick([["Min"], ["Max"], ["Min", "Max"]])
        for name in names:
            self.add(shape, f"qualified{name}Count", Literal(self.rng.randint(1, 2) - (name == "Max")))
        if self.pick([True, False]):
            self.add(shape, "qualifiedValueShapesDisjoint", Literal(self.pick([True, True, False])))

    def _property(self, shape: Node, depth: int) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.add(shape, "property", self.shape(depth=depth - 1, has_path=True))

    def _node(self, shape: Node, depth: int) -> None:
        self.add(shape, "node", self.shape(depth=depth - 1, has_path=False))

    def _not(self, shape: Node, depth: int) -> None:
        self.add(shape, "not", self.any_shape(depth))

    def _and(self, shape: Node, depth: int) -> None:
        self.add(shape, "and", self.members(depth))

    def _or(self, shape: Node, depth: int) -> None:
        self.add(shape, "or", self.members(depth))

    def _xone(self, shape: Node, depth: int) -> None:
        self.add(shape, "xone", self.members(depth))

    def members(self, depth: int) -> Node:
        return self.list_of([self.any_shape(depth) for _ in range(self.rng.randint(1, 3))])
