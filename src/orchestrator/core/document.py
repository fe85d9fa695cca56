"""Stage 3 of screening: is this one AS2 activity, in JSON-LD that means one thing?

`examine_plain` passes what is plain, in a fraction of a millisecond; `examine` takes the rest, and looks
at the document as a whole before anything is decided about it, so that a sender learns all that is to mend
at once.
"""

import functools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import UnacceptableDocument
from orchestrator.core.event import PREFIXES
from orchestrator.core.finding import Finding
from orchestrator.core.jsonld import (
    FORBIDDEN_SCHEMES,
    LONGEST,
    ActiveContext,
    Contexts,
    Expanded,
    NotJsonLd,
    NotPlain,
    Reading,
    Triples,
    expand,
    is_absolute,
    to_quads,
)
from orchestrator.core.pointers import Terms
from orchestrator.core.shapes.data import Data
from orchestrator.core.strict_json import MAX_REPORTED, Json, Limits, pointer

_RULES: Final = v.PROBLEMS + "unacceptable-document#"
_AS2: Final = "https://www.w3.org/TR/activitystreams-core/"
_JSONLD: Final = "https://www.w3.org/TR/json-ld11/"
_NOTIFY: Final = "https://coar-notify.net/specification/1.0.1/"
# Keywords that restructure a document: what a reader sees would not be what is decided on.
_ROOT_KEYWORDS: Final = ("@graph", "@included", "@reverse", "@nest")
_ID_SCHEMES: Final = ("urn:", "http://", "https://")
_CONTAINERS: Final = (None, "@set", "@list", "@language")
# Of an inline context's own keywords, those that change no IRI. `@vocab` would: COAR's terms hang on it.
_HARMLESS: Final = ("@language", "@direction", "@version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A document that passed."""

    root: dict[str, Any]
    """The activity, expanded."""
    data: Data
    """Its triples."""
    blank_nodes: int
    """How many nodes have no IRI."""
    is_shared: bool
    """Whether a node without an IRI is named in more than one place."""
    reading: Reading | None = None
    """How it was read; None when pyld has read it."""
    labels: Mapping[int, str] = field(default_factory=dict)
    """The labels of blank nodes, by the `id()` of the expanded node, if it was not pyld that has read it."""

    @property
    def places(self) -> Mapping[int, str] | None:
        """The RDF node of each JSON object, by the object's `id()`; None when pyld has read the document."""
        if self.reading is None:
            return None
        return {
            id(element): node["@id"] if "@id" in node else self.labels[id(node)]
            for element, node in self.reading.elements
        }


def examine_plain(document: Json, contexts: Contexts, limits: Limits) -> Examined:
    """Return a document that plainly passes; raises `NotPlain` when it takes `examine` to tell."""
    if not isinstance(document, dict) or limits.identifier < LONGEST:
        raise NotPlain
    context = ActiveContext.of(document.get("@context"), contexts)
    if not _are_plain(context.names):
        raise NotPlain
    reading = Reading(document, context)
    root = reading.root
    types = root.get("@type", ())
    identifier = root.get("@id", "")
    if not identifier.startswith(_ID_SCHEMES) or v.ACTIVITY_TYPES.isdisjoint(types):
        raise NotPlain
    if v.NOTIFY_CONTEXT not in context.names and any(name.startswith(v.NOTIFY) for name in types):
        raise NotPlain
    for _, node in reading.elements[:-1]:
        if len(node) > 1 and node.get("@id") == identifier:
            raise NotPlain  # the notification is described again inside itself
    triples = Triples(root)
    return Examined(
        root=root,
        data=Data(triples.properties),
        blank_nodes=len(triples.labels),
        is_shared=False,
        reading=reading,
        labels=triples.labels,
    )


@functools.cache
def _are_plain(named: tuple[str, ...]) -> bool:
    """Whether known contexts are named in a way that needs no finding; they are few."""
    notified = named.count(v.NOTIFY_CONTEXT)
    if v.AS_CONTEXT not in named or notified > 1:
        return False
    return not notified or named.index(v.AS_CONTEXT) < named.index(v.NOTIFY_CONTEXT)


def examine(document: Json, contexts: Contexts, limits: Limits) -> Examined:
    """Return what pyld reads in a document; raises `UnacceptableDocument` with every finding."""
    root = _examine(document, contexts, limits)
    try:
        data = Data.from_quads(to_quads([root], contexts))
    except NotJsonLd as error:
        raise UnacceptableDocument([_finding("json-ld", error.message, "")]) from None
    blank = data.blank_nodes()
    is_shared = any(times > 1 for times in blank.values())
    return Examined(root=root, data=data, blank_nodes=len(blank), is_shared=is_shared)


def _examine(document: Json, contexts: Contexts, limits: Limits) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UnacceptableDocument(
            [
                _finding(
                    "object",
                    "Send one JSON object: an ActivityStreams 2 activity.",
                    "",
                    spec=_AS2 + "#activities",
                )
            ]
        )
    findings = list(_first(_check_contexts(document, contexts, limits)))
    findings += _check_root(document)
    if findings:
        # Without sound contexts the rest of the document has no meaning to be judged.
        raise UnacceptableDocument([*findings, *_check_plain_id(document)])
    try:
        expanded = expand(document, contexts)
    except NotJsonLd as error:
        findings = list(_check_plain_id(document)) or [_finding("json-ld", error.message, "", spec=_JSONLD)]
        raise UnacceptableDocument(findings) from None
    findings = list(_first(_check_expanded(document, expanded, contexts, limits)))
    if findings:
        raise UnacceptableDocument(findings)
    return expanded[0]


def _first(findings: Iterator[Finding]) -> Iterator[Finding]:
    return islice(findings, MAX_REPORTED)


def _finding(rule: str, message: str, place: str, **more: Any) -> Finding:  # noqa: ANN401
    return Finding(rule=_RULES + rule, message=message, pointer=place, **more)


def _check_root(document: Mapping[str, Json]) -> Iterator[Finding]:
    for keyword in _ROOT_KEYWORDS:
        if keyword in document:
            message = f"Leave out {keyword}: send the activity itself as the one root."
            yield _finding("restructuring", message, pointer(keyword), spec=_JSONLD + "#keywords")


def _check_plain_id(document: Mapping[str, Json]) -> Iterator[Finding]:
    """Check the id by its usual name, where contexts cannot be trusted to tell which it is."""
    given = document.get("id", document.get("@id"))
    if not _is_id(given):
        yield _bad_id(document, given)


def _is_id(given: object) -> bool:
    return is_absolute(given) and str(given).lower().startswith(_ID_SCHEMES)


def _bad_id(document: Mapping[str, Json], given: object) -> Finding:
    key = next((key for key in ("id", "@id") if key in document), None)
    message = "Give the notification an `id` of its own: an absolute urn: or http(s) IRI, best urn:uuid."
    return _finding(
        "id",
        message,
        pointer(key) if key else "",
        term=None if key else "id",
        value=str(given)[:200] if given is not None else None,
        path="@id",
        spec=_NOTIFY,
    )


def _check_contexts(document: Mapping[str, Json], contexts: Contexts, limits: Limits) -> Iterator[Finding]:
    """Check every `@context` of the document, and that the root names AS2's."""
    named = [contexts.aliases.get(url, url) for url in _urls(document.get("@context"))]
    if v.AS_CONTEXT not in named:
        message = f"Name the context {v.AS_CONTEXT} in `@context`."
        missing = "@context" not in document
        place, term = ("", "@context") if missing else ("/@context", None)
        yield _finding("activity-streams-context", message, place, term=term, spec=_AS2 + "#jsonld")
    if named.count(v.NOTIFY_CONTEXT) > 1:
        message = f"Name one COAR Notify context: {v.NOTIFY_CONTEXT}."
        yield _finding("notify-context", message, "/@context", spec=_NOTIFY)
    if v.AS_CONTEXT in named and v.NOTIFY_CONTEXT in named[: named.index(v.AS_CONTEXT)]:
        message = f"Name {v.AS_CONTEXT} before {v.NOTIFY_CONTEXT}, which builds on its prefix `as`."
        yield _finding("notify-context", message, "/@context", spec=_NOTIFY)
    left = limits.contexts
    stack: list[tuple[Json, str]] = [(dict(document), "")]
    while stack:
        value, place = stack.pop()
        if isinstance(value, list):
            stack.extend((item, place + pointer(number)) for number, item in enumerate(value))
        elif isinstance(value, dict):
            if "@context" in value:
                left -= len(_parts(value["@context"]))
                if left < 0:
                    message = f"Name at most {limits.contexts} contexts in all, best at the root."
                    yield _finding("inline-context", message, place + "/@context", spec=_JSONLD)
                    return
                yield from _check_context(value["@context"], place + "/@context", contexts)
            stack.extend((child, place + pointer(key)) for key, child in value.items() if key != "@context")


def _parts(context: Json) -> list[Json]:
    return context if isinstance(context, list) else [context]


def _urls(context: Json) -> list[str]:
    return [part for part in _parts(context) if isinstance(part, str)]


def _check_context(context: Json, place: str, contexts: Contexts) -> Iterator[Finding]:
    parts = enumerate(context) if isinstance(context, list) else [(None, context)]
    for number, part in parts:
        here = place if number is None else place + pointer(number)
        if isinstance(part, str):
            if contexts.find(part) is None:
                message = (
                    f"The context {part[:200]} is not known here, and contexts are never fetched: "
                    f"use {v.AS_CONTEXT} and {v.NOTIFY_CONTEXT}, or ask the operator to add it."
                )
                yield _finding(
                    "unknown-context", message, here, value=part[:200], spec=_JSONLD + "#the-context"
                )
        elif isinstance(part, dict):
            yield from _check_inline(part, here, contexts)
        else:
            message = "Use a context that is a URL or an object; null would undo the ones before it."
            yield _finding("inline-context", message, here, spec=_JSONLD + "#the-context")


def _check_inline(context: Mapping[str, Json], place: str, contexts: Contexts) -> Iterator[Finding]:
    """An inline context may add terms; it may not change what AS2 and COAR Notify terms mean."""
    terms = Terms().extended(list(contexts.documents), contexts).extended(dict(context), contexts)
    for key, definition in context.items():
        here = place + pointer(key)
        if key in _HARMLESS:
            continue
        if key.startswith("@"):
            yield _finding("inline-context", f"Leave {key} out of inline contexts.", here)
        elif key in contexts.terms or terms.iri(key).startswith((v.AS, v.NOTIFY)):
            message = f"Do not redefine “{key[:80]}”: it belongs to ActivityStreams 2 or COAR Notify."
            yield _finding("redefined-term", message, here, spec=_AS2 + "#jsonld")
        elif isinstance(definition, dict) and not set(definition) <= {
            "@id",
            "@type",
            "@container",
            "@language",
        }:
            message = "Define terms by @id, @type, @language and @container only."
            yield _finding("inline-context", message, here, spec=_JSONLD + "#term-definitions")
        elif isinstance(definition, dict) and definition.get("@container") not in _CONTAINERS:
            yield _finding("inline-context", "Use the containers @set, @list or @language.", here)
        elif terms.iri(key) in {"@graph", "@included", "@reverse", "@nest", "@context"}:
            yield _finding("inline-context", "Do not rename this keyword.", here)


def _check_expanded(
    document: Mapping[str, Json], expanded: Expanded, contexts: Contexts, limits: Limits
) -> Iterator[Finding]:
    if len(expanded) != 1:
        yield _finding("one-root", "Send one activity, with at least a type and an object.", "")
        return
    root = expanded[0]
    if not _is_id(root.get("@id")):
        terms = Terms().extended(document["@context"], contexts)
        key = next((key for key in document if key != "@context" and terms.iri(key) == "@id"), None)
        yield _bad_id(document, document.get(key) if key else None)
    types = set(root.get("@type", ()))
    if not types & v.ACTIVITY_TYPES:
        yield _no_activity(document)
    if any(name.startswith(v.NOTIFY) for name in types):
        named = [contexts.aliases.get(url, url) for url in _urls(document.get("@context"))]
        if v.NOTIFY_CONTEXT not in named:
            message = f"Name the context {v.NOTIFY_CONTEXT} in `@context`: a COAR Notify type is used."
            yield _finding("notify-context", message, "/@context", spec=_NOTIFY)
    yield from _check_identifiers(document, root, limits)


def _no_activity(document: Mapping[str, Json]) -> Finding:
    key = next((key for key in ("type", "@type") if key in document), None)
    message = "Give `type` an ActivityStreams 2 activity type, such as Announce, Offer or Accept."
    return _finding(
        "activity-type",
        message,
        pointer(key) if key else "",
        term=None if key else "type",
        path=v.RDF + "type",
        spec="https://www.w3.org/TR/activitystreams-vocabulary/#activity-types",
    )


def _check_identifiers(
    document: Mapping[str, Json], root: Mapping[str, Any], limits: Limits
) -> Iterator[Finding]:
    """Check what `@id` must never be, anywhere in the document."""
    bad: dict[str, tuple[str, str]] = {}
    for identifier, use in _identifiers(root):
        prefix = identifier.partition(":")[0]
        if use != "name" and prefix in PREFIXES:
            # The log could not be written: a reader of it would take this for one of its own prefixes.
            message = f"Name a context that declares the prefix “{prefix}:”, or write the IRI in full."
            bad[identifier] = ("scheme", message)
        elif identifier.lower().startswith(FORBIDDEN_SCHEMES):
            bad[identifier] = ("scheme", "Do not use javascript:, data:, vbscript: or file: IRIs.")
        elif len(identifier) > limits.identifier:
            bad[identifier] = ("identifier", f"Use identifiers of at most {limits.identifier} characters.")
        elif use == "subject" and identifier == root.get("@id"):
            bad[identifier] = ("one-root", "Do not describe the notification again inside itself.")
    places = _places(document, bad)
    for identifier, (rule, message) in bad.items():
        yield _finding(rule, message, places.get(identifier, ""), value=identifier[:200])


def _identifiers(root: Mapping[str, Any]) -> Iterator[tuple[str, Literal["subject", "object", "name"]]]:
    """Yield every IRI and its use: described here, referred to, or the name of a type or property."""
    stack: list[tuple[Any, bool]] = [(root, True)]
    while stack:
        value, is_root = stack.pop()
        if isinstance(value, list):
            stack.extend((item, False) for item in value)
        elif isinstance(value, dict):
            if isinstance(value.get("@id"), str):
                yield value["@id"], "subject" if len(value) > 1 and not is_root else "object"
            types = value.get("@type", ())
            if isinstance(types, str):
                yield types, "object"
            else:
                yield from ((name, "name") for name in types)
            yield from ((name, "name") for name in value if not name.startswith("@"))
            stack.extend((item, False) for item in value.values())


def _places(document: Mapping[str, Json], texts: Collection[str]) -> dict[str, str]:
    """Return where each of `texts` stands first, the root's own id left out; one walk serves all."""
    found: dict[str, str] = {}
    stack: list[tuple[Json, str]] = [(dict(document), "")]
    while stack and texts:
        value, place = stack.pop()
        if isinstance(value, str) and value in texts and place not in {"/id", "/@id"}:
            found.setdefault(value, place)
        elif isinstance(value, list):
            stack.extend((item, place + pointer(number)) for number, item in enumerate(value))
        elif isinstance(value, dict):
            found.update((key, place + pointer(key)) for key in value if key in texts and key not in found)
            stack.extend((item, place + pointer(key)) for key, item in value.items())
    return found
