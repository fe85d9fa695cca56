"""Triples and their serialisations: the one door to rdflib.

rdflib's own JSON-LD parser fetches contexts over the network, so strangers' JSON never comes here:
it is expanded by `core.jsonld` first. Turtle names nothing that is fetched.
"""

import re
import warnings
from collections.abc import Iterator
from typing import Any, Final

from rdflib import BNode, Dataset, Graph, Literal, URIRef, term
from rdflib.namespace import RDF, RDFS, SH
from rdflib.plugins.parsers.notation3 import BadSyntax
from rdflib.term import Node

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError, OrchestratorError

__all__ = [
    "RDF",
    "RDFS",
    "SH",
    "BNode",
    "Graph",
    "Literal",
    "Node",
    "NotTurtle",
    "Quad",
    "URIRef",
    "graph_of",
    "list_items",
    "new_graph",
    "new_literal",
    "parse_quads",
    "parse_turtle",
    "serialise",
]

PREFIXES: Final = {
    "as": v.AS,
    "ldp": v.LDP,
    "coar-notify": v.NOTIFY,
    "ietf": v.IETF,
    "sorg": v.SCHEMA,
    "sh": v.SH,
    "log": v.LOG,
    "pol": v.POLICY,
}
# It would log every literal that is not well-typed, with the stranger's text and a traceback.
term.logger.disabled = True
# Parsing a dataset, rdflib 7.6 warns of what it calls itself and has renamed.
warnings.filterwarnings("ignore", r"(Dataset|ConjunctiveGraph)\b", DeprecationWarning, r"rdflib\.")
_REASON: Final = re.compile(r"Bad syntax \((.*?)\) at \^ in", re.DOTALL)


class NotTurtle(OrchestratorError):
    """The text is not Turtle."""


def new_graph() -> Graph:
    """Return an empty graph that knows our prefixes."""
    graph = Graph(bind_namespaces="none")
    for prefix, namespace in PREFIXES.items():
        graph.bind(prefix, namespace)
    return graph


def parse_turtle(text: str, base: str | None = None) -> Graph:
    """Read Turtle (RDF 1.1 Turtle).

    Raises `NotTurtle` with the line and what was expected.
    """
    graph = new_graph()
    try:
        graph.parse(data=text, format="turtle", publicID=base)
    except BadSyntax as error:
        reason = _REASON.search(str(error))
        before = _before(error)
        column = len(before) - before.rfind(b"\n")
        line = before.count(b"\n") + 1
        raise NotTurtle(f"line {line}, column {column}: {reason[1] if reason else 'not Turtle'}") from None
    except IndexError:
        line = text.rstrip().count("\n") + 1
        raise NotTurtle(f"line {line}: the text ends in the middle of a statement") from None
    except Exception as error:  # noqa: BLE001  (rdflib raises many kinds on malformed text)
        raise NotTurtle(str(error)[:200]) from None
    return graph


Value = str | tuple[str, str | None, str | None]
"""An IRI, a blank node (`_:…`), or a literal: text, datatype, language."""
Quad = tuple[str, str, Value, str]
"""Subject, predicate, object, and the graph's name; the default graph's is empty."""
_FORMATS: Final = {v.N_QUADS: "nquads", v.TRIG: "trig", v.TURTLE: "turtle", v.N_TRIPLES: "nt11"}


# Written out in full, as rdflib does, these few bytes would be a gigabyte; and so would their digits hidden
# in escapes, for which nobody else has a use.
_HUGE: Final = re.compile(
    r"""["'][+-]?[0-9.]+[eE][+-]?[0-9]{4,}["']|\\(?:u00|U000000)(?:2[BDEbde]|3[0-9]|[46]5)"""
)
# rdflib joins a reference that is a query only to the folder of its base (RFC 3986, section 5.3).
_QUERY: Final = re.compile(r"<(\?[^<>\"{}|^`\s]*)>")
_N_IRI: Final = r"<([^<>\"{}|^`\x00-\x20]*+)>"
_N_LITERAL: Final = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(?:@([A-Za-z0-9-]++)|\^\^<([^<>"\s]*+)>)?+'
_N_BLANK: Final = r'(_:[^\s<>"]++)'
_QUAD: Final = re.compile(
    rf"(?:{_N_IRI}|{_N_BLANK})\s*+{_N_IRI}\s*+(?:{_N_IRI}|{_N_BLANK}|{_N_LITERAL})\s*+"
    rf"(?:(?:{_N_IRI}|{_N_BLANK})\s*+)?+\.\s*+(?:\#.*+)?+"
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED: Final = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}


def parse_quads(body: bytes, media_type: str, base: str) -> list[Quad]:
    """Read N-Quads, TriG, Turtle or N-Triples. Raises `NotTurtle`.

    The line formats are read in order, and literals as they are written; of the others rdflib keeps
    neither, so they come sorted: a document without blank nodes reads the same each time.
    """
    if media_type not in _FORMATS:
        raise NotTurtle(f"{media_type or 'no media type'} is no form of RDF that is read here")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotTurtle("it is not UTF-8") from None
    if media_type in {v.N_QUADS, v.N_TRIPLES}:
        return list(_quads_of(text))
    refuse_huge(text)
    whole = base.partition("?")[0].partition("#")[0]
    text = _QUERY.sub(lambda found: f"<{whole}{found[1]}>", text)
    dataset = Dataset()
    try:
        dataset.parse(data=text, format=_FORMATS[media_type], publicID=base)
    except BadSyntax as error:
        line = _before(error).count(b"\n") + 1
        raise NotTurtle(f"line {line}: bad syntax") from None
    except Exception as error:  # noqa: BLE001  (rdflib raises many kinds on malformed text)
        raise NotTurtle(str(error)[:200]) from None
    found = (
        (_named(subject), str(predicate), _value(target), _graph_name(graph))
        for subject, predicate, target, graph in dataset.quads()
    )
    return sorted(found, key=repr)


def refuse_huge(text: str) -> None:
    """Raise `NotTurtle` for a number that would be written out in full, and never end."""
    if _HUGE.search(text):
        raise NotTurtle("it has a number with more digits than can be written out")


def _quads_of(text: str) -> Iterator[Quad]:
    """Yield the quads of N-Quads (RDF 1.1 N-Quads, section 6), each line by itself."""
    for number, line in enumerate(re.split(r"[\r\n]+", text), 1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        found = _QUAD.fullmatch(said)
        if found is None:
            raise NotTurtle(f"line {number}: bad syntax")
        subject, blank, predicate, iri, other, literal, language, datatype, graph, unnamed = found.groups()
        value: Value = other if iri is None else _unescaped(iri)
        if literal is not None:
            value = (_unescaped(literal), datatype and _unescaped(datatype), language and language.lower())
        name = unnamed if graph is None else _unescaped(graph)
        yield blank or _unescaped(subject), _unescaped(predicate), value, name or ""


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def meant(found: re.Match[str]) -> str:
        digits = found[1] or found[2]
        if digits is not None:
            return chr(min(int(digits, 16), 0x10FFFF))
        return _ESCAPED.get(found[3], found[3])

    return _ESCAPE.sub(meant, text)


def _named(node: Any) -> str:  # noqa: ANN401
    return f"_:{node}" if isinstance(node, BNode) else str(node)


def _value(node: Any) -> Value:  # noqa: ANN401
    if isinstance(node, Literal):
        return str(node), str(node.datatype) if node.datatype else None, node.language
    return _named(node)


def _graph_name(graph: Any) -> str:  # noqa: ANN401
    return "" if graph is None or str(graph) == "urn:x-rdflib:default" else _named(graph)


def _before(error: BadSyntax) -> bytes:
    """Return what the parser had read, which it keeps but does not publish."""
    text: bytes | str = getattr(error, "_str", b"")
    read = text[: getattr(error, "_i", 0)]
    return read if isinstance(read, bytes) else read.encode()


def graph_of(dataset: dict[str, list[dict[str, Any]]], name: str = "@default") -> Graph:
    """Return one graph of a dataset as pyld writes it (`core.jsonld.to_quads`)."""
    graph = new_graph()
    for triple in dataset.get(name, ()):
        graph.add((_node(triple["subject"]), URIRef(triple["predicate"]["value"]), _node(triple["object"])))
    return graph


def _node(term: dict[str, Any]) -> Any:  # noqa: ANN401  (rdflib's node classes share no useful type)
    kind, value = term["type"], term["value"]
    if kind == "IRI":
        return URIRef(value)
    if kind == "blank node":
        return BNode(value.removeprefix("_:"))
    return new_literal(value, term.get("datatype", v.XSD + "string"), term.get("language", ""))


def new_literal(text: str, datatype: str, language: str = "") -> Literal:
    """Return a literal in the form in which it came."""
    if language:
        return Literal(text, lang=language)
    # xsd:string is what a plain literal is (RDF 1.1, section 3.3); rdflib tells the two apart.
    if datatype == v.XSD + "string":
        return Literal(text)
    # The text stays as it came: rdflib would write 1e999999999 out, a gigabyte, and fail at P9…9Y.
    return Literal(text, datatype=URIRef(datatype), normalize=False)


def serialise(graph: Graph, media_type: str) -> bytes:
    """Return `graph` as Turtle or JSON-LD; nothing is fetched for either."""
    if media_type == v.JSON_LD:
        return graph.serialize(format="json-ld", encoding="utf-8", auto_compact=True)
    return graph.serialize(format="turtle", encoding="utf-8")


def list_items(graph: Graph, head: Node) -> list[Node]:
    """Return the members of an RDF list; a malformed or circular one is an error."""
    items: list[Node] = []
    seen: set[Node] = set()
    while head != RDF.nil:
        first = graph.value(head, RDF.first)
        rest = graph.value(head, RDF.rest)
        if first is None or rest is None or head in seen:
            raise ConfigurationError("a list is not closed")
        seen.add(head)
        items.append(first)
        head = rest
    return items
