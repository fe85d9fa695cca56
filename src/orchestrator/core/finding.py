"""What screening has to say about a notification."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["Violation", "Warning", "Info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to mend, and where (RFC 6901 pointer into the sender's own document)."""

    rule: str
    """IRI of the rule: a shape's, or a page's with a fragment under `/problems/`."""
    message: str
    """What to change."""
    pointer: str
    """JSON pointer to the value; for a missing member, to the object that lacks it."""
    term: str | None = None
    """The member that is missing there."""
    path: str | None = None
    """IRI of the property."""
    value: object = None
    """The value found, as JSON."""
    severity: Severity = "Violation"
    spec: str | None = None
    """The section of the specification that asks for it."""
    focus: str | None = None
    """The RDF node that was judged (SHACL sh:focusNode)."""
    component: str | None = None
    """IRI of the SHACL constraint component."""

    @property
    def refuses(self) -> bool:
        """Whether this finding alone refuses the notification."""
        return self.severity == "Violation"
