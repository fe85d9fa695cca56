"""What of a notification is published: known vocabularies, and no e-mail addresses.

The payload of an event is written under `core.event.CONTEXT`, compiled once; whatever is not plain is
compacted by pyld, to the same bytes.
"""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.event import CONTEXT
from orchestrator.core.jsonld import Compaction, Contexts, NotPlain, Table, compact
from orchestrator.core.strict_json import canonical

_PUBLISHED: Final = (v.AS, v.NOTIFY, v.IETF, v.SCHEMA, v.LDP)
_PERSONAL: Final = frozenset({v.SCHEMA + "email", v.FOAF + "mbox", v.VCARD + "hasEmail", v.VCARD + "email"})
_MAILTO: Final = "mailto:"
_IS_PUBLISHED: Final = Table[str, bool](lambda iri: iri.startswith(_PUBLISHED) and iri not in _PERSONAL)


def payload_of(published: Mapping[str, Any], contexts: Contexts) -> bytes:
    """Return the canonical JSON of a published part."""
    try:
        return plain_payload_of(published)
    except NotPlain:
        compacted = compact([dict(published)], dict(CONTEXT), contexts)
        compacted.pop("@context", None)
        return canonical(compacted)


def plain_payload_of(published: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of a published part that is plain; raises `NotPlain`."""
    return canonical(_compaction().compact(published))


@functools.cache
def _compaction() -> Compaction:
    return Compaction(CONTEXT, Contexts({}))


def project(root: Mapping[str, Any]) -> dict[str, Any]:
    """Return the published part of an expanded activity."""
    blank: list[str] = []
    published = _project_node(root, blank) or {"@id": root["@id"]}
    return _relabel(published) if blank else published


def _project_node(node: Mapping[str, Any], blank: list[str]) -> dict[str, Any] | None:
    """Return what is published of a node, and the blank nodes that it names."""
    kept: dict[str, Any] = {}
    for key, values in node.items():
        if key == "@id":
            if values[: len(_MAILTO)].lower() == _MAILTO:
                return None
            if values[0:2] == "_:":
                blank.append(values)
            kept[key] = values
        elif key == "@type":
            names = [name for name in values if name.startswith(_PUBLISHED)]
            if names:
                kept[key] = names
        elif _IS_PUBLISHED[key]:
            found = [item for value in values if (item := _project_value(value, blank)) is not None]
            if found:
                kept[key] = found
    return kept or None


def _project_value(value: Any, blank: list[str]) -> Any:  # noqa: ANN401  (JSON of any form)
    if not isinstance(value, dict):
        return value
    if "@value" in value:
        text = value["@value"]
        is_address = isinstance(text, str) and text[: len(_MAILTO)].lower() == _MAILTO
        return None if is_address else value
    if "@list" in value:
        items = (_project_value(item, blank) for item in value["@list"])
        return {"@list": [item for item in items if item is not None]}
    return _project_node(value, blank)


def _relabel(root: dict[str, Any]) -> dict[str, Any]:
    """Give blank nodes labels that no other event has: on one page they would be one node (RDF 1.1, 3.4)."""
    labels = Counter(node["@id"] for node in _nodes(root) if node.get("@id", "").startswith("_:"))
    mark = hashlib.sha256(canonical(root)).hexdigest()[:16]
    names = {label: f"_:{mark}-{number}" for number, label in enumerate(labels)}
    for node in list(_nodes(root)):
        label = node.get("@id", "")
        if labels[label] == 1 and len(node) > 1:
            del node["@id"]  # nothing else speaks of it
        elif label in names:
            node["@id"] = names[label]
    return root


def _nodes(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    if isinstance(value, list):
        for item in value:
            yield from _nodes(item)
    elif isinstance(value, dict) and "@value" not in value:
        yield value
        for item in list(value.values()):
            yield from _nodes(item)
