"""Server-Sent Events, against the algorithm of WHATWG HTML, section 9.2.6, written down once more."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.core.errors import AnswerRefused
from orchestrator.core.event_stream import EventStream, Message


def read(*chunks: bytes) -> list[Message]:
    stream = EventStream()
    return [message for chunk in chunks for message in stream.feed(chunk)]


def as_specified(body: bytes) -> tuple[list[Message], str, int | None]:
    """Return messages, last event id and reconnection time, step by step as the standard has them."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    lines = re.split("\r\n|\n|\r", text)[:-1]
    data, kind, id_buffer = "", "", ""
    last_id, retry, found = "", None, []
    for line in lines:
        if line == "":
            last_id = id_buffer
            if data == "":
                kind = ""
                continue
            found.append(Message(data=data[:-1], type=kind or "message", id=last_id))
            data = kind = ""
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = int(value)
    return found, last_id, retry


PIECES = st.sampled_from(
    [
        b"data",
        b"id",
        b"event",
        b"retry",
        b":",
        b" ",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xa9",
        b"7",
        b"data: x\n",
        b"id: 8\n",
        b"\xe2\x80\xa8",
        "٣".encode(),
    ]
)


@given(st.lists(PIECES, max_size=40).map(b"".join), st.lists(st.integers(0, 200)))
@example(b"\xef\xbb\xbfdata: 1\r\rdata: 2\r\n\r\ndata\n\n", [1, 2, 3, 11, 12, 13, 23, 24, 25])
@example(b"data: 1\r\n\r\n", [7, 8, 9, 10])
@example(b"retry: \xd9\xa3\n\n", [])
def test_a_stream_says_what_the_standard_says_however_it_is_cut(body: bytes, cuts: list[int]) -> None:
    stream = EventStream()
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    found, start = [], 0
    for end in ends:
        found += stream.feed(body[start:end])
        start = end
    assert (found, stream.id, stream.retry) == as_specified(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # The examples of section 9.2.6.
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [Message(data="YHOO\n+2\n10")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [
                Message(data="first event", id="1"),
                Message(data="second event"),
                Message(data=" third event"),
            ],
        ),
        ("data\n\ndata\ndata\n\ndata:", [Message(data=""), Message(data="\n")]),
        ("data:test\n\ndata: test\n\n", [Message(data="test"), Message(data="test")]),
    ],
)
def test_the_examples_of_the_standard_are_read_as_it_says(body: str, expected: list[Message]) -> None:
    assert read(body.encode()) == expected


def test_an_id_without_data_moves_only_the_point_to_go_on_from() -> None:
    stream = EventStream()
    assert stream.feed(b"id: 41\ndata: {}\n\n") == [Message(data="{}", id="41")]
    assert stream.feed(b"id: 57\n\n: heartbeat\n\n") == []
    assert stream.id == "57"


def test_what_is_not_ended_by_an_empty_line_is_not_dispatched() -> None:
    stream = EventStream()
    assert stream.feed(b"id: 3\ndata: {}\n") == []
    assert stream.id == ""


def test_a_retry_is_a_number_or_nothing() -> None:
    stream = EventStream()
    stream.feed(b"retry: 250\nretry: 1.5\nretry: -3\nretry:\n\n")
    assert stream.retry == 250
    stream.feed(b"retry: " + b"9" * 5_000 + b"\n")
    assert stream.retry == 10**9


def feed(chunks: Iterable[bytes]) -> None:
    stream = EventStream(longest=10_000)
    for chunk in chunks:
        stream.feed(chunk)


@pytest.mark.parametrize("size", [1, 7, 4_096])
def test_what_is_too_long_is_refused_before_it_is_kept(size: int) -> None:
    with pytest.raises(AnswerRefused, match="a line of more than 10000 bytes"):
        feed(b"x" * size for _ in range(10_000 // size + 1))
    with pytest.raises(AnswerRefused, match="a message of more than 10000 bytes"):
        feed(b"data:\n" for _ in range(2_001))


def test_a_message_of_the_largest_size_is_read() -> None:
    stream = EventStream(longest=1_000)
    [message] = stream.feed(b"data: " + b"x" * 994 + b"\n\n")
    assert len(message.data) == 994
    assert stream.feed(b"data: " + b"y" * 994 + b"\n\n") == [Message(data="y" * 994)]
