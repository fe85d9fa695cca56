"""Policy files → policies and their conditions, or every reason why not, with file and line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.jsonld import is_absolute
from orchestrator.core.rdf import RDF, RDFS, Graph, NotTurtle, URIRef, parse_turtle
from orchestrator.core.rdf import Node as RdfNode
from orchestrator.core.shapes.checking import Reach, refuse_unsafe
from orchestrator.core.shapes.lines import Remark, Source, Trouble
from orchestrator.core.shapes.terms import NOTES, local, nearest

Disposition = Literal["Log", "Ignore", "RequireAcceptance"]

_POL: Final = v.POLICY
_DISPOSITIONS: Final[dict[str, Disposition]] = {
    _POL + "Log": "Log",
    _POL + "Ignore": "Ignore",
    _POL + "RequireAcceptance": "RequireAcceptance",
}
_ANNOUNCE: Final = _POL + "Announce"
_LATER: Final = frozenset(_POL + name for name in ("Suggest", "Apply", "Mail", "CreateJob"))
TRUST_CLASSES: Final = ("BlockedSender", "UnknownSender", "VerifiedSender", "TrustedSender")
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
        *TRUST_CLASSES,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy, as its file states it."""

    iri: str
    label: str
    source: str
    """Name of the file."""
    dispositions: tuple[Disposition, ...]
    hubs: tuple[str, ...]
    priority: int = 0


class Reading:
    """What files say, sound or not."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read `files`: Turtle by file name."""
        self.policies: dict[str, Policy] = {}
        self.conditions: dict[str, Reach] = {}
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
        source = Source(name, text, graph)
        for message in refuse_unsafe(graph):
            yield Remark(source=name, message=message)
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

    def _read_conditions(self, graph: Graph, source: Source) -> Iterator[Remark]:
        used = set[RdfNode]()
        for policy, when in graph.subject_objects(URIRef(_POL + "when")):
            condition = self.conditions[str(policy)] = Reach(graph, when, policy)
            used |= condition.shapes.keys()
            label = graph.value(policy, RDFS.label) or local(policy)
            for trouble in condition.troubles():
                yield source.remark(trouble, f"{label}: {trouble.message}")
        for trouble in _unused(graph, used):
            yield source.remark(trouble, trouble.message)


def _unused(graph: Graph, used: set[RdfNode]) -> Iterator[Trouble]:
    """Yield what the named subjects of a file say in SHACL's terms although no condition uses it."""
    policies = set(graph.subjects(RDF.type, URIRef(v.POLICY + "Policy")))
    for subject in sorted({one for one in graph.subjects() if isinstance(one, URIRef)} - used):
        names = [
            str(term).removeprefix(v.SH) for term in graph.predicates(subject) if str(term).startswith(v.SH)
        ]
        if subject in policies and names:
            message = f"{local(subject)}: sh:{names[0]} belongs into pol:when [ … ]"
            yield Trouble(owner=subject, message=message, term=f"sh:{names[0]}")
        elif set(names) - {*NOTES, "severity"}:
            yield Trouble(owner=subject, message=f"no pol:when uses {local(subject)}", severity="warning")


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


def _lint_terms(graph: Graph, source: Source) -> Iterator[Remark]:
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
