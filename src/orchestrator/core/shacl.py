"""SHACL through pySHACL: the oracle by which the compiled shapes are judged. The one door to pyshacl.

Nothing that serves a request comes here: `core.shapes` gives the same results a hundred times faster, and
the tests compare the two. `shacl_graph` is always given: without it pySHACL takes shapes from the data.
"""

from collections.abc import Iterable
from typing import Final, cast

import pyshacl

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import RDF, SH, BNode, Graph, Literal, Node, URIRef, new_graph

_FOCUS: Final = URIRef(v.SHAPE_TERMS + "focus")


def focused(shapes: Graph, use: Iterable[Node]) -> Graph:
    """Return `shapes` with the shapes named in `use`, and no others, aimed at the focus of `run`.

    pySHACL's own `use_shapes` builds the named shapes only and passes over the property shapes that
    they refer to by IRI (0.40.1: everything conforms), so the focus is marked in the data instead.
    """
    aimed = new_graph()
    aimed += shapes
    for shape in use:
        aimed.add((shape, SH.targetSubjectsOf, _FOCUS))
    # The mark of the focus is no property of the message: a closed shape must not object to it.
    for shape in list(aimed.subjects(SH.closed)):
        cell = BNode()
        aimed.add((shape, SH.ignoredProperties, cell))
        aimed.add((cell, RDF.first, _FOCUS))
        aimed.add((cell, RDF.rest, RDF.nil))
    return aimed


def run(data: Graph, shapes: Graph, focus: str) -> Graph:
    """Return pySHACL's report on the node `focus` of `data`, for shapes that are `focused`.

    Where pySHACL fails, its error is raised.
    """
    data.remove((None, _FOCUS, None))
    data.add((URIRef(focus), _FOCUS, Literal(True)))  # noqa: FBT003
    _, report, _ = pyshacl.validate(
        data,
        shacl_graph=shapes,
        inference="none",
        advanced=False,
        inplace=True,
        do_owl_imports=False,
        max_validation_depth=30,
    )
    if isinstance(report, Exception):
        raise report
    return cast("Graph", report)
