"""The public client against real servers: an LDN sender, an LDN consumer, and a reader of the log."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from orchestrator.client import Checked, Client, Received, Sent
from orchestrator.core.errors import (
    AddressRefused,
    AnswerRefused,
    InboxNotFound,
    PeerUnreachable,
    UnreadableBytes,
)
from orchestrator.core.finding import Finding
from orchestrator.core.vocabulary import AS_PROFILE, INBOX

if TYPE_CHECKING:
    from tests.client.conftest import Pod, Reply

LDP = "http://www.w3.org/ns/ldp#"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(backoff=0.01, timeout=1.0) as made:
        yield made


def says(
    body: object,
    content_type: str = "application/ld+json",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> "Reply":
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: web.Response(body=raw, content_type=content_type, status=status, headers=headers)


def advertises(target: str = "/inbox/") -> "Reply":
    return lambda _: web.Response(headers={"Link": f'<{target}>; rel="{INBOX}"'})


def in_turn(*replies: "Reply") -> "Reply":
    """Answer with each in turn, then for ever with the last."""
    left = list(replies)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


async def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)
    return web.Response()


def notification(**members: object) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/activitystreams", "https://coar-notify.net"],
        "id": "urn:uuid:0370c0fb-bb78-4a9b-87f5-bed307a509dd",
        "type": ["Announce", "coar-notify:ReviewAction"],
        "summary": "évaluation",
        **members,
    }


# Discovery


@pytest.mark.parametrize("unterminated", [True, False])
async def test_the_inbox_is_found_in_the_link_header(unterminated: bool, pod: "Pod", client: Client) -> None:
    header = f'</inbox/>; rel="{INBOX}' + ("" if unterminated else '"')
    pod.replies["/a"] = lambda _: web.Response(headers={"Link": header})
    assert await client.discover(pod.url("/a")) == pod.url("/inbox/")
    assert pod.asked == ["HEAD /a"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/ld+json", {"@context": LDP, "@id": "", "inbox": "/inbox/"}),
        ("text/turtle", f"<> <{INBOX}> </inbox/> .".encode()),
        ("text/html", b"<html>"),
    ],
)
async def test_the_inbox_is_found_with_get(
    content_type: str, body: object, pod: "Pod", client: Client
) -> None:
    headers = {"Link": f'</inbox/>; rel="{INBOX}"'} if content_type == "text/html" else {}
    found = says(body, content_type, headers=headers)
    pod.replies["/a"] = lambda request: (
        found(request) if request.method == "GET" else web.Response(status=405)
    )
    assert await client.discover(pod.url("/a")) == pod.url("/inbox/")


async def test_discovery_follows_redirects(pod: "Pod", client: Client) -> None:
    pod.replies["/doi"] = lambda _: web.Response(status=302, headers={"Location": "/x/landing"})
    pod.replies["/x/landing"] = advertises("inbox?a=%2F")
    assert await client.discover(pod.url("/doi")) == pod.url("/x/inbox?a=%2F")


async def test_a_redirect_loop_is_refused(pod: "Pod", client: Client) -> None:
    pod.replies["/a"] = lambda _: web.Response(status=302, headers={"Location": "/a"})
    with pytest.raises(AnswerRefused, match="redirects without end"):
        await client.discover(pod.url("/a"))


FAILING: dict[str, tuple["Reply", type[Exception], str]] = {
    "html": (says(b"<html>", "text/html"), InboxNotFound, "advertises no LDN inbox"),
    "404": (says(b"", status=404), InboxNotFound, "answered 404"),
    "500": (says(b"", status=500), PeerUnreachable, "answered 500"),
    "broken": (says(b"{"), AnswerRefused, "not JSON"),
    "unknown-context": (
        says({"@context": "https://x.example/c"}),
        InboxNotFound,
        "x.example/c are not known here",
    ),
}


@pytest.mark.parametrize(("reply", "error", "said"), FAILING.values(), ids=FAILING)
async def test_a_resource_without_an_inbox_is_said_to_have_none(
    reply: "Reply", error: type[Exception], said: str, pod: "Pod", client: Client
) -> None:
    pod.replies["/a"] = reply
    with pytest.raises(error, match=said) as refused:
        await client.discover(pod.url("/a?token=secret"))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["urn:isbn:1", "ftp://pod.example/", "/a", "", "http://[::1"])
async def test_what_is_not_on_the_web_is_refused(url: str, client: Client) -> None:
    with pytest.raises(AddressRefused):
        await client.discover(url)


# Sending


async def test_a_notification_goes_to_the_inbox_that_its_target_names(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = lambda _: web.Response(status=201, headers={"Location": "1"}, text="Thanks.\n")
    target = {"id": pod.url("/a"), "type": "Service", "inbox": pod.url("/inbox/?x=1%2F2")}
    sent = await client.send(notification(target=target))
    assert sent == Sent(inbox=target["inbox"], status=201, location=pod.url("/inbox/1"), detail="Thanks.")
    assert sent.accepted
    assert pod.asked == ["POST /inbox/?x=1%2F2"]
    assert pod.requests[0].headers["Content-Type"] == AS_PROFILE
    assert json.loads(pod.bodies[0]) == notification(target=target)


@pytest.mark.parametrize("form", ["compacted", "expanded", "bare"])
async def test_without_one_the_inbox_of_the_targets_id_is_discovered(
    form: str, pod: "Pod", client: Client
) -> None:
    pod.replies["/service"] = advertises()
    pod.replies["/inbox/"] = lambda _: web.Response(status=202)
    target = pod.url("/service")
    documents: dict[str, dict[str, Any]] = {
        "compacted": notification(target={"id": target, "type": "Service"}),
        "bare": notification(target=target),
        "expanded": {"@id": "urn:x:1", "https://www.w3.org/ns/activitystreams#target": [{"@id": target}]},
    }
    sent = await client.send(documents[form])
    assert (sent.inbox, sent.status, sent.location) == (pod.url("/inbox/"), 202, None)
    assert pod.asked == ["HEAD /service", "POST /inbox/"]


async def test_the_caller_may_name_the_resource_or_the_inbox(pod: "Pod", client: Client) -> None:
    pod.replies["/artefact"] = advertises()
    pod.replies["/inbox/"] = lambda _: web.Response(status=201)
    await client.send(notification(), to=pod.url("/artefact"))
    await client.send(notification(), inbox=pod.url("/inbox/"))
    assert pod.asked == ["HEAD /artefact", "POST /inbox/", "POST /inbox/"]


async def test_bytes_are_sent_as_they_are(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = lambda _: web.Response(status=400)
    for body in (b'{"id":  "urn:x:1"}\n', b"not even JSON \xff"):
        sent = await client.send(body, inbox=pod.url("/inbox/"))
        assert sent.status == 400
        assert not sent.accepted
        assert pod.bodies[-1] == body


async def test_a_notification_without_a_target_cannot_find_its_way(client: Client) -> None:
    with pytest.raises(InboxNotFound, match="names no target"):
        await client.send(notification())
    with pytest.raises(UnreadableBytes):
        await client.send(b"{")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_what_may_pass_is_sent_again_with_the_same_bytes(
    status: int, pod: "Pod", client: Client
) -> None:
    pod.replies["/inbox/"] = in_turn(says(b"", status=status), hang_up, says(b"", status=201))
    sent = await client.send(notification(), inbox=pod.url("/inbox/"))
    assert sent.status == 201
    assert len(pod.bodies) == 3
    assert len(set(pod.bodies)) == 1


@pytest.mark.parametrize("status", [301, 307, 308, 400, 401, 403, 404, 409, 410, 415])
async def test_any_other_answer_is_final_and_no_redirect_is_followed(
    status: int, pod: "Pod", client: Client
) -> None:
    pod.replies["/inbox/"] = says(b"No.", "text/plain", status, {"Location": "/elsewhere"})
    sent = await client.send(notification(), inbox=pod.url("/inbox/"))
    assert (sent.status, sent.detail) == (status, "No.")
    assert len(pod.asked) == 1


async def test_after_the_last_attempt_the_answer_counts(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = says(b"", status=503)
    assert (await client.send(notification(), inbox=pod.url("/inbox/"))).status == 503
    assert len(pod.asked) == 3
    pod.replies["/inbox/"] = hang_up
    with pytest.raises(PeerUnreachable, match="disconnected"):
        await client.send(notification(), inbox=pod.url("/inbox/"))
    assert len(pod.asked) == 6


async def test_a_notification_without_an_id_is_sent_once(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = hang_up
    with pytest.raises(PeerUnreachable):
        await client.send({"type": "Announce"}, inbox=pod.url("/inbox/"))
    assert len(pod.asked) == 1


async def test_retry_after_is_obeyed_up_to_a_minute(pod: "Pod") -> None:
    dates = {"Date": "Thu, 01 Jan 2026 12:00:00 GMT"}
    soon = says(b"", status=503, headers={"Retry-After": "Thu, 01 Jan 2026 12:00:00 GMT"} | dates)
    at_once = says(b"", status=429, headers={"Retry-After": "0"})
    late = says(b"", status=503, headers={"Retry-After": "61"})
    late_date = says(b"", status=503, headers={"Retry-After": "Thu, 01 Jan 2026 12:01:01 GMT"} | dates)
    async with Client(attempts=4, backoff=30.0) as patient:
        for final in (late, late_date):
            pod.replies["/inbox/"] = in_turn(soon, at_once, final)
            async with asyncio.timeout(5):
                assert (await patient.send(notification(), inbox=pod.url("/inbox/"))).status == 503
    assert len(pod.asked) == 6


async def test_a_server_that_hangs_is_left(pod: "Pod") -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    pod.replies["/inbox/"] = hang
    async with Client(attempts=1, timeout=0.2) as hasty:
        with pytest.raises(PeerUnreachable, match="in time"):
            await hasty.send(notification(), inbox=pod.url("/inbox/"))


async def test_a_closed_port_is_unreachable(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PeerUnreachable):
        await client.send(notification(), inbox=f"http://127.0.0.1:{port}/")


async def test_a_client_that_was_brought_is_used_and_left_open(pod: "Pod") -> None:
    pod.replies["/inbox/"] = lambda _: web.Response(status=201)
    async with httpx.AsyncClient(headers={"Authorization": "Bearer t"}) as http:
        async with Client(http) as client:
            await client.send(notification(), inbox=pod.url("/inbox/"))
        assert not http.is_closed
    assert pod.requests[0].headers["Authorization"] == "Bearer t"


# Checking


async def test_a_check_posts_a_dry_run_and_reads_the_report(pod: "Pod", client: Client) -> None:
    violation = {
        "rule": "https://w3id.org/orchestrator/shapes/announce-review#object",
        "message": "Name the review.",
        "pointer": "/object",
        "term": "id",
        "path": "@id",
        "value": None,
        "severity": "Warning",
        "spec": "1.0.1",
        "unheard": "of",
    }
    pod.replies["/inbox/"] = says(
        {"accepted": True, "pattern": "announce-review", "violations": [violation]}, "application/json"
    )
    checked = await client.check(pod.url("/inbox/?x=1"), notification())
    del violation["unheard"]
    expected = Finding(**violation)  # type: ignore[arg-type]
    assert checked == Checked(accepted=True, pattern="announce-review", findings=(expected,))
    assert pod.asked == ["POST /inbox/?x=1&dry-run=true"]
    await client.check(pod.url("/inbox/"), b"{}")
    assert pod.asked[-1] == "POST /inbox/?dry-run=true"


async def test_a_problem_is_a_report_too(pod: "Pod", client: Client) -> None:
    problem = {"type": "https://o.example/problems/shape-violated", "title": "No.", "status": 400}
    violations = [{"rule": "r", "message": "m", "pointer": "", "severity": "Violation"}]
    pod.replies["/inbox/"] = says({**problem, "violations": violations}, "application/problem+json", 400)
    checked = await client.check(pod.url("/inbox/"), b"{}")
    assert checked == Checked(accepted=False, findings=(Finding(rule="r", message="m", pointer=""),))
    pod.replies["/inbox/"] = says({**problem, "detail": "Too long."}, "application/problem+json", 413)
    checked = await client.check(pod.url("/inbox/"), b"{}")
    assert checked.findings == (Finding(rule=problem["type"], message="Too long.", pointer=""),)  # type: ignore[arg-type]


async def test_an_inbox_that_knows_no_dry_run_is_told_apart(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = says(b"", status=201)
    with pytest.raises(AnswerRefused, match="has kept the notification"):
        await client.check(pod.url("/inbox/"), notification())
    for reply in (says({"ok": True}), says(b"OK", "text/plain"), says(b"", status=404)):
        pod.replies["/inbox/"] = reply
        with pytest.raises(AnswerRefused, match="without a report"):
            await client.check(pod.url("/inbox/"), notification())
    pod.replies["/inbox/"] = says(b"", status=503)
    with pytest.raises(PeerUnreachable):
        await client.check(pod.url("/inbox/"), notification())


# Reading an inbox


async def read(client: Client, url: str) -> list[Received]:
    return [received async for received in client.read(url)]


LISTINGS: dict[str, tuple[str, object]] = {
    "compacted": ("application/ld+json", {"@context": LDP[:-1], "@id": "", "contains": ["1", "2"]}),
    "prefixed": (
        "application/ld+json",
        {"@context": {"ldp": LDP}, "@id": "", "ldp:contains": [{"@id": "1"}, {"@id": "2"}]},
    ),
    "expanded": ("application/json", [{"@id": "", LDP + "contains": [{"@id": "1"}, {"@id": "2"}]}]),
    "split": (
        "application/ld+json",
        [
            {"@id": "1"},
            {"@id": "", "@type": [LDP + "Container"]},
            {"@id": "", LDP + "contains": [{"@id": "1"}]},
            {"@id": "", LDP + "contains": [{"@id": "2"}]},
        ],
    ),
    "turtle": ("text/turtle", f"<> a <{LDP}BasicContainer>; <{LDP}contains> <1>, <2> .".encode()),
    "context-of-a-stranger": (
        "application/ld+json",
        {"@context": "https://unknown.example/", "@id": "", "contains": ["1", "2"]},
    ),
}


@pytest.mark.parametrize(("content_type", "body"), LISTINGS.values(), ids=LISTINGS)
@pytest.mark.parametrize("start", ["/a", "/inbox/"])
async def test_an_inbox_is_read_in_every_form(
    start: str, content_type: str, body: object, pod: "Pod", client: Client
) -> None:
    pod.replies["/a"] = advertises()
    pod.replies["/inbox/"] = says(body, content_type)
    pod.replies["/inbox/1"] = says(notification(), "application/activity+json")
    pod.replies["/inbox/2"] = says({"b": 2}, "application/json")
    first, second = await read(client, pod.url(start))
    assert (first.url, first.document, first.problem) == (pod.url("/inbox/1"), notification(), None)
    assert (second.media_type, second.body, second.document) == ("application/json", b'{"b": 2}', {"b": 2})
    members = [request for request in pod.requests if request.path.startswith("/inbox/") and request.path[7:]]
    assert {request.headers["Accept"] for request in members} == {"*/*;q=0.1, application/ld+json"}
    assert {request.method for request in pod.requests} == {"GET", "HEAD"}


async def test_junk_in_an_inbox_is_named_and_the_reading_goes_on(pod: "Pod", client: Client) -> None:
    names = ["png", "broken", "gone", "huge", "mislabelled", "good"]
    pod.replies["/inbox/"] = says({"@context": LDP[:-1], "@id": "", "contains": names})
    pod.replies["/inbox/png"] = says(PNG, "image/png")
    pod.replies["/inbox/broken"] = says(b'{"id": ')
    pod.replies["/inbox/huge"] = says(b'"' + b"x" * 1_100_000 + b'"')
    pod.replies["/inbox/mislabelled"] = says({"a": 1}, "text/plain")
    pod.replies["/inbox/good"] = says(notification())
    found = {received.url.rpartition("/")[2]: received for received in await read(client, pod.url("/inbox/"))}
    assert list(found) == names
    assert found["png"].body == PNG
    assert found["good"].document == notification()
    assert found["mislabelled"].document == {"a": 1}
    problems = {name: received.problem for name, received in found.items() if received.problem}
    assert list(problems) == ["png", "broken", "gone", "huge"]
    assert "image/png, not JSON" in str(problems["png"])
    assert "line 1" in str(problems["broken"])
    assert "answered 404" in str(problems["gone"])
    assert "more than 1048576 bytes" in str(problems["huge"])


@pytest.mark.parametrize("way", ["link", "as", "hydra"])
async def test_pages_are_followed_to_the_end_and_none_twice(way: str, pod: "Pod", client: Client) -> None:
    def page(number: int, following: str) -> "Reply":
        body: dict[str, object] = {
            "@context": LDP[:-1],
            "@id": "/inbox/",
            "contains": [f"/n/{number}", "/n/0"],
        }
        headers = {"Link": f'<{following}>; rel="next"'} if way == "link" else {}
        if way == "as":
            body["https://www.w3.org/ns/activitystreams#next"] = {"@id": following}
        if way == "hydra":
            body["http://www.w3.org/ns/hydra/core#next"] = {"@id": following}
        return says(body, headers=headers)

    pod.replies["/inbox/"] = page(1, "?page=2")
    pod.replies["/inbox/?page=2"] = page(2, "?page=3")
    pod.replies["/inbox/?page=3"] = page(3, "/inbox/")
    pod.replies |= {f"/n/{number}": says({"n": number}) for number in range(4)}
    assert [received.document for received in await read(client, pod.url("/inbox/"))] == [
        {"n": number} for number in (1, 0, 2, 3)
    ]


async def test_members_that_were_read_are_skipped(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = says({"@context": LDP[:-1], "@id": "", "contains": ["1", "2"]})
    pod.replies["/inbox/2"] = says({})
    seen = {pod.url("/inbox/1")}
    assert [received.url async for received in client.read(pod.url("/inbox/"), skip=seen)] == [
        pod.url("/inbox/2")
    ]
    assert "GET /inbox/1" not in pod.asked


async def test_a_get_whose_answer_is_lost_is_asked_again(pod: "Pod", client: Client) -> None:
    pod.replies["/a"] = in_turn(hang_up, advertises())
    pod.replies["/inbox/"] = in_turn(hang_up, says({"@context": LDP[:-1], "@id": "", "contains": "1"}))
    pod.replies["/inbox/1"] = in_turn(hang_up, hang_up, says({"a": 1}))
    (received,) = await read(client, pod.url("/a"))
    assert received.document == {"a": 1}


async def test_an_empty_inbox_is_empty(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = says({"@context": LDP[:-1], "@id": "", "contains": []})
    assert await read(client, pod.url("/inbox/")) == []


async def test_a_listing_that_cannot_be_read_is_an_error(pod: "Pod", client: Client) -> None:
    pod.replies["/a"] = advertises()
    for reply, error in ((says(b"", status=403), AnswerRefused), (says(PNG, "image/png"), AnswerRefused)):
        pod.replies["/inbox/"] = reply
        with pytest.raises(error):
            await read(client, pod.url("/a"))
    pod.replies["/inbox/"] = says({"@context": LDP[:-1], "@id": ""})
    with pytest.raises(InboxNotFound, match="neither advertises an LDN inbox nor is one"):
        await read(client, pod.url("/inbox/"))


async def test_many_members_are_read_in_listed_order(pod: "Pod", client: Client) -> None:
    pod.replies["/inbox/"] = says({"@context": LDP[:-1], "@id": "", "contains": [str(n) for n in range(100)]})
    pod.replies |= {f"/inbox/{n}": says({"n": n}) for n in range(100)}
    assert [received.document for received in await read(client, pod.url("/inbox/"))] == [
        {"n": n} for n in range(100)
    ]


# Following the log


def event(sequence: int) -> dict[str, Any]:
    return {
        "id": f"https://o.example/log/e/{sequence}",
        "type": ["Announce", "LifecycleEvent"],
        "sequence": sequence,
    }


LOG_PAGES: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "graph": ({"@graph": [{"type": "EventStream"}, {"id": "", "next": "?page=2"}, event(6), event(7)]}, {}),
    "items": ({"orderedItems": [event(6), event(7)], "next": {"id": "/log?page=2"}}, {}),
    "member": ({"member": [event(6), event(7)], "hydra:next": {"@id": "/log?page=2"}}, {}),
    "link": ({"items": [event(7), event(6)]}, {"Link": '</log?page=2>; rel="next"'}),
}


@pytest.mark.parametrize(("page", "headers"), LOG_PAGES.values(), ids=LOG_PAGES)
async def test_a_log_is_read_from_where_the_reader_stopped(
    page: dict[str, object], headers: dict[str, str], pod: "Pod", client: Client
) -> None:
    pod.replies["/log?since=5"] = says(page, headers=headers)
    pod.replies["/log?page=2"] = says({"@graph": [event(7), event(8)], "next": pod.url("/log?since=5")})
    assert [found async for found in client.log(pod.url("/log"), since=5)] == [event(6), event(7), event(8)]
    assert pod.asked == ["GET /log?since=5", "GET /log?page=2"]


async def test_a_filtered_log_keeps_its_filter(pod: "Pod", client: Client) -> None:
    pod.replies["/log?type=Announce&since=0"] = says({"items": [event(1)]})
    assert [found async for found in client.log(pod.url("/log?type=Announce"))] == [event(1)]


async def test_a_log_that_cannot_be_read_is_an_error(pod: "Pod", client: Client) -> None:
    for reply, error in (
        (says(b"{"), AnswerRefused),
        (says(b"", status=404), AnswerRefused),
        (says(b"", status=500), PeerUnreachable),
    ):
        pod.replies["/log"] = reply
        with pytest.raises(error):
            await anext(client.log(pod.url("/log")))
