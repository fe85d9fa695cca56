"""Bytes of a stranger → a notification, or every reason why not (one function, no I/O).

Stages 1, 3 and 4; sender and credentials (2, 5) are the inbox's policy and are judged around it.
All findings of a stage are reported at once; a later stage needs the earlier ones to hold.
"""

from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.core.document import Examined, examine, examine_plain
from orchestrator.core.errors import ScreeningRefused, ShapeViolated, UnacceptableDocument
from orchestrator.core.finding import Finding
from orchestrator.core.jsonld import Contexts, NotPlain
from orchestrator.core.notification import Notification, read
from orchestrator.core.pointers import Locator
from orchestrator.core.shapes.patterns import Unbounded
from orchestrator.core.shapes.shape_set import Profile, ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS, Json, Limits, parse
from orchestrator.core.vocabulary import PROBLEMS

Refusal = Literal["unreadable-bytes", "too-large", "unacceptable-document", "shape-violated", "too-costly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """The verdict on one body."""

    refusal: str | None
    """Slug of the problem that refuses it; None when it is accepted."""
    findings: tuple[Finding, ...]
    notification: Notification | None
    """What was read, as far as the document could be understood at all."""

    @property
    def accepted(self) -> bool:
        """Whether the inbox takes it; there may be warnings."""
        return self.refusal is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a body is judged by."""

    contexts: Contexts
    shapes: ShapeSet
    profile: Profile = "lenient"
    limits: Limits = DEFAULT_LIMITS


def screen(body: bytes, rules: Rules) -> Screening:
    """Judge `body`; never raises for what is in it. It may take long: whoever calls it can be stopped."""
    try:
        return screen_plain(body, rules).screening
    except (NotPlain, Unbounded):
        pass
    try:
        document = parse(body, rules.limits)
        examined = examine(document, rules.contexts, rules.limits)
        _check_size(examined, rules.limits)
    except ScreeningRefused as error:
        return _refused(error)
    return _judged(document, examined, rules, unbounded=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A verdict that was reached at once."""

    screening: Screening
    root: dict[str, Any] | None
    """The activity, expanded, as far as it was understood: processing need not read it again."""


def screen_plain(body: bytes, rules: Rules) -> Plain:
    """Judge `body` in a time that its length bounds.

    Raises `NotPlain` or `Unbounded` when only `screen` can tell; they agree wherever both do.
    """
    try:
        document = parse(body, rules.limits)
        examined = examine_plain(document, rules.contexts, rules.limits)
        _check_size(examined, rules.limits)
    except ScreeningRefused as error:
        return Plain(screening=_refused(error), root=None)
    return Plain(screening=_judged(document, examined, rules, unbounded=False), root=examined.root)


def _refused(error: ScreeningRefused) -> Screening:
    return Screening(refusal=error.slug, findings=error.findings, notification=None)


def _judged(document: Json, examined: Examined, rules: Rules, *, unbounded: bool) -> Screening:
    root = examined.root
    pattern = rules.shapes.pattern_of(root["@type"])

    def locator() -> Locator:
        return Locator(document, rules.contexts, examined.places)

    findings = rules.shapes.validate(
        examined.data, root["@id"], pattern, locator, rules.profile, unbounded=unbounded
    )
    refused = any(finding.refuses for finding in findings)
    return Screening(
        refusal=ShapeViolated.slug if refused else None,
        findings=tuple(findings),
        notification=read(document, root, pattern),
    )


def _check_size(examined: Examined, limits: Limits) -> None:
    rule = PROBLEMS + "unacceptable-document#"
    triples = len(examined.data)
    if triples > limits.triples:
        message = f"Say it in at most {limits.triples} triples; this document has {triples}."
        raise UnacceptableDocument([Finding(rule=rule + "triples", message=message, pointer="")])
    if examined.blank_nodes > limits.blank_nodes:
        message = f"Give things an id: at most {limits.blank_nodes} may be without."
        raise UnacceptableDocument([Finding(rule=rule + "blank-nodes", message=message, pointer="")])
    # What hangs below a blank node is judged, and copied into a report, once for each way to it: ten that
    # all name each other took pySHACL seconds, fifteen a minute.
    if examined.is_shared:
        message = "Give an id, not one with “_:”, to what is named in more than one place."
        raise UnacceptableDocument([Finding(rule=rule + "blank-nodes", message=message, pointer="")])
