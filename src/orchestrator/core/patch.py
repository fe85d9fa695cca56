"""Changes to a document in a pod: which triples go and come, and how that is written."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused
from orchestrator.core.source import is_web

Triple = tuple[str, str, str]
"""Subject, predicate and object, all IRIs."""
_UNSAFE: Final = re.compile(r"[\x00-\x20<>\"{}|^`\\]")
FORMATS: Final = (v.N3, v.SPARQL_UPDATE)
"""What a change can be written in, the first the server takes."""
EVENT_LOG: Final = v.DAEN + "eventLog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Triples to take out and to put in."""

    deletes: tuple[Triple, ...] = ()
    inserts: tuple[Triple, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.deletes or self.inserts)


def missing(said: Iterable[Triple], wanted: Iterable[Triple]) -> Change:
    """Return what has to be put in, so that a document that says `said` says all that is `wanted`.

    What is there already is not written again: that would wake every watcher of the document.
    """
    there = set(said)
    return Change(inserts=tuple(triple for triple in dict.fromkeys(wanted) if triple not in there))


def links(artefact: str, said: Iterable[Triple], *, inbox: str, log: str) -> tuple[Change, tuple[str, ...]]:
    """Return what makes `artefact` advertise our `inbox` and its `log`, and other inboxes that it names."""
    there = set(said)
    wanted = ((artefact, v.INBOX, inbox), (artefact, EVENT_LOG, log))
    others = sorted(
        target
        for subject, predicate, target in there
        if (subject, predicate) == (artefact, v.INBOX) and target != inbox and is_web(target)
    )
    return missing(there, wanted), tuple(others)


def is_safe(iri: str) -> bool:
    """Whether `iri` can stand in a change as it is, and is nothing but an IRI there."""
    return _UNSAFE.search(iri) is None


def n3(change: Change) -> str:
    """Return `change` as a Solid N3 Patch (Solid Protocol, section 5.3.1)."""
    clauses = ["a solid:InsertDeletePatch"]
    if change.deletes:
        clauses.append(f"solid:deletes {{ {_triples(change.deletes)} }}")
    if change.inserts:
        clauses.append(f"solid:inserts {{ {_triples(change.inserts)} }}")
    said = " ;\n    ".join(clauses)
    return f"@prefix solid: <{v.SOLID}> .\n\n_:patch {said} .\n"


def sparql_update(change: Change) -> str:
    """Return `change` as SPARQL 1.1 Update (section 3.1)."""
    parts = []
    if change.deletes:
        parts.append(f"DELETE DATA {{ {_triples(change.deletes)} }}")
    if change.inserts:
        parts.append(f"INSERT DATA {{ {_triples(change.inserts)} }}")
    return " ;\n".join(parts) + "\n"


def written(change: Change, media_type: str) -> bytes:
    """Return `change` in one of `FORMATS`."""
    return (n3(change) if media_type == v.N3 else sparql_update(change)).encode()


def _triples(triples: Iterable[Triple]) -> str:
    written = []
    for triple in triples:
        # What a stranger wrote into a document must not write a triple of its own.
        if not all(map(is_safe, triple)):
            raise AnswerRefused("The document names an IRI that cannot be written down.")
        written.append("<{}> <{}> <{}> .".format(*triple))
    return " ".join(written)
