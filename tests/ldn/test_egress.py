"""Nothing inside is reached from the way out, however it is spelt, and no peer holds us up (T12, T13)."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from orchestrator.contexts import bundled_contexts
from orchestrator.core.errors import (
    AddressRefused,
    AnswerRefused,
    ConfigurationError,
    PeerError,
    PeerUnreachable,
)
from orchestrator.ldn import EgressSettings, Peers, guarded_session, is_public

if TYPE_CHECKING:
    from tests.ldn.conftest import Peer, StartPeer, StartRaw, Talk

OPEN = EgressSettings(allow_private=("127.0.0.0/8",), connect_timeout=0.5, total_timeout=2.0)
PUBLIC = "93.184.216.34"
QUICK = 0.4

# Every one leads to this machine, to its neighbours or to no single server.
V4 = """
127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 0x7f.1 0x7f.0.0.1 0x7f000001 0X7F000001 0177.0.0.1 0177.1
017700000001 2130706433 127.0x0.0.01 0 0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254
192.168.0.1 192.168.1.1 0xc0a80101 3232235777 169.254.169.254 0xa9fea9fe 2852039166 100.64.0.1 192.0.0.1
192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 localhost LOCALHOST
"""
V6 = """
[::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:10.0.0.1] [::ffff:0.0.0.0]
[::ffff:169.254.169.254] [::127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::a00:1]
[2002:7f00:1::] [2002:a00:1::1]
[2001:0:7f00:1::] [2001:db8::1] [2001:2::1] [3fff::1] [fc00::1] [fd00::1] [fe80::1]
[fec0::1] [ff02::1] [ff0e::1] [100::1] [5f00::1]
"""
SPELLINGS = (V4 + V6).split()


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "1.1.1.1",
        "::ffff:8.8.8.8",
        "2606:4700::1111",
        "2a00:1450:4001:800::200e",
        "2001:4860:4860::8888",
    ],
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address", [spelling.strip("[]") for spelling in SPELLINGS] + ["", "example.org", "1.2.3", "fe80::1%eth0"]
)
def test_everything_else_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_of_a_private_address_is_connected_to(spelling: str, peer: "Peer") -> None:
    # Port and scheme are lawful, so that the address alone decides.
    settings = EgressSettings(ports=(peer.port,), require_https=False, connect_timeout=QUICK)
    async with guarded_session(settings) as session:
        with pytest.raises(AddressRefused, match=r"is not a (public|canonical) address"):
            await session.get(f"http://{spelling}:{peer.port}/")
    assert peer.asked == []


async def test_an_allowed_network_is_reached_in_any_spelling(peer: "Peer") -> None:
    async with guarded_session(OPEN) as session:
        for spelling in ("127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]"):
            async with session.get(f"http://{spelling}:{peer.port}/") as answer:
                assert answer.status == 404
    assert len(peer.asked) == 3


async def test_an_allowed_host_is_reached_and_its_address_by_another_name_is_not(peer: "Peer") -> None:
    settings = EgressSettings(allow_private=("LocalHost",))
    async with guarded_session(settings, Names(["127.0.0.1"])) as session:
        async with session.get(f"http://localhost:{peer.port}/") as answer:
            assert answer.status == 404
        with pytest.raises(AddressRefused):
            await session.get(f"http://other.example:{peer.port}/")
        with pytest.raises(AddressRefused):
            await session.get(peer.url("/"))


@pytest.mark.parametrize("entry", ["127.0.0.0/33", "10.0.0.1/8", "http://x", "", "a b"])
def test_a_wrong_entry_in_allow_private_is_a_configuration_error(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="neither a network nor a host"):
        guarded_session(EgressSettings(allow_private=(entry,)))


class Names(AbstractResolver):
    """A DNS that answers each question with the next list, then for ever with the last."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_inwards_is_refused(address: str, peer: "Peer") -> None:
    settings = EgressSettings(ports=(peer.port,), require_https=False, connect_timeout=QUICK)
    async with guarded_session(settings, Names([address])) as session:
        with pytest.raises(AddressRefused, match=r"http://evil\.example:.*is not a public address"):
            await session.get(f"http://evil.example:{peer.port}/?token=secret")
    assert peer.asked == []


async def test_a_name_that_turns_inwards_after_it_was_checked_is_refused(peer: "Peer") -> None:
    names = Names([PUBLIC], ["127.0.0.1"])
    settings = EgressSettings(ports=(peer.port,), require_https=False, connect_timeout=QUICK)
    async with guarded_session(settings, names) as session:
        checked = await names.resolve("evil.example")
        assert all(is_public(found["host"]) for found in checked)
        with pytest.raises(AddressRefused):
            await session.get(f"http://evil.example:{peer.port}/")
    assert names.asked == 2
    assert peer.asked == []


async def test_of_several_addresses_only_lawful_ones_are_tried(start_peer: "StartPeer") -> None:
    inside = await start_peer("127.0.0.1")
    outside = await start_peer("127.0.0.2", inside.port)
    settings = EgressSettings(allow_private=("127.0.0.2/32",))
    async with (
        guarded_session(settings, Names(["127.0.0.1", "127.0.0.2"])) as session,
        session.get(f"http://both.example:{inside.port}/") as answer,
    ):
        assert answer.status == 404
    assert inside.asked == []
    assert outside.asked == ["GET /"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://public.example/", "plain http is not allowed"),
        ("http://public.example:443/", "plain http is not allowed"),
        ("https://public.example:8443/", "port 8443 is not allowed"),
        ("https://public.example:22/", "port 22 is not allowed"),
    ],
)
@pytest.mark.parametrize("allow_private", [(), ("127.0.0.0/8",)])
async def test_a_public_server_is_asked_over_https_on_ordinary_ports(
    url: str, said: str, allow_private: tuple[str, ...]
) -> None:
    names = Names([PUBLIC])
    async with guarded_session(EgressSettings(allow_private=allow_private), names) as session:
        with pytest.raises(AddressRefused, match=said):
            await session.get(url)
    # Where no address could make it lawful, nobody is even asked for one.
    assert names.asked == (1 if allow_private else 0)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://pod.example/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/",
        "urn:uuid:0370c0fb-bb78-4a9b-87f5-bed307a509dd",
        "javascript:alert(1)",
        "//pod.example/inbox",
        "/inbox",
        "#me",
        "",
        "http:///inbox",
        "http://:80/",
        "http://pod.example:0/",
        "http://pod.example:99999/",
        "http://[::1",
        "http://pod example/",
        "http://pod.example/\r\nX-Injected: 1",
        "http://pod.example/\x00",
        "http://public.example\\@127.0.0.1/",
        "http://user@pod.example/",
        "http://user:secret@pod.example/",
        "http://:secret@pod.example/",
        "http://@127.0.0.1/",
        "https://pod.example/" + "a" * 2_048,
        "http://" + "a" * 300 + ".example/",
        "http://a..example/",
    ],
)
async def test_a_url_that_is_no_plain_web_address_is_refused(url: str) -> None:
    async with Peers(OPEN, bundled_contexts(), lambda: 0) as peers:
        for attempt in (peers.discover(url), peers.send(url, b"{}"), peers.status(url)):
            with pytest.raises((AddressRefused, PeerUnreachable)) as refused:
                await attempt
            assert "secret" not in refused.value.message
            assert refused.value.message.isprintable()
            assert len(refused.value.message) < 400


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:{port}/", "http://169.254.169.254/latest/meta-data/", "file:///x"]
)
async def test_a_redirect_inwards_is_refused(target: str, start_peer: "StartPeer") -> None:
    outside = await start_peer("127.0.0.1")
    inside = await start_peer("127.0.0.2", outside.port)
    location = target.format(port=outside.port)
    outside.replies["/"] = lambda _: web.Response(status=302, headers={"Location": location})
    settings = EgressSettings(allow_private=("127.0.0.1/32",), connect_timeout=QUICK)
    async with Peers(settings, bundled_contexts(), lambda: 0) as peers:
        with pytest.raises(AddressRefused):
            await peers.discover(outside.url("/"))
    assert inside.asked == []


async def test_a_redirect_that_the_session_follows_is_guarded_too(start_peer: "StartPeer") -> None:
    outside = await start_peer("127.0.0.1")
    inside = await start_peer("127.0.0.2", outside.port)
    outside.replies["/"] = lambda _: web.Response(status=302, headers={"Location": inside.url("/")})
    async with guarded_session(EgressSettings(allow_private=("127.0.0.1/32",))) as session:
        with pytest.raises(AddressRefused):
            await session.get(outside.url("/"))
    assert inside.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_post_never_follows_a_redirect(status: int, peer: "Peer") -> None:
    peer.replies["/inbox"] = lambda _: web.Response(status=status, headers={"Location": "/elsewhere"})
    async with Peers(OPEN, bundled_contexts(), lambda: 0) as peers:
        answer = await peers.send(peer.url("/inbox"), b"{}")
    assert answer.status == status
    assert peer.asked == ["POST /inbox"]


async def test_a_proxy_of_the_environment_is_not_used(peer: "Peer", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    async with Peers(OPEN, bundled_contexts(), lambda: 0) as peers:
        assert await peers.status(peer.url("/")) == 404


async def test_no_cookie_is_kept_and_nothing_is_decompressed(peer: "Peer") -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)

    def reply(_: web.Request) -> web.Response:
        headers = {"Set-Cookie": "a=b", "Content-Encoding": "gzip"}
        return web.Response(body=bomb, headers=headers)

    peer.replies["/"] = reply
    async with guarded_session(OPEN) as session:
        for _ in range(2):
            async with session.get(peer.url("/")) as answer:
                assert len(await answer.read()) == len(bomb)
    assert "Cookie" not in peer.requests[1].headers
    assert peer.requests[0].headers["Accept-Encoding"] == "identity"
    assert "orchestrator" in peer.requests[0].headers["User-Agent"]


async def test_an_answer_larger_than_the_cap_is_cut(peer: "Peer") -> None:
    written = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        answer = web.StreamResponse(status=201, headers={"Location": "/inbox/1"})
        await answer.prepare(request)
        with suppress(ConnectionError):
            while written < 100_000_000:
                await answer.write(b"x" * 65_536)
                written += 65_536
        return answer

    peer.replies["/inbox"] = endless
    async with Peers(OPEN, bundled_contexts(), lambda: 0) as peers:
        answer = await peers.send(peer.url("/inbox"), b"{}")
    assert answer.status == 201
    assert answer.location == peer.url("/inbox/1")
    assert answer.detail == "x" * 1_000
    # What the sockets buffer is beyond our reach, the rest is never sent.
    assert written < 20_000_000


async def test_a_document_larger_than_the_cap_is_refused(peer: "Peer") -> None:
    peer.replies["/"] = lambda _: web.Response(body=b"#" * 65_537, content_type="text/turtle")
    async with Peers(OPEN, bundled_contexts(), lambda: 0) as peers:
        with pytest.raises(AnswerRefused, match="more than 65536 bytes"):
            await peers.discover(peer.url("/"))


@pytest.fixture
async def impatient() -> AsyncIterator[Peers]:
    settings = EgressSettings(allow_private=("127.0.0.0/8",), connect_timeout=0.2, total_timeout=QUICK)
    async with Peers(settings, bundled_contexts(), lambda: 0) as peers:
        yield peers


async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


async def drip_header(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nContent-Length: 60000\r\n\r\n")
    while not asked.startswith(b"HEAD"):
        writer.write(b"#")
        await writer.drain()
        await asyncio.sleep(0.05)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def close_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nContent-Length: 60000\r\n\r\n")
    writer.write(b"" if asked.startswith(b"HEAD") else b"# and then")
    await writer.drain()


async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await writer.drain()


async def endless_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nLink: <" + b"x" * 100_000 + b">\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    "toxic", [hang, drip_header, drip_body, reset, close_early, talk_nonsense, endless_header]
)
async def test_a_broken_peer_is_an_error_within_the_time_limit(
    toxic: "Talk", start_raw: "StartRaw", impatient: Peers
) -> None:
    url = await start_raw(toxic)
    for attempt in (impatient.discover, impatient.status):
        started = time.monotonic()
        if toxic in (drip_body, close_early) and attempt == impatient.status:
            assert await attempt(url) == 200
        else:
            with pytest.raises((PeerUnreachable, AnswerRefused)) as failed:
                await attempt(url)
            assert failed.value.message.startswith(url)
        assert time.monotonic() - started < 2 * QUICK


@pytest.mark.parametrize("toxic", [hang, drip_header, reset, talk_nonsense, endless_header])
async def test_a_post_to_a_broken_peer_is_an_error_within_the_time_limit(
    toxic: "Talk", start_raw: "StartRaw", impatient: Peers
) -> None:
    url = await start_raw(toxic)
    started = time.monotonic()
    with pytest.raises(PeerError):
        await impatient.send(url + "?token=secret", b"{}")
    assert time.monotonic() - started < 2 * QUICK


@pytest.mark.parametrize("toxic", [drip_body, close_early])
async def test_a_status_counts_even_where_its_body_never_ends(
    toxic: "Talk", start_raw: "StartRaw", impatient: Peers
) -> None:
    started = time.monotonic()
    answer = await impatient.send(await start_raw(toxic), b"{}")
    assert answer.status == 200
    assert answer.detail.startswith("#")
    assert time.monotonic() - started < 2 * QUICK


async def test_a_server_that_does_not_take_connections_times_out(impatient: Peers) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for connection in waiting:
                connection.setblocking(False)
                connection.connect_ex(("127.0.0.1", port))
            started = time.monotonic()
            with pytest.raises(PeerUnreachable, match="no answer in time"):
                await impatient.status(f"http://127.0.0.1:{port}/")
            assert time.monotonic() - started < 2 * QUICK
        finally:
            for connection in waiting:
                connection.close()


async def test_a_closed_port_and_an_unknown_name_are_unreachable(impatient: Peers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(PeerUnreachable, match="refused"):
        await impatient.status(f"http://127.0.0.1:{port}/")
    with pytest.raises(PeerUnreachable, match=r"the host name cannot be resolved|no answer in time"):
        await impatient.status("http://nobody.invalid/")


async def test_one_host_is_sent_at_most_four_requests_at_once(peer: "Peer") -> None:
    running = most = 0

    async def reply(_: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return web.Response(status=202)

    peer.replies["/inbox"] = reply
    async with Peers(OPEN, bundled_contexts(), lambda: 0) as peers:
        answers = await asyncio.gather(*(peers.send(peer.url("/inbox"), b"{}") for _ in range(20)))
    assert [answer.status for answer in answers] == [202] * 20
    assert most == 4


async def test_peers_are_asked_within_their_context_only() -> None:
    peers = Peers(OPEN, bundled_contexts(), lambda: 0)
    with pytest.raises(RuntimeError, match="context manager"):
        await peers.status("https://pod.example/")
