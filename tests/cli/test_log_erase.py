"""`orchestrator log erase`, and what the other commands make of what it has left."""

import asyncio
import dataclasses
import getpass
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.storage.examples import BASE, NOW, WARNING, arrival, claim, draft, outcome, plan, record

from orchestrator.core.delivery import DeliveryState, Verdict
from orchestrator.storage import Store
from orchestrator.storage import engine as engines

SECRET = "SECRET-WORD"
HUB = "https://hub.example/"
ERASE = ("log", "erase", "1", "--because", "request of 3 May", "--yes")


async def fill(url: str) -> list[str]:
    """Have two events, the first of them told to a hub that refused it; return the tokens."""
    store = Store.open(url, public_url=BASE)
    tokens = []
    for number in (1, 2):
        word = SECRET if number == 1 else "other"
        kept = arrival(number, content=word)
        warning = dataclasses.replace(WARNING, message=f"Not {word}.")
        known = dataclasses.replace(kept.notification, title=word, digest=str(number))
        kept = dataclasses.replace(kept, notification=known, warnings=(warning,))
        tokens.append((await store.ledger.keep(kept)).token)
        (claimed,) = await claim(store, now=NOW + number)
        said = json.dumps({"summary": word}).encode()
        event = dataclasses.replace(draft(claimed.notification), payload=said)
        await record(store, claimed, outcome(event, *([plan(HUB)] if number == 1 else [])), now=NOW + number)
    (held,) = await store.outbox.claim("us", limit=9, now=NOW + 10, lease=1_000)
    assert held.lease is not None
    await store.outbox.prepare(held.lease, inbox=f"{HUB}inbox/", body=SECRET.encode())
    dead = Verdict(state=DeliveryState.DEAD, reason="refused with 400")
    await store.outbox.finish(held.lease, dead, now=NOW + 11, status=400, location=None)
    await store.close()
    return tokens


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return where the database is that commands in this folder use."""
    return tmp_path / "orchestrator.sqlite"


@pytest.fixture
def tokens(database: Path) -> Sequence[str]:
    return asyncio.run(fill(f"sqlite:///{database}"))


def ask(database: Path, question: str) -> list[Any]:
    with sqlite3.connect(database) as connection:
        found = connection.execute(question).fetchall()
    connection.close()
    return found


def files_with(database: Path, word: str) -> list[str]:
    return [
        path.name for path in database.parent.glob(f"{database.name}*") if word.encode() in path.read_bytes()
    ]


def test_a_payload_is_erased_and_it_is_said_what_tells_of_it(
    tokens: Sequence[str], database: Path, spawn: Run
) -> None:
    assert files_with(database, SECRET) == [database.name]
    done = spawn(*ERASE, "--json")
    assert (done.code, done.json) == (
        0,
        {"event": f"{BASE}/log/e/1", "tombstone": f"{BASE}/log/e/3", "purged": True},
    )
    assert done.err == f"{BASE}/log/e/1 is erased; {BASE}/log/e/3 tells of it.\n"
    assert files_with(database, SECRET) == []
    [(what, who, note)] = ask(database, "SELECT what, who, note FROM journal ORDER BY seq DESC LIMIT 1")
    assert (what, who) == ("payload erased", f"command line of {getpass.getuser()}")
    assert json.loads(note) == {"because": "request of 3 May", "event": 1}
    assert files_with(database, "3 May") == [database.name]


def test_without_json_nothing_is_on_stdout(tokens: Sequence[str], run: Run) -> None:
    done = run(*ERASE)
    assert (done.code, done.out) == (0, "")


def test_twice_is_once(tokens: Sequence[str], database: Path, run: Run) -> None:
    run(*ERASE)
    again = run(*ERASE, "--json")
    assert (again.code, again.json["tombstone"], again.json["purged"]) == (0, None, True)
    assert again.err == f"{BASE}/log/e/1 had been erased before.\n"
    assert ask(database, "SELECT count(*) FROM event") == [(3,)]


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_it_asks_first_and_takes_nothing_for_a_no(
    tokens: Sequence[str], database: Path, run: Run, said: str, code: int
) -> None:
    done = run(*ERASE[:-1], given=said)
    assert done.code == code
    assert "Erase the payload of event 1 for good?" in done.err
    assert ask(database, "SELECT payload IS NULL FROM event WHERE sequence = 1") == [(code == 0,)]
    assert ask(database, "SELECT count(*) FROM event") == [(3 if code == 0 else 2,)]


def test_it_wants_to_know_why(tokens: Sequence[str], database: Path, run: Run) -> None:
    done = run("log", "erase", "1", "--yes")
    assert done.code == 2
    assert "--because" in done.err
    assert ask(database, "SELECT count(*) FROM event") == [(2,)]


@pytest.mark.parametrize("sequence", ["3", "999999999"])
def test_an_event_that_is_not_there_is_a_finding(
    tokens: Sequence[str], database: Path, run: Run, sequence: str
) -> None:
    done = run("log", "erase", sequence, *ERASE[3:])
    assert (done.code, done.out) == (1, "")
    assert done.err == f"orchestrator: The log has no event {sequence}.\n"
    assert ask(database, "SELECT count(*) FROM event") == [(2,)]


@pytest.mark.parametrize("sequence", ["0", "-1", "one", "1.0", "", "9" * 30])
def test_what_is_no_number_of_an_event_is_a_wrong_call(
    tokens: Sequence[str], run: Run, sequence: str
) -> None:
    assert run("log", "erase", *ERASE[3:], "--", sequence).code == 2


def test_a_tombstone_is_not_erased(tokens: Sequence[str], database: Path, run: Run) -> None:
    run(*ERASE)
    done = run("log", "erase", "3", *ERASE[3:])
    assert (done.code, done.out) == (1, "")
    assert "Event 3 is a tombstone" in done.err
    assert ask(database, "SELECT payload IS NULL FROM event WHERE sequence = 3") == [(0,)]
    assert ask(database, "SELECT count(*) FROM event") == [(3,)]


def test_without_a_database_there_is_nothing_to_erase(run: Run, database: Path) -> None:
    done = run(*ERASE)
    assert done.code == 2
    assert "there is no database" in done.err
    assert not database.exists()


def test_who_reads_meanwhile_is_told_of_and_the_next_time_cleans_up(
    tokens: Sequence[str], database: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_BUSY_MS", 50)
    reading = sqlite3.connect(database, isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT count(*) FROM event").fetchall()
    done = run(*ERASE, "--json")
    assert (done.code, done.json["purged"]) == (0, False)
    assert "run this once more" in done.err
    assert files_with(database, SECRET)
    reading.execute("COMMIT")
    reading.close()
    again = run(*ERASE, "--json")
    assert (again.code, again.json) == (
        0,
        {"event": f"{BASE}/log/e/1", "tombstone": None, "purged": True},
    )
    assert files_with(database, SECRET) == []


def test_the_inbox_shows_what_is_left(tokens: Sequence[str], run: Run) -> None:
    """Its id, sender, state and event; nothing of what it said."""
    before = run("inbox", "show", tokens[0], "--json").json
    run(*ERASE)
    shown = run("inbox", "show", tokens[0])
    assert shown.code == 0
    assert "no warnings" in shown.out
    after = run("inbox", "show", tokens[0], "--json")
    assert after.json == {**before, "body": "", "warnings": []}
    assert run("inbox", "show", tokens[0], "--raw").out == ""
    listed = run("inbox", "list", "--json")
    assert [each["token"] for each in listed.json] == list(tokens)
    table = run("inbox", "list", "--state", "PROCESSED")
    assert table.out.count("PROCESSED") == 2
    for said in (shown, after, listed, table):
        assert SECRET not in said.out + said.err


@pytest.mark.parametrize("change", ["accept", "dismiss"])
def test_what_was_erased_is_not_taken_up_again(
    tokens: Sequence[str], database: Path, run: Run, change: str
) -> None:
    run(*ERASE)
    before = ask(database, "SELECT * FROM processing")
    done = run("inbox", change, tokens[0])
    assert done.code == 1
    assert "only a PARKED one" in done.err
    assert ask(database, "SELECT * FROM processing") == before


def test_the_log_is_read_with_what_is_left(tokens: Sequence[str], run: Run) -> None:
    run(*ERASE)
    nodes = run("log", "read", "--json").json
    assert [node["sequence"] for node in nodes] == [1, 2, 3]
    assert ["@graph" in node for node in nodes] == [False, True, True]
    assert run("log", "read").code == 0
    [told] = run("log", "read", "--type", "log:Erasure", "--json").json
    assert (told["sequence"], told["causedBy"]) == (3, f"{BASE}/log/e/1")


def test_the_deliveries_are_listed_and_none_of_what_was_erased_can_be_sent(
    tokens: Sequence[str], database: Path, run: Run
) -> None:
    run(*ERASE)
    listed = run("delivery", "list", "--json").json
    assert {(each["event"], each["target"]) for each in listed} == {
        (f"{BASE}/log/e/1", HUB),
        (f"{BASE}/log/e/3", HUB),
    }
    [asked] = [each for each in listed if each["event"] == f"{BASE}/log/e/3"]
    assert (asked["state"], asked["policies"]) == ("PENDING", [])
    [about] = [each for each in listed if each["event"] == f"{BASE}/log/e/1"]
    run("delivery", "retry", about["id"])
    assert ask(database, "SELECT count(*) FROM delivery WHERE body IS NOT NULL") == [(0,)]
    assert run("delivery", "list").code == 0
