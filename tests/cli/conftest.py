"""The command line with real databases and real servers; each command as a process of its own at least once."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import orchestrator
from orchestrator.cli.root import root

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "notifications"
_COMMAND = [sys.executable, "-W", "error", "-m", "orchestrator"]
Run = Callable[..., "Ended"]
Serve = Callable[..., "Served"]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(kw_only=True)
class Served:
    """A service that runs."""

    urls: Mapping[str, str]
    config: Path
    process: subprocess.Popen[str]
    log: list[dict[str, Any]] = field(default_factory=list)

    def stop(self, name: signal.Signals = signal.SIGTERM) -> int:
        """End it as an operator would; return its exit code."""
        self.process.send_signal(name)
        _, err = self.process.communicate(timeout=60)
        self.log = [json.loads(line) for line in err.splitlines()]
        return self.process.returncode


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    kept.pop("NO_COLOR", None)
    return {**kept, "PYTHONPATH": str(Path(orchestrator.__file__).parents[1]), **more}


def command(
    *words: str | Path, cwd: Path, given: str | bytes = b"", env: Mapping[str, str] | None = None
) -> Ended:
    ended = subprocess.run(
        [*_COMMAND, *map(str, words)],
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        cwd=cwd,
        env=environment(**(env or {})),
        timeout=90,
        check=False,
    )
    out, err = ended.stdout.decode(), ended.stderr.decode()
    assert "Traceback" not in err
    return Ended(code=ended.returncode, out=out, err=err)


@contextmanager
def serving(folder: Path, toml: str = "", **env: str) -> Iterator[Served]:
    config = folder / "orchestrator.toml"
    database = folder / "orchestrator.sqlite"
    config.write_text(f'[server]\nport = 0\n[database]\nurl = "sqlite:///{database}"\n{toml}')
    process = subprocess.Popen(
        [*_COMMAND, "serve", "--json", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(**env),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    served = Served(urls=json.loads(line) if line else {}, config=config, process=process)
    try:
        assert served.urls, process.communicate(timeout=10)
        yield served
    finally:
        served.stop(signal.SIGKILL)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command in this process, which has imported everything already; see `spawn`."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("ORCHESTRATOR_") or name == "NO_COLOR":
            monkeypatch.delenv(name)
    there = logging.getLogger()
    before = there.handlers[:], there.level

    def go(*words: str | Path, given: str | bytes = b"", **env: str) -> Ended:
        result = CliRunner(env=env).invoke(root, [*map(str, words)], input=given, prog_name="orchestrator")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(code=result.exit_code, out=result.stdout, err=result.stderr)

    yield go
    there.handlers[:] = before[0]
    there.setLevel(before[1])


@pytest.fixture
def spawn(tmp_path: Path) -> Run:
    """Run a command as a process."""

    def go(*words: str | Path, given: str | bytes = b"", **env: str) -> Ended:
        return command(*words, cwd=tmp_path, given=given, env=env)

    return go


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose policy names a hub that it is not allowed to reach."""
    folder = tmp_path_factory.mktemp("service")
    policies = folder / "policies"
    policies.mkdir()
    text = (
        (ROOT / "policies" / "announce-reviews.ttl")
        .read_text()
        .replace("https://hub.example/", "http://127.0.0.1:9/")
    )
    (policies / "announce-reviews.ttl").write_text(text)
    with serving(folder, f'[policies]\nfolder = "{policies}"\n') as served:
        yield served


@dataclass(frozen=True, kw_only=True)
class Demo:
    """A demo that has ended."""

    ended: Ended
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "orchestrator.toml"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "new"
    return Demo(
        ended=command("demo", "--once", "--json", "--folder", folder, cwd=folder.parent), folder=folder
    )
