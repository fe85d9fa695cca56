"""inbox, log and delivery: what the database of a service holds."""

import json
import time
from pathlib import Path

import pytest

from orchestrator.cli.inbox import latest
from orchestrator.ports import Reader

from .conftest import Demo, Ended, Run, Served


def test_the_inbox_lists_what_came_and_what_became_of_it(run: Run, demo: Demo) -> None:
    ended = run("inbox", "list", "--json", "--config", demo.config)
    assert ended.code == 0
    assert [each["pattern"] for each in ended.json] == ["request-review", "accept", "announce-review"]
    assert {each["state"] for each in ended.json} == {"PROCESSED"}
    lines = run("inbox", "list", "--limit", "1", "--config", demo.config).out.splitlines()
    assert len(lines) == 1
    assert "PROCESSED (logged)" in lines[0]
    assert "announce-review" in lines[0]


def test_an_inbox_without_such_notifications_says_so_on_stderr(run: Run, demo: Demo) -> None:
    ended = run("inbox", "list", "--state", "dead", "--config", demo.config)
    assert (ended.code, ended.out, ended.err) == (0, "", "No notification is DEAD.\n")
    assert run("inbox", "list", "--state", "dead", "--json", "--config", demo.config).json == []


def test_an_unknown_state_is_a_usage_error(run: Run, demo: Demo) -> None:
    assert run("inbox", "list", "--state", "NONSENSE", "--config", demo.config).code == 2


def test_a_notification_is_shown_with_its_bytes_state_and_event(run: Run, demo: Demo) -> None:
    received = demo.ended.json["received"][2]
    token = received["location"].rpartition("/")[2]
    shown = run("inbox", "show", token, "--config", demo.config)
    assert shown.code == 0
    assert received["event"] in shown.out
    assert "PROCESSED" in shown.out
    as_json = run("inbox", "show", received["location"], "--json", "--config", demo.config).json
    raw = run("inbox", "show", token, "--raw", "--config", demo.config).out
    assert json.loads(raw)["id"] == as_json["id"] == received["id"]
    assert as_json["body"] == raw
    assert (as_json["event"], as_json["state"], as_json["warnings"]) == (received["event"], "PROCESSED", [])


def test_a_notification_that_is_not_there_ends_with_1(run: Run, demo: Demo) -> None:
    ended = run("inbox", "show", "nothing", "--config", demo.config)
    assert (ended.code, ended.out) == (1, "")
    assert "no notification nothing" in ended.err


def test_reading_never_makes_a_database(run: Run, tmp_path: Path) -> None:
    for words in (["inbox", "list"], ["log", "read"], ["delivery", "list"]):
        ended = run(*words)
        assert ended.code == 2
        assert "there is no database orchestrator.sqlite yet" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_the_log_is_read_from_the_database(run: Run, demo: Demo) -> None:
    config = ("--config", demo.config)
    events = run("log", "read", "--json", *config).json
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert [event["activity"] for event in events] == [step["id"] for step in demo.ended.json["received"]]
    lines = run("log", "read", "--nl", "--since", "1", "--limit", "1", *config).out.splitlines()
    assert [json.loads(line) for line in lines] == [events[1]]
    assert len(run("log", "read", *config).out.splitlines()) == 3


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Announce", [3]),
        ("coar-notify:ReviewAction", [1, 3]),
        ("https://www.w3.org/ns/activitystreams#Accept", [2]),
    ],
)
def test_the_log_is_filtered_by_type(run: Run, demo: Demo, kind: str, expected: list[int]) -> None:
    events = run("log", "read", "--json", "--type", kind, "--config", demo.config).json
    assert [event["sequence"] for event in events] == expected


def test_the_log_is_filtered_by_artefact(run: Run, demo: Demo) -> None:
    artefact = run("log", "read", "--json", "--config", demo.config).json[0]["artefact"]
    assert len(run("log", "read", "--json", "--artefact", artefact, "--config", demo.config).json) == 3
    other = run("log", "read", "--artefact", artefact + "0", "--config", demo.config)
    assert (other.code, other.out, other.err) == (0, "", "No event is there.\n")


def test_deliveries_are_listed(run: Run, demo: Demo) -> None:
    (delivery,) = run("delivery", "list", "--json", "--config", demo.config).json
    told = demo.ended.json["deliveries"][0]
    assert (delivery["id"], delivery["target"], delivery["state"]) == (told["id"], told["hub"], "DELIVERED")
    assert (delivery["status"], delivery["location"]) == (201, told["location"])
    assert delivery["id"] in run("delivery", "list", "--config", demo.config).out


def test_only_a_dead_delivery_can_be_retried(run: Run, demo: Demo) -> None:
    identifier = demo.ended.json["deliveries"][0]["id"]
    ended = run("delivery", "retry", identifier, "--config", demo.config)
    assert (ended.code, ended.out) == (1, "")
    assert "Only a DEAD delivery can be retried" in ended.err
    assert run("delivery", "retry", "urn:uuid:nothing", "--config", demo.config).code == 1


def test_a_running_service_is_read_over_http_and_its_dead_delivery_retried(run: Run, service: Served) -> None:
    assert run("send", "--pattern", "announce-review", "--to", service.urls["profile"]).code == 0
    config = ("--config", service.config)
    dead = _awaited(run, "delivery", "list", "--state", "DEAD", "--json", *config).json[0]
    assert "plain http is not allowed" in dead["reason"]
    remote = run("log", "read", service.urls["log"], "--type", "Announce", "--json").json
    types = {"Announce", "coar-notify:ReviewAction", "LifecycleEvent"}
    assert [set(event["type"]) for event in remote] == [types]
    again = run("delivery", "retry", dead["id"], "--json", *config)
    assert (again.code, again.json["state"], again.json["attempts"]) == (0, "RETRYING", 0)
    # The service finds it without being told, and fails again.
    assert _awaited(run, "delivery", "list", "--state", "DEAD", "--json", *config).json[0]["id"] == dead["id"]


def _awaited(run: Run, *words: str | Path) -> Ended:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ended = run(*words)
        if ended.json:
            return ended
    raise TimeoutError


class _Arrivals:
    """Keys and states of an inbox with gaps; counts how much is read of it."""

    def __init__(self, states: dict[int, str]) -> None:
        self.states = states
        self.read = 0

    async def latest(self, inbox: str) -> int:
        assert inbox == "inbox"
        return max(self.states, default=0)

    async def listing(self, inbox: str, *, after: int = 0, limit: int = 1000) -> list[object]:
        assert inbox == "inbox"
        keys = [key for key in sorted(self.states) if key > after][:limit]
        self.read += len(keys)
        return [_Row(key, self.states[key]) for key in keys]


class _Row:
    def __init__(self, key: int, state: str) -> None:
        self.key = key
        self.state = type("State", (), {"value": state})


@pytest.mark.parametrize("state", [None, "DEAD"])
async def test_the_latest_are_found_without_reading_everything(state: str | None) -> None:
    arrivals = _Arrivals({key: "DEAD" if key % 3 else "PROCESSED" for key in range(1, 9_001, 2)})
    reader: Reader = arrivals  # type: ignore[assignment]
    found = await latest(reader, "inbox", state, 5)
    expected = [key for key, given in arrivals.states.items() if state in (None, given)][-5:]
    assert [row.key for row in found] == expected
    assert arrivals.read < 200


@pytest.mark.parametrize("verb", ["accept", "dismiss"])
def test_only_a_parked_notification_can_be_accepted_or_dismissed(run: Run, demo: Demo, verb: str) -> None:
    location = demo.ended.json["received"][2]["location"]
    ended = run("inbox", verb, location, "--config", demo.config)
    assert (ended.code, ended.out) == (1, "")
    assert "only a PARKED one" in ended.err
    assert run("inbox", verb, "nothing", "--config", demo.config).code == 1
