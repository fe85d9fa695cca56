"""Files of shapes → one graph in which everything is understood, or every reason why not."""

from collections.abc import Iterator, Mapping
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.rdf import (
    RDF,
    SH,
    BNode,
    Graph,
    NotTurtle,
    URIRef,
    list_items,
    new_graph,
    parse_turtle,
)
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shapes.checking import SHAPES, Reach, refuse_unsafe
from orchestrator.core.shapes.lines import Remark, Source, Trouble
from orchestrator.core.shapes.terms import ANNOTATIONS, place_of, shown

AT: Final = URIRef(v.SHAPE_TERMS + "at")
TYPES: Final = URIRef(v.SHAPE_TERMS + "types")
PATTERN: Final = URIRef(v.SHAPE_TERMS + "Pattern")
WARNS: Final = URIRef(v.SHAPE_TERMS + "warns")
_PROFILE: Final = URIRef(v.SHAPE_TERMS + "Profile")


def read_shapes(files: Mapping[str, str]) -> Graph:
    """Return the union of `files`: Turtle by slug. Raises `ConfigurationError` with every error."""
    union = new_graph()
    graphs: dict[str, Graph] = {}
    errors: list[str] = []
    for slug, text in files.items():
        try:
            graphs[slug] = parse_turtle(text, f"{v.SHAPES}{slug}")
        except NotTurtle as error:
            errors.append(f"shapes/{slug}.ttl, {error.message}")
        else:
            union += graphs[slug]
    sources = {slug: Source(f"shapes/{slug}.ttl", files[slug], graph) for slug, graph in graphs.items()}
    errors += [str(remark) for remark in _remarks(union, graphs, sources)]
    if errors:
        raise ConfigurationError("\n".join(dict.fromkeys(errors)))
    return union


def node_shapes(graph: Graph) -> list[RdfNode]:
    """Return the named node shapes, each of which is asked of the root."""
    named = (shape for shape in graph.subjects(RDF.type, SH.NodeShape) if isinstance(shape, URIRef))
    return sorted(named, key=str)


def _remarks(union: Graph, graphs: Mapping[str, Graph], sources: Mapping[str, Source]) -> Iterator[Remark]:
    used = set[RdfNode]()
    for slug, graph in graphs.items():
        for message in refuse_unsafe(graph):
            yield Remark(source=sources[slug].name, message=message)
        for root in node_shapes(graph):
            reach = Reach(union, root, root, SHAPES)
            used |= reach.shapes.keys()
            for trouble in (*reach.troubles(), *_list_troubles(union, reach)):
                home = next(
                    (name for name, one in graphs.items() if (trouble.owner, None, None) in one), slug
                )
                yield sources[home].remark(trouble, trouble.message)
    known = _with_parts(union, used)
    for slug, graph in graphs.items():
        for trouble in _strangers(graph, known):
            yield sources[slug].remark(trouble, trouble.message)


def _list_troubles(graph: Graph, reach: Reach) -> Iterator[Trouble]:
    for term in (AT, TYPES):
        for shape, owner in reach.shapes.items():
            for head in graph.objects(shape, term):
                try:
                    sound = all(isinstance(item, URIRef) for item in list_items(graph, head))
                except ConfigurationError:
                    sound = False
                if not sound:
                    message = f"{shown(term)} must be a list of IRIs"
                    yield Trouble(owner=owner, message=message, term=place_of(term))


def _with_parts(graph: Graph, shapes: set[RdfNode]) -> set[RdfNode]:
    """Return `shapes` and the lists and paths that they are written with."""
    known, stack = set(shapes), list(shapes)
    while stack:
        parts = {value for value in graph.objects(stack.pop()) if isinstance(value, BNode)}
        stack += parts - known
        known |= parts
    return known


def _strangers(graph: Graph, known: set[RdfNode]) -> Iterator[Trouble]:
    """Yield what stands in a file and is no part of a shape that is asked of the root."""
    for subject in sorted(set(graph.subjects()) - known, key=str):
        if (subject, RDF.type, _PROFILE) not in graph:
            yield Trouble(owner=subject, message=f"no node shape with a name uses {shown(subject)}")
            continue
        for predicate, value in graph.predicate_objects(subject):
            is_type = predicate == RDF.type and value == _PROFILE
            if not (is_type or predicate == WARNS or predicate in ANNOTATIONS):
                message = f"{shown(predicate)} has no meaning in a profile"
                yield Trouble(owner=subject, message=message, term=place_of(predicate))
