"""A JSON-LD context, processed once by pyld and kept as tables (JSON-LD 1.1 API, section 4)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeVar

from orchestrator.core.jsonld import standard
from orchestrator.core.jsonld.contexts import Contexts, NotJsonLd
from orchestrator.core.jsonld.standard import IRI_CHARACTERS, check_datatype, is_absolute, rename
from orchestrator.core.strict_json import Json
from orchestrator.core.vocabulary import XSD

_CONTAINERS: Final[tuple[list[str], ...]] = ([], ["@set"], ["@list"], ["@language"])
_NAMES_KEPT: Final = 1_000
_LONGEST_KEPT: Final = 200
"""Characters of a name that is kept: with their number they bound what strangers can have us hold."""
_CONTEXTS_KEPT: Final = 64
_MOST_NAMED: Final = 3
# Of the schemes that pyld could take for a prefix none is here, nor any that runs code.
_USUAL: Final = re.compile(rf"(?:https?://|urn:){IRI_CHARACTERS}").fullmatch
_SCHEMES: Final = frozenset(
    {"http", "https", "urn", "mailto", "doi", "info", "hdl", "ark", "tag", "did", "acct", "ni"}
)
LONGEST: Final = 1_024
"""Characters of the longest plain identifier."""
_XSD_DOUBLE: Final = XSD + "double"
_K = TypeVar("_K")
_V = TypeVar("_V")


class NotPlain(Exception):
    """The document, or its context, uses what only pyld knows."""


class Kind(IntEnum):
    """What a member is to the node that has it."""

    DROPPED = 0
    ID = 1
    TYPE = 2
    REFERENCE = 3
    """Strings are IRIs (`@type: @id`)."""
    TEXT = 4
    """Strings are literals, with or without a datatype or language."""
    LIST = 5
    """As TEXT or REFERENCE, in a list."""
    LANGUAGES = 6
    """A map of texts by language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a member's name stands for."""

    kind: Kind
    iri: str = ""
    said: str = ""
    """The IRI before it was renamed (`standard.rename`)."""
    refers: bool = False
    """Whether strings are IRIs."""
    literal: Mapping[str, str] | None = None
    """What a literal has beside its value: a datatype (any value) or a language (strings only)."""
    is_typed: bool = False


class Table(dict[_K, _V]):
    """A table that is filled as names are met, to a bound, for the names come from strangers."""

    def __init__(self, find: Callable[[_K], _V]) -> None:
        """Fill it with what `find` returns; what it raises is not kept."""
        super().__init__()
        self._find = find

    def __missing__(self, name: _K) -> _V:
        """Find what is not known yet."""
        found = self._find(name)
        if _length(name) <= _LONGEST_KEPT:
            if len(self) >= _NAMES_KEPT:
                self.clear()  # a flood of new names must not keep the usual ones out
            self[name] = found
        return found


def _length(name: object) -> int:
    return len(name) if isinstance(name, str) else sum(map(len, name)) if isinstance(name, tuple) else 0


class ActiveContext:
    """An active context (JSON-LD 1.1, section 3.1) as tables that are filled as names are met."""

    def __init__(self, context: Json, contexts: Contexts) -> None:
        """Process `context`, whose URLs must all be known. Raises `NotPlain` for what only pyld knows."""
        self._active = standard.active_context(context, contexts)
        self._mappings: Mapping[str, Any] = self._active["mappings"]
        if self._active.get("@direction") or "@base" in self._active or "previousContext" in self._active:
            raise NotPlain
        aliases = [found["@id"] for found in self._mappings.values() if found]
        if aliases.count("@id") > 1 or aliases.count("@type") > 1:
            raise NotPlain  # a node could be given two of them
        self.names: tuple[str, ...] = ()
        """The known contexts that it was made of, if it is one of `of`."""
        self._language = self._active.get("@language")
        self._prefixes = {
            name: str(mapping["@id"])
            for name, mapping in self._mappings.items()
            if mapping and mapping["_prefix"]
        }
        self._is_usual = not {"http", "https", "urn"} & set(self._prefixes)
        self.members: Mapping[str, Member] = Table(self._member)
        """What each member's name stands for; asking for one that only pyld knows raises `NotPlain`."""
        self.types: Mapping[str, str | None] = Table(self._type_iri)
        """The IRI of each type; None when it has none that RDF can hold."""

    @staticmethod
    def of(context: Json, contexts: Contexts) -> "ActiveContext":
        """Return the active context of a document's `@context`, if it only names a few known ones.

        Raises `NotPlain`. What is returned is kept, with the names that it has met.
        """
        urls = context if isinstance(context, list) else [context]
        if len(urls) > _MOST_NAMED:
            raise NotPlain
        names = tuple(contexts.aliases.get(url, url) if isinstance(url, str) else "" for url in urls)
        found: ActiveContext | None = contexts.compiled.get(names)
        if found is None:
            if not all(name in contexts.documents for name in names) or len(set(names)) < len(names):
                raise NotPlain
            if len(contexts.compiled) >= _CONTEXTS_KEPT:
                contexts.compiled.clear()  # an operator may have added many
            try:
                found = contexts.compiled[names] = ActiveContext([*names], contexts)
            except NotJsonLd:
                raise NotPlain from None
            found.names = names
        return found

    def iri(self, name: str) -> str | None:
        """Return what a member's name or a type stands for (JSON-LD 1.1 API, section 5.1.2), renamed."""
        if name.startswith("@"):
            raise NotPlain
        found = standard.expand_iri(self._active, name)
        return rename(found) if found is not None else None

    def identifier(self, text: str) -> str | None:
        """Return the absolute IRI that `text` is as an identifier; None when it is relative.

        Raises `NotPlain` for one that somebody should look at, by its scheme or length.
        """
        if _USUAL(text) and self._is_usual and len(text) <= LONGEST:
            return text
        scheme, colon, rest = text.partition(":")
        if not colon:
            if text.startswith("@"):
                raise NotPlain
            return None
        if not rest.startswith("//") and scheme in self._prefixes:
            text = self._prefixes[scheme] + rest
        elif scheme not in _SCHEMES:
            raise NotPlain
        if len(text) > LONGEST:
            raise NotPlain
        return text if is_absolute(text) else None

    def _type_iri(self, name: str) -> str | None:
        found = self.iri(name)
        if found is None or found.startswith("@"):
            raise NotPlain
        return _plain(found) if is_absolute(found) else None

    def datatype(self, name: str) -> str:
        """Return the IRI of a datatype."""
        found = None if name.startswith("@") else standard.expand_iri(self._active, name)
        if found is None or not is_absolute(found):
            raise NotPlain
        return _plain(check_datatype(found))

    def _member(self, name: str) -> Member:
        if name in {"@id", "@type"}:
            return Member(kind=Kind.ID if name == "@id" else Kind.TYPE)
        found = None if name.startswith("@") else standard.expand_iri(self._active, name)
        mapping = self._mappings.get(name)
        if found == "@id":
            return Member(kind=Kind.ID)
        if found == "@type":
            return Member(kind=Kind.TYPE)
        if name in self._mappings and mapping is None:
            return Member(kind=Kind.DROPPED)
        if found is None or not (is_absolute(found) or found.startswith("_:")):
            raise NotPlain
        return self._property(found, mapping or {})

    def _property(self, said: str, mapping: Mapping[str, Any]) -> Member:
        container = list(mapping.get("@container") or [])
        unusual = {"@context", "@direction", "@index", "@nest"} & set(mapping)
        if container not in _CONTAINERS or mapping.get("reverse") or unusual:
            raise NotPlain
        coercion = mapping.get("@type")
        if coercion in {"@vocab", "@json", _XSD_DOUBLE}:
            raise NotPlain
        literal: dict[str, str] | None = None
        is_typed = coercion not in {None, "@id", "@none"}
        language = mapping.get("@language", self._language) if "@language" in mapping else self._language
        if is_typed:
            literal = {"@type": self.datatype(str(coercion))}
        elif language is not None and coercion is None:
            literal = {"@language": standard.check_language(language)}
        refers = coercion == "@id"
        kind = Kind.REFERENCE if refers else Kind.TEXT
        if container == ["@list"]:
            kind = Kind.LIST
        elif container == ["@language"]:
            kind = Kind.LANGUAGES
        iri = said if said.startswith("_:") else _plain(rename(said))
        return Member(kind=kind, iri=iri, said=said, refers=refers, literal=literal, is_typed=is_typed)


def _plain(iri: str) -> str:
    """Return `iri`; raises `NotPlain` as `ActiveContext.identifier` does."""
    if iri.partition(":")[0] not in _SCHEMES or len(iri) > LONGEST:
        raise NotPlain
    return iri
