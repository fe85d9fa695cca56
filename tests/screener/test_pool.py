"""The screening pool, with real worker processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import Overloaded, TooCostly
from orchestrator.core.policy import Facts, PolicySet
from orchestrator.core.strict_json import DEFAULT_LIMITS
from orchestrator.screener import Rulebook, ScreenerSettings, ScreeningPool

# A maintainer's careless shape: it tries every way to share out a long row of the same letter.
CARELESS = """
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix as: <https://www.w3.org/ns/activitystreams#> .
<https://w3id.org/orchestrator/shapes/notification#notification> a sh:NodeShape ;
    sh:property <https://w3id.org/orchestrator/shapes/notification#summary> .
<https://w3id.org/orchestrator/shapes/notification#summary> a sh:PropertyShape ; sh:path as:summary ;
    sh:pattern "^a*a*a*a*a*a*$" ; sh:message "Say it plainly."@en .
"""
SPECIMEN = json.loads((packaged("specimens") / "announce-review" / "valid.json").read_text())


def rulebook(**shapes: str) -> Rulebook:
    return Rulebook(
        contexts=bundled_contexts(),
        shapes=shapes or read_folder(packaged("shapes"), ".ttl"),
        profile="lenient",
        limits=DEFAULT_LIMITS,
    )


@pytest.fixture
async def pool() -> AsyncIterator[ScreeningPool]:
    started = ScreeningPool(rulebook(), ScreenerSettings(workers=1, waiting=3))
    await started.start()
    yield started
    await started.close()


async def test_a_document_is_judged_in_another_process_as_it_would_be_here(pool: ScreeningPool) -> None:
    screening = await pool.screen(json.dumps(SPECIMEN).encode())
    assert screening.accepted
    assert screening.notification is not None
    assert screening.notification.pattern == "announce-review"
    assert (await pool.screen(b"{")).refusal == "unreadable-bytes"


async def test_policies_are_matched_there_and_a_new_set_is_taken_at_once(pool: ScreeningPool) -> None:
    body = json.dumps(SPECIMEN).encode()
    facts = Facts(sender="x", trust="unknown", artefacts=(), me=(), solicited=False)
    text = (packaged("policies") / "require-acceptance.ttl").read_text()
    assert (await pool.judge(body, facts, PolicySet({}))).matched == ()
    [matched] = (await pool.judge(body, facts, PolicySet({"require-acceptance.ttl": text}))).matched
    assert matched.endswith("#unsolicited")


async def test_too_many_at_once_are_told_to_come_back(pool: ScreeningPool) -> None:
    body = json.dumps(SPECIMEN).encode()
    answers = await asyncio.gather(*(pool.screen(body) for _ in range(8)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert len(refused) == 5
    assert (await pool.screen(body)).accepted


async def test_a_document_over_its_budget_is_refused_and_the_next_one_is_not() -> None:
    pool = ScreeningPool(rulebook(notification=CARELESS), ScreenerSettings(workers=1, budget=1.0))
    await pool.start()
    try:
        bomb = json.dumps({**SPECIMEN, "summary": "a" * 500 + "!"}).encode()
        begun = time.monotonic()
        screening = await pool.screen(bomb)
        assert screening.refusal == "too-costly"
        assert time.monotonic() - begun < 5
        assert (await pool.screen(json.dumps({**SPECIMEN, "summary": "aaa"}).encode())).accepted
    finally:
        await pool.close()


PARENT = """
import asyncio, sys
from tests.screener.test_pool import rulebook
from orchestrator.screener import ScreenerSettings, ScreeningPool

async def main():
    pool = ScreeningPool(rulebook(), ScreenerSettings(workers=2))
    await pool.start()
    print("ready", flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'src'}"}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = descendants(parent.pid)
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    end = time.monotonic() + 10
    while any(alive(child) for child in children):
        assert time.monotonic() < end, "workers have outlived their parent"
        time.sleep(0.05)


def descendants(pid: int) -> list[int]:
    """Return the worker processes below `pid`: not multiprocessing's own tracker of resources."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            words = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"resource_tracker" not in words:
            found.append(int(status.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_killed_workers_are_replaced_and_nobody_is_refused_for_it(pool: ScreeningPool) -> None:
    body = json.dumps(SPECIMEN).encode()
    for _ in range(3):
        for worker in descendants(os.getpid()):
            os.kill(worker, signal.SIGKILL)
        end = time.monotonic() + 30
        while True:
            try:
                assert (await pool.screen(body)).accepted
                break
            except Overloaded:
                assert time.monotonic() < end, "the pool does not recover"
                await asyncio.sleep(0.05)


async def test_a_document_that_takes_too_much_memory_is_refused_for_that() -> None:
    pool = ScreeningPool(rulebook(), ScreenerSettings(workers=1))
    await pool.start()
    try:
        with pytest.raises(TooCostly, match="memory"):
            await pool._call(bytearray, 10**9, timeout=10.0)
    finally:
        await pool.close()


async def test_a_fault_of_ours_in_a_worker_is_not_taken_for_a_stop(pool: ScreeningPool) -> None:
    with pytest.raises(RecursionError):
        await pool._call(recurse, timeout=10.0)


def recurse() -> None:
    recurse()
