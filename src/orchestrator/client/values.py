"""What the client answers with."""

from dataclasses import dataclass

from orchestrator.core.finding import Finding
from orchestrator.core.strict_json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What an inbox said to a notification."""

    inbox: str
    status: int
    location: str | None = None
    """Where the receiver keeps it, where it says so."""
    detail: str = ""
    """The beginning of the answer's body."""

    @property
    def accepted(self) -> bool:
        """Whether the inbox took it: any 2xx (200 from Dataverse, 201, 202)."""
        return 200 <= self.status < 300  # noqa: PLR2004


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What an inbox would say to a notification."""

    accepted: bool
    pattern: str | None = None
    """Slug of the COAR Notify pattern that was recognised."""
    findings: tuple[Finding, ...] = ()
    """What to mend; warnings too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One member of an inbox, readable or not: a pod stores anything."""

    url: str
    media_type: str
    """Without parameters; empty where there was no answer."""
    body: bytes
    document: Json = None
    """The body as JSON."""
    problem: str | None = None
    """Why there is no document."""
