"""The JSON-LD contexts that are known here, as values: nothing is ever fetched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.strict_json import Json
from orchestrator.core.vocabulary import CONTEXT_ALIASES


class NotJsonLd(OrchestratorError):
    """The document is not JSON-LD 1.1."""

    slug = "unacceptable-document"


@dataclass(frozen=True)
class Contexts:
    """The JSON-LD contexts that are known, by the URLs that name them. Nothing is ever fetched."""

    documents: Mapping[str, Json]
    aliases: Mapping[str, str] = field(default_factory=lambda: CONTEXT_ALIASES)
    resolved: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What pyld made of the known documents."""
    compiled: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `jsonld.compiled` made of combinations of them."""
    named: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What `core.pointers` made of combinations of them."""

    def __reduce__(self) -> tuple[type["Contexts"], tuple[Mapping[str, Json], Mapping[str, str]]]:
        """Go to another process without what was made here."""
        return Contexts, (self.documents, self.aliases)

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
