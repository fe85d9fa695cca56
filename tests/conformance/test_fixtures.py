"""Shapes and fixtures: what is valid passes, and every broken rule is found, at its place, and nothing else."""

import json
from pathlib import Path
from typing import Any

import jsonpatch
import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.screening import Rules, Screening, screen
from orchestrator.core.shapes.shape_set import Profile, ShapeSet

FOLDER = packaged("specimens")
SLUGS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
CONTEXTS = bundled_contexts()
SHAPES = ShapeSet(read_folder(packaged("shapes"), ".ttl"))


def load(slug: str, name: str) -> Any:
    return json.loads((FOLDER / slug / f"{name}.json").read_text())


def screened(document: object, profile: Profile = "strict") -> Screening:
    return screen(json.dumps(document).encode(), Rules(contexts=CONTEXTS, shapes=SHAPES, profile=profile))


def broken() -> list[Any]:
    return [
        pytest.param(slug, case, id=f"{slug}: {case['title']}")
        for slug in SLUGS
        for case in load(slug, "invalid")
    ]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_full_specimen_has_no_findings_at_all(slug: str) -> None:
    screening = screened(load(slug, "valid"))
    assert screening.findings == ()
    assert screening.accepted
    assert screening.notification is not None
    assert screening.notification.pattern == (None if slug == "notification" else slug)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_specimen_with_only_what_is_demanded_is_accepted_to_the_letter(slug: str) -> None:
    screening = screened(load(slug, "minimal"))
    assert [finding for finding in screening.findings if finding.refuses] == []
    assert screening.accepted


@pytest.mark.parametrize(("slug", "case"), broken())
def test_a_broken_rule_is_found_at_its_place_and_nothing_else_is(slug: str, case: dict[str, Any]) -> None:
    document = jsonpatch.apply_patch(load(slug, "valid"), case["patch"])
    found = [
        {"rule": f.rule, "pointer": f.pointer, "severity": f.severity} | ({"term": f.term} if f.term else {})
        for f in screened(document).findings
    ]
    assert sorted(found, key=repr) == sorted(case["findings"], key=repr)
    assert case["rule"] in {finding["rule"] for finding in found}


@pytest.mark.parametrize(("slug", "case"), broken())
def test_the_lenient_profile_finds_the_same_and_refuses_no_more(slug: str, case: dict[str, Any]) -> None:
    document = jsonpatch.apply_patch(load(slug, "valid"), case["patch"])
    strict, lenient = screened(document), screened(document, "lenient")
    assert {(f.rule, f.pointer) for f in strict.findings} == {(f.rule, f.pointer) for f in lenient.findings}
    assert lenient.accepted or not strict.accepted


def test_every_pattern_has_a_folder_of_fixtures() -> None:
    assert set(SLUGS) == {*SHAPES.patterns, "notification"}
    assert all((FOLDER / slug / name).is_file() for slug in SLUGS for name in ("valid.json", "minimal.json"))
    assert isinstance(FOLDER, Path)
