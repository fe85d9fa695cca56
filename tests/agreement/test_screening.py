"""What is screened at once gets the verdict and the findings that it would get in the long way."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core import screening
from orchestrator.core.jsonld import NotPlain
from orchestrator.core.policy import Facts, PolicySet, judge, judge_plain
from orchestrator.core.screening import Plain, Rules, screen_plain
from orchestrator.core.shapes.shape_set import ShapeSet

FOLDER = packaged("specimens")
RULES = Rules(contexts=bundled_contexts(), shapes=ShapeSet(read_folder(packaged("shapes"), ".ttl")))
POLICIES = PolicySet(
    {f"{name}.ttl": text for name, text in read_folder(packaged("policies"), ".ttl").items()}
)
SPECIMENS = sorted(FOLDER.glob("*/[mv]*.json"))


def broken(document: Any) -> Iterator[Any]:
    """Yield the document with each member dropped, emptied and replaced."""
    stack: list[tuple[str | int, ...]] = [()]
    while stack:
        path = stack.pop()
        value = document
        for step in path:
            value = value[step]
        if isinstance(value, dict | list):
            stack += [(*path, step) for step in (value if isinstance(value, dict) else range(len(value)))]
        if not path:
            continue
        for instead in (
            None,
            "hop",
            {},
            {"id": "https://example.org/x"},
            7,
            [value, value],
            {"type": "Service"},
        ):
            other = copy.deepcopy(document)
            parent = other
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1]] = instead
            yield other


def the_long_way(monkeypatch: pytest.MonkeyPatch, body: bytes) -> screening.Screening:
    """Return the verdict without the direct path."""

    def nothing_is_plain(*_: object) -> Plain:
        raise NotPlain

    with monkeypatch.context() as patch:
        patch.setattr(screening, "screen_plain", nothing_is_plain)
        return screening.screen(body, RULES)


@pytest.mark.parametrize("path", SPECIMENS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_whatever_a_member_is_replaced_with_both_ways_find_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0
    for number, document in enumerate([json.loads(path.read_text()), *broken(json.loads(path.read_text()))]):
        body = json.dumps(document).encode()
        try:
            at_once = screen_plain(body, RULES)
        except NotPlain:
            continue
        if number % 5 and number:  # pyld takes its time
            continue
        assert at_once.screening == the_long_way(monkeypatch, body), body
        compared += 1
    assert compared > 5


@pytest.mark.parametrize("path", SPECIMENS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_payload_and_policies_are_the_same_both_ways(path: Path) -> None:
    body = path.read_bytes()
    facts = Facts(
        sender="https://sender.example/",
        trust="unknown",
        artefacts=("https://x.example/a",),
        me=(),
        solicited=True,
    )
    root = screen_plain(body, RULES).root
    assert root is not None
    assert judge_plain(root, facts, POLICIES) == judge(
        body, facts, contexts=RULES.contexts, policies=POLICIES
    )


def test_two_nodes_without_an_id_are_told_apart() -> None:
    """The long way has to guess which of them is at fault, and takes the first."""
    document = json.loads((FOLDER / "announce-review" / "valid.json").read_text())
    item = document["context"]["ietf:item"]
    del item["id"]
    other = {name: value for name, value in item.items() if name != "mediaType"}
    document["context"]["ietf:item"] = [item, other]
    found = screen_plain(json.dumps(document).encode(), RULES).screening
    places = {(finding.pointer, finding.term) for finding in found.findings}
    assert ("/context/ietf:item/1", "mediaType") in places
    assert ("/context/ietf:item/0", "mediaType") not in places
