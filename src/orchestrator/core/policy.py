"""Policies: what the maintainer wants to happen to which notifications (`docs/reference/policies.md`).

A policy is Turtle: `pol:when` is a SHACL Core node shape whose focus is the activity, `pol:then` a closed
vocabulary of actions. What the message says about itself is never a fact: trust, ownership and
correlation are vouched for by us and replace whatever the message claims in the same terms.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.jsonld import Contexts, Triples, expand, to_quads
from orchestrator.core.notification import activity_root
from orchestrator.core.policy_index import PolicyIndex, needs
from orchestrator.core.policy_reading import Disposition, Reading
from orchestrator.core.publication import payload_of, plain_payload_of, project
from orchestrator.core.shapes.compiler import Compiler
from orchestrator.core.shapes.data import Data, Term
from orchestrator.core.shapes.lines import Remark
from orchestrator.core.strict_json import canonical, parse

Trust = Literal["blocked", "unknown", "verified", "trusted"]

_POL: Final = v.POLICY
_STRENGTH: Final[dict[Disposition, int]] = {"Log": 0, "Ignore": 1, "RequireAcceptance": 2}
_TRUST: Final[dict[Trust, str]] = {
    "blocked": "BlockedSender",
    "unknown": "UnknownSender",
    "verified": "VerifiedSender",
    "trusted": "TrustedSender",
}
_TYPE: Final = v.RDF + "type"
_NOT_FROM_MESSAGES: Final = (v.RDFS, v.OWL, v.SH, v.POLICY, v.LOG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What we vouch for about one notification."""

    sender: str
    trust: Trust
    artefacts: tuple[str, ...]
    """IRIs in it that are artefacts of ours."""
    me: tuple[str, ...]
    """IRIs by which we are known."""
    solicited: bool
    """Whether it answers something that we know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a worker found out about one accepted body."""

    payload: bytes
    """The published part: canonical JSON, read under `core.event.CONTEXT`."""
    matched: tuple[str, ...]
    """IRIs of the policies whose condition holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to happen, and which policies say so."""

    disposition: Disposition
    because: tuple[str, ...]
    """IRIs of the policies that set the disposition; empty: the default."""
    announce: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Hub → IRIs of the policies that ask to tell it."""


class PolicySet:
    """All policies of a pod, loaded whole or not at all."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read `files`: Turtle by file name. Raises `ConfigurationError` with every error."""
        self.files = dict(files)
        reading = Reading(files)
        self.policies = reading.policies
        self.remarks = tuple(reading.remarks)
        errors = [str(remark) for remark in self.remarks if remark.severity == "error"]
        if errors:
            raise ConfigurationError("\n".join(errors))
        conditions = [reading.conditions.get(iri) for iri in self.policies]
        self._conditions = [
            (iri, Compiler(condition.graph).compile([condition.top]) if condition else None)
            for iri, condition in zip(self.policies, conditions, strict=True)
        ]
        self._index = PolicyIndex(
            needs(condition.graph, condition.top) if condition else () for condition in conditions
        )
        digest = hashlib.sha256(canonical(dict(sorted(files.items())))).digest()
        # RFC 6920: the name of a thing by its hash.
        self.id = "ni:///sha-256;" + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    @property
    def bounded(self) -> bool:
        """Whether matching never raises `Unbounded`."""
        return all(condition is None or condition.bounded for _, condition in self._conditions)

    def matching(self, data: Data, root: str, *, unbounded: bool = False) -> tuple[str, ...]:
        """Return the IRIs of the policies whose condition holds for the node `root` of `data`.

        Raises `Unbounded` if a pattern may take long, unless `unbounded` allows it to.
        """
        tried = (self._conditions[number] for number in self._index.candidates(data, root))
        return tuple(
            iri
            for iri, condition in tried
            if condition is None or condition.conforms(data, root, unbounded=unbounded)
        )

    def decide(self, matched: Iterable[str], *, accepted: bool = False) -> Decision:
        """Return what the matching policies together ask for.

        Once the maintainer has `accepted` the notification, nobody's asking for acceptance counts.
        """
        policies = [self.policies[iri] for iri in matched if iri in self.policies]
        voices = [
            (policy.priority, _STRENGTH[said], said, policy.iri)
            for policy in policies
            for said in policy.dispositions
            if not (accepted and said == "RequireAcceptance")
        ]
        disposition: Disposition = max(voices)[2] if voices else "Log"
        hubs: dict[str, tuple[str, ...]] = {}
        if disposition == "Log":
            for policy in policies:
                for hub in policy.hubs:
                    hubs[hub] = (*hubs.get(hub, ()), policy.iri)
        because = tuple(iri for _, _, said, iri in voices if said == disposition)
        return Decision(disposition=disposition, because=because, announce=hubs)


def lint(files: Mapping[str, str]) -> tuple[Remark, ...]:
    """Return what `PolicySet` would say of `files`, and of a set that it refuses."""
    return tuple(Reading(files).remarks)


def judge(body: bytes, facts: Facts, *, contexts: Contexts, policies: PolicySet) -> Judgement:
    """Project an accepted body and match it with `policies`.

    It may take long: whoever calls it can be stopped.
    """
    root = activity_root(expand(parse(body), contexts))
    published = project(root)
    said = Data.from_quads(to_quads([published], contexts))
    data = vouched(said, published["@id"], facts)
    matched = policies.matching(data, root["@id"], unbounded=True)
    return Judgement(payload=payload_of(published, contexts), matched=matched)


def published(body: bytes, contexts: Contexts) -> bytes:
    """Return the payload of the event that an accepted `body` would become."""
    return payload_of(project(activity_root(expand(parse(body), contexts))), contexts)


def judge_plain(root: Mapping[str, Any], facts: Facts, policies: PolicySet) -> Judgement:
    """Judge the root of a plain document, as `judge` does, in a time that its length bounds.

    Raises `NotPlain` or `Unbounded` when only `judge` can tell.
    """
    published = project(root)
    data = vouched(Data(Triples(published).properties), published["@id"], facts)
    return Judgement(payload=plain_payload_of(published), matched=policies.matching(data, root["@id"]))


def vouched(said: Data, root: str, facts: Facts) -> Data:
    """Return `said`, changed: without claims in our terms, plus our facts.

    This one function makes the data for every engine that matches policies.
    """
    for about in said.properties.values():
        for claim in [name for name in about if name.startswith(_NOT_FROM_MESSAGES)]:
            del about[claim]
        if _TYPE in about:
            about[_TYPE] = [
                value for value in about[_TYPE] if not _text(value).startswith(_NOT_FROM_MESSAGES)
            ]
    said.add(root, _TYPE, _POL + ("Solicited" if facts.solicited else "Unsolicited"))
    for artefact in facts.artefacts:
        said.add(artefact, _TYPE, _POL + "MyArtefact")
    for name in facts.me:
        said.add(name, _TYPE, _POL + "Me")
    if facts.sender:
        said.add(facts.sender, _TYPE, _POL + _TRUST[facts.trust])
    return said


def _text(term: Term) -> str:
    return term if isinstance(term, str) else term[0]
