"""JSON-LD 1.1 → expanded document, without a network: the one door to pyld.

Contexts come in as values. `expand` normalises the namespaces that senders mix, and takes out every
identifier that is not an absolute IRI, so that RDF, shapes and policies all see the same document.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, cast

from pyld import jsonld

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.strict_json import Json
from orchestrator.core.vocabulary import CONTEXT_ALIASES, NAMESPACE_ALIASES, RDF

Expanded = list[dict[str, Any]]

# RFC 3987 forbids these everywhere; N-Quads could not hold them either.
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`]+")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
# rdflib parses these wherever it meets them: 50 KB of open tags take it seconds.
_MARKUP: Final = (RDF + "HTML", RDF + "XMLLiteral")
# pyld trips over some malformed documents instead of naming the rule that they break.
_PYLD_TRIPS: Final = (RecursionError, TypeError, ValueError, KeyError, AttributeError, IndexError)
FORBIDDEN_SCHEMES: Final = ("javascript:", "data:", "file:", "vbscript:")


class NotJsonLd(OrchestratorError):
    """The document is not JSON-LD 1.1."""

    slug = "unacceptable-document"


@dataclass(frozen=True)
class Contexts:
    """The JSON-LD contexts that are known, by the URLs that name them. Nothing is ever fetched."""

    documents: Mapping[str, Json]
    aliases: Mapping[str, str] = field(default_factory=lambda: CONTEXT_ALIASES)

    def find(self, url: str) -> Json | None:
        """Return the document that `url` names, if we have it."""
        return self.documents.get(self.aliases.get(url, url))

    def load(self, url: str, _options: object = None) -> dict[str, Any]:
        """Answer pyld, which asks for documents by URL; anything else than a known one fails."""
        document = self.find(url)
        if document is None:
            raise NotJsonLd(f"The context {url[:200]} is not known here, and contexts are never fetched.")
        return {
            "contentType": "application/ld+json",
            "contextUrl": None,
            "documentUrl": url,
            "document": document,
        }

    @cached_property
    def terms(self) -> frozenset[str]:
        """Every term of every known context."""
        found: set[str] = set()
        for document in self.documents.values():
            context = cast("dict[str, Any]", document)["@context"]
            found.update(name for name in context if not name.startswith("@"))
        return frozenset(found)

    @property
    def options(self) -> dict[str, Any]:
        """Return pyld's options: no base (`"id": "123"` must not become an IRI), no network."""
        return {"base": None, "documentLoader": self.load, "processingMode": "json-ld-1.1"}


def is_absolute(text: object) -> bool:
    """Whether `text` is an absolute IRI that RDF can hold (RFC 3987)."""
    return isinstance(text, str) and _IRI.fullmatch(text) is not None


def expand(document: Json, contexts: Contexts, base: str | None = None) -> Expanded:
    """Return the expanded form of `document` (JSON-LD 1.1 API, section 5.1), normalised.

    Relative references are resolved against `base`; without one they are dropped. Raises `NotJsonLd`.
    """
    try:
        expanded = jsonld.expand(document, {**contexts.options, "base": base})
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
        dataset = jsonld.to_rdf(expanded, contexts.options)
    except jsonld.JsonLdError as error:
        raise NotJsonLd(_explain(error)) from None
    except _PYLD_TRIPS:
        raise NotJsonLd("The document cannot be read as RDF.") from None
    return cast("dict[str, list[dict[str, Any]]]", dataset)


def compact(expanded: Expanded, context: Json, contexts: Contexts) -> dict[str, Any]:
    """Return `expanded` with the short names of `context` (JSON-LD 1.1 API, section 5.2)."""
    compacted = jsonld.compact(expanded, {"@context": context}, contexts.options)
    return cast("dict[str, Any]", compacted)


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
    if language is not None and not (isinstance(language, str) and _LANGUAGE.fullmatch(language)):
        raise NotJsonLd(f"“{str(language)[:80]}” is no language tag (BCP 47).")
    if datatype not in {None, "@json"} and not is_absolute(datatype):
        raise NotJsonLd(f"“{str(datatype)[:80]}” is no datatype: use an absolute IRI.")
    if datatype in _MARKUP:
        raise NotJsonLd(f"Send markup as a plain string, not as {datatype}: nobody here parses it.")


def _as_list(value: Any) -> Sequence[Any]:  # noqa: ANN401
    return value if isinstance(value, list) else [value]


def rename(iri: str) -> str:
    """Return `iri` in the namespace by which we know its term."""
    for alias, namespace in NAMESPACE_ALIASES.items():
        if iri.startswith(alias):
            return namespace + iri[len(alias) :]
    return iri
