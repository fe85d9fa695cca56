"""The direct JSON-LD path against pyld, on generated documents: `python -m tests.agreement.documents`.

Whatever the direct path takes it must read to the same expanded document, the same triples and the same
published payload; it may leave anything to pyld.
"""

import argparse
import json
import random
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.event import CONTEXT
from orchestrator.core.jsonld import (
    ActiveContext,
    Compaction,
    Contexts,
    NotJsonLd,
    NotPlain,
    Properties,
    Reading,
    Triples,
    compact,
    expand,
    to_quads,
)
from orchestrator.core.publication import project
from orchestrator.core.shapes.data import Data
from orchestrator.core.strict_json import canonical

Document = dict[str, Any]
CONTEXTS = bundled_contexts()
COMPACTION = Compaction(CONTEXT, Contexts({}))

_NAMES = [
    "actor",
    "object",
    "target",
    "origin",
    "context",
    "inReplyTo",
    "inbox",
    "url",
    "name",
    "summary",
    "content",
    "orderedItems",
    "items",
    "published",
    "totalItems",
    "accuracy",
    "height",
    "duration",
    "tag",
    "mediaType",
    "href",
    "unknown",
    "Person",
    "closed",
    "subject",
    "relationship",
    "to",
]
_PREFIXED = [
    "as:name",
    "as:actor",
    "as:object",
    "as:published",
    "ietf:cite-as",
    "ietf:item",
    "sorg:name",
    "ldp:inbox",
    "coar-notify:x",
    "xsd:x",
    "https://schema.org/name",
    "http://schema.org/name",
    "http://coar-notify.net/specification/vocabulary/x",
    "https://purl.org/coar/notify_vocabulary/x",
    "urn:example:p",
    "https://example.org/p",
]
_KEYWORDS = ["@id", "@type", "@value", "@language", "id", "type", "nameMap", "contentMap", "unknown:x", "_:p"]
_UNUSUAL = [
    "@list",
    "@set",
    "@graph",
    "@index",
    "@reverse",
    "@included",
    "@nest",
    "@direction",
    "@json",
    "@unknown",
    "@context",
]
_TYPES = [
    "Announce",
    "Offer",
    "Accept",
    "Person",
    "Service",
    "Article",
    "ReviewAction",
    "coar-notify:ReviewAction",
    "EndorsementAction",
    "sorg:Review",
    "https://schema.org/Review",
    "unknown",
    "object",
    "xsd:date",
    "xsd:integer",
    "http://www.w3.org/2001/XMLSchema#float",
]
_IRIS = [
    "https://example.org/1",
    "https://example.org/2",
    "urn:uuid:0",
    "urn:uuid:1",
    "http://schema.org/x",
    "as:Public",
    "sorg:thing",
    "ldp:inbox",
    "mailto:a@example.org",
    "relative",
    "/rooted",
    "#fragment",
    "http://a<b",
    "doi:10.1/x",
    "https://coar-notify.net/specification/vocabulary/y",
]
_HOSTILE_IRIS = [
    "_:b0",
    "_:b1",
    "log:1",
    "prov:x",
    "data:text/html,",
    "JAVASCRIPT:alert(1)",
    "@id",
    "@type",
    "@foo",
    "X:y",
]
_HOSTILE_TYPES = ("@json", "rdf:HTML", v.RDF + "HTML", "xsd:double")
_AS = st.sampled_from([url for url, known in v.CONTEXT_ALIASES.items() if known == v.AS_CONTEXT])
_NOTIFY = st.sampled_from([url for url, known in v.CONTEXT_ALIASES.items() if known == v.NOTIFY_CONTEXT])
_NUMBERS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([5.0, 1e21, 0.1]),
)
_LANGUAGES = st.sampled_from(["en", "EN-gb", "de", "none"])
_HOSTILE_LANGUAGES = st.sampled_from(["en", "@none", "no language", "", "@x"])


class Making:
    """How documents are made: as careless senders write them, or as hostile ones do."""

    def __init__(self, *, is_hostile: bool) -> None:
        """Prepare the strategies."""
        self.is_hostile = is_hostile
        self.iris = st.sampled_from([*_IRIS, *(_HOSTILE_IRIS if is_hostile else ())])
        self.types = st.sampled_from([*_TYPES, *(_HOSTILE_TYPES if is_hostile else ())])
        self.languages = _HOSTILE_LANGUAGES if is_hostile else _LANGUAGES
        known = st.sampled_from(["", "A text", "Ünïcödé", "2026-01-01T00:00:00Z", "12", "1.0E0"])
        self.texts = st.one_of(known, self.iris)
        self.scalars = st.one_of(self.texts, _NUMBERS, st.booleans(), st.none())
        self.plain_names = st.one_of(st.sampled_from(_NAMES), st.sampled_from(_PREFIXED))
        names = [self.plain_names, self.plain_names]
        self.names = st.one_of(*names, *([st.sampled_from(_KEYWORDS)] if is_hostile else []))
        self.values = st.recursive(
            st.one_of(self.scalars, self.scalars, self._value_object()), self._extended, max_leaves=12
        )
        self.contexts = self._contexts()

    def _value_object(self) -> st.SearchStrategy[Any]:
        typed = st.fixed_dictionaries({"@value": self.scalars, "@type": self.types})
        tagged = st.fixed_dictionaries({"@value": self.texts, "@language": self.languages})
        bare = st.fixed_dictionaries({"@value": self.scalars}, optional={"@language": st.none()})
        odd = st.fixed_dictionaries(
            {"@value": self.scalars},
            optional={"@type": self.iris, "@language": self.languages, "@index": self.texts},
        )
        return st.one_of(typed, tagged, bare, *([odd] if self.is_hostile else []))

    def members(self, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
        """Make members by the names that AS2 and COAR Notify give them."""
        maps = st.dictionaries(
            self.languages,
            st.one_of(self.texts, st.lists(st.one_of(self.texts, st.none()), max_size=2)),
            max_size=3,
        )
        return st.fixed_dictionaries(
            {},
            optional={
                "id": self.iris,
                "type": st.one_of(self.types, st.lists(self.types, max_size=3)),
                "name": st.one_of(values, st.lists(values, max_size=3)),
                "nameMap": maps,
                "orderedItems": st.one_of(values, st.lists(values, max_size=3)),
                "actor": st.one_of(self.iris, values),
                "published": st.one_of(self.texts, values),
                "ietf:cite-as": st.one_of(self.iris, values),
            },
        )

    def _extended(self, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        members = self.members(values)
        usual: list[st.SearchStrategy[Any]] = [
            members,
            members,
            st.dictionaries(self.plain_names, values, max_size=4),
        ]
        if not self.is_hostile:
            return st.one_of(*usual)
        usual.append(st.lists(values, max_size=3))
        unusual = st.dictionaries(st.sampled_from(_UNUSUAL), values, max_size=1)
        return st.one_of(*usual, st.dictionaries(self.names, values, max_size=4), unusual)

    def _contexts(self) -> st.SearchStrategy[Any]:
        both = st.tuples(_AS, _NOTIFY).map(list)
        if not self.is_hostile:
            return st.one_of(both, both, _AS)
        some = st.lists(st.one_of(_AS, _NOTIFY, st.just(v.LDP_CONTEXT)), min_size=1, max_size=4)
        inline = st.sampled_from([{"@language": "en"}, {"x": "https://example.org/x"}, {"@vocab": "urn:v:"}])
        return st.one_of(both, some, st.tuples(_AS, inline).map(list))


MAKINGS = [Making(is_hostile=False), Making(is_hostile=False), Making(is_hostile=True)]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """An AS2 activity as careless and hostile senders write them."""
    making = draw(st.sampled_from(MAKINGS))
    members: Document = {"@context": draw(making.contexts), **draw(making.members(making.values))}
    members |= draw(st.dictionaries(making.plain_names, making.values, max_size=3))
    if making.is_hostile:
        members |= draw(st.dictionaries(making.names, making.values, max_size=2))
    members["id"] = draw(st.one_of(st.just("urn:uuid:0"), making.iris))
    members["type"] = draw(st.one_of(making.types, st.lists(making.types, max_size=3)))
    return members


class Disagreement(AssertionError):
    """The two paths read a document differently."""


def compare(document: Document) -> str:
    """Return who reads `document`; raises `Disagreement`."""
    before = json.dumps(document)
    try:
        reading = Reading(document, ActiveContext.of(document["@context"], CONTEXTS))
    except NotPlain:
        return "left to pyld"
    if json.dumps(document) != before:
        raise Disagreement(f"changed: {before}")
    try:
        expanded = expand(document, CONTEXTS)
    except NotJsonLd as error:
        raise Disagreement(f"pyld refuses what was taken: {error.message}: {before}") from None
    if not expanded and not set(reading.root) - {"@id"}:
        return "taken, nothing said"
    if [reading.root] != expanded:
        raise Disagreement(f"expanded: {reading.root} is not {expanded}: {before}")
    ours = shape_of(Triples(reading.root).properties)
    if ours != shape_of(Data.from_quads(to_quads(expanded, CONTEXTS)).properties):
        raise Disagreement(f"quads: {before}")
    if "@id" not in reading.root:
        return "taken, without id"
    return _compare_payload(reading.root, before)


def _compare_payload(root: Document, before: str) -> str:
    published = project(root)
    if not set(published) - {"@id"}:
        return "taken, nothing published"
    try:
        written = COMPACTION.compact(published)
    except NotPlain:
        return "taken, payload left to pyld"
    compacted = compact([published], dict(CONTEXT), CONTEXTS)
    compacted.pop("@context", None)
    if canonical(written) != canonical(compacted):
        raise Disagreement(f"payload: {written} is not {compacted}: {before}")
    return "taken whole"


def shape_of(properties: Properties) -> Counter[Any]:
    """Return triples with each blank node written out where it is named: each is named once at most."""
    named = {
        term for about in properties.values() for found in about.values() for term in found if is_blank(term)
    }

    def about(subject: str) -> Any:
        described = properties.get(subject, {})
        found = [(predicate, written(term)) for predicate, terms in described.items() for term in terms]
        return tuple(sorted(found, key=repr))

    def written(term: Any) -> Any:
        return ("blank", about(term)) if is_blank(term) else ("term", term)

    return Counter(
        (None if is_blank(subject) else subject, about(subject))
        for subject in properties
        if subject not in named
    )


def is_blank(term: Any) -> bool:
    """Tell whether a term is a blank node."""
    return isinstance(term, str) and term.startswith("_:")


def main() -> None:
    """Compare generated documents, and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    kinds = run(asked.count, asked.seed)
    print(f"{sum(kinds.values())} documents, 0 disagreements: {dict(kinds.most_common())}")


def run(count: int, number: int) -> Counter[str]:
    """Compare `count` documents made from the seed `number`; return how many were read by whom."""
    kinds: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents())
    def agree(document: Document) -> None:
        kinds[compare(document)] += 1

    agree()
    return kinds


if __name__ == "__main__":
    main()
