"""Policies: what the maintainer wants to happen to which notifications (`docs/reference/policies.md`).

A policy is Turtle: `pol:when` is a SHACL Core node shape whose focus is the activity, `pol:then` a closed
vocabulary of actions. What the message says about itself is never a fact: trust, ownership and
correlation are vouched for by us and replace whatever the message claims in the same terms.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator.core import event
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.jsonld import Contexts, compact, expand, is_absolute, to_quads
from orchestrator.core.notification import activity_root
from orchestrator.core.policy_lint import Condition, Trouble, local, nearest, unused
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
        reading = _Reading(files)
        self.policies = reading.policies
        self.remarks = tuple(reading.remarks)
        errors = [str(remark) for remark in self.remarks if remark.severity == "error"]
        if errors:
            raise ConfigurationError("\n".join(errors))
        self._graphs = {
            iri: focused(condition.graph(), [condition.when]) for iri, condition in reading.conditions.items()
        }
        digest = hashlib.sha256(canonical(dict(sorted(files.items())))).digest()
        # RFC 6920: the name of a thing by its hash.
        self.id = "ni:///sha-256;" + base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def matching(self, data: Graph, root: str) -> tuple[str, ...]:
        """Return the IRIs of the policies whose condition holds for the node `root` of `data`."""
        return tuple(
            iri
            for iri in self.policies
            if iri not in self._graphs or _conforms(run(data, self._graphs[iri], root))
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
    return tuple(_Reading(files).remarks)


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


class _Reading:
    """What files say, sound or not."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.policies: dict[str, Policy] = {}
        self.conditions: dict[str, Condition] = {}
        self.remarks: list[Remark] = []
        for name, text in sorted(files.items()):
            self.remarks += sorted(self._read(name, text), key=lambda remark: remark.line or 0)

    def _read(self, name: str, text: str) -> Iterator[Remark]:
        base = f"{_POL.removesuffix('#')}/{name.removesuffix('.ttl')}"
        try:
            graph = parse_turtle(text, base)
        except NotTurtle as error:
            yield Remark(source=name, message=error.message, line=_line_in(error.message))
            return
        source = _Source(name, text, graph)
        try:
            refuse_unsafe(graph, name)
        except ConfigurationError as error:
            yield Remark(source=name, message=error.message)
        yield from _lint_terms(graph, source)
        yield from self._read_conditions(graph, source)
        found = sorted(graph.subjects(RDF.type, URIRef(_POL + "Policy")), key=str)
        if not found:
            yield Remark(source=name, message="no pol:Policy in this file")
        acting = {*graph.subjects(URIRef(_POL + "when")), *graph.subjects(URIRef(_POL + "then"))}
        for subject in sorted(acting - {*found}, key=str):
            message = f"{local(subject)} is no policy: write `a pol:Policy`"
            yield Remark(source=name, message=message, line=source.line_of(subject))
        for subject in found:
            line = source.line_of(subject)
            try:
                policy = _read_policy(graph, subject, name)
            except ConfigurationError as error:
                yield Remark(source=name, message=error.message, line=line)
                continue
            if policy.iri in self.policies:
                yield Remark(source=name, message=f"{policy.iri} is in two files", line=line)
            self.policies[policy.iri] = policy

    def _read_conditions(self, graph: Graph, source: "_Source") -> Iterator[Remark]:
        used = set[RdfNode]()
        for policy, when in graph.subject_objects(URIRef(_POL + "when")):
            condition = self.conditions[str(policy)] = Condition(graph, policy, when)
            used |= condition.shapes.keys()
            label = graph.value(policy, RDFS.label) or local(policy)
            for trouble in condition.troubles():
                yield source.remark(trouble, f"{label}: {trouble.message}")
        for trouble in unused(graph, used):
            yield source.remark(trouble, trouble.message)


class _Source:
    """A policy file, and on which of its lines something stands."""

    def __init__(self, name: str, text: str, graph: Graph) -> None:
        self.name = name
        self._lines = text.split("\n")
        named = {subject for subject in graph.subjects() if isinstance(subject, URIRef)}
        self._begins: dict[RdfNode, int] = {
            subject: line for subject in named if (line := self._beginning(subject))
        }

    def remark(self, trouble: Trouble, message: str) -> Remark:
        """Return a remark on the line of the trouble, if it is plain which, else on its owner's."""
        line = begins = self.line_of(trouble.owner)
        if trouble.term and begins is not None:
            end = min((other - 1 for other in self._begins.values() if other > begins), default=None)
            lines = list(self.lines_with(trouble.term, begins, end))
            line = lines[0] if len(lines) == 1 or (lines and trouble.first) else begins
        return Remark(source=self.name, message=message, line=line, severity=trouble.severity)

    def line_of(self, subject: RdfNode) -> int | None:
        """Return the line where `subject` begins, else the first that names it."""
        return self._begins.get(subject) or next(self.lines_with(f":{local(subject)}"), None)

    def lines_with(self, term: str, first: int = 1, end: int | None = None) -> Iterator[int]:
        """Yield the lines with `term`: a prefixed name, whose prefix may be empty for any."""
        prefix, _, name = term.partition(":")
        start = rf"(?:\b{prefix}:|[#/])" if prefix else "[:#/]"
        said = re.compile(rf"{start}{re.escape(name)}(?![\w:-])")
        return (n for n, line in enumerate(self._lines[:end], 1) if n >= first and said.search(line))

    def _beginning(self, subject: URIRef) -> int | None:
        name = re.escape(local(subject))
        begins = re.compile(rf"\s*(?:<(?:[^>]*[#/])?{name}>|[\w.-]*:{name}(?![\w:-]))")
        return next((n for n, line in enumerate(self._lines, 1) if begins.match(line)), None)


def _conforms(report: Graph) -> bool:
    return (None, SH.conforms, RdfLiteral(True)) in report  # noqa: FBT003


def _read_policy(graph: Graph, subject: RdfNode, name: str) -> Policy:
    if not isinstance(subject, URIRef):
        raise ConfigurationError("give the policy a name: `<#name> a pol:Policy`")
    label = graph.value(subject, RDFS.label)
    if label is None:
        raise ConfigurationError(f"give {local(subject)} an rdfs:label: logs and the dashboard show it")
    conditions = list(graph.objects(subject, URIRef(_POL + "when")))
    if len(conditions) > 1:
        raise ConfigurationError(
            f"{local(subject)} has several pol:when; put them into one shape or two policies"
        )
    dispositions, hubs = _read_actions(graph, subject)
    priority = graph.value(subject, URIRef(_POL + "priority"))
    if priority is not None and not isinstance(getattr(priority, "value", None), int):
        raise ConfigurationError(f"pol:priority of {local(subject)} must be an integer")
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


def _lint_terms(graph: Graph, source: _Source) -> Iterator[Remark]:
    used = {
        str(term) for triple in graph for term in triple if isinstance(term, URIRef) and term.startswith(_POL)
    }
    known = [term.removeprefix(_POL) for term in _TERMS]
    for term in sorted(used - _TERMS - _LATER):
        name = term.removeprefix(_POL)
        near = nearest(name, known)
        message = f"unknown term pol:{name}" + (f"; did you mean pol:{near}?" if near else "")
        yield Remark(source=source.name, message=message, line=next(source.lines_with(f"pol:{name}"), None))


def _line_in(message: str) -> int | None:
    found = re.match(r"line (\d+)", message)
    return int(found[1]) if found else None
