"""Link headers as real peers write them, and Retry-After."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import links
from orchestrator.core.vocabulary import INBOX

BASE = "https://pod.example/articles/1?v=2"
NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f'<https://pod.example/inbox/>; rel="{INBOX}"', "https://pod.example/inbox/"),
        (f"<https://pod.example/inbox/>; rel={INBOX}", "https://pod.example/inbox/"),
        (f"<https://pod.example/inbox/>;rel='x';rel=\"{INBOX}\"", None),
        (f'</inbox/>;rel="{INBOX}"', "https://pod.example/inbox/"),
        (f'<inbox/?a=%2F&b=1>; rel="{INBOX}"', "https://pod.example/articles/inbox/?a=%2F&b=1"),
        (f'<?inbox>; rel="{INBOX}"', "https://pod.example/articles/1?inbox"),
        (f'<//hub.example/in>; REL = "{INBOX}"', "https://hub.example/in"),
        (f'</inbox/>; rel="type {INBOX} up"', "https://pod.example/inbox/"),
        (f'</inbox/>; rel="{INBOX.upper()}"', "https://pod.example/inbox/"),
        (f'</a>; rel="next", </inbox/>; title="a, b; c"; rel="{INBOX}"', "https://pod.example/inbox/"),
        (f'</a>; title="say \\"{INBOX}\\", <b>", </inbox/>; rel="{INBOX}"', "https://pod.example/inbox/"),
        (f'</inbox/>; rel="{INBOX}"; anchor="#me"', None),
        (f'</inbox/>; rel="{INBOX}"; anchor=""', "https://pod.example/inbox/"),
        (f'</inbox/>; rel="{INBOX}"; anchor="{BASE}"', "https://pod.example/inbox/"),
        (f'</inbox/>; rel="{INBOX}"; anchor="/articles/2"', None),
        (f'< /inbox/ >; rel="{INBOX}"', "https://pod.example/inbox/"),
        (f'</inbox/>; ; crossorigin; rel="{INBOX}"', "https://pod.example/inbox/"),
        (f'<http://[bad>; rel="{INBOX}", </inbox/>; rel="{INBOX}"', "https://pod.example/inbox/"),
        ('</inbox/>; rel="inbox"', None),
        ("", None),
        ("no link at all", None),
        (f'</inbox/; rel="{INBOX}"', None),
    ],
)
def test_a_link_header_says_where_the_inbox_is(header: str, expected: str | None) -> None:
    assert links.find([header], INBOX, BASE) == ([expected] if expected else [])


@pytest.mark.parametrize(
    "header",
    [
        f'</inbox/>; rel="{INBOX}',
        f'</inbox/>; rel="{INBOX}, </other>; rel="next"',
        f'</inbox/>; rel="{INBOX}, </other>; rel=next',
        f'</inbox/>; rel="{INBOX}; type="application/ld+json"',
        f'</inbox/>; type="text/html; rel="{INBOX}"',
        f'</other>; rel="next, </inbox/>; rel="{INBOX}"',
        f'</other>; rel="next, </inbox/>; rel="{INBOX}',
    ],
)
def test_a_quote_that_is_never_closed_hides_nothing(header: str) -> None:
    assert links.find([header], INBOX, BASE) == ["https://pod.example/inbox/"]


def test_several_headers_are_read_in_order_and_each_target_once() -> None:
    headers = [f'</a>; rel="{INBOX}"', '</b>; rel="next"', f'</c>; rel="{INBOX}", </a>; rel="{INBOX}"']
    assert links.find(headers, INBOX, BASE) == ["https://pod.example/a", "https://pod.example/c"]


def test_an_anchor_may_name_the_fragment_that_was_asked_for() -> None:
    headers = [f'</inbox/>; rel="{INBOX}"; anchor="#me"']
    assert links.find(headers, INBOX, "https://pod.example/profile#me") == ["https://pod.example/inbox/"]


def test_no_more_than_8_kib_of_headers_are_read() -> None:
    wanted = f'</inbox/>; rel="{INBOX}"'
    items = '</item>; rel="item", ' * 400
    assert links.find([wanted, items], INBOX, BASE) == ["https://pod.example/inbox/"]
    assert links.find([items, wanted], INBOX, BASE) == []


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", ["<", ";", '"', " ", ";a=", '\\"', ';a="', "<>;", ",<", "; ", ';a="\\'])
def test_a_hostile_header_is_read_in_no_time(piece: str) -> None:
    hostile = (piece * links.MAX_CHARACTERS)[: links.MAX_CHARACTERS - 10]
    assert links.find(["<x>;rel=" + hostile[:-10]], INBOX, BASE) == []
    assert links.find(['<x>;rel="' + hostile[:-10]], INBOX, BASE) == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90.0),
        ("Thursday, 01-Jan-26 12:01:30 GMT", 90.0),
        ("Thu Jan  1 12:01:30 2026", 90.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:01:30 -0000", 90.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 400, None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert links.retry_after(value, NOON) == seconds


@settings(deadline=None)
@given(st.text(alphabet='<>;,="\\ arelnxtho:/#[]?') | st.text())
def test_any_header_is_read(header: str) -> None:
    for url in links.find([header, f"<a>; rel={header}"], "next", BASE):
        assert url
