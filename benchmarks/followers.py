"""Many who follow a log, in one process that does little else: plain sockets and epoll.

    python -m benchmarks.followers PORT NUMBER

Prints a line of JSON when all are connected, and one for every event that all of them have. A coroutine
for each would measure the coroutines.
"""

import json
import resource
import select
import socket
import sys
import time
from typing import Final

_AT_ONCE: Final = 100
"""Connections that are being opened at once: the server takes at most 512 requests at once."""
_REQUEST: Final = b"GET /log/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
_BEGUN: Final = b"retry: "
_LARGEST: Final = 65_536


class Followers:
    """Connections to one server, and who has which event."""

    def __init__(self, port: int) -> None:
        """Follow the log that is served on a port of the loopback."""
        self._port = port
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        self._seen: dict[int, list[float]] = {}

    def connect(self, number: int) -> None:
        """Connect, a few at a time; return when all answers have begun."""
        while len(self._sockets) < number:
            some = []
            for _ in range(min(_AT_ONCE, number - len(self._sockets))):
                one = socket.create_connection(("127.0.0.1", self._port))
                one.sendall(_REQUEST)
                self._sockets[one.fileno()] = one
                some.append(one)
            for one in some:
                got = b""
                while _BEGUN not in got or not got.endswith(b"\n\n\r\n"):
                    got += (more := one.recv(_LARGEST))
                    if not more:
                        sys.exit(f"the server let a follower go: {got!r}")
                one.setblocking(False)  # noqa: FBT003  (socket's signature)
                self._rest[one.fileno()] = b""
                self._poll.register(one.fileno(), select.EPOLLIN)

    def listen(self) -> None:
        """Tell of every event that all have, until killed."""
        while True:
            for number, _ in self._poll.poll(maxevents=1_000):
                self._read(number)

    def _read(self, number: int) -> None:
        data = self._sockets[number].recv(_LARGEST)
        if not data:
            sys.exit(1)  # whoever still waits for an event hears of it
        now = time.monotonic()
        *blocks, self._rest[number] = (self._rest[number] + data).split(b"\n\n")
        for block in blocks:
            at = block.find(b"id: ")
            if at >= 0:
                self._note(int(block[at + 4 : block.index(b"\n", at)]), now)

    def _note(self, sequence: int, now: float) -> None:
        times = self._seen.setdefault(sequence, [])
        times.append(now)
        if len(times) == len(self._sockets):
            del self._seen[sequence]
            middle = times[len(times) // 2]
            found = {"sequence": sequence, "first": times[0], "middle": middle, "last": now}
            print(json.dumps(found), flush=True)


def main() -> None:
    """Follow until killed."""
    port, number = int(sys.argv[1]), int(sys.argv[2])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    followers = Followers(port)
    followers.connect(number)
    print(json.dumps({"connected": number}), flush=True)
    followers.listen()


if __name__ == "__main__":
    main()
