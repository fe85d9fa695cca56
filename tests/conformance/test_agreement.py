"""Compiled shapes find what pySHACL finds, all of it and nothing else."""

import copy
import json
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import jsonpatch
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agreement.generated import pair
from tests.agreement.oracle import ours, theirs
from tests.agreement.shapes import COMPONENTS, agree, compare

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.jsonld import expand, to_quads
from orchestrator.core.notification import activity_root
from orchestrator.core.rdf import Graph, new_graph, parse_turtle
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.loading import node_shapes
from orchestrator.core.shapes.shape_set import ShapeSet

FOLDER = packaged("specimens")
SLUGS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
CONTEXTS = bundled_contexts()
FILES = read_folder(packaged("shapes"), ".ttl")
SHAPES = ShapeSet(FILES)
SEED = 20310101


@cache
def shapes_of(pattern: str | None) -> Graph:
    graph = new_graph()
    for slug in {"notification", pattern or "notification"}:
        graph += parse_turtle(FILES[slug], f"{v.SHAPES}{slug}")
    return graph


def agree_on(document: Any) -> int:
    """Compare the two on a document; return how many results there are."""
    expanded = expand(document, CONTEXTS)
    root, dataset = activity_root(expanded), to_quads(expanded, CONTEXTS)
    pattern = SHAPES.pattern_of(root.get("@type", ()))
    found = ours(Data.from_quads(dataset), SHAPES.compiled(pattern), root["@id"])
    shapes = shapes_of(pattern)
    assert found == theirs(dataset, shapes, node_shapes(shapes), root["@id"])
    return len(found)


def load(slug: str, name: str) -> Any:
    return json.loads((FOLDER / slug / f"{name}.json").read_text())


def mutations(value: Any) -> Iterator[Any]:
    """Yield `value` with each member dropped, and with each replaced by what is no object."""

    def places(part: Any, *steps: str) -> Iterator[tuple[str, ...]]:
        if isinstance(part, dict):
            for key, child in part.items():
                if (*steps, key) not in {("@context",), ("id",)}:
                    yield (*steps, key)
                yield from places(child, *steps, key)

    for *way, last in places(value):
        for replaced in (None, "not an iri", {"name": "without id or type"}, 17):
            changed = copy.deepcopy(value)
            holder = changed
            for step in way:
                holder = holder[step]
            holder.pop(last)
            if replaced is not None:
                holder[last] = replaced
            yield changed


@pytest.mark.parametrize("slug", SLUGS)
def test_on_every_specimen_sound_and_broken(slug: str) -> None:
    assert agree_on(load(slug, "valid")) == 0
    agree_on(load(slug, "minimal"))
    for case in load(slug, "invalid"):
        assert agree_on(jsonpatch.apply_patch(load(slug, "valid"), case["patch"])) > 0, case["title"]


@pytest.mark.parametrize("slug", SLUGS)
def test_on_every_mutation_of_a_specimen(slug: str) -> None:
    compared = faulty = 0
    for document in mutations(load(slug, "minimal")):
        try:
            faulty += agree_on(document) > 0
        except OrchestratorError:
            continue  # it never comes so far
        compared += 1
    assert compared > 20
    assert faulty > 10


def test_on_the_corpus(shared: Path) -> None:
    compared = 0
    for path in sorted((shared / "corpus" / "coar-notify").glob("*/*.json")):
        try:
            agree_on(json.loads(path.read_text()))
        except (OrchestratorError, KeyError, IndexError):
            continue  # no activity with an id under contexts that we know
        compared += 1
    assert compared > 90


def test_on_generated_shapes_and_data() -> None:
    sys.stdout.write(f"seed {SEED}\n")
    compared, failed, tally = agree(150, SEED)
    assert compared == 150
    assert failed < 50
    assert all(tally[component, True] + tally[component, False] for component in COMPONENTS)


@settings(max_examples=60, derandomize=True)
@given(st.randoms(use_true_random=False))
def test_on_the_shapes_and_data_that_a_search_comes_to(rng: Random) -> None:
    with warnings.catch_warnings(action="ignore"):  # rdflib's, of odd booleans
        compare(pair(rng))
