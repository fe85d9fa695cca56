"""What a check finds (SHACL section 3.6.2)."""

from typing import NamedTuple

from orchestrator.core.shapes.data import Term


class Result(NamedTuple):
    """One validation result. Results that name the same are one."""

    focus: Term
    """The node that was judged."""
    path: str | None
    """IRI of the property; None for a node shape and for a path of more than one step."""
    value: Term | None
    """The value at fault, where a component names one."""
    component: str
    """IRI of the constraint component."""
    shape: str
    """IRI of the shape, or a blank node."""
    severity: str
    """IRI of the severity."""
    reason: str
    """What is not met, for a shape without a message."""
