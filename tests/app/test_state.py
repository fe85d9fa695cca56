"""The file that says how far an app has come: whole, durable, of one process, and of bounded size."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.service import environment

from orchestrator.app import opened
from orchestrator.app.state import Pending, State
from orchestrator.core.errors import ConfigurationError, StorageError

LOG = "https://log.example/log"
LINK = ("https://pod.example/1", "urn:reviewed", "https://reviews.example/1")


def pending(**more: Any) -> Pending:
    given = {"sequence": 1, "event": f"{LOG}/e/1", "activity": "urn:a", "artefact": LINK[0], "links": [LINK]}
    return Pending(**{**given, **more})


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    with opened(path, LOG) as file:
        assert file.state == State(log=LOG)
        file.state.sequence = 7
        file.state.pending = [
            pending(),
            pending(stage="reporting", written=[LINK], report='{"é": 1}', failures=3),
        ]
        file.state.behind["pod.example"] = 8
        file.state.remember(file.state.sent, "urn:sent")
        file.state.remember(file.state.caused, "urn:caused")
        file.save()
        kept = file.state
    with opened(path, LOG) as file:
        assert file.state == kept
        assert file.state is not kept
    assert sorted(each.name for each in tmp_path.iterdir()) == ["app.json"]


def test_what_is_not_saved_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    with opened(path, LOG) as file:
        file.save()
        file.state.sequence = 7
    with opened(path, LOG) as file:
        assert file.state.sequence == 0


def test_a_memory_keeps_the_latest_thousand() -> None:
    state = State(log=LOG)
    for number in range(2_500):
        state.remember(state.sent, str(number))
    assert list(state.sent) == [str(number) for number in range(1_500, 2_500)]
    state.remember(state.sent, "1500")
    assert len(state.sent) == 1_000


def test_a_report_goes_elsewhere_than_its_artefact() -> None:
    assert [pending(stage=stage).place for stage in ("seen", "writing", "reporting")] == [
        "pod.example"
    ] * 2 + [""]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no state of an app"),
        ("[]", "is no state of an app"),
        ("{}", "is no state of an app"),
        ('{"version": 2}', "is no state of an app"),
        ('{"version": 1, "log": "https://log.example/log"}', "is no state of an app"),
        ('{"version": 1, "lo', "is no state of an app"),
        ("\udcff", "is no state of an app|cannot be read"),
    ],
)
def test_what_is_no_state_is_left_as_it_is(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=said), opened(path, LOG):
        pass
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


def test_the_state_of_another_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    with opened(path, LOG) as file:
        file.save()
    with pytest.raises(ConfigurationError, match="give another --state"), opened(path, f"{LOG}2"):
        pass


HOLD = """
import sys
from pathlib import Path
from orchestrator.app import opened
with opened(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_never_have_the_same_state(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    words = [sys.executable, "-c", HOLD, str(path), LOG]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment({})
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationError, match="in use"), opened(path, LOG):
            pass
        with opened(path, LOG, rehearses=True) as file:
            file.save()
        process.kill()
    # Whoever is killed holds nothing.
    with opened(path, LOG) as file:
        file.save()


def test_a_rehearsal_reads_and_never_writes(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    with opened(path, LOG) as file:
        file.state.sequence = 7
        file.save()
    with opened(path, LOG, rehearses=True) as file:
        assert file.state.sequence == 7
        file.state.sequence = 8
        file.save()
    assert json.loads(path.read_text())["sequence"] == 7
    assert [each.name for each in tmp_path.iterdir()] == ["app.json"]


def test_a_disk_that_takes_nothing_is_said_and_the_last_state_stays(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    with opened(path, LOG) as file:
        file.save()
        before = path.read_bytes()
        (tmp_path / "app.json.new").mkdir()
        with pytest.raises(StorageError, match=r"app\.json"):
            file.save()
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"), opened(tmp_path / "no" / "app.json", LOG):
        pass
