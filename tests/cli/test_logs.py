import json
import logging

import pytest

from orchestrator.cli.logs import JsonLines, Sentences
from orchestrator.cli.output import as_json, count, plain, table


def record(text: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("orchestrator.test", logging.WARNING, "", 0, text, values, raised)
    made.created = 1_700_000_000.1234
    return made


def test_a_line_is_one_json_object_with_an_action() -> None:
    assert json.loads(JsonLines().format(record("lease_lost key=%s", 7))) == {
        "time": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "action": "lease_lost",
        "text": "lease_lost key=7",
        "logger": "orchestrator.test",
    }


def test_a_stranger_can_neither_begin_a_line_nor_reach_the_terminal() -> None:
    hostile = 'x\n{"level": "info"}\r\x1b[2J\x9b\u202e\u2028\ud800\0'
    line = JsonLines().format(record("failed reason=%s", hostile))
    assert line.isprintable()
    assert json.loads(line)["text"] == f"failed reason={hostile}"
    assert Sentences().format(record("failed reason=%s", hostile)).isprintable()


def test_an_error_keeps_its_traceback_in_one_line() -> None:
    try:
        raise ValueError("line one\nline two")
    except ValueError as error:
        made = record("broken", error=error)
    line = JsonLines().format(made)
    assert "\n" not in line
    assert "ValueError: line one\nline two" in json.loads(line)["error"]


def test_a_line_without_text_has_no_action() -> None:
    assert json.loads(JsonLines().format(record("")))["action"] == ""


def test_what_is_printed_is_safe_and_what_is_safe_is_kept() -> None:
    assert plain("Ünïcode “quoted” 漢字") == "Ünïcode “quoted” 漢字"
    assert plain("a\tb\nc\x1b") == "a\\u0009b\\u000ac\\u001b"
    value = {"text": "\x9b\u202e\n", "list": [1, None, "é"]}
    for indent in (None, 2):
        text = as_json(value, indent=indent)
        assert json.loads(text) == value
        assert not {"\x9b", "\u202e"} & set(text)


def test_a_table_has_columns_and_a_dash_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table([["inbox", 1, "a"], ["log", None, "b\n"]])
    table([])
    assert capsys.readouterr().out == "inbox  1  a\nlog    -  b\\u000a\n"


def test_numbers_are_told_as_people_do() -> None:
    assert [count(number, "warning") for number in (0, 1, 2)] == ["0 warnings", "1 warning", "2 warnings"]
