"""Who we are, and what is ours."""

from dataclasses import dataclass


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

    def owns(self, iri: str | None) -> bool:
        """Whether an IRI lies under one of our prefixes."""
        return iri is not None and bool(self.artefacts) and iri.startswith(self.artefacts)
