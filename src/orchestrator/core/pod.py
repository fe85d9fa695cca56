"""Who we are, and what is ours."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

# https://pod.example/public/../private begins with https://pod.example/public/, and lies elsewhere.
_CLIMBS: Final = re.compile(r"(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\?#]|%2f|%5c|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we are, to others."""

    id: str
    name: str
    inbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """Whose orchestrator this is."""

    public_url: str
    me: Identity
    artefacts: tuple[str, ...] = ()
    """IRI prefixes that are ours; none: whatever is posted here is ours."""

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints: its URL without a scheme (C2SP tlog-checkpoint, "Note text")."""
        return quote(f"{self.public_url.partition('://')[2]}/log", safe="/:[]%~")

    def owns(self, iri: str | None) -> bool:
        """Whether an IRI lies under one of our prefixes."""
        if iri is None or not self.artefacts:
            return False
        return iri.startswith(self.artefacts) and not _CLIMBS.search(iri)
