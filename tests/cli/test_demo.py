import json
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

from .conftest import Demo, Run, environment


def test_a_demo_goes_all_the_way_and_twice_changes_nothing(demo: Demo) -> None:
    account = demo.ended.json
    assert demo.ended.code == 0
    assert (account["ok"], demo.ended.err) == (True, "")
    assert len(account["expected"]) == 10
    assert all(account["expected"].values())
    patterns = [step["pattern"] for step in account["received"]]
    assert patterns == ["request-review", "accept", "announce-review"]
    assert [step["state"] for step in account["received"]] == ["PROCESSED"] * 3
    assert [step["sequence"] for step in account["received"]] == [1, 2, 3]
    (delivery,) = account["deliveries"]
    assert (delivery["state"], delivery["status"]) == ("DELIVERED", 201)
    assert delivery["hub"] == account["peers"]["Service hub"]["url"]
    assert account["peers"]["Service hub"]["kept"] == 1


def test_a_demo_leaves_a_folder_that_the_service_can_be_started_from(demo: Demo) -> None:
    account = demo.ended.json
    assert account["folder"] == str(demo.folder)
    settings = tomllib.loads(demo.config.read_text())
    assert f":{settings['server']['port']}/" in account["urls"]["inbox"]
    policy = (demo.folder / "policies" / "announce-reviews.ttl").read_text()
    assert f"pol:to <{account['peers']['Service hub']['url']}>" in policy
    assert "<https://hub.example/>" not in policy


def test_a_folder_with_something_in_it_is_left_alone(spawn: Run, demo: Demo) -> None:
    before = sorted(demo.folder.rglob("*"))
    ended = spawn("demo", "--once", "--folder", demo.folder)
    assert ended.code == 2
    assert "is not empty" in ended.err
    assert sorted(demo.folder.rglob("*")) == before


def test_a_file_is_no_folder(spawn: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert spawn("demo", "--once", "--folder", "file").code == 2


def test_without_once_the_demo_keeps_serving_until_it_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "orchestrator", "demo", "--folder", str(tmp_path / "new")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(ORCHESTRATOR_SERVER_PORT="nonsense"),
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = ""
        while "The hub got an Announce of ours" not in told:
            line = process.stdout.readline()
            assert line, process.communicate()
            told += line
        urls = [word for line in told.splitlines() for word in line.split() if word.startswith("http://")]
        assert len(urls) >= 12
        for url in urls:
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert answer.status == 200
                if "/log/e/" in url:
                    assert json.load(answer)["type"]
        assert "FAIL" not in told
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Still serving; Ctrl-C ends it" in err
