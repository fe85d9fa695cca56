"""What an app says of each event: data for whoever looks on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from orchestrator.app.state import Pending
from orchestrator.core.patch import Triple

Outcome = Literal["skipped", "there", "missing", "linked", "reported", "postponed", "refused"]
"""`skipped`: nothing is to be made of it; `there`: the links were; `missing`: they would be written (in a
rehearsal); `linked`: we have written them; `reported`: we have told of them; `postponed`: it is tried again;
`refused`: it is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event came to, or has come to so far."""

    sequence: int
    event: str
    outcome: Outcome
    artefact: str | None = None
    reason: str | None = None
    """Why not, in a word."""
    said: str | None = None
    """Why not, in words."""
    links: Sequence[Triple] = ()
    """What was written, or would be."""
    document: str | None = None
    """Where."""
    activity: str | None = None
    """The id of what we told."""
    location: str | None = None
    """Where that is kept."""

    @classmethod
    def of(
        cls,
        pending: Pending,
        outcome: Outcome,
        reason: str | None = None,
        said: str | None = None,
        **more: Any,  # noqa: ANN401  (other members)
    ) -> Self:
        """Return what `pending` came to."""
        return cls(
            sequence=pending.sequence,
            event=pending.event,
            artefact=pending.artefact,
            outcome=outcome,
            reason=reason,
            said=said,
            **more,
        )

    def members(self) -> dict[str, object]:
        """Return what there is, for people's programs."""
        found = {
            "sequence": self.sequence,
            "event": self.event,
            "outcome": self.outcome,
            "artefact": self.artefact,
            "reason": self.reason,
            "message": self.said,
            "links": [list(triple) for triple in self.links] or None,
            "document": self.document,
            "activity": self.activity,
            "location": self.location,
        }
        return {name: value for name, value in found.items() if value is not None}
