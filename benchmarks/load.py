"""Load, by wrk (https://github.com/wg/wrk): one thread, 32 keep-alive connections."""

import json
import math
import resource
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks import notifications
from benchmarks.model import CONNECTIONS, BenchmarkFailed

_SCRIPT: Final = Path(__file__).with_name("load.lua")
MISSING: Final = (
    "wrk, the load generator, is missing: `apt-get install wrk` (Debian, Ubuntu), `brew install wrk` (macOS)"
)
_TOO_BUSY: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk saw."""

    requests: int
    """Answered; every answer was a 2xx."""
    seconds: float
    p50: float
    """Milliseconds."""
    p99: float
    busy: float
    """Share of one core that wrk itself took."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def post(url: str, seconds: float, *, connections: int = CONNECTIONS) -> Load:
    """POST different notifications to `url`. Raises `BenchmarkFailed` when one was not taken."""
    headers = {"Content-Type": "application/ld+json"}
    return _run(url, seconds, "POST", headers, notifications.lua(notifications.new_run()), connections)


def get(url: str, seconds: float, headers: Mapping[str, str], *, connections: int = CONNECTIONS) -> Load:
    """GET `url`, the same again and again. Raises `BenchmarkFailed` when one answer was no 2xx."""
    return _run(url, seconds, "GET", headers, "", connections)


def _run(
    url: str, seconds: float, method: str, headers: Mapping[str, str], templates: str, connections: int
) -> Load:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchmarkFailed(MISSING)
    path = "/" + url.split("/", 3)[3]
    named = ",".join(f"[{json.dumps(name)}]={json.dumps(value)}" for name, value in headers.items())
    given = (
        f"local templates = {{{templates}}}\nlocal method, path = {json.dumps(method)}, {json.dumps(path)}\n"
        f"local headers = {{{named}}}\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(given + _SCRIPT.read_text())
        script.flush()
        length = f"{max(1, math.ceil(seconds))}s"
        words = [wrk, "-t1", f"-c{connections}", f"-d{length}", "--timeout", "30s", "-s", script.name, url]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + 120)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        raise BenchmarkFailed(f"wrk failed: {ran.stderr[-500:]}{ran.stdout[-500:]}")
    told = json.loads(ran.stdout.splitlines()[-1])
    if told["failed"] or told["broken"] or not told["requests"]:
        raise BenchmarkFailed(f"not every request to {url} was answered with a 2xx: {told}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    busy = spent / told["seconds"]
    if busy > _TOO_BUSY:
        raise BenchmarkFailed(f"wrk took {busy:.0%} of a core: it measured itself")
    return Load(
        requests=told["requests"], seconds=told["seconds"], p50=told["p50"], p99=told["p99"], busy=busy
    )


def warm(url: str, requests: int) -> None:
    """Post a few notifications of every pattern, so that every worker has met all of them."""
    one_by_one = notifications.stream()

    def send(body: bytes) -> int:
        request = urllib.request.Request(url, body, {"Content-Type": "application/ld+json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)

    with ThreadPoolExecutor(4) as senders:
        if set(senders.map(send, islice(one_by_one, requests))) != {201}:
            raise BenchmarkFailed(f"{url} does not take notifications")
