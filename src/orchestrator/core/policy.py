"""Policies: what the maintainer wants to happen to which notifications (`docs/reference/policies.md`).

A policy is Turtle: `pol:when` is a SHACL Core node shape whose focus is the activity, `pol:then` a closed
vocabulary of actions. What the message says about itself is never a fact: trust, ownership and
correlation are vouched for by us and replace whatever the message claims in the same terms.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator.core import event
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.jsonld import Contexts, compact, expand, is_absolute, to_quads
from orchestrator.core.notification import activity_root
from orchestrator.core.policy_lint import Condition, Trouble, local, nearest
from orchestrator.core.rdf import RDF, RDFS, SH, Graph, NotTurtle, URIRef, graph_of, new_graph, parse_turtle
from orchestrator.core.rdf import Literal as RdfLiteral
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shacl import focused, refuse_unsafe, run
from orchestrator.core.strict_json import canonical, parse

Trust = Literal["blocked", "unknown", "verified", "trusted"]
Disposition = Literal["Log", "Ignore", "RequireAcceptance"]

_POL: Final = v.POLICY
_DISPOSITIONS: Final[dict[str, Disposition]] = {
    _POL + "Log": "Log",
    _POL + "Ignore": "Ignore",
    _POL + "RequireAcceptance": "RequireAcceptance",
}
_ANNOUNCE: Final = _POL + "Announce"
_LATER: Final = frozenset(_POL + name for name in ("Suggest", "Apply", "Mail", "CreateJob"))
_STRENGTH: Final[dict[Disposition, int]] = {"Log": 0, "Ignore": 1, "RequireAcceptance": 2}
_TRUST: Final[dict[Trust, str]] = {
    "blocked": "BlockedSender",
    "unknown": "UnknownSender",
    "verified": "VerifiedSender",
    "trusted": "TrustedSender",
}
_TERMS: Final = frozenset(
    _POL + name
    for name in (
        "Policy",
        "when",
        "then",
        "to",
        "priority",
        "Announce",
        "Log",
        "Ignore",
        "RequireAcceptance",
        "MyArtefact",
        "Me",
        "Solicited",
        "Unsolicited",
        *_TRUST.values(),
    )
)
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
class Policy:
    """One policy, as its file states it."""

    iri: str
    label: str
    source: str
    """Name of the file."""
    when: RdfNode | None
    dispositions: tuple[Disposition, ...]
    hubs: tuple[str, ...]
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to happen, and which policies say so."""

    disposition: Disposition
    because: tuple[str, ...]
    """IRIs of the policies that set the disposition; empty: the default."""
    announce: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Hub → IRIs of the policies that ask to tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What lint has to say about a policy file."""

    source: str
    message: str
    line: int | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """Return it as compilers do."""
        place = f"{self.source}:{self.line}" if self.line else self.source
        return f"{place}: {self.severity}: {self.message}"


class PolicySet:
    """All policies of a pod, loaded whole or not at all."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read `files`: Turtle by file name. Raises `ConfigurationError` with every error."""
        self.files = dict(files)
        self._graphs: dict[str, Graph] = {}
        self.policies: dict[str, Policy] = {}
        remarks: list[Remark] = []
        for name, text in sorted(files.items()):
            remarks += self._load(name, text)
        self.remarks = tuple(remarks)
        errors = [str(remark) for remark in remarks if remark.severity == "error"]
        if errors:
            raise ConfigurationError("\n".join(errors))
        digest = hashlib.sha256(canonical(dict(sorted(files.items())))).digest()
        # RFC 6920: the name of a thing by its hash.
        self.id = "ni:///sha-256;" + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _load(self, name: str, text: str) -> Iterator[Remark]:
        base = f"{_POL.removesuffix('#')}/{name.removesuffix('.ttl')}"
        try:
            graph = parse_turtle(text, base)
            refuse_unsafe(graph, name)
        except NotTurtle as error:
            yield Remark(source=name, message=error.message, line=_line_in(error.message))
            return
        except ConfigurationError as error:
            yield Remark(source=name, message=error.message)
            return
        yield from _lint_terms(graph, name, text)
        found = sorted(graph.subjects(RDF.type, URIRef(_POL + "Policy")), key=str)
        if not found:
            yield Remark(source=name, message="no pol:Policy in this file")
        for subject in found:
            line = _line_of(text, str(subject))
            try:
                policy = _read_policy(graph, subject, name)
            except ConfigurationError as error:
                yield Remark(source=name, message=error.message, line=line)
                continue
            if policy.iri in self.policies:
                yield Remark(source=name, message=f"{policy.iri} is in two files", line=line)
            yield from _lint_conditions(graph, policy, line)
            self.policies[policy.iri] = policy
            self._graphs[policy.iri] = focused(graph, [policy.when]) if policy.when is not None else graph

    def matching(self, data: Graph, root: str) -> tuple[str, ...]:
        """Return the IRIs of the policies whose condition holds for the node `root` of `data`."""
        return tuple(
            iri
            for iri, policy in self.policies.items()
            if policy.when is None or _conforms(run(data, self._graphs[iri], root))
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


def judge(body: bytes, facts: Facts, *, contexts: Contexts, policies: PolicySet) -> Judgement:
    """Project an accepted body and match it with `policies`."""
    root = activity_root(expand(parse(body), contexts))
    published = event.project(root)
    compacted = compact([published], dict(event.CONTEXT), contexts)
    compacted.pop("@context", None)
    data = decision_graph(published, facts, contexts)
    return Judgement(payload=canonical(compacted), matched=policies.matching(data, root["@id"]))


def decision_graph(published: Mapping[str, Any], facts: Facts, contexts: Contexts) -> Graph:
    """Return what policies are decided on: the payload without claims in our terms, plus our facts.

    This one function builds the data for every engine that matches policies.
    """
    data = new_graph()
    for subject, predicate, value in graph_of(to_quads([dict(published)], contexts)):
        claims = str(predicate).startswith(_NOT_FROM_MESSAGES)
        types = predicate == RDF.type and str(value).startswith(_NOT_FROM_MESSAGES)
        if not claims and not types:
            data.add((subject, predicate, value))
    root = URIRef(str(published["@id"]))
    data.add((root, RDF.type, URIRef(_POL + ("Solicited" if facts.solicited else "Unsolicited"))))
    for artefact in facts.artefacts:
        data.add((URIRef(artefact), RDF.type, URIRef(_POL + "MyArtefact")))
    for name in facts.me:
        data.add((URIRef(name), RDF.type, URIRef(_POL + "Me")))
    if facts.sender:
        data.add((URIRef(facts.sender), RDF.type, URIRef(_POL + _TRUST[facts.trust])))
    return data


def _conforms(report: Graph) -> bool:
    return (None, SH.conforms, RdfLiteral(True)) in report  # noqa: FBT003


def _read_policy(graph: Graph, subject: RdfNode, name: str) -> Policy:
    if not isinstance(subject, URIRef):
        raise ConfigurationError("give the policy a name: `<#name> a pol:Policy`")
    label = graph.value(subject, RDFS.label)
    if label is None:
        raise ConfigurationError(f"give {_local(subject)} an rdfs:label: logs and the dashboard show it")
    conditions = list(graph.objects(subject, URIRef(_POL + "when")))
    if len(conditions) > 1:
        raise ConfigurationError(
            f"{_local(subject)} has several pol:when; put them into one shape or two policies"
        )
    dispositions, hubs = _read_actions(graph, subject)
    priority = graph.value(subject, URIRef(_POL + "priority"))
    if priority is not None and not isinstance(getattr(priority, "value", None), int):
        raise ConfigurationError(f"pol:priority of {_local(subject)} must be an integer")
    return Policy(
        iri=str(subject),
        label=str(label),
        source=name,
        when=conditions[0] if conditions else None,
        dispositions=tuple(dispositions),
        hubs=tuple(sorted(set(hubs))),
        priority=int(str(priority)) if priority is not None else 0,
    )


def _read_actions(graph: Graph, subject: RdfNode) -> tuple[list[Disposition], list[str]]:
    dispositions: list[Disposition] = []
    hubs: list[str] = []
    actions = list(graph.objects(subject, URIRef(_POL + "then")))
    if not actions:
        raise ConfigurationError("say what is to happen: pol:then [ a pol:Announce | pol:Log | … ]")
    for action in actions:
        kind = str(action) if isinstance(action, URIRef) else str(graph.value(action, RDF.type))
        if kind in _DISPOSITIONS:
            dispositions.append(_DISPOSITIONS[kind])
        elif kind == _ANNOUNCE:
            targets = [str(hub) for hub in graph.objects(action, URIRef(_POL + "to"))]
            bad = [
                hub for hub in targets if not (is_absolute(hub) and hub.startswith(("http://", "https://")))
            ]
            if not targets or bad:
                raise ConfigurationError("pol:Announce needs pol:to <http(s) IRI of the hub>")
            hubs += targets
        elif kind in _LATER:
            raise ConfigurationError(f"pol:{kind.removeprefix(_POL)} is not available in this version")
        else:
            raise ConfigurationError(
                f"unknown action {kind}: use pol:Announce, pol:Log, pol:Ignore or pol:RequireAcceptance"
            )
    return dispositions, hubs


def _lint_terms(graph: Graph, name: str, text: str) -> Iterator[Remark]:
    used = {
        str(term) for triple in graph for term in triple if isinstance(term, URIRef) and term.startswith(_POL)
    }
    for term in sorted(used - _TERMS - _LATER):
        near = _nearest(term)
        hint = f"; did you mean pol:{near.removeprefix(_POL)}?" if near else ""
        message = f"unknown term pol:{term.removeprefix(_POL)}{hint}"
        yield Remark(source=name, message=message, line=_line_of(text, term.removeprefix(_POL)))


def _line_in(message: str) -> int | None:
    found = re.match(r"line (\d+)", message)
    return int(found[1]) if found else None
