"""JSON-LD 1.1 without a network: the one door to pyld, and a direct path beside it.

`standard` is pyld; `direct` reads plain documents many times faster, to the same result, and leaves
everything else to it (`docs/decisions/0011-direct-json-ld.md`).
"""

from orchestrator.core.jsonld.compacting import Compaction
from orchestrator.core.jsonld.compiled import LONGEST, ActiveContext, NotPlain, Table
from orchestrator.core.jsonld.contexts import Contexts, NotJsonLd
from orchestrator.core.jsonld.direct import Properties, Reading, Term, Triples
from orchestrator.core.jsonld.standard import (
    FORBIDDEN_SCHEMES,
    Expanded,
    compact,
    expand,
    is_absolute,
    rename,
    to_quads,
)

__all__ = [
    "FORBIDDEN_SCHEMES",
    "LONGEST",
    "ActiveContext",
    "Compaction",
    "Contexts",
    "Expanded",
    "NotJsonLd",
    "NotPlain",
    "Properties",
    "Reading",
    "Table",
    "Term",
    "Triples",
    "compact",
    "expand",
    "is_absolute",
    "rename",
    "to_quads",
]
