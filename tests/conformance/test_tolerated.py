"""What senders in use leave out or write otherwise is accepted by the default profile."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.screening import Rules, screen
from orchestrator.core.shapes.shape_set import ShapeSet

CONTEXTS = bundled_contexts()
SHAPES = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
SPECIMENS = {
    path.parent.name: json.loads(path.read_text()) for path in packaged("specimens").glob("*/valid.json")
}
OFFERS = {"request-review", "request-endorsement", "request-ingest"}


def without_actor(document: dict[str, Any]) -> None:
    document.pop("actor", None)


def with_a_slash_behind_the_context(document: dict[str, Any]) -> None:
    document["@context"] = [v.AS_CONTEXT, v.NOTIFY_CONTEXT + "/"]


def with_types_the_other_way_round(document: dict[str, Any]) -> None:
    types = document["type"]
    document["type"] = types[::-1] if isinstance(types, list) else [types]


def with_full_iris(document: dict[str, Any]) -> None:
    types = document["type"] if isinstance(document["type"], list) else [document["type"]]
    document["type"] = [
        v.NOTIFY + name.removeprefix("coar-notify:") if name.startswith("coar-notify:") else v.AS + name
        for name in types
    ]


def with_nulls_for_cite_as(document: dict[str, Any]) -> None:
    for part in ("object", "context"):
        if isinstance(document.get(part), dict):
            document[part]["ietf:cite-as"] = None


def without_an_inbox_of_the_origin(document: dict[str, Any]) -> None:
    del document["origin"]["inbox"]


@pytest.mark.parametrize("slug", sorted(SPECIMENS))
@pytest.mark.parametrize(
    "change",
    [
        without_actor,
        with_a_slash_behind_the_context,
        with_types_the_other_way_round,
        with_full_iris,
        with_nulls_for_cite_as,
        without_an_inbox_of_the_origin,
    ],
)
def test_a_tolerated_variant_is_accepted(slug: str, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(json.dumps(SPECIMENS[slug]))
    change(document)
    screening = screen(
        json.dumps(document).encode(), Rules(contexts=CONTEXTS, shapes=SHAPES, profile="lenient")
    )
    refused = [finding for finding in screening.findings if finding.refuses]
    if change is without_an_inbox_of_the_origin and slug in OFFERS:
        # An Offer must say where the answer goes, whatever the profile (COAR Notify 1.0.0, Origin).
        assert [finding.pointer for finding in refused] == ["/origin"]
        return
    assert refused == []
    assert screening.notification is not None
    assert screening.notification.pattern == (None if slug == "notification" else slug)
