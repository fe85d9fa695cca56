"""POST with `dry-run`: the verdict without the keeping."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Specimen = Callable[..., dict[str, Any]]


async def test_a_dry_run_reports_and_stores_nothing(house: Any, specimen: Specimen) -> None:
    good = await house.post(specimen(), path="/inbox/?dry-run=true")
    assert good.status == 200
    assert json.loads(good._body) == {
        "accepted": True,
        "pattern": "announce-review",
        "refusal": None,
        "violations": [],
    }
    bad = json.loads((await house.post({"type": "Announce"}, path="/inbox/?dry-run=true"))._body)
    assert (bad["accepted"], bad["refusal"]) == (False, "unacceptable-document")
    assert bad["violations"]
    assert await house.kept() == 0


async def test_a_dry_run_gives_the_shacl_report_on_request(house: Any, specimen: Specimen) -> None:
    answer = await house.post(specimen(), path="/inbox/?dry-run=true", Accept="text/turtle")
    assert (answer.status, answer.content_type) == (200, "text/turtle")
    assert b"sh:conforms true" in answer._body


@pytest.mark.parametrize("query", ["dry-run=yes", "dry-run=", "dry-run=True", "dry-run=true&dry-run=true"])
async def test_a_dry_run_is_true_or_false_and_nothing_else(
    house: Any, specimen: Specimen, query: str
) -> None:
    answer = await house.post(specimen(), path=f"/inbox/?{query}")
    assert answer.status == 400
    assert "dry-run" in json.loads(answer._body)["detail"]
    assert await house.kept() == 0


async def test_dry_run_false_is_an_ordinary_post(house: Any, specimen: Specimen) -> None:
    assert (await house.post(specimen(), path="/inbox/?dry-run=false")).status == 201
