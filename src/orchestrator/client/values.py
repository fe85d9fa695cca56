"""What the client answers with."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.core.finding import Finding
from orchestrator.core.strict_json import Json
from orchestrator.core.verification import Discrepancy


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


Trust = Literal["given", "kept", "first use"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A checkpoint that was kept, and the key that signed it, where that was kept too."""

    note: bytes
    """The signed note, as the log gave it."""
    key: str | None = None
    """NAME+ID+KEY (C2SP signed-note)."""

    @classmethod
    def parse(cls, content: bytes) -> "Kept":
        """Read what `to_bytes` wrote, or a note alone."""
        first, newline, rest = content.partition(b"\n")
        # The second line of a note is never empty: it is the size.
        if newline and rest.startswith(b"\n") and b"+" in first:
            return cls(note=rest[1:], key=first.decode("utf-8", "replace"))
        return cls(note=content)

    def to_bytes(self) -> bytes:
        """Return the key, an empty line, and the note; without a key the note alone."""
        return self.note if self.key is None else f"{self.key}\n\n".encode() + self.note


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a log's checkpoint, and its events, were found to be."""

    log: str
    """IRI of the log."""
    origin: str
    """The log's name in its checkpoint."""
    size: int
    """Events that the checkpoint covers."""
    root: bytes
    checkpoint: Kept
    """The checkpoint, to be kept: the next verification begins with it."""
    trust: Trust
    """Whose word the key is: the caller's, an earlier verification's, or only the log's own."""
    kept_size: int | None = None
    """Events that the kept checkpoint covers, where there was one."""
    events: int | None = None
    """Events that were read; None where only the proof between the two checkpoints was."""
    erased: int = 0
    """How many of them have no payload any more."""
    discrepancies: tuple[Discrepancy, ...] = ()
    more: int = 0
    """Discrepancies that are not told, for there are too many."""

    @property
    def ok(self) -> bool:
        """Whether everything is as it was signed."""
        return not self.discrepancies
