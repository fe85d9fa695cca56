"""Findings as strangers read them: JSON with pointers, or the SHACL report graph."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.finding import Finding
from orchestrator.core.rdf import serialise
from orchestrator.core.shapes.report import report_graph

GRAPHS: Final = (v.TURTLE, v.JSON_LD)
"""Media types of a report graph."""
_MEMBERS: Final = ("pointer", "term", "path", "value", "severity", "rule", "message", "spec")
# A line for each member, for people with curl; `indent` would be written by Python, five times slower.
_LINES: Final = json.JSONEncoder(ensure_ascii=False, separators=(",\n ", ": "))


def clean(text: str) -> str:
    """Return `text` without what could break a line, a terminal or an encoder (threat T16)."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def as_json(finding: Finding) -> dict[str, object]:
    """Return one finding as a member of `violations`; what is not known is left out."""
    return {
        name: clean(value) if isinstance(value, str) else value
        for name in _MEMBERS
        if (value := getattr(finding, name)) is not None
    }


def as_graph(findings: Sequence[Finding], media_type: str) -> bytes:
    """Return the SHACL validation report (SHACL section 3.6) as Turtle or JSON-LD.

    It conforms when the notification is accepted: warnings are reported and refuse nothing.
    """
    conforms = not any(finding.refuses for finding in findings)
    return serialise(report_graph(map(_printable, findings), conforms=conforms), media_type)


def dump(members: Mapping[str, object]) -> bytes:
    """Return JSON for programs, and for people with curl."""
    return _LINES.encode(members).encode() + b"\n"


def _printable(finding: Finding) -> Finding:
    value = finding.value
    return replace(
        finding,
        message=clean(finding.message),
        pointer=clean(finding.pointer),
        value=clean(value) if isinstance(value, str) else value,
    )
