"""`log follow`, `log export` and `log verify` against a real service, as processes and in files."""

import contextlib
import gzip
import json
import os
import pty
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from orchestrator.core.checkpoint import SignerKey
from orchestrator.core.rdf import parse_quads
from orchestrator.core.vocabulary import N_QUADS

from .conftest import FIXTURES, Run, Served, environment, serving

COMMAND = [sys.executable, "-W", "error", "-m", "orchestrator"]
Event = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose log has a few events."""
    with serving(tmp_path_factory.mktemp("log")) as made:
        for pattern in ("request-review", "accept", "announce-review", "announce-endorsement"):
            post(made, pattern)
        # What RFC 8785 writes as an integer beyond 53 bits, and nearly as deep as an inbox takes it.
        deep: object = {"id": "urn:x:deep", "sorg:position": 1e17}
        for number in range(28):
            deep = {"id": f"urn:x:{number}", "sorg:about": deep}
        post(made, "announce-review", **{"sorg:about": deep})
        yield made


def post(served: Served, pattern: str = "announce-review", **members: object) -> None:
    """Post a fresh notification, and wait until it is an event."""
    document = json.loads((FIXTURES / pattern / "valid.json").read_text())
    document |= {"id": f"urn:uuid:{uuid.uuid4()}", **members}
    headers = {"Content-Type": "application/ld+json"}
    request = urllib.request.Request(served.urls["inbox"], json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        report = answer.headers["Location"] + "/report"
    awaited(lambda: fetched(report).get("event"))


def fetched(url: str) -> Any:
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Accept": "application/json"})
    ) as answer:
        return json.loads(answer.read())


def awaited(ask: Any, within: float = 60) -> Any:
    deadline = time.monotonic() + within
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def events(served: Served) -> list[Event]:
    """Return what the log has, read in another way."""
    found: list[Event] = fetched(f"{served.urls['log']}?since=0&limit=1000")["orderedItems"]
    return found


def read(path: Path) -> list[Event]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def has_lines(path: Path) -> bool:
    """Whether somebody who is writing it has written lines, and whole ones."""
    return path.exists() and path.read_bytes().endswith(b"\n")


def sequences(path: Path) -> list[int]:
    return [event["sequence"] for event in read(path)]


@contextlib.contextmanager
def running(
    *words: str | Path, cwd: Path, out: BinaryIO | int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that does not end by itself."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=out, stderr=subprocess.PIPE, cwd=cwd, env=environment()
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


# Following into a file


def test_every_event_is_in_the_file_once_however_often_it_is_followed(
    run: Run, served: Served, tmp_path: Path
) -> None:
    output = tmp_path / "events.jsonl"
    words = ("log", "follow", served.urls["log"], "--once", "--output", output)
    for _ in range(2):
        ended = run(*words)
        assert (ended.code, ended.out, ended.err) == (0, "", "")
        assert read(output) == events(served)
    post(served)
    assert run(*words).code == 0
    assert read(output) == events(served)
    state = json.loads((tmp_path / "events.jsonl.state").read_text())
    assert state["log"] == served.urls["log"]
    assert (state["sequence"], state["offset"]) == (len(events(served)), output.stat().st_size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.state"]


@pytest.mark.parametrize("rest", [b"{", b'{"sequence": 99}\n{"seq', b"\0" * 5_000])
def test_what_was_half_written_when_the_power_failed_is_cut_off(
    rest: bytes, run: Run, served: Served, tmp_path: Path
) -> None:
    output = tmp_path / "events.jsonl"
    words = ("log", "follow", served.urls["log"], "--once", "--output", output)
    run(*words)
    state = json.loads((tmp_path / "events.jsonl.state").read_text())
    lines = output.read_bytes().splitlines(keepends=True)
    kept = b"".join(lines[:2])
    output.write_bytes(kept + rest)
    (tmp_path / "events.jsonl.state").write_text(json.dumps({**state, "sequence": 2, "offset": len(kept)}))
    assert run(*words).code == 0
    assert read(output) == events(served)


def test_standard_output_in_a_file_is_a_file_too(served: Served, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    words = ("log", "follow", served.urls["log"], "--once", "--state", "mine")
    for rest in (b"", b"", b'{"half'):
        with output.open("ab") as file:
            file.write(rest)
            file.flush()
            with running(*words, cwd=tmp_path, out=file) as process:
                assert process.wait(60) == 0
        assert read(output) == events(served)
    with output.open("wb") as file, running(*words, cwd=tmp_path, out=file) as process:
        assert process.wait(60) == 2
        assert process.stderr is not None
        assert b"was cut" in process.stderr.read()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_what_comes_is_written_at_once_and_a_signal_ends_it_in_order(
    name: str, served: Served, tmp_path: Path
) -> None:
    output = tmp_path / "events.jsonl"
    words = ("log", "follow", served.urls["log"], "--output", output)
    with running(*words, cwd=tmp_path) as process:
        awaited(lambda: has_lines(output) and len(read(output)) == len(events(served)))
        post(served)
        awaited(lambda: has_lines(output) and len(read(output)) == len(events(served)))
        process.send_signal(signal.Signals[name])
        assert process.wait(30) == 0
        assert process.communicate() == (b"", b"")
    state = json.loads((tmp_path / "events.jsonl.state").read_text())
    assert (state["sequence"], state["offset"]) == (len(events(served)), output.stat().st_size)


def test_two_followers_do_not_share_a_state_or_an_output(run: Run, served: Served, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    words = ("log", "follow", served.urls["log"], "--output", output)
    with running(*words, cwd=tmp_path):
        awaited(lambda: has_lines(output))
        for more in ((), ("--state", "another.state")):
            ended = run(*words, *more, "--once")
            assert ended.code == 2
            assert "is in use by another process" in ended.err
    assert run(*words, "--once").code == 0


def test_a_state_belongs_to_one_log(run: Run, served: Served, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    assert run("log", "follow", served.urls["log"], "--once", "--output", output).code == 0
    before = output.read_bytes()
    for url, more in (("http://127.0.0.1:9/log", ()), (served.urls["log"], ("--type", "Announce"))):
        ended = run("log", "follow", url, *more, "--once", "--output", output)
        assert ended.code == 2
        assert f"belongs to {served.urls['log']}" in ended.err
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    "state",
    [
        "",
        "{",
        "[]",
        '{"log": 7, "sequence": 1}',
        '{"log": "x", "sequence": -1}',
        '{"log": "x", "sequence": true}',
        '{"log": "x", "sequence": 1, "offset": "1"}',
        '{"log": "x", "sequence": 1, "more": 1}',
    ],
)
def test_what_is_no_state_file_is_left_alone(state: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text(state)
    ended = run("log", "follow", "http://127.0.0.1:9/log", "--once", "--state", file)
    assert ended.code == 2
    assert "is no state file" in ended.err
    assert file.read_text() == state


def test_an_output_that_is_not_ours_is_left_alone(run: Run, served: Served, tmp_path: Path) -> None:
    output = tmp_path / "events.jsonl"
    words = ("log", "follow", served.urls["log"], "--once", "--output", output)
    output.write_text("precious\n")
    ended = run(*words)
    assert ended.code == 2
    assert "holds something" in ended.err
    output.unlink()
    run(*words)
    lines = output.read_text().splitlines(keepends=True)
    for changed in ("".join(lines[::-1]), "".join(lines[:-1]), "".join(lines)[:-1] + "x", "\n" * 100_000):
        output.write_text(changed)
        ended = run(*words)
        assert ended.code == 2
        assert "Begin anew without state file and output" in ended.err
        assert output.read_text() == changed


def test_an_output_must_be_a_file_that_can_be_written(run: Run, served: Served, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for output, said in (
        ("/dev/null", "is no file"),
        (fifo, "is no file"),
        (tmp_path, "is a directory"),
        (tmp_path / "nowhere" / "x", "No such file or directory"),
    ):
        ended = run("log", "follow", served.urls["log"], "--once", "--output", output, "--state", "mine")
        assert ended.code == 2
        assert said in ended.err


# Following into a pipe


def test_a_pipe_gets_each_event_as_a_line_and_a_state_tells_where_to_go_on(
    spawn: Run, served: Served, tmp_path: Path
) -> None:
    words = ("log", "follow", served.urls["log"], "--once", "--state", "mine")
    first = spawn(*words)
    assert [json.loads(line) for line in first.out.splitlines()] == events(served)
    assert spawn(*words).out == ""
    post(served)
    assert [json.loads(line) for line in spawn(*words).out.splitlines()] == events(served)[-1:]


def test_without_a_state_everything_comes_again(run: Run, served: Served, tmp_path: Path) -> None:
    for _ in range(2):
        ended = run("log", "follow", served.urls["log"], "--once", "--since", "2")
        assert [json.loads(line) for line in ended.out.splitlines()] == events(served)[2:]
    assert list(tmp_path.iterdir()) == []


def test_a_reader_who_has_enough_ends_it_without_a_word(served: Served, tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with (
        os.fdopen(theirs, "wb") as out,
        running("log", "follow", served.urls["log"], cwd=tmp_path, out=out) as process,
    ):
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_full_disk_is_one_clear_line(served: Served, tmp_path: Path) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        running("log", "follow", served.urls["log"], "--once", cwd=tmp_path, out=full) as process,
    ):
        assert process.wait(60) == 3
        assert process.stderr is not None
        assert process.stderr.read().decode().splitlines()[0].endswith("No space left on device")


def test_only_what_is_wanted_is_followed(run: Run, served: Served) -> None:
    offers = [event for event in events(served) if "Offer" in event["type"]]
    ended = run("log", "follow", served.urls["log"], "--once", "--type", "Offer")
    assert [json.loads(line) for line in ended.out.splitlines()] == offers
    about = run("log", "follow", served.urls["log"], "--once", "--artefact", offers[0]["artefact"])
    assert offers[0] in [json.loads(line) for line in about.out.splitlines()]


@pytest.mark.parametrize(
    "words", [["follow", "--once"], ["export", "--output", "x.jsonl"], ["verify"]], ids=lambda words: words[0]
)
def test_without_a_url_it_is_the_log_of_the_settings(
    words: Sequence[str], run: Run, served: Served, tmp_path: Path
) -> None:
    ended = run("log", *words)
    assert ended.code == 2
    assert "server.public_url" in ended.err
    config = tmp_path / "mine.toml"
    config.write_text(f'[server]\npublic_url = "{served.urls["log"].removesuffix("/log")}"\n')
    assert run("log", *words, "--config", config).code == 0


@pytest.mark.parametrize(
    "words", [["follow"], ["export", "--output", "x.jsonl"], ["verify"]], ids=lambda words: words[0]
)
def test_a_log_that_is_not_there_is_told_in_one_line(words: Sequence[str], run: Run, served: Served) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/log"
    for place in (url, served.urls["log"] + "s"):
        ended = run("log", words[0], place, *words[1:])
        assert (ended.code, ended.out) == (3, "")
        assert len(ended.err.splitlines()) == 1


def test_a_log_that_was_put_back_is_not_followed_silently(run: Run, served: Served) -> None:
    ended = run("log", "follow", served.urls["log"], "--since", "1000")
    assert (ended.code, ended.out) == (3, "")
    assert "put back to an earlier state" in ended.err


# Exporting


def test_a_log_is_exported_as_lines_plain_or_compressed(run: Run, served: Served, tmp_path: Path) -> None:
    for name in ("log.jsonl", "log.jsonl.gz"):
        ended = run("log", "export", served.urls["log"], "--output", tmp_path / name)
        assert (ended.code, ended.out) == (0, "")
        size = (tmp_path / name).stat().st_size
        number = len(events(served))
        assert ended.err.startswith(
            f"{number} events, {size} bytes in {tmp_path / name}. Checkpoint of the log:"
        )
        assert f" {number} events, root " in ended.err
    assert read(tmp_path / "log.jsonl") == events(served)
    assert gzip.decompress((tmp_path / "log.jsonl.gz").read_bytes()) == (tmp_path / "log.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "log.jsonl.gz"]


def test_a_log_is_exported_as_quads_of_its_events_and_nothing_else(
    run: Run, served: Served, tmp_path: Path
) -> None:
    output = tmp_path / "log.nq"
    assert run("log", "export", served.urls["log"], "--output", output, "--format", "nquads").code == 0
    quads = parse_quads(output.read_bytes(), N_QUADS, "urn:x")
    iris = {event["id"] for event in events(served)}
    assert {graph for *_, graph in quads if graph} == iris
    assert {subject for subject, _, _, graph in quads if not graph} == iris


@pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz", "log.nq"])
def test_an_export_goes_on_where_it_stopped(
    name: str, run: Run, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = "nquads" if name == "log.nq" else "jsonl"
    words = ("log", "export", served.urls["log"], "--format", form, "--output")
    run(*words, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    part, state = tmp_path / f"{name}.part", tmp_path / f"{name}.part.state"
    # As it was after two events; and something was written after that, but never told of.
    if name == "log.nq":
        begin = whole[: whole.index(events(served)[2]["id"].encode()) - 1]
    else:
        text = whole if name == "log.jsonl" else gzip.decompress(whole)
        begin = b"".join(text.splitlines(keepends=True)[:2])
        begin = begin if name == "log.jsonl" else gzip.compress(begin)
    said = {"log": served.urls["log"], "sequence": 2, "offset": len(begin), "events": 2, "form": form}
    part.write_bytes(begin + b"half a li")
    state.write_text(json.dumps(said))
    ended = run(*words, tmp_path / name)
    assert (ended.code, ended.err.split()[0]) == (0, str(len(events(served))))
    again = (tmp_path / name).read_bytes()
    if name == "log.jsonl.gz":
        whole, again = gzip.decompress(whole), gzip.decompress(again)
    assert again == whole
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_part_of_which_nothing_is_known_is_begun_anew(run: Run, served: Served, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl.part").write_text("nonsense")
    assert run("log", "export", served.urls["log"], "--output", tmp_path / "log.jsonl").code == 0
    assert read(tmp_path / "log.jsonl") == events(served)


def test_a_part_is_not_mixed_with_another_form(run: Run, served: Served, tmp_path: Path) -> None:
    said = {"log": served.urls["log"], "sequence": 2, "offset": 0, "events": 2, "form": "jsonl"}
    (tmp_path / "log.part.state").write_text(json.dumps(said))
    words = ("log", "export", served.urls["log"], "--output", tmp_path / "log", "--format", "nquads")
    ended = run(*words)
    assert ended.code == 2
    assert "as jsonl, not to" in ended.err


def test_an_export_that_is_stopped_says_how_to_go_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/log"
        with running("log", "export", url, "--output", "log.jsonl", cwd=tmp_path) as process:
            mute.settimeout(60)
            connection, _ = mute.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 1
            assert process.stderr is not None
            assert b"run the same command again" in process.stderr.read()
            connection.close()
    assert not (tmp_path / "log.jsonl").exists()


# Verifying


def test_a_log_is_verified_again_and_again_against_what_was_kept(
    run: Run, served: Served, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    words = ("log", "verify", served.urls["log"], "--checkpoint", kept, "--save", kept)
    first = run(*words)
    assert first.code == 0
    assert f"{kept} does not exist yet" in first.err
    assert "The key is what the log itself says" in first.err
    size = len(events(served))
    assert f"as it was signed (checkpoint of {size} events; {size} read" in first.out
    key = kept.read_text().splitlines()[0]
    post(served)
    second = run(*words, "--json")
    assert (second.code, second.err) == (0, "")
    said = second.json
    assert (said["ok"], said["trust"], said["key"], said["kept"]) == (True, "kept", key, size)
    assert (said["size"], said["events"], said["discrepancies"]) == (size + 1, size + 1, [])
    assert kept.read_text().endswith(said["checkpoint"])
    quick = run("log", "verify", served.urls["log"], "--checkpoint", kept, "--quick", "--json").json
    assert (quick["ok"], quick["events"], quick["kept"]) == (True, None, size + 1)
    given = run("log", "verify", served.urls["log"], "--key", key)
    assert (given.code, given.err) == (0, "")


def test_on_a_terminal_it_tells_how_far_it_is(served: Served, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    for words, said in (
        (("verify",), b"events read\r\x1b[K"),
        (("export", "--output", "x.jsonl"), b"events written\r\x1b[K"),
    ):
        with subprocess.Popen(
            [*COMMAND, "log", words[0], served.urls["log"], *words[1:]],
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            cwd=tmp_path,
            env=environment(),
        ) as process:
            assert process.wait(60) == 0
        assert said in os.read(ours, 65_536)
    os.close(theirs)
    os.close(ours)


def test_what_was_changed_in_the_database_is_named_and_nothing_is_kept(
    run: Run, served: Served, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(served.config.with_name("orchestrator.sqlite"))) as connection:
        [[payload]] = connection.execute("SELECT payload FROM event WHERE sequence = 2")
        change = "UPDATE event SET payload = ? WHERE sequence = 2"
        with connection:
            connection.execute(change, [payload.replace(b"Accept", b"Reject")])
        ended = run("log", "verify", served.urls["log"], "--save", tmp_path / "kept")
        as_json = run("log", "verify", served.urls["log"], "--json")
        with connection:
            connection.execute(change, [payload])
    assert (ended.code, as_json.code) == (1, 1)
    assert ended.out.startswith("event 2: its payload is not the one that was signed")
    assert "NOT as it was signed" in ended.out
    assert [(each["rule"], each["event"]) for each in as_json.json["discrepancies"]] == [("digest", 2)]
    assert not (tmp_path / "kept").exists()
    assert run("log", "verify", served.urls["log"]).code == 0


def test_a_checkpoint_that_another_key_signed_ends_with_1(run: Run, served: Served) -> None:
    origin = served.urls["log"].partition("://")[2]
    other = SignerKey.generate(origin, b"o" * 32).verifier.text()
    ended = run("log", "verify", served.urls["log"], "--key", other)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.startswith("checkpoint: None of the keys that you trust has signed the checkpoint")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--quick"], "needs --checkpoint"),
        (["--checkpoint", "nowhere"], "nowhere does not exist: make it with --save"),
        (["--checkpoint", "nowhere", "--save", "elsewhere"], "nowhere does not exist: make it with --save"),
        (["--checkpoint", "."], "is a directory"),
        (["--key", "nonsense"], "NAME+ID+KEY"),
    ],
)
def test_what_was_meant_is_asked_for(words: list[str], said: str, run: Run, served: Served) -> None:
    ended = run("log", "verify", served.urls["log"], *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
