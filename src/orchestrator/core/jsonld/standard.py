"""JSON-LD 1.1 → expanded document, by pyld.

Contexts come in as values. `expand` normalises the namespaces that senders mix, and takes out every
identifier that is not an absolute IRI, so that RDF, shapes and policies all see the same document.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pyld import jsonld
from pyld.context_resolver import ContextResolver

from orchestrator.core.jsonld.contexts import Contexts, NotJsonLd
from orchestrator.core.strict_json import Json
from orchestrator.core.vocabulary import NAMESPACE_ALIASES, RDF

Expanded = list[dict[str, Any]]

# RFC 3987 forbids these everywhere; N-Quads could not hold them either. White space beyond ASCII it allows,
# but parsers of RDF stumble over it, and what they cannot read must not stand in a log.
IRI_CHARACTERS: Final = r"[^\s\x00-\x20<>\"{}|\\^`]+"
_IRI: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:{IRI_CHARACTERS}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
# rdflib parses these wherever it meets them: 50 KB of open tags take it seconds.
_RESOLVED_KEPT: Final = 200
_MARKUP: Final = (RDF + "HTML", RDF + "XMLLiteral")
# pyld trips over some malformed documents instead of naming the rule that they break.
_PYLD_TRIPS: Final = (RecursionError, TypeError, ValueError, KeyError, AttributeError, IndexError)
FORBIDDEN_SCHEMES: Final = ("javascript:", "data:", "file:", "vbscript:")


def is_absolute(text: object) -> bool:
    """Whether `text` is an absolute IRI that RDF can hold (RFC 3987)."""
    return isinstance(text, str) and _IRI.fullmatch(text) is not None


def options(contexts: Contexts) -> dict[str, Any]:
    """Return pyld's options: no base (`"id": "123"` must not become an IRI), no network."""
    # A resolver of our own: pyld's keeps contexts by URL for the whole process, whoever loaded them.
    if len(contexts.resolved) > _RESOLVED_KEPT:
        contexts.resolved.clear()  # inline contexts are kept too, and they are strangers'
    resolver = ContextResolver(contexts.resolved, contexts.load)
    return {
        "base": None,
        "contextResolver": resolver,
        "documentLoader": contexts.load,
        "processingMode": "json-ld-1.1",
    }


def expand(document: Json, contexts: Contexts, base: str | None = None) -> Expanded:
    """Return the expanded form of `document` (JSON-LD 1.1 API, section 5.1), normalised.

    Relative references are resolved against `base`; without one they are dropped. Raises `NotJsonLd`.
    """
    try:
        expanded = jsonld.expand(document, {**options(contexts), "base": base})
        return cast("Expanded", [_normalise(node) for node in expanded])
    except jsonld.JsonLdError as error:
        raise NotJsonLd(_explain(error)) from None
    except NotJsonLd:
        raise
    except _PYLD_TRIPS:
        raise NotJsonLd("The document cannot be expanded as JSON-LD 1.1.") from None


def to_quads(expanded: Expanded, contexts: Contexts) -> dict[str, list[dict[str, Any]]]:
    """Return the RDF dataset of `expanded`: quads as pyld's dictionaries, by graph name."""
    try:
        dataset = jsonld.to_rdf(expanded, options(contexts))
    except jsonld.JsonLdError as error:
        raise NotJsonLd(_explain(error)) from None
    except _PYLD_TRIPS:
        raise NotJsonLd("The document cannot be read as RDF.") from None
    return cast("dict[str, list[dict[str, Any]]]", dataset)


def compact(expanded: Expanded, context: Json, contexts: Contexts) -> dict[str, Any]:
    """Return `expanded` with the short names of `context` (JSON-LD 1.1 API, section 5.2)."""
    compacted = jsonld.compact(expanded, {"@context": context}, options(contexts))
    return cast("dict[str, Any]", compacted)


def active_context(context: Json, contexts: Contexts) -> Mapping[str, Any]:
    """Return pyld's active context for the local context `context` (JSON-LD 1.1 API, section 4.1)."""
    processor = jsonld.JsonLdProcessor()
    initial = processor.process_context({"mappings": {}}, None, options(contexts))
    try:
        found = processor.process_context(initial, context, options(contexts))
    except jsonld.JsonLdError as error:
        raise NotJsonLd(_explain(error)) from None
    except _PYLD_TRIPS:
        raise NotJsonLd("The context cannot be processed as JSON-LD 1.1.") from None
    return cast("Mapping[str, Any]", found)


def expand_iri(active: Mapping[str, Any], name: str) -> str | None:
    """Return what a term, a type or a compact IRI stands for (JSON-LD 1.1 API, section 5.2)."""
    found = jsonld.JsonLdProcessor()._expand_iri(active, name, vocab=True)  # noqa: SLF001  (it has no public name)
    return cast("str | None", found)


def native(value: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text and datatype of a value object that is a number or a boolean (section 8.2.2)."""
    term = jsonld.JsonLdProcessor()._object_to_rdf(value, None, [], {"processingMode": "json-ld-1.1"})  # noqa: SLF001
    return term["value"], term["datatype"]


def _explain(error: jsonld.JsonLdError) -> str:
    """Return the innermost reason that pyld gives, shortened."""
    inner: BaseException | None = error
    while isinstance(inner, jsonld.JsonLdError) and isinstance(inner.__cause__, Exception):
        inner = inner.__cause__
    if isinstance(inner, NotJsonLd):
        return inner.message
    said = inner.args[0] if inner is not None and inner.args else "unknown reason"
    return f"The document is not JSON-LD 1.1: {str(said)[:300]}"


def _normalise(value: Any) -> Any:  # noqa: ANN401  (an expanded document is JSON of any form)
    if isinstance(value, list):
        return [_normalise(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "@value" in value:
        _check_literal(value)
        return value
    node: dict[str, Any] = {}
    for key, member in value.items():
        if key == "@id":
            if is_absolute(member) or (isinstance(member, str) and member.startswith("_:")):
                node[key] = member
        elif key == "@type":
            node[key] = [rename(name) for name in member if is_absolute(name)]
        else:
            if not (is_absolute(key) or key.startswith(("_:", "@"))):
                raise NotJsonLd(f"The member “{key[:80]}” stands for no IRI that RDF can hold.")
            node.setdefault(rename(key), []).extend(_as_list(_normalise(member)))
    # An empty node object would vanish; as a blank node it is seen, judged and pointed at.
    return node


def _check_literal(value: dict[str, Any]) -> None:
    """Refuse what no RDF syntax could write: a language tag or a datatype that is none."""
    language, datatype = value.get("@language"), value.get("@type")
    if language is not None:
        check_language(language)
    if datatype not in {None, "@json"}:
        check_datatype(datatype)


def check_language(language: object) -> str:
    """Return `language` if it is a tag that RDF can hold (BCP 47); raises `NotJsonLd`."""
    if isinstance(language, str) and _LANGUAGE.fullmatch(language):
        return language
    raise NotJsonLd(f"“{str(language)[:80]}” is no language tag (BCP 47).")


def check_datatype(datatype: object) -> str:
    """Return `datatype` if it is an absolute IRI, and not one of markup; raises `NotJsonLd`."""
    if not (isinstance(datatype, str) and is_absolute(datatype)):
        raise NotJsonLd(f"“{str(datatype)[:80]}” is no datatype: use an absolute IRI.")
    if datatype in _MARKUP:
        raise NotJsonLd(f"Send markup as a plain string, not as {datatype}: nobody here parses it.")
    return datatype


def _as_list(value: Any) -> Sequence[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else [value]


def rename(iri: str) -> str:
    """Return `iri` in the namespace by which we know its term."""
    for alias, namespace in NAMESPACE_ALIASES.items():
        if iri.startswith(alias):
            return namespace + iri[len(alias) :]
    return iri
