"""RDF datasets as text, statement by statement in the order given: N-Quads, TriG, Turtle (RDF 1.1).

rdflib would sort them and write times anew; what is proven must read as it was stored.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import Properties, Term

Quad = tuple[str, str, Term, str]
"""Subject, predicate, object, and the graph's name; the default graph's is empty."""

_PREFIXES: Final = {
    "as": v.AS,
    "coar-notify": v.NOTIFY,
    "daen": v.DAEN,
    "hydra": v.HYDRA,
    "ietf": v.IETF,
    "ldes": v.LDES,
    "ldp": v.LDP,
    "log": v.LOG,
    "prov": v.PROV,
    "sorg": v.SCHEMA,
    "tree": v.TREE,
    "xsd": v.XSD,
}
_TYPE: Final = v.RDF + "type"
_STRING: Final = v.XSD + "string"
_LANG_STRING: Final = v.RDF + "langString"
_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\\\",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        **{chr(code): f"\\u{code:04X}" for code in range(32) if chr(code) not in "\n\r\t"},
        "\x7f": "\\u007F",
    }
)
_LOCAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""Of the local names that Turtle allows (section 2.4), those that need no thought."""


def from_properties(properties: Properties, *, graph: str, blank: str) -> Iterator[Quad]:
    """Yield the triples of a direct reading as quads; its blank nodes become `_:{blank}N`."""

    def named(term: str) -> str:
        return f"_:{blank}{term[2:]}" if term[:2] == "_:" else term

    for subject, predicates in properties.items():
        for predicate, terms in predicates.items():
            for term in terms:
                yield named(subject), predicate, named(term) if isinstance(term, str) else term, graph


def from_dataset(dataset: Mapping[str, Iterable[Mapping[str, Any]]], *, blank: str = "") -> Iterator[Quad]:
    """Yield pyld's dataset as quads, graph by graph; its blank nodes `_:x` become `_:{blank}x`."""
    for name, quads in dataset.items():
        graph = "" if name == "@default" else name
        for quad in quads:
            subject, target = _named(quad["subject"], blank), quad["object"]
            term: Term = _named(target, blank)
            if target["type"] == "literal":
                term = (target["value"], target["datatype"], target.get("language", ""))
            yield subject, quad["predicate"]["value"], term, graph


def _named(term: Mapping[str, str], blank: str) -> str:
    return f"_:{blank}{term['value'][2:]}" if term["type"] == "blank node" else term["value"]


def n_quads(quads: Iterable[Quad]) -> str:
    """Return `quads` as N-Quads, a line each."""
    return "".join(
        f"{_full(subject)} <{predicate}> {_literal(term) if isinstance(term, tuple) else _full(term)}"
        f"{f' {_full(graph)}' if graph else ''} .\n"
        for subject, predicate, term, graph in quads
    )


def turtle(quads: Iterable[Quad], remark: str = "") -> str:
    """Return the default graph of `quads` as Turtle, below a comment `remark` (one line)."""
    return _head(remark) + "".join(_statements(quad for quad in quads if not quad[3]))


def trig(quads: Iterable[Quad]) -> str:
    """Return `quads` as TriG, in which a graph is written wherever its statements stand."""
    parts = [_head("")]
    for graph, of_graph in groupby(quads, key=lambda quad: quad[3]):
        text = "".join(_statements(of_graph))
        parts.append(f"{_full(graph)} {{\n{text}}}\n" if graph else text)
    return "".join(parts)


def _head(remark: str) -> str:
    prefixes = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in _PREFIXES.items())
    return f"# {remark}\n{prefixes}" if remark else prefixes


def _statements(quads: Iterable[Quad]) -> Iterator[str]:
    """Yield one statement for each run of quads with the same subject."""
    for subject, of_subject in groupby(quads, key=lambda quad: quad[0]):
        pairs = groupby(of_subject, key=lambda quad: quad[1])
        said = [f"{_verb(name)} {', '.join(_short(quad[2]) for quad in found)}" for name, found in pairs]
        yield f"{_short(subject)} " + " ;\n    ".join(said) + " .\n"


def _verb(predicate: str) -> str:
    return "a" if predicate == _TYPE else _short(predicate)


def _short(term: Term) -> str:
    return _literal(term, shortens=True) if isinstance(term, tuple) else _short_iri(term)


@functools.lru_cache(maxsize=2048)
def _short_iri(term: str) -> str:
    for prefix, namespace in _PREFIXES.items():
        if term.startswith(namespace) and _LOCAL.fullmatch(term, len(namespace)):
            return f"{prefix}:{term[len(namespace) :]}"
    return _full(term)


def _full(term: str) -> str:
    return term if term[:2] == "_:" else f"<{term}>"


def _literal(literal: tuple[str, str, str], *, shortens: bool = False) -> str:
    text, datatype, language = literal
    quoted = f'"{text.translate(_ESCAPES)}"'
    if datatype == _LANG_STRING and language:
        return f"{quoted}@{language}"
    if datatype == _STRING:
        return quoted
    return f"{quoted}^^{_short(datatype) if shortens else _full(datatype)}"
