"""Drop or corrupt each required member of each specimen: it is refused or warned about, at its place."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.screening import Rules, screen
from orchestrator.core.shapes.shape_set import ShapeSet
from orchestrator.core.strict_json import pointer

FOLDER = packaged("specimens")
SLUGS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
CONTEXTS = bundled_contexts()
SHAPES = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
PREFERENCES = {"name"}
"""Members of a minimal specimen that nothing demands."""


def members(value: Any, *steps: str) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*steps, key)
            yield from members(child, *steps, key)


def minimal(slug: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / slug / "minimal.json").read_text())
    return document


def required() -> list[Any]:
    return [
        pytest.param(slug, path, id=f"{slug}{pointer(*path)}")
        for slug in SLUGS
        for path in members(minimal(slug))
        if path[-1] not in PREFERENCES
    ]


def places(document: dict[str, Any]) -> list[tuple[str, str | None]]:
    body = json.dumps(document).encode()
    screening = screen(body, Rules(contexts=CONTEXTS, shapes=SHAPES, profile="lenient"))
    return [(finding.pointer, finding.term) for finding in screening.findings]


def parent(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for step in path[:-1]:
        document = document[step]
    return document


@pytest.mark.parametrize(("slug", "path"), required())
def test_a_required_member_that_is_dropped_is_missed_in_its_object(slug: str, path: tuple[str, ...]) -> None:
    document = copy.deepcopy(minimal(slug))
    del parent(document, path)[path[-1]]
    # `as:subject` and `subject` are one term under the two contexts.
    found = {(place, (term or "").removeprefix("as:")) for place, term in places(document)}
    assert (pointer(*path[:-1]), path[-1].removeprefix("as:")) in found


def corrupted(key: str, value: object) -> object:
    if key == "type":
        return "NoSuchType"
    if key == "@context":
        return "https://nowhere.example/context"
    if isinstance(value, dict):
        return {"name": "without id or type"}
    return 17 if key in {"summary", "mediaType"} else "not an iri"


@pytest.mark.parametrize(("slug", "path"), required())
def test_a_required_member_that_is_corrupted_is_pointed_at(slug: str, path: tuple[str, ...]) -> None:
    document = copy.deepcopy(minimal(slug))
    holder = parent(document, path)
    holder[path[-1]] = corrupted(path[-1], holder[path[-1]])
    here = pointer(*path)
    assert any(place == here or place.startswith(here + "/") for place, _ in places(document)), places(
        document
    )


def test_there_are_at_least_as_many_mutations_as_we_promise() -> None:
    assert 2 * len(required()) >= 56
