"""Processes: starting and ending them, and what they and their children cost (Linux)."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orchestrator
from benchmarks.model import BenchmarkFailed

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ROOT: Final = Path(__file__).resolve().parents[1]
_PATIENCE: Final = 90.0


def tree(pid: int) -> list[int]:
    """Return `pid` and all that descends from it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(word) for word in children.read_text().split()]
    return found


def cpu(pid: int) -> float:
    """Return the CPU seconds, user and system, of a process and all that descends from it."""
    return sum(_cpu_of(each) for each in tree(pid))


def _cpu_of(pid: int) -> float:
    try:
        # The clock of another process (clock_getcpuclockid(3)): nanoseconds, where /proc counts 10 ms.
        own = time.clock_gettime((~pid << 3) | 2)
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    # Fields 16 and 17 of proc(5): children that have ended and were waited for.
    return own + (int(words[13]) + int(words[14])) / _TICKS


def resident(pid: int) -> int:
    """Return the resident memory of one process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def environment(settings: Mapping[str, object] | None = None, source: Path | None = None) -> dict[str, str]:
    """Return the environment of a process of ours: nothing of the operator's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    given = {
        "ORCHESTRATOR_" + key.replace(".", "_").upper(): str(value) for key, value in (settings or {}).items()
    }
    code = Path(orchestrator.__file__).parents[1] if source is None else source / "src"
    path = os.pathsep.join((str(code), str(source or _ROOT)))
    return {**kept, "PYTHONPATH": path, **given}


@dataclass(kw_only=True)
class Server:
    """A server process on a loopback port: `module` with `words`, which prints a line once it answers."""

    module: str
    words: Sequence[str]
    folder: Path
    settings: Mapping[str, object] = field(default_factory=dict)
    source: Path | None = None
    """The checkout that it runs; None for this one."""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def cpu(self) -> float:
        """CPU seconds so far, its children's included."""
        return cpu(self.pid)

    @property
    def database(self) -> Path:
        """The file of its database, where it has one."""
        return self.folder / "orchestrator.sqlite"

    def begin(self) -> None:
        """Start it without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", self.module, *self.words, "--port", str(self.port)]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self._process = subprocess.Popen(
                words, stdout=out, stderr=err, cwd=self.folder, env=environment(self.settings, self.source)
            )

    def wait(self) -> None:
        """Wait until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + _PATIENCE
        while not (self.folder / "out").read_bytes().endswith(b"\n"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                told = (self.folder / "err").read_text()[-2_000:]
                raise BenchmarkFailed(f"{self.module} {self.words} did not start: {told}")
            time.sleep(0.02)

    def end(self) -> None:
        """Stop it in order; one that does not stop is killed."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextlib.contextmanager
def started(*servers: Server) -> Iterator[None]:
    """Run servers; they start side by side, and all are ended."""
    try:
        for server in servers:
            server.begin()
        for server in servers:
            server.wait()
        yield
    finally:
        for server in servers:
            server.end()
