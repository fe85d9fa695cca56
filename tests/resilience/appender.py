"""A process that others end while it appends to a log: `python appender.py DATABASE PUBLIC_URL`.

For each line of JSON on standard input it begins a life, in a process of its own that is quickly made. A life
with `"byte": K` appends one group, and is ended by the system when it has written K bytes of what goes to
the write-ahead log for that. One without appends group after group until it is killed. Lines on standard
output tell of its process, of what was committed, and of its end.
"""

import asyncio
import json
import os
import random
import resource
import signal
import struct
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.storage.examples import LEASE, arrival, draft, outcome

from orchestrator.core.event import LifecycleEvent
from orchestrator.ports import Decided
from orchestrator.storage import Store
from orchestrator.storage.engine import open_engine

_SPECIMEN = Path(__file__).resolve().parents[2] / "fixtures/notifications/announce-review/valid.json"
_FRAME = 4_096 + 24
"""Bytes of a frame of the write-ahead log (SQLite, "WAL-mode File Format")."""


def say(**members: Any) -> None:
    """Write one line, at once and whole."""
    os.write(1, json.dumps(members).encode() + b"\n")


async def decide(store: Store, sizes: Sequence[int]) -> list[Decided]:
    """Receive notifications whose events are to have payloads of about these sizes."""
    document = json.loads(_SPECIMEN.read_text("utf-8"))
    for _ in sizes:
        sent = {**document, "id": f"urn:uuid:{uuid.uuid4()}"}
        made = arrival()
        told = replace(made.notification, id=sent["id"], digest=sent["id"], origin=sent["origin"]["id"])
        # The service itself may take up what a killed life has left behind.
        await store.ledger.keep(
            replace(made, body=json.dumps(sent).encode(), received=now(), notification=told)
        )
    held = await store.ledger.claim(f"life {os.getpid()}", limit=len(sizes), now=now(), lease=LEASE)
    return [
        Decided(
            claimed=one,
            outcome=outcome(replace(draft(one.notification), payload=payload(one.notification.id, size))),
        )
        for one, size in zip(held, sizes, strict=False)
    ]


def payload(identifier: str, size: int) -> bytes:
    """Return a graph with nested nodes, and text that every syntax writes otherwise."""
    text = 'a "quoted" \\ line\n\tand a täb — ' * (size // 30 + 1)
    members = {
        "id": identifier,
        "type": ["Announce", "coar-notify:ReviewAction"],
        "object": {"id": "https://review.example/1", "summary": text[:size], "content": {"name": "nested"}},
    }
    return json.dumps(members, ensure_ascii=False).encode()


def now() -> int:
    return time.time_ns() // 1_000_000


def frames(database: Path) -> int:
    """Return how many frames the write-ahead log has (the wal-index's header: mxFrame)."""
    with database.with_name(database.name + "-shm").open("rb") as index:
        found: int = struct.unpack_from("=I", index.read(20), 16)[0]
    return found


async def live(database: Path, public_url: str, byte: int | None) -> None:
    """Append, until the end."""
    chance = random.Random(os.getpid())
    store = Store(open_engine(f"sqlite:///{database}"), public_url=public_url)
    sizes = [200, 3_000, 9_000]
    while True:
        decided = await decide(store, sizes if byte is not None else _some(chance))
        before = frames(database)
        if byte is not None:
            limit = 32 + before * _FRAME + byte
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        say(begun=os.getpid())
        written = await store.ledger.record(decided, now=now())
        events = [event for event in written if isinstance(event, LifecycleEvent)]
        say(
            written=[[event.sequence, event.leaf.hex()] for event in events],
            bytes=(frames(database) - before) * _FRAME,
        )
        if byte is not None:
            return


def _some(chance: random.Random) -> list[int]:
    return [chance.randrange(10, 6_000) for _ in range(chance.randrange(1, 8))]


def main(database: Path, public_url: str) -> None:
    """Begin a life for each line, and tell how it ended."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        byte = json.loads(line).get("byte")
        child = os.fork()
        if not child:
            # Python ignores the signal; the system's own answer is to end the process.
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            asyncio.run(live(database, public_url, byte))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
