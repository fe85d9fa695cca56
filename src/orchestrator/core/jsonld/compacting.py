"""Compaction with one fixed context, compiled (JSON-LD 1.1 API, section 6): pyld's result, or `NotPlain`."""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.core.jsonld import standard
from orchestrator.core.jsonld.compiled import NotPlain, Table
from orchestrator.core.jsonld.contexts import Contexts
from orchestrator.core.strict_json import Json

_LITERAL: Final = frozenset({"@value", "@type", "@language"})
_REFERENCE: Final = "@id"
_OTHER: Final = ""


class Compaction:
    """How expanded nodes are written under a context whose terms have datatypes, but no containers."""

    def __init__(self, context: Mapping[str, Json], contexts: Contexts) -> None:
        """Compile `context`. Raises `NotPlain` if it has more than terms, prefixes and datatypes."""
        active = standard.active_context(dict(context), contexts)
        mappings = active["mappings"]
        if any(
            not found or set(found) & {"@container", "@language", "@context"} for found in mappings.values()
        ):
            raise NotPlain
        self._vocabulary: str = active["@vocab"]
        self._id = self._alias(mappings, "@id")
        self._type = self._alias(mappings, "@type")
        self._taken = frozenset(mappings)
        self._mapped = frozenset(found["@id"] for found in mappings.values())
        self._prefixes = [(name, found["@id"]) for name, found in mappings.items() if found["_prefix"]]
        self._schemes = tuple(f"{name}:" for name, _ in self._prefixes)
        self._untyped = frozenset(found["@id"] for found in mappings.values() if "@type" not in found)
        self._terms: dict[tuple[str, str], str] = {}
        # Of several terms the shortest is taken, then the first of the alphabet (section 4.3).
        for name in sorted(mappings, key=lambda name: (len(name), name)):
            found = mappings[name]
            if "@type" in found:
                self._terms.setdefault((found["@id"], found["@type"]), name)
        self._keys = Table(self._key)
        self._names = Table(self._name)

    def compact(self, node: Mapping[str, Any]) -> dict[str, Json]:
        """Return `node`, expanded, under the context, which is not written. Raises `NotPlain`."""
        found: dict[str, Json] = {}
        for prop, values in node.items():
            if prop == "@id":
                found[self._id] = self._identifier(values)
            elif prop == "@type":
                names: list[Json] = [self._names[name] for name in values]
                if names:
                    found[self._type] = names[0] if len(names) == 1 else names
            elif prop[0] == "@":
                raise NotPlain
            else:
                for value in values:
                    self._add(found, prop, value)
        return found

    def _add(self, found: dict[str, Json], prop: str, value: dict[str, Any]) -> None:
        written: Json
        if "@value" in value:
            datatype = value.get("@type", _OTHER)
            name, is_coerced = self._keys[prop, datatype]
            written = value["@value"] if len(value) == 1 or is_coerced else self._literal(value)
        else:
            name, is_coerced = self._keys[prop, _REFERENCE]
            if is_coerced and len(value) == 1 and "@id" in value:
                written = self._identifier(value["@id"])
            else:
                written = self.compact(value)
        if name not in found:
            found[name] = written
            return
        present = found[name]
        if isinstance(present, list):
            present.append(written)
        else:
            found[name] = [present, written]

    def _literal(self, value: Mapping[str, Any]) -> dict[str, Json]:
        if not value.keys() <= _LITERAL:
            raise NotPlain
        written: dict[str, Json] = {"@value": value["@value"]}
        if "@language" in value:
            written["@language"] = value["@language"]
        if "@type" in value:
            written[self._type] = self._names[value["@type"]]
        return written

    def _key(self, asked: tuple[str, str]) -> tuple[str, bool]:
        """Return the member's name for a property with values of a kind, and whether it tells the kind."""
        prop, _ = asked
        term = self._terms.get(asked)
        if term is not None:
            return term, True
        if prop in self._untyped:
            raise NotPlain
        return self._vocabulary_name(prop), False

    def _name(self, iri: str) -> str:
        """Return the name of a type or a datatype."""
        if iri in self._mapped or iri[0] == "@":
            raise NotPlain
        return self._vocabulary_name(iri)

    def _vocabulary_name(self, iri: str) -> str:
        if iri.startswith(self._vocabulary) and iri != self._vocabulary:
            suffix = iri[len(self._vocabulary) :]
            if ":" in suffix or suffix[0] == "@":
                raise NotPlain
            if suffix not in self._taken:
                return suffix
        return self._compact_iri(iri)

    def _identifier(self, iri: str) -> str:
        if iri in self._mapped:
            raise NotPlain
        return self._compact_iri(iri)

    def _compact_iri(self, iri: str) -> str:
        for name, namespace in self._prefixes:
            if iri.startswith(namespace) and iri != namespace:
                written = f"{name}:{iri[len(namespace) :]}"
                if written in self._taken:
                    raise NotPlain
                return written
        if iri.startswith(self._schemes):
            raise NotPlain
        return iri

    @staticmethod
    def _alias(mappings: Mapping[str, Any], keyword: str) -> str:
        return next((name for name, found in mappings.items() if found["@id"] == keyword), keyword)
