"""Bytes of a stranger → a notification, or every reason why not (one function, no I/O).

Stages 1, 3 and 4; sender and credentials (2, 5) are the inbox's policy and are judged around it.
All findings of a stage are reported at once; a later stage needs the earlier ones to hold.
"""

from dataclasses import dataclass
from typing import Literal

from orchestrator.core.document import examine
from orchestrator.core.errors import ScreeningRefused, ShapeViolated, UnacceptableDocument
from orchestrator.core.finding import Finding
from orchestrator.core.jsonld import Contexts, Expanded, NotJsonLd, to_quads
from orchestrator.core.notification import Notification, activity_root, read
from orchestrator.core.pointers import Locator
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.shape_set import Profile, ShapeSet
from orchestrator.core.strict_json import DEFAULT_LIMITS, Limits, parse
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


def screen(
    body: bytes,
    *,
    contexts: Contexts,
    shapes: ShapeSet,
    profile: Profile = "lenient",
    limits: Limits = DEFAULT_LIMITS,
    unbounded: bool = True,
) -> Screening:
    """Judge `body`; never raises for what is in it, except `Unbounded` where that is asked for.

    It is when `unbounded` is false, for whoever cannot be stopped, and a shape has a pattern that may
    take long on a text of this body.
    """
    try:
        document = parse(body, limits)
        expanded = examine(document, contexts, limits)
        root = activity_root(expanded)
        data = _data(expanded, contexts)
        _check_size(data, limits)
    except ScreeningRefused as error:
        return Screening(refusal=error.slug, findings=error.findings, notification=None)
    pattern = shapes.pattern_of(root["@type"])
    findings = shapes.validate(
        data, root["@id"], pattern, Locator(document, contexts), profile, unbounded=unbounded
    )
    refused = any(finding.refuses for finding in findings)
    return Screening(
        refusal=ShapeViolated.slug if refused else None,
        findings=tuple(findings),
        notification=read(document, root, pattern),
    )


def _data(expanded: Expanded, contexts: Contexts) -> Data:
    try:
        return Data.from_quads(to_quads(expanded, contexts))
    except NotJsonLd as error:
        rule = f"{PROBLEMS}unacceptable-document#json-ld"
        raise UnacceptableDocument([Finding(rule=rule, message=error.message, pointer="")]) from None


def _check_size(data: Data, limits: Limits) -> None:
    rule = PROBLEMS + "unacceptable-document#"
    triples = len(data)
    if triples > limits.triples:
        message = f"Say it in at most {limits.triples} triples; this document has {triples}."
        raise UnacceptableDocument([Finding(rule=rule + "triples", message=message, pointer="")])
    blank = data.blank_nodes()
    if len(blank) > limits.blank_nodes:
        message = f"Give things an id: at most {limits.blank_nodes} may be without."
        raise UnacceptableDocument([Finding(rule=rule + "blank-nodes", message=message, pointer="")])
    # What hangs below a blank node is judged, and copied into a report, once for each way to it: ten that
    # all name each other took pySHACL seconds, fifteen a minute.
    if any(times > 1 for times in blank.values()):
        message = "Give an id, not one with “_:”, to what is named in more than one place."
        raise UnacceptableDocument([Finding(rule=rule + "blank-nodes", message=message, pointer="")])
