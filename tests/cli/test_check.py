import json
import socket
import urllib.request
from pathlib import Path

import jsonpatch
import pytest

from orchestrator.cli.demo_peers import served

from .conftest import FIXTURES, Run, Served

VALID = FIXTURES / "announce-review" / "valid.json"


def broken(tmp_path: Path, *patch: dict[str, object]) -> Path:
    document = jsonpatch.apply_patch(json.loads(VALID.read_text()), list(patch))
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(document))
    return file


@pytest.fixture
def without_type(tmp_path: Path) -> Path:
    return broken(tmp_path, {"op": "remove", "path": "/object/type"})


def test_a_valid_notification_is_accepted(run: Run) -> None:
    ended = run("check", VALID)
    assert ended.code == 0
    assert ended.out == f"{VALID}: accepted (announce-review; 0 violations, 0 warnings)\n"


def test_a_refusal_says_where_what_to_change_and_which_section_asks_for_it(
    run: Run, without_type: Path
) -> None:
    ended = run("check", without_type)
    assert ended.code == 1
    assert "refused, shape-violated (announce-review; 1 violation, 1 warning)" in ended.out
    assert "/object, “type” is missing: violation" in ended.out
    assert "rule: https://w3id.org/orchestrator/shapes/announce-review#object-type" in ended.out
    assert "spec: https://coar-notify.net/specification/1.0.1/" in ended.out


def test_the_report_is_the_one_that_the_inbox_gives(run: Run, without_type: Path, service: Served) -> None:
    request = urllib.request.Request(
        service.urls["inbox"] + "?dry-run=true",
        data=without_type.read_bytes(),
        headers={"Content-Type": "application/ld+json", "Accept": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        theirs = json.load(answer)
    ours = run("check", "--json", without_type)
    assert ours.json == theirs
    assert (ours.code, ours.json["accepted"], ours.json["pattern"]) == (1, False, "announce-review")


def test_the_turtle_report_is_a_shacl_validation_report(run: Run, without_type: Path) -> None:
    ended = run("check", "--turtle", without_type)
    assert ended.code == 1
    assert "a sh:ValidationReport ;\n    sh:conforms false" in ended.out
    assert run("check", "--turtle", "--json", without_type).code == 2


def test_standard_input_is_read(run: Run) -> None:
    ended = run("check", "-", given=VALID.read_bytes())
    assert (ended.code, ended.out.partition(":")[0]) == (0, "standard input")


def test_the_strict_profile_refuses_what_the_lenient_one_warns_about(run: Run, tmp_path: Path) -> None:
    file = broken(tmp_path, {"op": "remove", "path": "/context"})
    lenient, strict = run("check", file, "--json"), run("check", file, "--json", "--profile", "strict")
    assert (lenient.code, strict.code) == (0, 1)
    assert run("check", file, "--json", ORCHESTRATOR_INBOX_PROFILE="strict").json == strict.json


def test_the_limits_are_those_of_the_inbox(run: Run) -> None:
    ended = run("check", VALID, "--json", ORCHESTRATOR_INBOX_BODY="100")
    assert (ended.code, ended.json["refusal"]) == (1, "too-large")


def test_what_takes_too_long_is_refused_as_too_costly(run: Run) -> None:
    ended = run("check", VALID, "--json", ORCHESTRATOR_SCREENING_BUDGET="0.0001")
    assert (ended.code, ended.json["refusal"]) == (1, "too-costly")


def test_what_is_not_json_is_a_finding_and_no_crash(run: Run) -> None:
    ended = run("check", "-", given=b"\x89PNG\r\n")
    assert ended.code == 1
    assert "unreadable-bytes" in ended.out


def test_nothing_in_a_notification_reaches_the_terminal_as_a_command(run: Run, tmp_path: Path) -> None:
    file = broken(
        tmp_path, {"op": "replace", "path": "/object/id", "value": "\x1b]0;owned\x07 \u202e\x9b31m"}
    )
    for form in ((), ("--json",), ("--turtle",)):
        ended = run("check", file, *form)
        assert ended.code == 1
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(ended.out)


def test_an_ill_typed_value_is_no_traceback_on_stderr(run: Run, tmp_path: Path) -> None:
    file = broken(tmp_path, {"op": "add", "path": "/published", "value": "yesterday\nlevel=critical"})
    assert run("check", file).err == ""


def test_a_file_that_cannot_be_read_is_a_usage_error(run: Run) -> None:
    ended = run("check", "nothing.json")
    assert ended.code == 2
    assert "nothing.json: No such file" in ended.err


def test_a_url_is_fetched(run: Run) -> None:
    with served(["Peer"]) as (peer,):
        url = peer.keep(json.loads(VALID.read_text()))
        ended = run("check", url)
        missing = run("check", url + "0")
    assert (ended.code, ended.out.partition(": ")[0]) == (0, url)
    assert missing.code == 3
    assert "answered 404" in missing.err


def test_a_server_that_does_not_answer_is_unreachable(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    ended = run("check", f"http://127.0.0.1:{port}/notification")
    assert (ended.code, ended.out) == (3, "")
    assert "refused" in ended.err
