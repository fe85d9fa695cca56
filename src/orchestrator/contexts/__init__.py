"""The JSON-LD contexts that come with the package; no other is known, and none is ever fetched."""

import json
from functools import cache
from importlib.resources import files

from orchestrator.core.jsonld import Contexts
from orchestrator.core.vocabulary import AS_CONTEXT, LDP_CONTEXT, NOTIFY_CONTEXT


@cache
def bundled_contexts() -> Contexts:
    """Return AS2's context (W3C's own, as pyld ships it), COAR Notify's and LDP's."""
    here = files("orchestrator.contexts")
    pyld = files("pyld") / "documentloader" / "frozen" / "bundled"
    sources = {
        AS_CONTEXT: pyld / "activitystreams.jsonld",
        NOTIFY_CONTEXT: here / "coar-notify.jsonld",
        LDP_CONTEXT: here / "ldp.jsonld",
    }
    return Contexts({url: json.loads(source.read_text(encoding="utf-8")) for url, source in sources.items()})
