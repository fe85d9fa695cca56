"""key: the key that signs the log, with a real database and a real service."""

import base64
import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.service import free_port

from orchestrator.core.checkpoint import VerifierKey, open_note

from .conftest import FIXTURES, Demo, Ended, Run, Served, serving

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def seed(file: Path) -> str:
    """Return the line of the file that is secret."""
    [line] = [line for line in file.read_text().splitlines() if "-----" not in line]
    return line


def hides(ended: Ended, *secrets: str) -> bool:
    return not any(secret in ended.out + ended.err for secret in secrets)


def get(served: Served, path: str) -> bytes:
    request = urllib.request.Request(served.urls["log"] + path, headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        body: bytes = answer.read()
    return body


def post(served: Served, body: bytes) -> None:
    request = urllib.request.Request(served.urls["inbox"], body, {"Content-Type": "application/ld+json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 201


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def show(run: Run, config: Path) -> Any:
    ended = run("key", "show", "--json", "--config", config)
    assert (ended.code, ended.err) == (0, "")
    return ended.json


@pytest.fixture
def log(run: Run, demo: Demo, tmp_path: Path) -> Path:
    """Return the settings of a copy of the demo's log."""
    database = tmp_path / "copy.sqlite"
    database.write_bytes((demo.folder / "orchestrator.sqlite").read_bytes())
    key = tmp_path / "copy.key"
    key.write_bytes((demo.folder / "orchestrator.key").read_bytes())
    key.chmod(0o600)
    config = tmp_path / "copy.toml"
    config.write_text(f'[database]\nurl = "sqlite:///{database}"\n')
    return config


def test_the_key_is_shown_without_its_secret(run: Run, log: Path, tmp_path: Path) -> None:
    shown = show(run, log)
    assert shown["file"] == str(tmp_path / "copy.key")
    [key] = shown["keys"]
    assert set(key) == {"key", "since", "until"}
    assert re.fullmatch(TIME, key["since"])
    assert key["until"] is None
    assert VerifierKey.parse(key["key"]).name.endswith("/log")
    ended = run("key", "show", "--config", log)
    assert ended.code == 0
    file, in_use = ended.out.splitlines()
    assert file.split() == ["file", str(tmp_path / "copy.key")]
    assert re.fullmatch(rf"key in use +{re.escape(key['key'])} +since {TIME}", in_use)
    assert hides(ended, seed(tmp_path / "copy.key"))


def test_a_rotation_puts_a_new_key_in_the_place_of_the_old(run: Run, log: Path, tmp_path: Path) -> None:
    file = tmp_path / "copy.key"
    secret, [old] = seed(file), show(run, log)["keys"]
    ended = run("key", "rotate", "--config", log)
    assert ended.code == 0
    before, new = show(run, log)["keys"]
    assert (before["key"], before["until"]) == (old["key"], new["since"])
    assert ended.out == new["key"] + "\n"
    assert "/log/keys" in ended.err
    assert "Restart the service" in ended.err
    assert VerifierKey.parse(new["key"]).name == VerifierKey.parse(old["key"]).name
    assert (seed(file) == secret, file.stat().st_mode & 0o777) == (False, 0o600)
    assert hides(ended, secret, seed(file))
    table = run("key", "show", "--config", log).out.splitlines()
    assert [line.split("  ")[0] for line in table] == ["file", "key in use", "earlier key"]
    assert (new["key"] in table[1], old["key"] in table[2]) == (True, True)


def test_a_rotation_helps_who_has_lost_the_file(run: Run, log: Path, tmp_path: Path) -> None:
    file = tmp_path / "copy.key"
    file.unlink()
    assert run("key", "show", "--config", log).code == 0
    ended = run("key", "rotate", "--config", log)
    assert (ended.code, len(show(run, log)["keys"])) == (0, 2)
    assert base64.b64decode(seed(file))


def test_a_rotation_that_cannot_write_the_file_changes_nothing(run: Run, log: Path, tmp_path: Path) -> None:
    before = show(run, log)["keys"]
    log.write_text(log.read_text() + f'[log]\nkey = "{tmp_path / "nowhere" / "log.key"}"\n')
    ended = run("key", "rotate", "--config", log)
    assert (ended.code, ended.out) == (2, "")
    assert "nowhere" in ended.err
    assert show(run, log)["keys"] == before


def test_neither_command_makes_a_database(run: Run, tmp_path: Path) -> None:
    for verb in ("show", "rotate"):
        ended = run("key", verb)
        assert (ended.code, ended.out) == (2, "")
        assert "there is no database orchestrator.sqlite yet" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_a_key_says_when_it_gets_one(run: Run, tmp_path: Path) -> None:
    assert run("source", "list", "--config", _new(tmp_path)).code == 0
    ended = run("key", "show", "--config", tmp_path / "new.toml")
    assert (ended.code, ended.out.split()) == (0, ["file", str(tmp_path / "new.key")])
    assert ended.err == "The log has no key yet: the service makes it when it starts.\n"
    assert show_keys(run, tmp_path / "new.toml") == []


def show_keys(run: Run, config: Path) -> Any:
    return run("key", "show", "--json", "--config", config).json["keys"]


def _new(folder: Path) -> Path:
    (folder / "new.sqlite").touch()
    config = folder / "new.toml"
    config.write_text(f'[database]\nurl = "sqlite:///{folder / "new.sqlite"}"\n')
    return config


def test_a_service_signs_with_the_new_key_after_its_restart(spawn: Run, tmp_path: Path) -> None:
    """And not before; readers who ask find the key that signed in either case."""
    port = {"ORCHESTRATOR_SERVER_PORT": str(free_port())}
    with serving(tmp_path, **port) as served:
        [old] = get(served, "/keys").decode().split()
        post(served, (FIXTURES / "announce-review" / "valid.json").read_bytes())
        wait_for(lambda: open_note(get(served, "/checkpoint"), [VerifierKey.parse(old)]).size == 1)
        # The settings of this command know nothing of the port, which is in the log's name.
        ended = spawn("key", "rotate", "--config", served.config)
        assert ended.code == 0
        assert get(served, "/keys").decode() == f"{old}\n{ended.out}"
        before = open_note(get(served, "/checkpoint"), [VerifierKey.parse(old)])
        assert served.stop() == 0
    with serving(tmp_path, **port) as served:
        assert get(served, "/keys").decode() == f"{old}\n{ended.out}"
        assert open_note(get(served, "/checkpoint"), [VerifierKey.parse(ended.out.strip())]) == before
        assert served.stop() == 0
