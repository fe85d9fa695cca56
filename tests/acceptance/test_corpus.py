"""What other people send, all of it, over HTTP; `corpus.py` says how."""

from dataclasses import replace
from pathlib import Path

import pytest

from .conftest import Serve
from .corpus import (
    PAGE,
    Result,
    Specimen,
    argued,
    complaints,
    differences,
    is_argued,
    page,
    read_index,
    run_fresh,
    run_together,
)

SENT = Specimen(path=Path("corpus/pci-outbound/a.json"), says="as sent")
INVALID = replace(SENT, says="INVALID")
TAKEN = Result(specimen=SENT, status=201, state="PROCESSED", location="/1", rehearsed=True)
REFUSED = Result(
    specimen=INVALID, status=400, rehearsed=True, findings=({"pointer": "/id", "severity": "Violation"},)
)


@pytest.mark.timeout(300)
async def test_every_file_of_the_corpus_is_judged_as_its_source_says_or_as_is_argued(
    shared: Path, serve: Serve
) -> None:
    """C1.5, C1.6, C2.6, P1, P2.

    Each in an inbox of its own; then all, twice, in one inbox of a server process, where only ids that
    were used before make a difference; and the page of the reference says the same.
    """
    specimens = read_index(shared / "corpus" / "coar-notify")
    fresh, errors = await run_fresh(specimens)
    assert len(fresh) == 122
    assert list(complaints(fresh, errors)) == []
    service = await serve()
    rounds = await run_together(service.inbox, fresh)
    assert list(differences(fresh, rounds)) == []

    kept = {result.location for result in rounds[0] if result.status == 201}
    for location in kept:
        assert location is not None
        assert (await service.settled(location))["state"] == "PROCESSED"
    events = await service.events()
    assert len(events) == len(kept) == len({(event["origin"], event["activity"]) for event in events})
    assert page(fresh) == PAGE.read_text(encoding="utf-8"), "write it again: see corpus.py"


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        (TAKEN, None),
        (REFUSED, None),
        (replace(TAKEN, specimen=INVALID), "its source calls it invalid"),
        (replace(TAKEN, state="DEAD"), "accepted, and then DEAD"),
        (replace(TAKEN, rehearsed=False), "the dry run said something else"),
        (replace(TAKEN, findings=REFUSED.findings), "accepted with violations"),
        (replace(REFUSED, status=500), "answered 500"),
        (replace(REFUSED, status=409), "answered 409 in an empty inbox"),
        (replace(REFUSED, findings=()), "refused without a place"),
        (replace(REFUSED, findings=({"severity": "Violation"},)), "refused without a place"),
        (replace(REFUSED, specimen=SENT), "and no page says why"),
    ],
)
def test_what_must_not_be_is_said(result: Result, complaint: str | None) -> None:
    found = list(complaints([result], []))
    assert found == [] if complaint is None else any(complaint in each for each in found)
    assert list(complaints([TAKEN], ["a traceback"])) == ["logged: a traceback"]


def test_a_difference_in_one_inbox_needs_an_id_that_was_used_before(tmp_path: Path) -> None:
    texts = {
        "first": '{"id": "urn:x:1", "origin": {"id": "https://a.example/"}}',
        "same": '{"origin": {"id": "https://a.example/"}, "id": "urn:x:1"}',
        "other": '{"id": "urn:x:1", "origin": {"id": "https://a.example/"}, "summary": "New."}',
        "foreign": '{"id": "urn:x:1", "origin": {"id": "https://b.example/"}}',
    }
    fresh = []
    for name, text in texts.items():
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        fresh.append(replace(TAKEN, specimen=Specimen(path=path, says="valid"), location=f"/fresh/{name}"))
    lawful = [
        replace(fresh[0], location="/1"),
        replace(fresh[1], location="/1"),
        replace(fresh[2], status=409, location=None),
        replace(fresh[3], location="/2"),
    ]
    assert list(differences(fresh, [lawful, lawful])) == []
    for place, wrong in (
        (0, replace(fresh[0], status=409, location=None)),
        (1, replace(fresh[1], location="/3")),
        (2, replace(fresh[2], location="/3")),
        (3, replace(fresh[3], location="/1")),
    ):
        once = [*lawful[:place], wrong, *lawful[place + 1 :]]
        assert list(differences(fresh, [once, once]))
        assert list(differences(fresh, [lawful, once]))


def test_a_refusal_is_argued_by_the_name_of_its_source_and_of_its_file() -> None:
    rows = argued()
    assert len(rows) >= 3
    there = Specimen(path=Path("corpus/hal-inria/accept.json"), says="as sent/received")
    assert is_argued(there, rows)
    assert not is_argued(replace(there, path=Path("corpus/spec-1.0.1/accept.json")), rows)
    assert not is_argued(replace(there, path=Path("corpus/hal-inria/swh-announce.json")), rows)
