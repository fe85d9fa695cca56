"""Server-Sent Events, read as they come (WHATWG HTML, sections 9.2.5 and 9.2.6).

Whoever sends them is a stranger: a line, or the data of one message, has at most as many bytes as the
reader says.
"""

import re
from dataclasses import dataclass
from typing import Final

from orchestrator.core.errors import AnswerRefused

MEDIA_TYPE: Final = "text/event-stream"
LONGEST: Final = 1_048_576
_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one block of the stream dispatches."""

    data: str
    type: str = "message"
    id: str = ""
    """The last event id when it was dispatched, its own or an earlier one."""


class EventStream:
    """A stream that is still coming: `feed` it what arrives."""

    def __init__(self, *, longest: int = LONGEST) -> None:
        """Refuse lines, and messages, of more than `longest` bytes."""
        self.id = ""
        """The last event id: where to go on. A block without data moves it too."""
        self.retry: int | None = None
        """Milliseconds that the server asks for before a reconnection, where it says so."""
        self._longest = longest
        self._line = bytearray()
        self._is_first = True
        self._ended_with_return = False
        self._id = ""
        self._type = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Message]:
        """Return the messages that end in `chunk`; what is not ended by an empty line waits.

        Raises `AnswerRefused` for what is too long; the stream is of no use then.
        """
        if self._ended_with_return and chunk[:1] == b"\n":
            chunk = chunk[1:]
            self._ended_with_return = False
        if not chunk:
            return []
        self._ended_with_return = chunk[-1:] == b"\r"
        found = []
        first, *others = _LINE_END.split(chunk)
        self._hold(first)
        for following in others:
            message = self._read()
            if message is not None:
                found.append(message)
            self._hold(following)
        return found

    def _hold(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > self._longest:
            raise AnswerRefused(f"The stream has a line of more than {self._longest} bytes.")

    def _read(self) -> Message | None:
        """Take the line that has come whole; return what it dispatches."""
        line = bytes(self._line)
        self._line.clear()
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        # A comment begins with a colon, and so has a field without a name, which is none.
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._take(name, value.removeprefix(" "), len(line))
        return None

    def _take(self, name: str, value: str, size: int) -> None:
        """Take one field; what has another name, and what makes no sense, is passed over."""
        if name == "data":
            self._size += size
            if self._size > self._longest:
                raise AnswerRefused(f"The stream has a message of more than {self._longest} bytes.")
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value) if len(value) <= _MOST_DIGITS else 10**_MOST_DIGITS

    def _dispatch(self) -> Message | None:
        self.id = self._id
        kind, data = self._type or "message", self._data
        self._type, self._data, self._size = "", [], 0
        return Message(data="\n".join(data), type=kind, id=self.id) if data else None
