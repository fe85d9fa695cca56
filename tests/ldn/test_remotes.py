"""Remote inboxes are read and nothing else, and no answer holds us up or leads us inwards."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from orchestrator.core.errors import AddressRefused, AnswerRefused, PeerError, PeerUnreachable
from orchestrator.core.vocabulary import UPDATES
from orchestrator.ldn import EgressSettings
from orchestrator.ldn.remotes import Patience, Remotes
from orchestrator.ports.sources import Fetched
from orchestrator.ports.sources import Remotes as RemotesPort

if TYPE_CHECKING:
    from tests.ldn.conftest import Peer, Reply, StartPeer, StartRaw, Talk

NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
CHUNK = 16_384
LIMIT = 1_000_000
LISTING = "application/n-triples"
ONLY_THIS_MACHINE = EgressSettings(allow_private=("127.0.0.1/32",), connect_timeout=1.0)


@pytest.fixture
async def remotes() -> AsyncIterator[Remotes]:
    patience = Patience(whole=60.0, silence=0.3)
    async with Remotes(ONLY_THIS_MACHINE, lambda: NOON, patience=patience) as made:
        yield made


async def get(remotes: Remotes, url: str, *, limit: int = LIMIT, **others: Any) -> Fetched:
    return await remotes.get(url, accept=LISTING, limit=limit, **others)


def redirects(location: str, status: int = 302) -> "Reply":
    return lambda _: web.Response(status=status, headers={"Location": location})


def says(head: bytes, *bodies: bytes, is_open: bool = False) -> "Talk":
    """Answer one request with those bytes; then close, or keep the connection open and say no more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in (head.replace(b"\n", b"\r\n") + b"\r\n\r\n", *bodies):
            writer.write(part)
            await writer.drain()
        if is_open:
            await reader.read()

    return talk


def gathering(chunks: list[bytes], types: list[str]) -> Callable[[str], Callable[[bytes], None]]:
    def feed(media_type: str) -> Callable[[bytes], None]:
        types.append(media_type)
        return chunks.append

    return feed


def test_they_fulfil_the_port(remotes: Remotes) -> None:
    fulfilled: RemotesPort = remotes
    assert fulfilled is remotes


async def test_without_its_context_it_asks_nobody(peer: "Peer") -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await get(Remotes(ONLY_THIS_MACHINE, lambda: NOON), peer.url("/inbox/"))
    assert peer.asked == []


async def test_an_answer_is_told_whole(peer: "Peer", remotes: Remotes) -> None:
    headers = {
        "Content-Type": "text/turtle; charset=utf-8",
        "ETag": 'W/"1"',
        "Cache-Control": "public, max-age=31536000, Immutable",
        "Link": '<?page=2>; rel="next"',
        "Retry-After": "7",
    }
    peer.replies["/inbox/"] = lambda _: web.Response(body=b"<> a <urn:x> .", headers=headers)
    assert await get(remotes, peer.url("/inbox/#me")) == Fetched(
        url=peer.url("/inbox/"),
        status=200,
        media_type="text/turtle; charset=utf-8",
        etag='W/"1"',
        body=b"<> a <urn:x> .",
        following=(peer.url("/inbox/?page=2"),),
        channel=None,
        is_final=True,
        retry_after=7.0,
    )
    sent = peer.requests[0].headers
    assert (sent["Accept"], sent["Accept-Encoding"]) == (LISTING, "identity")
    assert not {"Authorization", "If-None-Match", "Cookie"} & set(sent)


async def test_an_answer_that_says_nothing_of_itself_is_told_so(
    remotes: Remotes, start_raw: "StartRaw"
) -> None:
    url = await start_raw(says(b"HTTP/1.1 200 OK\nContent-Length: 2", b"{}"))
    assert await get(remotes, url) == Fetched(url=url, status=200, body=b"{}")


async def test_what_has_not_changed_is_not_sent_again(peer: "Peer", remotes: Remotes) -> None:
    def reply(request: web.Request) -> web.Response:
        is_known = request.headers.get("If-None-Match") == '"1"'
        return web.Response(
            status=304 if is_known else 200, text="" if is_known else "x", headers={"ETag": '"1"'}
        )

    peer.replies["/inbox/"] = reply
    first = await get(remotes, peer.url("/inbox/"))
    assert (first.status, first.etag, first.body) == (200, '"1"', b"x")
    again = await get(remotes, peer.url("/inbox/"), etag=first.etag)
    assert (again.status, again.etag, again.body) == (304, '"1"', b"")
    other = await get(remotes, peer.url("/inbox/"), etag='"2"')
    assert (other.status, other.body) == (200, b"x")


@pytest.mark.parametrize("status", [204, 400, 401, 403, 404, 410, 429, 500, 503])
async def test_any_status_is_an_answer_whose_body_does_not_matter(
    status: int, peer: "Peer", remotes: Remotes
) -> None:
    peer.replies["/inbox/"] = lambda _: web.Response(
        status=status, body=b"" if status == 204 else b"x" * 9_999
    )
    fed: list[bytes] = []
    answer = await get(remotes, peer.url("/inbox/"), limit=10, feed=gathering(fed, []))
    assert (answer.status, answer.body, fed) == (status, b"", [])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Thu, 01 Jan 2026 12:02:00 GMT", 120.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("later", None),
        (None, None),
    ],
)
async def test_retry_after_becomes_seconds(
    value: str | None, seconds: float | None, peer: "Peer", remotes: Remotes
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    peer.replies["/inbox/"] = lambda _: web.Response(status=503, headers=headers)
    assert (await get(remotes, peer.url("/inbox/"))).retry_after == seconds


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 100_000])
async def test_a_body_of_as_many_bytes_as_are_allowed_is_read(
    size: int, peer: "Peer", remotes: Remotes
) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    peer.replies["/inbox/"] = lambda _: web.Response(body=body)
    assert (await get(remotes, peer.url("/inbox/"), limit=size)).body == body


@pytest.mark.parametrize("is_fed", [True, False])
@pytest.mark.parametrize("limit", [0, 999, 100_000])
async def test_more_bytes_than_are_allowed_are_refused(
    limit: int, is_fed: bool, peer: "Peer", remotes: Remotes
) -> None:
    peer.replies["/inbox/"] = lambda _: web.Response(body=b"x" * (limit + 1))
    fed: list[bytes] = []
    feeding: dict[str, Any] = {"feed": gathering(fed, [])} if is_fed else {}
    with pytest.raises(AnswerRefused, match=f"/inbox/ answered with more than {limit} bytes") as refused:
        await get(remotes, peer.url("/inbox/?token=secret"), limit=limit, **feeding)
    assert "secret" not in refused.value.message
    assert sum(map(len, fed)) <= limit


async def test_an_answer_without_an_end_costs_no_more_than_is_allowed(
    remotes: Remotes, start_raw: "StartRaw"
) -> None:
    """The connection is closed; nobody reads to the end of what is not wanted."""
    sent = 0
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * CHUNK)
                await writer.drain()
                sent += CHUNK
        finally:
            closed.set()

    url = await start_raw(talk)
    with pytest.raises(AnswerRefused, match="more than 100000 bytes"):
        await get(remotes, url, limit=100_000)
    async with asyncio.timeout(5):
        await closed.wait()
    assert sent > 100_000


async def test_what_is_fed_comes_in_small_pieces_and_no_body_is_returned(
    peer: "Peer", remotes: Remotes
) -> None:
    body = bytes(range(256)) * 1_000
    peer.replies["/inbox/"] = lambda _: web.Response(
        body=body, headers={"Content-Type": LISTING, "ETag": '"1"'}
    )
    chunks: list[bytes] = []
    types: list[str] = []
    answer = await get(remotes, peer.url("/inbox/"), feed=gathering(chunks, types))
    assert types == [LISTING]
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= CHUNK
    assert (answer.status, answer.etag, answer.body) == (200, '"1"', b"")


async def test_others_have_their_turn_while_a_body_is_fed(peer: "Peer", remotes: Remotes) -> None:
    """Even when all of it has come already."""
    peer.replies["/inbox/"] = lambda _: web.Response(body=b"x" * 40 * CHUNK)
    turns: list[str] = []
    is_over = False

    async def other() -> None:
        while not is_over:
            turns.append("other")
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await get(remotes, peer.url("/inbox/"), feed=lambda _: lambda _: turns.append("fed"))
    is_over = True
    await beside
    assert turns.count("fed") >= 40
    assert ("fed", "fed") not in pairwise(turns)


async def test_who_is_fed_may_take_nothing(peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/inbox/"] = lambda _: web.Response(text="{}", content_type="application/ld+json")
    asked: list[str] = []
    answer = await get(remotes, peer.url("/inbox/"), feed=asked.append)
    assert (asked, answer.body) == (["application/ld+json; charset=utf-8"], b"{}")


async def test_what_the_eater_refuses_is_refused(peer: "Peer", remotes: Remotes) -> None:
    def refuse(_: bytes) -> None:
        raise AnswerRefused("It is too long.")

    peer.replies["/inbox/"] = lambda _: web.Response(body=b"x" * 100_000)
    with pytest.raises(AnswerRefused, match=r"^It is too long\.$"):
        await get(remotes, peer.url("/inbox/"), feed=lambda _: refuse)
    assert (await get(remotes, peer.url("/inbox/"))).status == 200


@pytest.mark.parametrize("is_fed", [True, False])
async def test_a_body_that_stalls_is_given_up(is_fed: bool, remotes: Remotes, start_raw: "StartRaw") -> None:
    url = await start_raw(says(b"HTTP/1.1 200 OK\nContent-Length: 100", b"x" * 50, is_open=True))
    feeding: dict[str, Any] = {"feed": gathering([], [])} if is_fed else {}
    async with asyncio.timeout(10):
        with pytest.raises(PeerUnreachable, match="no answer in time"):
            await get(remotes, url, **feeding)


async def test_a_server_that_says_nothing_is_given_up(remotes: Remotes, start_raw: "StartRaw") -> None:
    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    url = await start_raw(talk)
    async with asyncio.timeout(10):
        with pytest.raises(PeerUnreachable, match="no answer in time"):
            await get(remotes, url)


async def test_a_body_that_drips_is_given_up_in_the_end(start_raw: "StartRaw") -> None:
    """However little there is between two pieces of it."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    url = await start_raw(drip)
    async with Remotes(ONLY_THIS_MACHINE, lambda: NOON, patience=Patience(whole=0.3, silence=5.0)) as remotes:
        with pytest.raises(PeerUnreachable, match="no answer in time"):
            await get(remotes, url)


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\nContent-Length: 100", b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked"],
)
@pytest.mark.parametrize("is_fed", [True, False])
async def test_half_an_answer_is_none(
    head: bytes, is_fed: bool, remotes: Remotes, start_raw: "StartRaw"
) -> None:
    """A listing that was cut off would look as if members had gone."""
    body = b"32\r\n" + b"x" * 0x32 + b"\r\n" if b"chunked" in head else b"x" * 50
    url = await start_raw(says(head, body))
    feeding: dict[str, Any] = {"feed": gathering([], [])} if is_fed else {}
    with pytest.raises(AnswerRefused, match="not HTTP"):
        await get(remotes, url, **feeding)


async def test_a_connection_that_is_closed_at_once_is_no_answer(
    remotes: Remotes, start_raw: "StartRaw"
) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with pytest.raises(PeerUnreachable, match="closed"):
        await get(remotes, await start_raw(close))


async def test_where_nobody_listens_nobody_answers(remotes: Remotes, unused_tcp_port: int) -> None:
    with pytest.raises(PeerUnreachable, match="connection refused"):
        await get(remotes, f"http://127.0.0.1:{unused_tcp_port}/inbox/?token=secret")


@pytest.mark.parametrize("head", [b"SSH-2.0-OpenSSH_9.6", b"HTTP/1.1 OK", b"HTTP/1.1 200 OK\nnonsense"])
async def test_what_does_not_speak_http_is_refused(
    head: bytes, remotes: Remotes, start_raw: "StartRaw"
) -> None:
    with pytest.raises(AnswerRefused, match="not HTTP"):
        await get(remotes, await start_raw(says(head)))


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "br", "deflate", "x-unknown", "identity, gzip"])
async def test_an_encoding_that_nobody_asked_for_is_refused(
    encoding: str, peer: "Peer", remotes: Remotes
) -> None:
    """Ten thousand bytes could become ten million."""
    bomb = gzip.compress(bytes(10_000_000))
    peer.replies["/inbox/"] = lambda _: web.Response(body=bomb, headers={"Content-Encoding": encoding})
    fed: list[bytes] = []
    with pytest.raises(AnswerRefused, match="encoding that nobody asked for"):
        await get(remotes, peer.url("/inbox/"), feed=gathering(fed, []))
    assert fed == []


async def test_an_encoding_that_is_none_is_taken(peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/inbox/"] = lambda _: web.Response(body=b"x", headers={"Content-Encoding": "Identity"})
    assert (await get(remotes, peer.url("/inbox/"))).body == b"x"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(status: int, peer: "Peer", remotes: Remotes) -> None:
    """And what the answer says is said of where it came from in the end."""
    peer.replies["/inbox"] = redirects("/pods/ada/inbox/", status)
    link = {"Link": '<?page=2>; rel="next"'}
    peer.replies["/pods/ada/inbox/"] = lambda _: web.Response(text="x", headers=link)
    answer = await get(remotes, peer.url("/inbox"), etag='"1"')
    assert (answer.url, answer.body) == (peer.url("/pods/ada/inbox/"), b"x")
    assert answer.following == (peer.url("/pods/ada/inbox/?page=2"),)
    assert peer.asked == ["GET /inbox", "GET /pods/ada/inbox/"]


async def test_three_redirects_are_followed_and_no_more(peer: "Peer", remotes: Remotes) -> None:
    peer.replies |= {f"/{number}": redirects(f"/{number + 1}") for number in range(4)}
    peer.replies["/4"] = lambda _: web.Response(text="x")
    assert (await get(remotes, peer.url("/1"))).body == b"x"
    peer.asked.clear()
    with pytest.raises(AnswerRefused, match="/0 redirects more than 3 times") as refused:
        await get(remotes, peer.url("/0?token=secret"))
    assert "secret" not in refused.value.message
    assert len(peer.asked) == 4


async def test_a_redirect_to_itself_comes_to_an_end(peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/inbox/"] = redirects("/inbox/")
    with pytest.raises(AnswerRefused, match="redirects more than 3 times"):
        await get(remotes, peer.url("/inbox/"))


@pytest.mark.parametrize("status", [300, 304, 305])
async def test_not_everything_with_a_location_is_a_redirect(
    status: int, peer: "Peer", remotes: Remotes
) -> None:
    peer.replies["/inbox/"] = redirects("/elsewhere/", status)
    assert (await get(remotes, peer.url("/inbox/"))).status == status
    assert peer.asked == ["GET /inbox/"]


async def test_a_redirect_without_a_place_is_the_answer(peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/inbox/"] = lambda _: web.Response(status=302)
    assert (await get(remotes, peer.url("/inbox/"))).status == 302


@pytest.mark.parametrize(
    "inwards",
    [
        "http://127.0.0.2:{port}/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{port}/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost.localdomain.invalid:{port}@10.0.0.1/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:70/",
    ],
)
async def test_a_redirect_inwards_is_refused(inwards: str, peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/inbox/"] = redirects(inwards.format(port=peer.port))
    with pytest.raises(AddressRefused):
        await get(remotes, peer.url("/inbox/"), token="secret")
    assert peer.asked == ["GET /inbox/"]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/inbox/",
        "http://127.0.0.2/inbox/",
        "https://[::1]/inbox/",
        "mailto:ada@pod.example",
        "/inbox/",
        "http://ada:secret@127.0.0.1/inbox/",
        "http://127.0.0.1/" + "x" * 3_000,
    ],
)
async def test_an_address_that_we_may_not_reach_is_refused(url: str, remotes: Remotes) -> None:
    with pytest.raises(AddressRefused) as refused:
        await get(remotes, url)
    assert "secret" not in refused.value.message
    with pytest.raises(AddressRefused):
        await anext(remotes.listen(url))


async def test_the_token_goes_with_a_request_and_its_redirects_at_home(
    peer: "Peer", remotes: Remotes
) -> None:
    peer.replies["/inbox"] = redirects("/inbox/")
    peer.replies["/inbox/"] = lambda _: web.Response(text="x")
    await get(remotes, peer.url("/inbox"), token="secret")
    assert [request.headers.get("Authorization") for request in peer.requests] == ["Bearer secret"] * 2
    await get(remotes, peer.url("/inbox/"))
    assert "Authorization" not in peer.requests[-1].headers


async def test_the_token_is_not_shown_to_another_port(
    peer: "Peer", remotes: Remotes, start_peer: "StartPeer"
) -> None:
    other = await start_peer()
    peer.replies["/inbox/"] = redirects(other.url("/inbox/"))
    other.replies["/inbox/"] = redirects("/landed/")
    other.replies["/landed/"] = lambda _: web.Response(text="x")
    answer = await get(remotes, peer.url("/inbox/"), token="secret")
    assert answer.url == other.url("/landed/")
    assert peer.requests[0].headers["Authorization"] == "Bearer secret"
    assert [dict(request.headers).get("Authorization") for request in other.requests] == [None, None]


async def test_the_token_is_not_shown_to_another_name_of_the_same_server(
    peer: "Peer", start_peer: "StartPeer"
) -> None:
    """What is one machine today is two tomorrow."""
    settings = EgressSettings(allow_private=("127.0.0.1/32", "localhost"), connect_timeout=1.0)
    peer.replies["/inbox/"] = redirects(f"http://localhost:{peer.port}/landed/")
    peer.replies["/landed/"] = lambda _: web.Response(text="x")
    async with Remotes(settings, lambda: NOON) as remotes:
        await get(remotes, peer.url("/inbox/"), token="secret")
    assert [request.headers.get("Authorization") for request in peer.requests] == ["Bearer secret", None]


async def test_nothing_but_get_is_ever_sent_and_never_a_body(peer: "Peer", remotes: Remotes) -> None:
    for status in (301, 302, 303, 307, 308):
        peer.replies[f"/{status}"] = redirects("/inbox/", status)
        await get(remotes, peer.url(f"/{status}"), token="secret", etag='"1"')
    for status in (200, 304, 401, 405, 501):
        peer.replies["/inbox/"] = lambda _, status=status: web.Response(status=status)  # type: ignore[misc]
        await get(remotes, peer.url("/inbox/"))
    peer.replies["/channel"] = lambda _: web.Response(text="a sign")
    assert [sign async for sign in remotes.listen(peer.url("/channel"), token="secret")]
    assert {asked.split()[0] for asked in peer.asked} == {"GET"}
    assert not any(peer.bodies)


async def test_a_query_is_sent_byte_for_byte(peer: "Peer", remotes: Remotes) -> None:
    """Or a signature over it would no longer fit."""
    peer.replies["/a/b c"] = peer.replies["/a/b"] = lambda _: web.Response(text="x")
    await get(remotes, peer.url("/a%2Fb%20c?sig=a%2Fb+c&x=%7e#secret"))
    assert peer.asked == ["GET /a%2Fb%20c?sig=a%2Fb+c&x=%7e"]


async def test_links_to_the_next_page_are_read(peer: "Peer", remotes: Remotes) -> None:
    headers = [
        ("Link", '<?page=2>; rel="next", <?page=0>; rel="prev"'),
        ("Link", '<http://www.w3.org/ns/ldp#Page>; rel="type"'),
        ("Link", '</inbox/?page=3>; rel="last next"'),
        ("Link", '<?page=9>; rel="next"; anchor="/elsewhere/"'),
    ]
    peer.replies["/inbox/"] = lambda _: web.Response(text="x", headers=headers)
    answer = await get(remotes, peer.url("/inbox/"))
    assert answer.following == (peer.url("/inbox/?page=2"), peer.url("/inbox/?page=3"))


@pytest.mark.parametrize("status", [200, 304])
async def test_the_channel_of_a_pod_is_read(status: int, peer: "Peer", remotes: Remotes) -> None:
    """From an answer without news too."""
    link = {"Link": f'<.meta>; rel="describedby", </.notifications/1?t=2>; rel="{UPDATES}"'}
    peer.replies["/inbox/"] = lambda _: web.Response(status=status, headers=link)
    assert (await get(remotes, peer.url("/inbox/"))).channel == peer.url("/.notifications/1?t=2")


@pytest.mark.parametrize(
    ("value", "is_final"),
    [
        ("public, max-age=31536000, immutable", True),
        ("IMMUTABLE,MAX-AGE=40000000", True),
        # It promises that for as long as it is fresh (RFC 8246), and that is not long.
        ("max-age=604800, immutable", False),
        ("immutable", False),
        ("max-age=31536000", False),
        ("max-age=31536000, not-immutable", False),
        ("no-store", False),
    ],
)
async def test_an_answer_says_whether_it_ever_changes(
    value: str, is_final: bool, peer: "Peer", remotes: Remotes
) -> None:
    peer.replies["/log/"] = lambda _: web.Response(text="x", headers={"Cache-Control": value})
    assert (await get(remotes, peer.url("/log/"))).is_final is is_final


async def test_cookies_are_not_kept(peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/inbox/"] = lambda _: web.Response(text="x", headers={"Set-Cookie": "a=b; Path=/"})
    for _ in range(2):
        await get(remotes, peer.url("/inbox/"))
    assert "Cookie" not in peer.requests[-1].headers


async def test_who_listens_is_told_when_the_channel_is_open_and_at_each_sign(
    peer: "Peer", remotes: Remotes
) -> None:
    signs = asyncio.Queue[bytes]()

    async def channel(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while sign := await signs.get():
            await response.write(sign)
        return response

    peer.replies["/channel"] = channel
    async with asyncio.timeout(10), aclosing(_generator(remotes, peer.url("/channel"))) as listening:
        await anext(listening)
        for sign in (b"one", b"two", b"three"):
            # Nothing comes until the server says something.
            coming = asyncio.ensure_future(anext(listening))
            await get(remotes, peer.url("/other"))
            assert not coming.done()
            signs.put_nowait(sign)
            await coming
        signs.put_nowait(b"")
        with pytest.raises(StopAsyncIteration):
            await anext(listening)
    assert peer.requests[0].headers["Accept"] == "*/*"
    assert "Authorization" not in peer.requests[0].headers


async def test_who_listens_shows_the_token(peer: "Peer", remotes: Remotes) -> None:
    peer.replies["/channel"] = lambda _: web.Response()
    assert len([sign async for sign in remotes.listen(peer.url("/channel"), token="secret")]) == 1
    assert peer.requests[0].headers["Authorization"] == "Bearer secret"


async def test_who_listens_no_more_closes_the_channel(remotes: Remotes, start_raw: "StartRaw") -> None:
    closed = asyncio.Event()

    async def channel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()
        closed.set()

    async with asyncio.timeout(5):
        async with aclosing(_generator(remotes, await start_raw(channel))) as listening:
            await anext(listening)
            assert not closed.is_set()
        await closed.wait()


@pytest.mark.parametrize("status", [204, 302, 401, 404, 410, 503])
async def test_a_channel_that_is_none_is_refused(status: int, peer: "Peer", remotes: Remotes) -> None:
    """A redirect is one too: the token is for this place."""
    peer.replies["/channel"] = redirects("/elsewhere", status)
    with pytest.raises(PeerError, match=f"answered {status}"):
        await anext(remotes.listen(peer.url("/channel?token=x"), token="secret"))
    assert peer.asked == ["GET /channel?token=x"]


async def test_a_channel_that_breaks_is_a_peers_trouble(remotes: Remotes, start_raw: "StartRaw") -> None:
    url = await start_raw(says(b"HTTP/1.1 200 OK\nContent-Length: 100", b"a sign"))
    signs = 0

    async def listen() -> None:
        nonlocal signs
        async for _ in remotes.listen(url):
            signs += 1

    with pytest.raises(PeerError):
        await listen()
    assert signs >= 1


async def test_channels_keep_nobody_from_reading(peer: "Peer", remotes: Remotes) -> None:
    """More of them than there may be connections to a host."""
    stop = asyncio.Event()

    async def channel(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await stop.wait()
        return response

    peer.replies["/channel"] = channel
    peer.replies["/inbox/"] = lambda _: web.Response(text="x")
    listening = [_generator(remotes, peer.url("/channel")) for _ in range(ONLY_THIS_MACHINE.per_host + 2)]
    async with asyncio.timeout(10):
        await asyncio.gather(*(anext(each) for each in listening))
        assert (await get(remotes, peer.url("/inbox/"))).body == b"x"
        stop.set()
        for each in listening:
            assert [sign async for sign in each] == []


def _generator(remotes: Remotes, url: str) -> Any:
    """Listen; an async generator, which can be closed."""
    return remotes.listen(url)
