"""From an RDF finding back to the place in the sender's own JSON (RFC 6901).

A rule knows the properties that lead to it from the root; here they are followed through the
document as it was sent, by the document's own contexts, so that nobody has to guess.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orchestrator.core.jsonld import Contexts, is_absolute, rename
from orchestrator.core.strict_json import Json, pointer
from orchestrator.core.vocabulary import RDF

_TYPE: Final = RDF + "type"
_MOST_KEPT: Final = 3
_TERMS_KEPT: Final = 64
_KEYWORDS: Final = {"@id": "@id", "@type": _TYPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is, or where it is missing (then `term` names the member)."""

    pointer: str
    term: str | None = None
    value: object = None


@dataclass
class Terms:
    """The terms of an active context, as far as a pointer needs them."""

    iris: dict[str, str] = field(default_factory=dict)
    prefixes: dict[str, str] = field(default_factory=dict)
    vocab: str | None = None
    _named: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def of(document: Mapping[str, Json], contexts: Contexts) -> "Terms":
        """Return the terms of a document's root; those of known contexts are kept."""
        context = document.get("@context")
        names = tuple(context) if isinstance(context, list) else (context,)
        if len(names) > _MOST_KEPT or not all(isinstance(name, str) for name in names):
            return Terms().extended(context, contexts)
        kept = contexts.named
        # There are few combinations of few known names; whoever repeats them in many ways is not kept.
        key = tuple(contexts.aliases.get(str(name), str(name)) for name in names)
        if key not in kept:
            found = Terms().extended(context, contexts)
            if not all(name in contexts.documents for name in key):
                return found
            if len(kept) >= _TERMS_KEPT:
                kept.clear()
            kept[key] = found
        known: Terms = kept[key]
        return known

    def extended(self, context: Json, contexts: Contexts) -> "Terms":
        """Return these terms with those of a local `@context`."""
        grown = Terms(iris=dict(self.iris), prefixes=dict(self.prefixes), vocab=self.vocab)
        for part in context if isinstance(context, list) else [context]:
            found = contexts.find(part) if isinstance(part, str) else {"@context": part}
            definitions = found.get("@context") if isinstance(found, dict) else None
            if isinstance(definitions, dict):
                grown.add(definitions)
        return grown

    def add(self, definitions: Mapping[str, Any]) -> None:
        """Take the term definitions of one context object (JSON-LD 1.1, section 9.15)."""
        vocab = definitions.get("@vocab", self.vocab)
        self.vocab = vocab if isinstance(vocab, str) else None
        for term, definition in definitions.items():
            iri = definition.get("@id", term) if isinstance(definition, dict) else definition
            if not term.startswith("@") and isinstance(iri, str):
                self.prefixes[term] = iri
                if not (isinstance(definition, dict) and "@container" in definition):
                    self.iris[term] = iri

    def iri(self, key: str) -> str:
        """Return the IRI that the member name (or type) `key` stands for, or the keyword."""
        seen = {key}
        iri = self.prefixes.get(key, key)
        while iri in self.prefixes and iri not in seen:
            seen.add(iri)
            iri = self.prefixes[iri]
        if iri in _KEYWORDS:
            return _KEYWORDS[iri]
        prefix, colon, suffix = iri.partition(":")
        if colon and prefix in self.prefixes and not suffix.startswith("//"):
            iri = self.prefixes[prefix] + suffix
        elif not colon and self.vocab is not None:
            iri = self.vocab + iri
        return rename(iri)

    def term(self, iri: str) -> str:
        """Return the member name that stands for `iri`; the shortest one where there are several."""
        if iri not in self._named:
            self._named[iri] = self._term(iri)  # rules ask, and there are only so many
        return self._named[iri]

    def _term(self, iri: str) -> str:
        names = [term for term in self.iris if self.iri(term) == iri]
        if names:
            return min(names, key=len)
        for prefix, namespace in self.prefixes.items():
            if iri.startswith(namespace) and namespace[-1:] in {"#", "/"}:
                return f"{prefix}:{iri[len(namespace) :]}"
        return iri


@dataclass(frozen=True, slots=True)
class _Node:
    members: dict[str, Json]
    pointer: str
    terms: Terms

    @property
    def identifier(self) -> tuple[str, Json] | None:
        return next(self.under("@id"), None)

    def under(self, iri: str) -> Iterator[tuple[str, Json]]:
        """Yield the members whose name stands for `iri`."""
        for key, value in self.members.items():
            if key != "@context" and self.terms.iri(key) == iri:
                yield key, value


class Locator:
    """Finds places in one document."""

    def __init__(self, document: Json, contexts: Contexts, places: Mapping[int, str] | None = None) -> None:
        """Read the contexts of `document`, which must all be known.

        `places` tells the RDF node of each JSON object, by the object's `id()`, where that is known: then
        nodes without an IRI are told apart.
        """
        self._contexts = contexts
        self._places = places
        self._root = _Node(document, "", Terms.of(document, contexts)) if isinstance(document, dict) else None

    def find(self, steps: Sequence[str], *, focus: str = "", value: str | None = None) -> Place:
        """Return the place to which the properties `steps` lead from the root.

        `focus` is the node that was judged; `value` the RDF value at fault, where the rule names one. Both
        are an IRI, the text of a literal, or a blank node, which begins with `_:`.
        """
        nodes = [self._root] if self._root else []
        for step, after in itertools.pairwise(steps):
            below = [child for node in nodes for child in self._children(node, step)]
            if not below:
                return self._missing(nodes, step, after)
            nodes = below
        if not steps:
            return Place(pointer="")
        node = next((node for node in nodes if self._is(node, focus)), nodes[0] if nodes else None)
        return self._member(node, steps[-1], value) if node else Place(pointer="")

    def _missing(self, nodes: Sequence[_Node], step: str, after: str) -> Place:
        """Return the place of `after` where `step` leads to no object: it, or a bare string, is there."""
        if not nodes:
            return Place(pointer="")
        place = self._member(nodes[0], step, None)
        if place.term is None and place.value is not None:
            return Place(pointer=place.pointer, term=_name(nodes[0].terms, after))
        return place

    def _open(self, value: Json, place: str, terms: Terms) -> _Node | None:
        if not isinstance(value, dict):
            return None
        if "@context" in value:
            terms = terms.extended(value["@context"], self._contexts)
        return _Node(value, place, terms)

    def _children(self, node: _Node, step: str) -> Iterator[_Node]:
        for key, value in node.under(step):
            for place, item in _items(value, node.pointer + pointer(key)):
                child = self._open(item, place, node.terms)
                if child is not None:
                    yield child

    def _member(self, node: _Node, step: str, value: str | None) -> Place:
        places = [
            (place, item)
            for key, member in node.under(step)
            for place, item in _items(member, node.pointer + pointer(key))
        ]
        if not places:
            nulls = [key for key, _ in node.under(step)]
            if nulls:  # `null` is JSON-LD's way to say nothing
                return Place(pointer=node.pointer + pointer(nulls[0]))
            return Place(pointer=node.pointer, term=_name(node.terms, step))
        if value is None:
            key, member = next(node.under(step))
            return Place(pointer=node.pointer + pointer(key), value=member)
        place, item = next((at for at in places if self._stands_for(at[1], node.terms, value)), places[0])
        child = self._open(item, place, node.terms)
        if child is not None and "@value" not in child.members:
            # What is wrong with a node is its identifier, or that it has none.
            return self._member(child, "@id", None)
        return Place(pointer=place, value=item)

    def _stands_for(self, item: Json, terms: Terms, value: str) -> bool:
        child = self._open(item, "", terms)
        if child is None:
            if isinstance(item, str):
                return value in {item, terms.iri(item)} or (value.startswith("_:") and not is_absolute(item))
            return str(item) == value
        if "@value" in child.members:
            return str(child.members["@value"]) == value
        return self._is(child, value)

    def _is(self, node: _Node, term: str) -> bool:
        if self._places is not None:
            return self._places.get(id(node.members)) == term
        given = node.identifier[1] if node.identifier else None
        return not is_absolute(given) if term.startswith("_:") else given == term


def _name(terms: Terms, step: str) -> str:
    return "id" if step == "@id" else "type" if step == _TYPE else terms.term(step)


def _items(value: Json, place: str) -> Iterator[tuple[str, Json]]:
    """Yield the values of a member one by one, each with its place; nulls are no values."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _items(item, place + pointer(number))
    elif isinstance(value, dict) and ("@set" in value or "@list" in value):
        keyword = "@set" if "@set" in value else "@list"
        yield from _items(value[keyword], place + pointer(keyword))
    elif value is not None:
        yield place, value
