"""Discovery in every form that peers offer, delivery, and the status of a resource."""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import AddressRefused, AnswerRefused, InboxNotFound, PeerUnreachable
from orchestrator.core.vocabulary import AS_PROFILE, INBOX
from orchestrator.ldn import EgressSettings, Peers
from orchestrator.ports import Answer
from orchestrator.ports import Peers as PeersPort

if TYPE_CHECKING:
    from tests.ldn.conftest import Peer, Reply

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
HOUR = 3_600_000


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> int:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def peers(clock: Clock) -> AsyncIterator[Peers]:
    settings = EgressSettings(allow_private=("127.0.0.0/8",), connect_timeout=1.0, total_timeout=3.0)
    async with Peers(settings, bundled_contexts(), clock) as made:
        yield made


def link(target: str = "/inbox/") -> dict[str, str]:
    return {"Link": f'<{target}>; rel="{INBOX}"'}


def says(body: object, content_type: str = "application/ld+json", **headers: str) -> "Reply":
    text = body if isinstance(body, str) else json.dumps(body)
    return lambda _: web.Response(text=text, content_type=content_type, headers=headers)


def redirects(location: str, status: int = 302) -> "Reply":
    return lambda _: web.Response(status=status, headers={"Location": location})


def test_they_fulfil_the_port(peers: Peers) -> None:
    fulfilled: PeersPort = peers
    assert fulfilled is peers


async def test_the_link_header_of_a_head_is_enough(peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers=link())
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")
    assert peer.asked == ["HEAD /a"]
    assert peer.requests[0].headers["Accept"].startswith("application/ld+json, text/turtle;q=0.9")


async def test_software_heritages_unterminated_quote_is_understood(peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers={"Link": f'</inbox/>; rel="{INBOX}'})
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")


async def test_a_link_header_that_only_get_has_is_found(peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda request: web.Response(
        text="<html>", content_type="text/html", headers=link() if request.method == "GET" else {}
    )
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")
    assert peer.asked == ["HEAD /a", "GET /a"]


@pytest.mark.parametrize("status", [400, 404, 405, 500, 501, 503])
async def test_a_peer_that_knows_no_head_is_asked_with_get(status: int, peer: "Peer", peers: Peers) -> None:
    def reply(request: web.Request) -> web.Response:
        return web.Response(status=status) if request.method == "HEAD" else web.Response(headers=link())

    peer.replies["/a"] = reply
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/ld+json", {"@context": "http://www.w3.org/ns/ldp", "@id": "", "inbox": "/inbox/"}),
        ("application/ld+json", [{"@id": "", INBOX: [{"@id": "/inbox/"}]}]),
        (
            "application/json",
            {"@context": {"ldp": "http://www.w3.org/ns/ldp#"}, "ldp:inbox": {"@id": "/inbox/"}},
        ),
        (
            "application/activity+json",
            {
                "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
                "inbox": "/inbox/",
            },
        ),
        ("text/turtle", f"<> <{INBOX}> <inbox/> ."),
        ("text/turtle", "@prefix ldp: <http://www.w3.org/ns/ldp#>. </a> ldp:inbox </inbox/>."),
    ],
)
async def test_the_body_advertises_the_inbox(
    content_type: str, body: object, peer: "Peer", peers: Peers
) -> None:
    if isinstance(body, dict):
        body["@id"] = ""
    peer.replies["/a"] = says(body, content_type)
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")


async def test_a_webid_is_found_in_its_profile(peer: "Peer", peers: Peers) -> None:
    peer.replies["/profile"] = says(
        f"<#me> <{INBOX}> </inbox/> . <#you> <{INBOX}> </yours/> .", "text/turtle"
    )
    assert await peers.discover(peer.url("/profile#me")) == peer.url("/inbox/")
    assert await peers.discover(peer.url("/profile#you")) == peer.url("/yours/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_discovery_follows_redirects_to_the_resource(status: int, peer: "Peer", peers: Peers) -> None:
    peer.replies["/doi"] = redirects("/pages/landing", status)
    peer.replies["/pages/landing"] = lambda _: web.Response(headers=link("inbox/"))
    assert await peers.discover(peer.url("/doi")) == peer.url("/pages/inbox/")


async def test_discovery_follows_three_redirects_and_no_more(peer: "Peer", peers: Peers) -> None:
    peer.replies |= {f"/{n}": redirects(f"/{n + 1}") for n in range(4)}
    peer.replies["/4"] = lambda _: web.Response(headers=link())
    assert await peers.discover(peer.url("/1")) == peer.url("/inbox/")
    with pytest.raises(AnswerRefused, match="more than 3 times"):
        await peers.discover(peer.url("/0"))
    peer.replies["/loop"] = redirects("/loop")
    with pytest.raises(AnswerRefused, match="more than 3 times"):
        await peers.discover(peer.url("/loop"))


async def test_after_a_redirect_the_body_may_speak_of_either_url(peer: "Peer", peers: Peers) -> None:
    peer.replies |= {f"/doi/{n}": redirects("/landing/" + str(n)) for n in (1, 2)}
    peer.replies["/landing/1"] = says(f"<{peer.url('/doi/1')}> <{INBOX}> </inbox/> .", "text/turtle")
    peer.replies["/landing/2"] = says(f"<{peer.url('/landing/2')}> <{INBOX}> </inbox/> .", "text/turtle")
    for n in (1, 2):
        assert await peers.discover(peer.url(f"/doi/{n}")) == peer.url("/inbox/")


@pytest.mark.parametrize(
    "query", ["?a=1", "?key=a%2Fb%3D&c=%20d", "?x=a+b&y[]=1", "?%E2%82%AC", "?sig=A%2b%2B~"]
)
async def test_the_query_of_an_inbox_survives_to_the_byte(query: str, peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers=link("/in/box" + query))
    peer.replies["/in/box"] = lambda _: web.Response(status=202)
    inbox = await peers.discover(peer.url("/a"))
    assert inbox == peer.url("/in/box" + query)
    await peers.send(inbox, b"{}")
    assert peer.asked[-1] == "POST /in/box" + query


async def test_an_iri_is_asked_for_as_a_uri(peer: "Peer", peers: Peers) -> None:
    peer.replies["/évaluation"] = lambda _: web.Response(headers=link())
    assert await peers.discover(peer.url("/évaluation")) == peer.url("/inbox/")
    assert peer.asked == ["HEAD /%C3%A9valuation"]


UNUSABLE: dict[str, tuple["Reply", type[Exception], str]] = {
    "html": (says("<html>", "text/html"), InboxNotFound, "advertises no LDN inbox"),
    "pdf": (says("%PDF", "application/pdf"), InboxNotFound, "advertises no LDN inbox"),
    "turtle": (says("<> a <#Thing> .", "text/turtle"), InboxNotFound, "advertises no LDN inbox"),
    "unknown-context": (
        says({"@context": "https://x.example/c"}),
        InboxNotFound,
        "https://x.example/c are not known",
    ),
    "broken": (says("{", "application/ld+json"), AnswerRefused, "not JSON"),
    "404": (lambda _: web.Response(status=404), InboxNotFound, "answered 404"),
    "403": (lambda _: web.Response(status=403), InboxNotFound, "answered 403"),
    "410": (lambda _: web.Response(status=410, headers=link()), InboxNotFound, "answered 410"),
    "302-to-nowhere": (lambda _: web.Response(status=302), InboxNotFound, "answered 302"),
    "500": (lambda _: web.Response(status=500), PeerUnreachable, "answered 500"),
    "429": (lambda _: web.Response(status=429), PeerUnreachable, "answered 429"),
    "ftp": (lambda _: web.Response(headers=link("ftp://pod.example/in")), InboxNotFound, "advertises no"),
    "user": (
        lambda _: web.Response(headers=link("http://u:p@pod.example/in")),
        InboxNotFound,
        "advertises no",
    ),
}


@pytest.mark.parametrize(("reply", "error", "said"), UNUSABLE.values(), ids=UNUSABLE)
async def test_a_resource_without_a_usable_inbox_is_said_to_have_none(
    reply: "Reply", error: type[Exception], said: str, peer: "Peer", peers: Peers
) -> None:
    peer.replies["/a"] = reply
    with pytest.raises(error, match=said) as refused:
        await peers.discover(peer.url("/a?token=secret"))
    assert "secret" not in str(refused.value)


async def test_of_several_inboxes_the_first_that_we_may_use_is_taken(peer: "Peer", peers: Peers) -> None:
    header = f'<ftp://pod.example/in>; rel="{INBOX}", </inbox/>; rel="{INBOX}", </2>; rel="{INBOX}"'
    peer.replies["/a"] = lambda _: web.Response(headers={"Link": header})
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")


async def test_an_answer_is_remembered_for_an_hour(peer: "Peer", peers: Peers, clock: Clock) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers=link())
    await peers.discover(peer.url("/a"))
    peer.replies["/a"] = lambda _: web.Response(headers=link("/moved/"))
    clock.time += HOUR - 1
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")
    clock.time += 1
    assert await peers.discover(peer.url("/a")) == peer.url("/moved/")
    assert len(peer.asked) == 2


async def test_a_clock_that_is_set_back_forgets(peer: "Peer", peers: Peers, clock: Clock) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers=link())
    await peers.discover(peer.url("/a"))
    clock.time -= 48 * HOUR
    await peers.discover(peer.url("/a"))
    assert len(peer.asked) == 2


async def test_what_is_forgotten_is_discovered_anew(peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers=link())
    await peers.discover(peer.url("/a"))
    peers.forget(peer.url("/a"))
    peers.forget("https://never.example/")
    await peers.discover(peer.url("/a"))
    assert peer.asked == ["HEAD /a", "HEAD /a"]


async def test_a_failure_is_not_remembered(peer: "Peer", peers: Peers) -> None:
    with pytest.raises(InboxNotFound):
        await peers.discover(peer.url("/a"))
    peer.replies["/a"] = lambda _: web.Response(headers=link())
    assert await peers.discover(peer.url("/a")) == peer.url("/inbox/")


async def test_no_more_than_1024_answers_are_remembered(peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda _: web.Response(headers=link())
    for n in range(1_025):
        await peers.discover(peer.url(f"/a?{n}"))
    await peers.discover(peer.url("/a?1024"))
    await peers.discover(peer.url("/a?1"))
    assert len(peer.asked) == 1_025
    await peers.discover(peer.url("/a?0"))
    assert len(peer.asked) == 1_026


async def test_a_post_carries_the_bytes_and_the_profile(peer: "Peer", peers: Peers) -> None:
    peer.replies["/inbox"] = lambda _: web.Response(
        status=201, headers={"Location": "1?x=%2F"}, text="Thanks.\0\n"
    )
    body = '{"id": "urn:uuid:1",  "name": "Zoë"}'.encode()
    answer = await peers.send(peer.url("/inbox"), body)
    assert answer == Answer(status=201, location=peer.url("/1?x=%2F"), detail="Thanks.")
    assert peer.bodies == [body]
    sent = peer.requests[0].headers
    assert sent["Content-Type"] == AS_PROFILE
    assert sent["Content-Length"] == str(len(body))
    assert peer.requests[0].query_string == ""


@pytest.mark.parametrize("status", [200, 202, 204, 400, 404, 410, 500])
async def test_any_status_is_an_answer(status: int, peer: "Peer", peers: Peers) -> None:
    peer.replies["/inbox"] = lambda _: web.Response(status=status)
    assert await peers.send(peer.url("/inbox"), b"{}") == Answer(status=status)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Thu, 01 Jan 2026 12:02:00 GMT", 120.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("later", None),
    ],
)
async def test_retry_after_becomes_seconds(
    value: str, seconds: float | None, peer: "Peer", peers: Peers
) -> None:
    peer.replies["/inbox"] = lambda _: web.Response(status=503, headers={"Retry-After": value})
    assert (await peers.send(peer.url("/inbox"), b"{}")).retry_after == seconds


async def test_an_inbox_that_we_may_not_reach_is_refused_before_any_work(peers: Peers) -> None:
    for inbox in ("http://10.0.0.1/inbox", "https://[::1]/inbox", "mailto:a@pod.example"):
        with pytest.raises(AddressRefused):
            await peers.send(inbox, b"{}")


@pytest.mark.parametrize("status", [200, 301, 404, 410, 503])
async def test_the_status_is_that_of_a_head(status: int, peer: "Peer", peers: Peers) -> None:
    peer.replies["/a"] = lambda _: web.Response(status=status, headers={"Location": "/b"})
    assert await peers.status(peer.url("/a")) == status
    assert peer.asked == ["HEAD /a"]


@pytest.mark.parametrize("status", [405, 501])
async def test_where_head_is_not_known_the_status_is_that_of_a_get(
    status: int, peer: "Peer", peers: Peers
) -> None:
    def reply(request: web.Request) -> web.Response:
        return (
            web.Response(status=status) if request.method == "HEAD" else web.Response(body=b"x" * 10_000_000)
        )

    peer.replies["/a"] = reply
    assert await peers.status(peer.url("/a")) == 200
    assert peer.asked == ["HEAD /a", "GET /a"]
