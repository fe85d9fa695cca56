"""Keys in a process that stops at every single line of `keys.py`: `python stopping.py FIRST SECOND FOLDER`.

FIRST and SECOND are `start` or `rotate`. FIRST rests at its Nth line while SECOND is done from beginning to
end, which finds what it would find if FIRST had been killed there; then FIRST goes on. For each N a line of
JSON says what became of both, and of a start that follows.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tests.storage.examples import BASE, NOW, log

from orchestrator import keys
from orchestrator.core.errors import OrchestratorError
from orchestrator.storage import Store
from orchestrator.storage.engine import open_engine

NAME = "orchestrator.example/log"


def open_store(folder: Path) -> Store:
    """Open a database that is there: quicker than `Store.open`."""
    return Store(open_engine(f"sqlite:///{folder / 'log.sqlite'}"), public_url=BASE)


def act(task: str, folder: Path, name: str, now: int) -> None:
    """Do the task; leave its result, and what is published then, under a name in the folder."""
    said: dict[str, Any]
    try:
        said = asyncio.run(_act(task, folder, now))
    except OrchestratorError as error:
        said = {"refused": error.message}
    except Exception as error:  # noqa: BLE001  (it is the story)
        said = {"broken": repr(error)}
    Path(folder, name).write_text(json.dumps(said))


async def _act(task: str, folder: Path, now: int) -> dict[str, Any]:
    store = open_store(folder)
    try:
        do = keys.rotate if task == "rotate" else keys.signing_key
        key = await do(folder / "log.key", NAME, store.tree, now=now)
        published = [(each.verifier, each.until) for each in await store.tree.keys()]
    finally:
        await store.close()
    return {"key": key.verifier.text(), "published": published}


def forked(run: Callable[[], None]) -> int:
    """Run something in a process of its own; return the process's number."""
    child = os.fork()
    if child:
        return child
    try:
        run()
        os._exit(0)
    finally:
        os._exit(1)


def stop_at(line: int) -> None:
    """Stop this process when it is about to run the line of that number, counted as they come."""
    left = [line]

    def local(_frame: FrameType, what: str, _value: object) -> Any:
        if what == "line":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGSTOP)
        return local

    def called(frame: FrameType, _what: str, _value: object) -> Any:
        return local if frame.f_code.co_filename == keys.__file__ else None

    threading.settrace(called)
    sys.settrace(called)


def go_on() -> None:
    """Stop nowhere any more."""
    threading.settrace(None)
    sys.settrace(None)


def stories(first: str, second: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Tell of each line at which the first may stop."""
    # This process stays without threads, which a fork leaves behind with all that they hold.
    os.waitpid(forked(lambda: asyncio.run(prepare(first, folder / "before"))), 0)
    line, stopped = 0, True
    while stopped:
        line += 1
        place = folder / str(line)
        shutil.copytree(folder / "before", place)

        def begin() -> None:
            stop_at(line)  # noqa: B023  (it runs before the next turn)
            act(first, place, "first", NOW + 1)  # noqa: B023
            go_on()
            act("start", place, "last", NOW + 3)  # noqa: B023

        one = forked(begin)
        _, status = os.waitpid(one, os.WUNTRACED)
        stopped = os.WIFSTOPPED(status)
        if stopped:
            other = forked(lambda: act(second, place, "second", NOW + 2))  # noqa: B023
            os.waitpid(other, 0)
            os.kill(one, signal.SIGCONT)
            os.waitpid(one, 0)
            told = {name: json.loads((place / name).read_text()) for name in ("first", "second", "last")}
            files = {path.name: path.stat().st_mode & 0o777 for path in place.glob("*.key*")}
            yield {**told, "files": files}


async def prepare(first: str, folder: Path) -> None:
    """Make a database; with an event and a key of its own where that is to be rotated."""
    store = Store.open(f"sqlite:///{folder / 'log.sqlite'}", public_url=BASE)
    if first == "rotate":
        await log(store, 1)
        await keys.signing_key(folder / "log.key", NAME, store.tree, now=NOW)
    await store.close()


if __name__ == "__main__":
    for story in stories(sys.argv[1], sys.argv[2], Path(sys.argv[3])):
        print(json.dumps(story), flush=True)
