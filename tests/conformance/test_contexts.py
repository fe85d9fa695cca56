"""The bundled contexts mean what the published ones mean. Ours is our own text of the same facts."""

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import Contexts, expand, to_quads

CONTEXTS = bundled_contexts()
ACTIVITY_STREAMS = "a27b78b82f4980963127140d0cb74f0e8f21c0e2b8efd0368232bf9823edff5a"


def published(shared: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((shared / "contexts" / name).read_text())
    return document


def test_the_activity_streams_context_is_the_one_that_was_published(shared: Path) -> None:
    packaged = resources.files("pyld") / "documentloader/frozen/bundled/activitystreams.jsonld"
    text = (shared / "contexts" / "activitystreams.jsonld").read_bytes()
    assert hashlib.sha256(packaged.read_bytes()).digest() == hashlib.sha256(text).digest()
    assert CONTEXTS.documents[v.AS_CONTEXT] == json.loads(text)


def test_the_activity_streams_context_has_not_changed_under_us() -> None:
    packaged = resources.files("pyld") / "documentloader/frozen/bundled/activitystreams.jsonld"
    assert hashlib.sha256(packaged.read_bytes()).hexdigest() == ACTIVITY_STREAMS


def test_our_notify_context_has_exactly_the_terms_of_the_published_one(shared: Path) -> None:
    ours: Any = CONTEXTS.documents[v.NOTIFY_CONTEXT]
    assert ours["@context"] == published(shared, "coar-notify-1.0.1.jsonld")["@context"]


@pytest.mark.parametrize("name", ["coar-notify-1.0.1.jsonld", "coar-notify-0.9.0-purl.jsonld"])
def test_every_notification_of_the_corpus_means_the_same_under_the_published_context(
    shared: Path, name: str
) -> None:
    """0.9's own text differs in the namespace, which we rewrite, and in reading `as:subject` as text, which we do not."""
    theirs = Contexts({**CONTEXTS.documents, v.NOTIFY_CONTEXT: published(shared, name)})
    compared = 0
    for path in sorted((shared / "corpus" / "coar-notify").glob("*/*.json")):
        document = json.loads(path.read_text())
        relationship = any(f"as:{term}" in path.read_text() for term in ("subject", "object", "relationship"))
        if "codemeta" in path.read_text() or (relationship and "0.9" in name):
            continue
        assert quads(document, CONTEXTS) == quads(document, theirs), path
        compared += 1
    assert compared > 90


def quads(document: Any, contexts: Contexts) -> list[str]:
    dataset = to_quads(expand(document, contexts), contexts)
    return sorted(json.dumps(triple, sort_keys=True) for triples in dataset.values() for triple in triples)
