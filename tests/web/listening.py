"""Those who follow `/log/live`, on plain sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable

PATIENCE = 30.0


class Listener:
    """One who follows, and reads as browsers do (WHATWG HTML, sections 9.2.5 and 9.2.6)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""
        self.last = ""
        """The last event ID."""
        self.retry: int | None = None
        self.is_whole = False
        """Whether the answer has ended in order."""
        self._rest = b""

    async def begin(self) -> None:
        """Read the head and the first block, which tells where he is."""
        self.head = await self._within(self.reader.readuntil(b"\r\n\r\n"))
        if self.head.startswith(b"HTTP/1.1 200"):
            assert (await self.block())[0].startswith(b"retry: ")

    async def block(self) -> list[bytes]:
        """Return the lines of the next block; raises `IncompleteReadError` when the answer has ended."""
        while b"\n\n" not in self._rest:
            self._rest += await self._some()
        block, _, self._rest = self._rest.partition(b"\n\n")
        lines = block.split(b"\n")
        for line in lines:
            name, _, value = line.partition(b": ")
            if name == b"id":
                self.last = value.decode()
            elif name == b"retry":
                self.retry = int(value)
        return lines

    async def event(self) -> int:
        """Return the sequence of the next event, past what is no event."""
        while True:
            lines = await self.block()
            said = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
            if said:
                [text] = said
                assert json.loads(text)["sequence"] == int(self.last)
                return int(self.last)

    async def events(self, number: int) -> list[int]:
        """Return the sequences of the next events."""
        return [await self.event() for _ in range(number)]

    async def ended(self) -> bool:
        """Read to the end; return whether it came in order."""
        try:
            while True:
                await self.block()
        except asyncio.IncompleteReadError:
            return self.is_whole and not self._rest and await self.reader.read() == b""
        except ConnectionError:
            return False

    async def _some(self) -> bytes:
        if b"chunked" not in self.head:
            some = await self._within(self.reader.read(65_536))
        else:
            size = int(await self._within(self.reader.readuntil(b"\r\n")), 16)
            self.is_whole = size == 0
            some = (await self._within(self.reader.readexactly(size + 2)))[:-2]
        if not some:
            raise asyncio.IncompleteReadError(self._rest, None)
        return some

    async def _within(self, reading: Awaitable[bytes]) -> bytes:
        return await asyncio.wait_for(reading, PATIENCE)


@contextlib.asynccontextmanager
async def connected(port: int, text: str, limit: int = 2**16) -> AsyncIterator[Listener]:
    """Send a request as it is, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    listener = Listener(reader, writer)
    try:
        writer.write(text.encode())
        yield listener
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def following(port: int, query: str = "", **headers: str) -> AsyncIterator[Listener]:
    """Follow the log."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    async with connected(port, f"GET /log/live{query} HTTP/1.1\r\nHost: x\r\n{named}\r\n") as listener:
        await listener.begin()
        yield listener
