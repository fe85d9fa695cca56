"""`/ns/{name}`: the terms that are ours, as Turtle, and as a page for people."""

import functools
from collections.abc import Iterator

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import NotFound
from orchestrator.core.rdf import RDF, RDFS, Graph, Node, URIRef, parse_turtle
from orchestrator.web import html, markdown
from orchestrator.web.representation import (
    accept_of,
    cache_headers,
    entity_tag,
    is_unchanged,
    negotiate,
    not_modified,
    respond,
)
from orchestrator.web.site import SITE

_AN_HOUR = "public, max-age=3600"


async def show(request: web.Request) -> web.Response:
    """Answer with a vocabulary and its shapes; terms are named as in the Turtle, after the `#`."""
    site, name = request.app[SITE], request.match_info["name"]
    text = site.vocabularies.get(name)
    if text is None:
        raise NotFound
    chosen = negotiate(accept_of(request), (v.TURTLE, v.HTML))
    headers = cache_headers(entity_tag(chosen, text, html.EDITION), _AN_HOUR)
    if is_unchanged(request, headers):
        return not_modified(headers)
    if chosen == v.HTML:
        title, body = _article(text, site.url(f"/ns/{name}"))
        return respond(html.article(site, title=title, body=body), chosen, headers)
    return respond(text, chosen, headers)


@functools.lru_cache(maxsize=8)
def _article(text: str, url: str) -> tuple[str, str]:
    """Return the title of a vocabulary, and what it says, as HTML."""
    graph = parse_turtle(text, url)
    ontology = next(graph.subjects(RDF.type, URIRef(v.OWL + "Ontology")))
    title = str(graph.value(ontology, URIRef(v.DCTERMS + "title")))
    said = "\n".join(_lines(graph, ontology, title))
    return title, markdown.from_markdown(said)


def _lines(graph: Graph, ontology: Node, title: str) -> Iterator[str]:
    yield from (f"# {title}", "", str(graph.value(ontology, URIRef(v.DCTERMS + "description"))), "")
    for term in sorted(graph.subjects(RDFS.comment), key=str):
        name = str(term).rpartition("#")[2]
        yield from (f'<a id="{name}"></a>', f"## {name}", "", f"`{term}`", "")
        yield from (str(graph.value(term, RDFS.comment)), "")
