import json
import signal
import socket
import urllib.request
from pathlib import Path

from .conftest import Run, serving


def test_the_service_says_where_it_is_answers_logs_json_and_ends_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, '[identity]\nname = "File"\n', ORCHESTRATOR_IDENTITY_NAME="Environment") as served:
        assert set(served.urls) == {"inbox", "log", "shapes", "policies", "profile"}
        for url in served.urls.values():
            request = urllib.request.Request(url, headers={"Accept": "application/ld+json, */*;q=0.1"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 200
                if url == served.urls["profile"]:
                    assert json.load(answer)["name"] == "Environment"
        assert served.stop(signal.SIGTERM) == 0
    for line in served.log:
        assert set(line) >= {"time", "level", "action", "text", "logger"}
    actions = [line["action"] for line in served.log]
    assert actions.count("serving") == actions.count("stopping") == 1
    assert all(line["level"] == "info" for line in served.log), served.log


def test_a_port_that_is_taken_is_one_clear_line_before_anything_is_started(
    spawn: Run, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = spawn("serve", "--port", str(port))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        f"orchestrator: cannot listen on 127.0.0.1:{port}: Address already in use"
    ]
    assert not (tmp_path / "orchestrator.sqlite").exists()


def test_other_addresses_than_loopback_need_a_decision(spawn: Run) -> None:
    ended = spawn("serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 2
    assert "set inbox.policy, inbox.read, server.public_url before" in ended.err


def test_broken_policies_refuse_to_start(spawn: Run, tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "broken.ttl").write_text("<#broken> a .")
    ended = spawn("serve", "--port", "0", "--policies", "policies")
    assert (ended.code, ended.out) == (2, "")
    assert "broken.ttl:1: error:" in ended.err


def test_a_database_that_cannot_be_used_is_one_clear_line(spawn: Run) -> None:
    ended = spawn("serve", "--port", "0", "--database", "mysql://db.example/x")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
