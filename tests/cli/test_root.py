import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from orchestrator.cli.commands import Command
from orchestrator.cli.root import exit_code, root
from orchestrator.core import errors

from .conftest import FIXTURES, ROOT, Demo, Run, environment

HEAVY = (
    "cryptography",
    "rdflib",
    "pyshacl",
    "pyld",
    "aiohttp",
    "sqlalchemy",
    "alembic",
    "httpx",
    "apscheduler",
    "pebble",
    "asyncio",
)


def commands(group: click.Command = root, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from commands(command, (*words, name))
    else:
        yield " ".join(words), group


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["serve"],
        ["check"],
        ["log", "read"],
        ["log", "follow"],
        ["log", "export"],
        ["log", "verify"],
        ["app", "run"],
    ],
)
def test_help_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from orchestrator.cli.root import root\n"
        f"root({[*words, '--help']!r}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=True,
    )
    assert ended.stderr.strip() == "[]"


def test_the_help_of_all_commands_says_what_each_says_of_itself(run: Run) -> None:
    """It is written down twice, for the help of all must not import them all."""
    told = run("--help").out.partition("Commands:")[2]
    for line in told.strip().splitlines():
        name, _, text = line.strip().partition(" ")
        own = run(name, "--help").out.split("\n\n")[1]
        assert " ".join(own.split()).startswith(text.strip().removesuffix(".")), name


def test_every_command_shows_an_example_of_itself() -> None:
    found = dict(commands())
    assert len(found) == 29
    for words, command in found.items():
        assert isinstance(command, Command), words
        assert any(f"orchestrator {words}" in example for example in command.examples), words


def test_every_command_and_option_is_documented() -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text()
    sections = dict(part.split("\n", 1) for part in text.split("\n## `orchestrator ")[1:])
    for words, command in commands():
        section = sections.pop(words + "`")
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert f"`{parameter.opts[0]}" in section, (words, parameter.opts)
    assert not sections, "documented, but gone"


def test_version_names_the_release(run: Run) -> None:
    ended = run("--version")
    assert (ended.code, ended.out.split()[0]) == (0, "orchestrator")
    assert ended.out.split()[1][0].isdigit()


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest(run: Run) -> None:
    ended = run("checks")
    assert ended.code == 2
    assert "check" in ended.err


def test_an_unknown_setting_in_the_environment_names_the_nearest(run: Run) -> None:
    ended = run("config", "show", ORCHESTRATOR_SERVER_PROT="8080")
    assert (ended.code, ended.out) == (2, "")
    assert "ORCHESTRATOR_SERVER_PORT" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_unknown_setting_in_the_file_names_the_nearest(run: Run, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text("[server]\nprot = 8080\n")
    ended = run("serve")
    assert ended.code == 2
    assert "server.port" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_settings_file_that_does_not_exist_is_one_clear_line(run: Run) -> None:
    ended = run("inbox", "list", "--config", "nowhere.toml")
    assert (ended.code, ended.err) == (2, "orchestrator: nowhere.toml does not exist\n")


def test_the_exit_code_says_what_kind_of_trouble_it_was() -> None:
    expected = {
        errors.ConfigurationError: 2,
        errors.AddressRefused: 2,
        errors.PeerUnreachable: 3,
        errors.InboxNotFound: 3,
        errors.StorageError: 3,
        errors.NotFound: 1,
        errors.ScreeningRefused: 1,
        errors.ConflictingContent: 1,
    }
    assert {kind: exit_code(kind()) for kind in expected} == expected


def on_terminal(*words: str | Path, **env: str) -> str:
    """Return what a command prints on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *map(str, words)], stdout=theirs, env=environment(**env)
    ) as process:
        process.wait(60)
    os.close(theirs)
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    return text


def test_colour_is_for_terminals_and_for_those_who_want_it(run: Run) -> None:
    notification = FIXTURES / "accept" / "valid.json"
    assert "\x1b[32m" in on_terminal("check", notification)
    assert "\x1b" not in on_terminal("check", notification, NO_COLOR="1")
    assert "\x1b" not in run("check", notification).out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", FIXTURES / "accept" / "valid.json", "--json"], 0),
        (["check", ROOT / "pyproject.toml", "--json"], 1),
        (["send", "--pattern", "accept", "--dry-run", "--json"], 0),
        (["read", "http://127.0.0.1:9/"], 3),
        (["inbox", "list", "--json"], 0),
        (["inbox", "show", "nothing"], 1),
        (["log", "read", "--json"], 0),
        (["policy", "lint", ROOT / "policies", "--json"], 0),
        (["delivery", "list", "--json"], 0),
        (["delivery", "retry", "nothing"], 1),
        (["config", "show", "--json"], 0),
        (["config", "show", "--jsno"], 2),
    ],
)
def test_every_command_is_a_process_with_data_on_stdout_and_an_exit_code(
    spawn: Run, demo: Demo, words: list[str | Path], code: int
) -> None:
    needs_database = words[0] in ("inbox", "log", "delivery")
    ended = spawn(*words, *(["--config", demo.config] if needs_database else []))
    assert ended.code == code
    if ended.out:
        assert json.loads(ended.out) is not None
    else:
        assert code > 0
    assert bool(ended.err) == (code > 0 and not ended.out)
