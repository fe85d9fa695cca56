"""One walk from JSON to the expanded document, and one to triples: the path of plain documents.

What it takes it reads as pyld does, to the same expanded document and the same quads; whatever it is not
sure of (`NotPlain`) is pyld's. Plain is: one context at the root; terms with a datatype, a language, or the
containers @set, @list and @language; node and value objects without other keywords; no blank node by name.
"""

from collections.abc import Iterable
from typing import Any, Final

from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld.compiled import ActiveContext, Kind, Member, NotPlain
from orchestrator.core.jsonld.contexts import NotJsonLd
from orchestrator.core.jsonld.standard import check_language, native
from orchestrator.core.strict_json import Json

Term = str | tuple[str, str, str]
"""An IRI; a blank node, which begins with `_:`; or a literal: its text, datatype and language (or `""`)."""
Properties = dict[str, dict[str, list[Term]]]
"""Subject → predicate → distinct values."""
Node = dict[str, Any]

_TYPE: Final = v.RDF + "type"
_FIRST: Final = v.RDF + "first"
_REST: Final = v.RDF + "rest"
_NIL: Final = v.RDF + "nil"
_LANG_STRING: Final = v.RDF + "langString"
_STRING: Final = v.XSD + "string"
_DOUBLE: Final = v.XSD + "double"
_VALUE_OBJECT: Final = frozenset({"@value", "@type", "@language"})
_ALIASED: Final = frozenset({"@id", "@type"})
"""Whoever writes these may write their short forms beside them."""
_TEXT: Final = Kind.TEXT
_REFERENCE: Final = Kind.REFERENCE


class Reading:
    """A plain document, read."""

    __slots__ = ("_context", "_members", "elements", "root")

    def __init__(self, document: dict[str, Json], context: ActiveContext) -> None:
        """Read `document`, whose `@context` is that of `context`. Raises `NotPlain`."""
        self._context = context
        self._members = context.members
        self.elements: list[tuple[dict[str, Json], Node]] = []
        """Each JSON object that is a node, and the expanded node that was read from it."""
        try:
            self.root = self._node({name: document[name] for name in document if name != "@context"})
        except NotJsonLd:
            raise NotPlain from None  # pyld says what is wrong
        self.elements[-1] = (document, self.root)

    def _node(self, element: dict[str, Json], names: Iterable[str] | None = None) -> Node:
        node: Node = {}
        members = self._members
        before = len(self.elements)
        said: dict[str, str] = {}
        for name in element if names is None else names:
            member = members[name]
            value = element[name]
            kind = member.kind
            iri = member.iri
            if names is not None:
                if said.setdefault(iri, member.said) != member.said:
                    raise NotPlain  # they are one property to us, and two to pyld
            elif iri in node:
                # Two names for one property: their values follow in the order of the names (section 5.1.2).
                del self.elements[before:]
                return self._node(element, sorted(element))
            if kind is not _TEXT and kind is not _REFERENCE:
                self._other(node, member, value)
            elif type(value) is list:
                items = self._items(member, value)
                node[iri] = node[iri] + items if iri in node else items
            elif value is not None:
                item = self._item(member, value)
                if item is None:
                    continue
                if iri in node:
                    node[iri].append(item)
                else:
                    node[iri] = [item]
        # pyld says what is wrong with a second id or type.
        if not _ALIASED.isdisjoint(element):
            self._refuse_doubles(element)
        self.elements.append((element, node))
        return node

    def _other(self, node: Node, member: Member, value: Json) -> None:
        kind = member.kind
        if kind is Kind.ID:
            if type(value) is not str:
                raise NotPlain
            identifier = self._context.identifier(value)
            if identifier is not None:
                node["@id"] = identifier
        elif kind is Kind.TYPE:
            self._types(node, value)
        elif kind is Kind.LIST:
            items = self._items(member, value if type(value) is list else [value])
            if items or type(value) is list:
                node.setdefault(member.iri, []).append({"@list": items})
        elif kind is Kind.LANGUAGES:
            self._languages(node, member, value)

    def _refuse_doubles(self, element: dict[str, Json]) -> None:
        kinds = [self._members[name].kind for name in element]
        if kinds.count(Kind.ID) > 1 or kinds.count(Kind.TYPE) > 1:
            raise NotPlain

    def _types(self, node: Node, value: Json) -> None:
        names = value if type(value) is list else [value]
        types = self._context.types
        found = []
        for name in names:
            if type(name) is not str:
                raise NotPlain
            iri = types[name]
            if iri is not None:
                found.append(iri)
        if names:
            node["@type"] = found

    def _items(self, member: Member, values: list[Json]) -> list[Node]:
        found = []
        for value in values:
            if value is None:
                continue
            if type(value) is list:
                raise NotPlain
            item = self._item(member, value)
            if item is not None:
                found.append(item)
        return found

    def _item(self, member: Member, value: Json) -> Node | None:
        kind = type(value)
        if kind is str:
            if member.refers:
                identifier = self._context.identifier(value)  # type: ignore[arg-type]
                return {} if identifier is None else {"@id": identifier}
            literal = member.literal
            return {"@value": value} if literal is None else {"@value": value, **literal}
        if kind is dict:
            if "@value" in value:  # type: ignore[operator]
                return self._value(value)  # type: ignore[arg-type]
            return self._node(value)  # type: ignore[arg-type]
        if kind is list:
            raise NotPlain
        return (
            {"@value": value, **member.literal} if member.is_typed and member.literal else {"@value": value}
        )

    def _value(self, element: dict[str, Json]) -> Node | None:
        if not element.keys() <= _VALUE_OBJECT:
            raise NotPlain
        value = element["@value"]
        if "@type" in element:
            datatype = element["@type"]
            if "@language" in element or type(datatype) is not str:
                raise NotPlain
            found: Node = {"@value": value, "@type": self._context.datatype(datatype)}
            if found["@type"] == _DOUBLE:
                raise NotPlain
        elif element.get("@language") is not None:
            language = element["@language"]
            if type(language) is not str or type(value) is not str:
                raise NotPlain
            found = {"@value": value, "@language": check_language(language.lower())}
        else:
            found = {"@value": value}
        if isinstance(value, dict | list):
            raise NotPlain
        return None if value is None else found

    def _languages(self, node: Node, member: Member, value: Json) -> None:
        if not isinstance(value, dict):
            raise NotPlain
        found = node.setdefault(member.iri, [])
        for language in sorted(value):
            texts = value[language]
            if language.startswith("@"):
                raise NotPlain
            for text in texts if isinstance(texts, list) else [texts]:
                if text is None:
                    continue
                if type(text) is not str or self._context.iri(language) == "@none":
                    raise NotPlain
                found.append({"@value": text, "@language": check_language(language.lower())})


class Triples:
    """The RDF of an expanded node without named blank nodes (JSON-LD 1.1 API, section 8)."""

    __slots__ = ("labels", "properties")

    def __init__(self, root: Node) -> None:
        """Make the triples of `root`."""
        self.properties: Properties = {}
        self.labels: dict[int, str] = {}
        """The labels of blank nodes, by the `id()` of the expanded node."""
        self._subject(root)

    def _subject(self, node: Node) -> str:
        subject: str | None = node.get("@id")
        if subject is None:
            subject = self.labels[id(node)] = f"_:{len(self.labels)}"
        elif len(node) == 1:
            return subject
        term = self._term
        for predicate, values in node.items():
            first = predicate[0]
            if first == "@":
                if predicate != "@type" or not values:
                    continue
                predicate, terms = _TYPE, values  # noqa: PLW2901  (its name in RDF)
            elif first == "_":
                self._below(values)
                continue
            elif not values:
                continue
            else:
                terms = [term(value) for value in values]
            # Looked up each time: what stands below may have described the same subject.
            described = self.properties.get(subject)
            if described is None:
                described = self.properties[subject] = {}
            if predicate in described:
                terms = [*described[predicate], *terms]
            described[predicate] = terms if len(terms) == 1 else list(dict.fromkeys(terms))
        return subject

    def _below(self, values: list[Node]) -> None:
        """Describe what stands under a blank predicate, which RDF 1.1 has not."""
        for value in values:
            if "@list" in value:
                self._below(value["@list"])
            elif "@value" not in value:
                self._subject(value)

    def _term(self, value: Node) -> Term:
        if "@value" not in value:
            return self._list(value["@list"]) if "@list" in value else self._subject(value)
        text = value["@value"]
        if type(text) is not str:
            found, datatype = native(value)
            return (found, datatype, "")
        if len(value) == 1:
            return (text, _STRING, "")
        if "@language" in value:
            return (text, _LANG_STRING, value["@language"])
        return (text, value["@type"], "")

    def _list(self, values: list[Node]) -> str:
        head = _NIL
        for value in reversed(values):
            cell = self.labels[-1 - len(self.labels)] = f"_:{len(self.labels)}"
            self.properties[cell] = {_FIRST: [self._term(value)], _REST: [head]}
            head = cell
        return head
