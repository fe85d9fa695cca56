"""An event as RDF: its envelope in the default graph, its payload in the graph that the event names."""

import functools
import json
from collections.abc import Mapping
from typing import Final

from orchestrator.core.event import CONTEXT, LifecycleEvent
from orchestrator.core.jsonld import ActiveContext, Contexts, NotPlain, Reading, Triples, expand, to_quads
from orchestrator.core.quads import Quad, from_dataset, from_properties
from orchestrator.core.strict_json import Json

_NONE: Final = Contexts({})


class Meaning:
    """A context of ours, under which nodes of ours are read: as pyld does, and mostly without it."""

    def __init__(self, context: Mapping[str, Json]) -> None:
        """Take a context without property-scoped ones."""
        self._context = dict(context)
        self._active = ActiveContext(self._context, _NONE)

    def quads(self, node: Mapping[str, Json], *, graph: str = "", blank: str) -> list[Quad]:
        """Return what `node` says, in time that grows with its length only; blank nodes are `_:{blank}N`."""
        try:
            triples = Triples(Reading(dict(node), self._active).root)
        except NotPlain:
            dataset = to_quads(expand({"@context": self._context, **node}, _NONE), _NONE)
            found = from_dataset({"@default": dataset.get("@default", [])}, blank=blank)
            return [(subject, predicate, term, graph) for subject, predicate, term, _ in found]
        return list(from_properties(triples.properties, graph=graph, blank=blank))


def event_quads(event: LifecycleEvent) -> list[Quad]:
    """Return all that an event says, the envelope first; blank nodes have labels of this event's own."""
    meaning, envelope = _meaning(), json.loads(event.envelope)
    if event.payload is None:
        return meaning.quads(envelope, blank=f"e{event.sequence}n")
    said = meaning.quads({**envelope, "salt": event.salt}, blank=f"e{event.sequence}n")
    payload = meaning.quads(json.loads(event.payload), graph=event.iri, blank=f"e{event.sequence}p")
    return [*said, *payload]


@functools.cache
def _meaning() -> Meaning:
    return Meaning(CONTEXT)
