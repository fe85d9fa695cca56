"""What a follower of the log is sent: blocks of Server-Sent Events (WHATWG HTML, section 9.2)."""

from typing import Final, NamedTuple

from orchestrator.core.event import LifecycleEvent, member

RETRY: Final = 3_000
"""Milliseconds after which a reader who has lost his connection asks again."""
SILENCE: Final = b":\n\n"
"""A comment, which tells that the connection stands."""
LAST_CHUNK: Final = b"0\r\n\r\n"


class Wish(NamedTuple):
    """What a follower wants to be told of, and how."""

    type: str | None = None
    """IRI of a type of the activity."""
    artefact: str | None = None
    is_chunked: bool = True
    """Whether he speaks HTTP/1.1; otherwise the end of the connection ends the answer."""

    @property
    def is_narrow(self) -> bool:
        """Whether there are events that he is not told of."""
        return self.type is not None or self.artefact is not None

    def takes(self, event: LifecycleEvent) -> bool:
        """Whether `event` is one of those."""
        return (self.artefact is None or self.artefact == event.artefact) and (
            self.type is None or self.type in event.types
        )

    def framed(self, block: bytes) -> bytes:
        """Return `block` as it goes over the wire (RFC 9112, section 7.1)."""
        return b"%x\r\n%b\r\n" % (len(block), block) if self.is_chunked else block


def block_of(event: LifecycleEvent) -> bytes:
    """Return an event as a block of the stream (WHATWG HTML, section 9.2.5).

    The node is canonical JSON, which escapes every line break, so that one line holds it.
    """
    node = member(event.envelope, event.payload, event.salt)
    return b"id: %d\ndata: %b\n\n" % (event.sequence, node)


def mark_of(sequence: int) -> bytes:
    """Return a block that moves the place where a reader resumes, and tells him nothing.

    Without data no event is dispatched, but the last event ID is set before that is looked at (WHATWG
    HTML, section 9.2.6).
    """
    return b"id: %d\n\n" % sequence


def opening(sequence: int) -> bytes:
    """Return the first block of an answer: when to ask again, and from where."""
    return b"retry: %d\n%b" % (RETRY, mark_of(sequence))


def retry_of(milliseconds: int) -> bytes:
    """Return a block that says when to ask again."""
    return b"retry: %d\n\n" % milliseconds
