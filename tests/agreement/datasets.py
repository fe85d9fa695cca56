"""RDF datasets, compared whatever their blank nodes are called; pyld and rdflib are the independent readers."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import rdflib
from pyld.canon import URDNA2015
from rdflib.graph import DATASET_DEFAULT_GRAPH_ID

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import Term, expand, to_quads
from orchestrator.core.quads import Quad, from_dataset
from orchestrator.core.strict_json import Json

CONTEXTS = bundled_contexts()


def canonical(quads: Iterable[Quad]) -> list[str]:
    """Return the canonical N-Quads of `quads` (RDF Dataset Canonicalization), whose lines are sorted."""
    dataset: dict[str, list[dict[str, Any]]] = {}
    for subject, predicate, term, graph in dict.fromkeys(quads):
        parts = {"subject": _node(subject), "predicate": _node(predicate), "object": _term(term)}
        dataset.setdefault(graph or "@default", []).append(parts)
    return cast("str", URDNA2015().main(dataset, {"format": v.N_QUADS})).split("\n")


def of_json_ld(document: Json) -> list[Quad]:
    """Return the quads of a JSON-LD document, as pyld reads it."""
    return list(from_dataset(to_quads(expand(document, CONTEXTS), CONTEXTS)))


def parsed(text: str, media_type: str) -> list[Quad]:
    """Return what rdflib reads, with literals as they were written."""
    form = {v.N_QUADS: "nquads", v.TRIG: "trig", v.TURTLE: "turtle"}[media_type]
    dataset = rdflib.Dataset()
    normalizes = rdflib.NORMALIZE_LITERALS
    rdflib.NORMALIZE_LITERALS = False
    try:
        dataset.parse(data=text, format=form)
    finally:
        rdflib.NORMALIZE_LITERALS = normalizes
    return [
        (_text(subject), _text(predicate), _text(term), "" if _is_default(graph) else str(_text(graph)))
        for subject, predicate, term, graph in cast("Iterable[Any]", dataset.quads())
    ]


def _is_default(graph: Any) -> bool:
    return graph is None or graph == DATASET_DEFAULT_GRAPH_ID


def _text(term: Any) -> Any:
    if isinstance(term, rdflib.BNode):
        return f"_:{term}"
    if isinstance(term, rdflib.Literal):
        tagged = v.RDF + "langString" if term.language else v.XSD + "string"
        return (str(term), str(term.datatype or tagged), term.language or "")
    return str(term)


def _node(name: str) -> dict[str, str]:
    return {"type": "blank node" if name.startswith("_:") else "IRI", "value": name}


def _term(term: Term) -> Mapping[str, str]:
    if isinstance(term, str):
        return _node(term)
    text, datatype, language = term
    value = {"type": "literal", "value": text, "datatype": datatype}
    return value | {"language": language} if language else value
