"""`orchestrator app run`: what it refuses at the start, what it prints, and with what it ends."""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner
from tests.acceptance.service import environment
from tests.app.world import US, Runs, World

from orchestrator.cli.root import root

LOG = ("--log", "http://127.0.0.1:9/log")
PAPERS = ("--artefacts", "https://pod.example/papers/")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say --log, or set app.log"),
        (LOG, "say --artefacts, or set app.artefacts"),
        ((*LOG, "--artefacts", "https://pod.example"), "slash after its host"),
        ((*LOG, "--artefacts", "papers/"), "slash after its host"),
        ((*PAPERS, "--log", "log"), "app.log: log is not an http or https URL"),
        ((*LOG, *PAPERS, "--id", "urn:us"), "app.id: urn:us is not an http or https URL"),
        ((*LOG, *PAPERS, "--link", "announce-review"), "app.links: announce-review="),
        (
            (*LOG, *PAPERS, "--link", "announce-revue=https://x.example/"),
            "there is no pattern announce-revue",
        ),
        ((*LOG, *PAPERS, "--most", "0"), "--most"),
        ((*LOG, *PAPERS, "--most", "10001"), "app.most must be between 1 and 10000"),
        ((*LOG, *PAPERS, "--shape", "nowhere.ttl"), "nowhere.ttl cannot be read"),
        ((*LOG, *PAPERS, "--token-file", "nowhere"), "token_file nowhere"),
        ((*LOG, *PAPERS, "--state", "no/app.json"), "No such file"),
        (
            (*LOG, *PAPERS, "--artefacts", "https://two.example/", "--token-file", "token"),
            "each would see the token",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anybody_is_asked(
    words: Sequence[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ORCHESTRATOR_")]:
        monkeypatch.delenv(name)
    ended = CliRunner().invoke(root, ["app", "run", *words])
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert not (tmp_path / "orchestrator-app.json").exists()


async def run(runs: Runs, *words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "orchestrator", "app", "run", "--config", "app.toml", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=runs.folder,
        env=environment({"egress.allow_private": "127.0.0.0/8"}),
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_data_is_on_stdout_talk_on_stderr_and_the_exit_code_says_what_is_left(
    world: World, runs: Runs
) -> None:
    """Settings come from a file; the first round ends with 3, the second with 1, the third with 0."""
    (runs.folder / "app.toml").write_text(
        f'[app]\nlog = "{world.log}"\nartefacts = ["{world.root}/papers/"]\nid = "{US}"\n'
        '[app.links]\nannounce-review = "https://relations.example/reviewed"\n'
    )
    review = "https://reviews.example/\u202egpj.1"
    artefact = world.document("/papers/1")
    event = world.announce(artefact, review)
    status = 403

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        refused = {403: "PATCH", 409: "POST"}.get(status)
        return web.Response(status=status) if request.method == refused else None

    world.before = refuse
    code, out, err = await run(runs, "--once")
    assert (code, out.splitlines()[0].split("  ")[:3]) == (3, ["1", "postponed", artefact])
    assert err.splitlines()[0] == f"{world.log}: events after 0"
    assert err.splitlines()[1] == "1 postponed"
    assert "1 event to be tried again, for example: PATCH" in err

    status = 409
    code, out, err = await run(runs, "--once", "--json")
    assert code == 1
    linked, refused = [json.loads(line) for line in out.splitlines()]
    assert linked == {
        "sequence": 1,
        "event": event["id"],
        "outcome": "linked",
        "artefact": artefact,
        "links": [[artefact, "https://relations.example/reviewed", review]],
        "document": artefact,
    }
    assert "\u202e" not in out
    assert (refused["outcome"], refused["reason"]) == ("refused", "report")

    status = 200
    code, out, err = await run(runs, "--once")
    assert (code, out, err.splitlines()[1]) == (0, "", "Nothing is new.")
    assert (runs.folder / "orchestrator-app.json").exists()
