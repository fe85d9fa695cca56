"""The auditor: honest events pass, and nothing that is done to them goes unnoticed."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.event import Draft, LifecycleEvent, member, seal
from orchestrator.core.merkle import EMPTY_ROOT, root_of
from orchestrator.core.published import parse_published
from orchestrator.core.strict_json import canonical
from orchestrator.core.verification import MOST, Auditor, Findings

BASE = "https://pod.example"
Event = dict[str, Any]


def sealed(sequence: int, payload: bytes = b"") -> LifecycleEvent:
    draft = Draft(
        types=("https://www.w3.org/ns/activitystreams#Announce",),
        activity=f"urn:uuid:{sequence}",
        sender="https://cs.example/",
        received=1_000,
        artefact="https://pod.example/a",
        actor=None,
        origin="https://cs.example/",
        in_reply_to=None,
        correlated_by=None,
        caused_by=None,
        policy_set="ni:///sha-256;x",
        payload=payload or canonical({"id": f"urn:uuid:{sequence}"}),
        salt="00" * 16,
    )
    return seal(draft, sequence=sequence, created=1_700_000_000_000 + sequence, public_url=BASE)


def served(event: LifecycleEvent, *, is_erased: bool = False) -> Event:
    """Return an event as a reader gets it: through JSON."""
    text = member(event.envelope, None if is_erased else event.payload, event.salt)
    node = parse_published(text)
    assert isinstance(node, dict)
    return node


def log(size: int) -> tuple[list[Event], bytes]:
    events = [sealed(sequence) for sequence in range(1, size + 1)]
    return [served(event) for event in events], root_of([event.leaf for event in events])


def audited(events: list[Event], size: int) -> tuple[Auditor, list[tuple[str, int | None]]]:
    findings = Findings()
    auditor = Auditor(f"{BASE}/log", size, findings)
    for event in events:
        auditor.take(event)
    auditor.end()
    return auditor, [(each.rule, each.event) for each in findings.found]


@given(st.integers(0, 40), st.sets(st.integers(1, 40)), st.integers(0, 5))
def test_an_honest_log_passes_and_has_the_root_that_was_signed(
    size: int, erased: set[int], more: int
) -> None:
    events = [sealed(sequence) for sequence in range(1, size + more + 1)]
    nodes = [served(event, is_erased=event.sequence in erased) for event in events]
    nodes += [tombstone(size + more + 1 + place, sequence) for place, sequence in enumerate(sorted(erased))]
    auditor, found = audited(nodes, size)
    assert found == []
    assert (auditor.count, auditor.erased) == (size, len([each for each in erased if each <= size]))
    for part in {0, size // 2, size}:
        assert auditor.root(part) == root_of([event.leaf for event in events[:part]])


def tombstone(sequence: int, erased: int) -> Event:
    """Return what tells of an erasure, as far as it matters here."""
    return {"sequence": sequence, "correlatedBy": "erasure", "causedBy": f"{BASE}/log/e/{erased}"}


def test_a_payload_is_not_gone_without_a_word() -> None:
    events = [served(sealed(sequence), is_erased=sequence in (2, 4)) for sequence in range(1, 6)]
    assert audited(events, 5)[1] == [("erased", 2), ("erased", 4)]
    assert audited([*events, tombstone(6, 4)], 5)[1] == [("erased", 2)]
    told = {**tombstone(6, 2), "correlatedBy": "inReplyTo"}
    assert audited([*events, told, tombstone(7, 4)], 5)[1] == [("erased", 2)]
    auditor = Auditor(f"{BASE}/log", 5, Findings())
    for event in events:
        auditor.take(event)
    assert auditor.wants_tombstones
    for erased in (2, 4):
        auditor.take(tombstone(6, erased))
    assert not auditor.wants_tombstones


DOINGS = ["member", "payload", "salt", "remove", "repeat", "swap", "number", "move"]


@given(st.data())
def test_nothing_that_is_done_to_an_honest_log_goes_unnoticed(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 20))
    events, root = log(size)
    before = copy.deepcopy(events)
    at, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    doing = data.draw(st.sampled_from(DOINGS))
    if doing == "member":
        name = data.draw(st.sampled_from([*events[at], "new"]))
        events[at][name] = data.draw(st.sampled_from([None, "x", 7, ["x"], {"x": 1}]))
    elif doing == "payload":
        events[at]["@graph"] = data.draw(st.sampled_from([[], [{}], [{"id": "urn:x"}] * 2, "x", None]))
    elif doing == "salt":
        events[at]["salt"] = data.draw(st.sampled_from(["", "x", None, 7]))
    elif doing == "remove":
        del events[at]
    elif doing == "repeat":
        events.insert(other, copy.deepcopy(events[at]))
    elif doing == "swap":
        events[at], events[other] = events[other], events[at]
    elif doing == "number":
        events[at]["sequence"] = data.draw(st.integers(-3, 40))
    else:
        events.insert(other, events.pop(at))
    for event in events:
        if type(event["sequence"]) is not int:
            event["sequence"] = 0  # else it is no event, and none of those that are handed on
    auditor, found = audited(events, size)
    if events == before:
        assert (found, auditor.root(size)) == ([], root)
    else:
        assert found or auditor.root(size) != root


def test_events_after_the_checkpoint_say_nothing_about_it() -> None:
    events, _ = log(9)
    assert audited(events, 5)[1] == []


def test_an_empty_log_has_the_root_of_nothing() -> None:
    auditor, found = audited([], 0)
    assert (auditor.root(0), found) == (EMPTY_ROOT, [])


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([1, 3, 2, 4], [("order", 2)]),
        ([4, 1, 2, 3], [("order", 1)]),
        ([1, 2, 4], [("missing", 3)]),
        ([3], [("missing", 1), ("missing", 4)]),
        ([], [("missing", 1)]),
        ([1, 2, 2, 3, 4], [("twice", 2)]),
        ([1, 3, 3, 4], [("twice", 3), ("missing", 2)]),
        ([4, 3, 2, 1], [("order", 3), ("order", 2), ("order", 1)]),
    ],
)
def test_each_event_stands_once_and_in_its_place(order: list[int], expected: list[tuple[str, int]]) -> None:
    events, root = log(4)
    auditor, found = audited([events[sequence - 1] for sequence in order], 4)
    assert found == expected
    assert auditor.root(4) == (root if set(order) == {1, 2, 3, 4} else None)


def test_missing_events_are_told_as_a_range_whatever_its_size() -> None:
    findings = Findings()
    auditor = Auditor(f"{BASE}/log", 2**62, findings)
    auditor.take(log(3)[0][2])
    auditor.end()
    assert [each.message.partition(":")[0] for each in findings.found] == [
        "this and all up to event 2 are signed, but not served",
        f"this and all up to event {2**62} are signed, but not served",
    ]
    assert auditor.root(2**62) is None


def test_an_event_is_compared_with_the_leaf_that_was_signed() -> None:
    events, _ = log(5)
    leaves = [sealed(sequence).leaf for sequence in range(1, 6)]
    events[2]["artefact"] = None
    findings = Findings()
    auditor = Auditor(f"{BASE}/log", 5, findings)
    for event in [*events[:3], events[4]]:
        auditor.take(event)
    auditor.compare(1, leaves)
    assert [(each.rule, each.event) for each in findings.found] == [("leaf", 3)]


def test_of_many_discrepancies_some_are_told_and_all_are_counted() -> None:
    findings = Findings()
    auditor = Auditor("https://another.example/log", 1_000, findings)
    for event in log(MOST + 20)[0]:
        auditor.take(event)
    assert (len(findings.found), findings.more) == (MOST, 20)


def test_a_payload_with_numbers_is_hashed_as_it_was_written() -> None:
    payload = canonical({"a": [1e17, 1.0, 0.1, 1e300, -0.0, 2**53 - 1], "é": "\u20ac\n\x0f"})
    assert audited([served(sealed(1, payload))], 1)[1] == []
