"""Documents in pods are changed only as they were read, only where they are, and only with what they take."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import (
    AddressRefused,
    AnswerRefused,
    NotFound,
    OrchestratorError,
    PeerUnreachable,
)
from orchestrator.ldn import EgressSettings
from orchestrator.ldn.editing import Editor
from orchestrator.ports.editing import Editable
from orchestrator.ports.editing import Editor as EditorPort

if TYPE_CHECKING:
    from tests.ldn.conftest import Peer, Reply, StartPeer, StartRaw

N3 = "text/n3"
UPDATE = "application/sparql-update"
MOST = 4_194_304
SETTINGS = EgressSettings(allow_private=("127.0.0.0/8",), connect_timeout=1.0, total_timeout=3.0)


@pytest.fixture
async def editor() -> AsyncIterator[Editor]:
    async with Editor(SETTINGS) as made:
        yield made


def turtle(text: str = "<> a <urn:Thing> .", **headers: str) -> "Reply":
    named = {"Content-Type": "text/turtle", "ETag": '"1"', "Accept-Patch": f"{N3}, {UPDATE}"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.Response(body=text.encode(), headers={k: val for k, val in named.items() if val})


def file(links: str = "", media_type: str = "application/pdf") -> "Reply":
    headers = {"Content-Type": media_type, "ETag": '"pdf"', "Accept-Patch": N3}
    return lambda _: web.Response(body=b"%PDF", headers=headers | ({"Link": links} if links else {}))


def answers(status: int, **headers: str) -> "Reply":
    return lambda _: web.Response(status=status, headers=headers)


def test_it_fulfils_the_port(editor: Editor) -> None:
    fulfilled: EditorPort = editor
    assert fulfilled is editor


async def test_without_its_context_it_asks_nobody(peer: "Peer") -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Editor(SETTINGS).read(peer.url("/a"))
    assert peer.asked == []


async def test_a_document_is_read_with_what_it_says_and_how_it_can_be_changed(
    peer: "Peer", editor: Editor
) -> None:
    peer.replies["/a"] = turtle(
        f'<> <{v.INBOX}> <in/> ; <urn:p> "text", [ <urn:q> </x> ] . <#me> a <urn:Me> .'
    )
    found = await editor.read(peer.url("/a"))
    assert (found.url, found.etag, found.takes) == (peer.url("/a"), '"1"', (N3, UPDATE))
    said = {triple for triple in found.said if not any(end.startswith("_:") for end in triple)}
    assert said == {
        (peer.url("/a"), v.INBOX, peer.url("/in/")),
        (peer.url("/a#me"), v.RDF + "type", "urn:Me"),
    }
    assert peer.asked == ["GET /a"]
    assert peer.requests[0].headers["Accept"].startswith("text/turtle")
    assert "Authorization" not in peer.requests[0].headers


@pytest.mark.parametrize(
    ("accept_patch", "takes"),
    [
        (f"{N3}, {UPDATE}", (N3, UPDATE)),
        (f"{UPDATE},{N3}", (N3, UPDATE)),
        (UPDATE, (UPDATE,)),
        ("TEXT/N3", (N3,)),
        ("application/json-patch+json, text/n3", (N3,)),
        ("application/json-patch+json", ()),
        ("text/n3x", ()),
        ("", ()),
    ],
)
async def test_accept_patch_decides_in_what_a_change_is_written(
    accept_patch: str, takes: tuple[str, ...], peer: "Peer", editor: Editor
) -> None:
    peer.replies["/a"] = turtle(Accept_Patch=accept_patch)
    assert (await editor.read(peer.url("/a"))).takes == takes


async def test_accept_patch_may_stand_in_several_lines(editor: Editor, start_raw: "StartRaw") -> None:
    """RFC 9110, section 5.3: the same as one line with commas."""

    async def talk(reader: object, writer: object) -> None:
        await reader.readuntil(b"\r\n\r\n")  # type: ignore[attr-defined]
        writer.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 200 OK\r\nContent-Type: text/turtle\r\nContent-Length: 0\r\n"
            b"Accept-Patch: application/json-patch+json\r\nAccept-Patch: text/n3\r\n\r\n"
        )

    assert (await editor.read(await start_raw(talk))).takes == (N3,)


@pytest.mark.parametrize("etag", ['"1"', '"a,b \\"'])
async def test_a_change_is_bound_to_what_was_read(etag: str, peer: "Peer", editor: Editor) -> None:
    def reply(request: web.Request) -> web.StreamResponse:
        if request.method == "PATCH":
            return web.Response(status=205)
        answered = turtle(ETag=etag)(request)
        assert isinstance(answered, web.StreamResponse)
        return answered

    peer.replies["/a"] = reply
    document = await editor.read(peer.url("/a?x=%2F"))
    assert await editor.patch(document, "_:é a <urn:x> .".encode(), N3)
    assert peer.asked == ["GET /a?x=%2F", "PATCH /a?x=%2F"]
    sent = peer.requests[1].headers
    assert (sent["If-Match"], sent["Content-Type"]) == (etag, N3)
    assert peer.bodies[1] == "_:é a <urn:x> .".encode()


async def test_without_an_etag_a_change_is_bound_to_nothing(peer: "Peer", editor: Editor) -> None:
    peer.replies["/a"] = turtle(ETag="")
    document = await editor.read(peer.url("/a"))
    assert document.etag is None
    assert await editor.patch(document, b"x", UPDATE)
    assert "If-Match" not in peer.requests[1].headers
    assert peer.requests[1].headers["Content-Type"] == UPDATE


@pytest.mark.parametrize("token", ["secret", "a.b-c_d~"])
async def test_the_token_is_shown_with_every_request(token: str, peer: "Peer", editor: Editor) -> None:
    peer.replies |= {"/a": file('<a.meta>; rel="describedby"'), "/a.meta": turtle()}
    document = await editor.read(peer.url("/a"), token=token)
    await editor.patch(document, b"x", N3, token=token)
    assert peer.asked == ["GET /a", "GET /a.meta", "PATCH /a.meta"]
    assert [request.headers["Authorization"] for request in peer.requests] == [f"Bearer {token}"] * 3


CONTAINER = '<http://www.w3.org/ns/ldp#Container>; rel="type"'


@pytest.mark.parametrize(
    "media_type", ["application/pdf", "text/html", "application/ld+json", "text/plain; charset=utf-8"]
)
async def test_what_is_no_turtle_is_described_elsewhere(
    media_type: str, peer: "Peer", editor: Editor
) -> None:
    peer.replies |= {
        "/a/b.pdf": file('<b.pdf.meta>; rel="describedby", <x>; rel="acl"', media_type),
        "/a/b.pdf.meta": turtle(f"<b.pdf> <{v.INBOX}> </in/> .", ETag='"meta"', Accept_Patch=UPDATE),
    }
    assert await editor.read(peer.url("/a/b.pdf")) == Editable(
        url=peer.url("/a/b.pdf.meta"),
        said=((peer.url("/a/b.pdf"), v.INBOX, peer.url("/in/")),),
        etag='"meta"',
        takes=(UPDATE,),
    )


async def test_what_a_container_says_of_itself_is_described_elsewhere(peer: "Peer", editor: Editor) -> None:
    link = f'<.meta>; rel="describedby", {CONTAINER}'
    peer.replies |= {"/c/": turtle("<> <urn:p> <urn:o> .", Link=link), "/c/.meta": turtle("")}
    found = await editor.read(peer.url("/c/"))
    assert (found.url, found.said) == (peer.url("/c/.meta"), ())


@pytest.mark.parametrize("kind", ["BasicContainer", "DirectContainer"])
async def test_a_container_of_any_kind_is_described_elsewhere(
    kind: str, peer: "Peer", editor: Editor
) -> None:
    link = f'<.meta>; rel="describedby", <{v.LDP}{kind}>; rel="type"'
    peer.replies |= {"/c/": turtle(Link=link), "/c/.meta": turtle("")}
    assert (await editor.read(peer.url("/c/"))).url == peer.url("/c/.meta")


async def test_a_turtle_document_is_changed_itself_whatever_describes_it(
    peer: "Peer", editor: Editor
) -> None:
    peer.replies["/a"] = turtle(Link='<a.meta>; rel="describedby"')
    assert (await editor.read(peer.url("/a"))).url == peer.url("/a")
    assert peer.asked == ["GET /a"]


@pytest.mark.parametrize(
    "links",
    [
        "",
        '<https://evil.example/>; rel="describedby"',
        '<a.meta>; rel="describedby"; anchor="/b"',
        "<x>; rel=acl",
    ],
)
async def test_what_nothing_of_its_own_describes_cannot_be_changed(
    links: str, peer: "Peer", editor: Editor
) -> None:
    peer.replies["/a"] = file(links)
    with pytest.raises(AnswerRefused, match="no description of its own"):
        await editor.read(peer.url("/a?token=secret"), token="secret")
    assert peer.asked == ["GET /a?token=secret"]


async def test_a_description_of_another_origin_is_not_asked_for(
    peer: "Peer", editor: Editor, start_peer: "StartPeer"
) -> None:
    """The token is for the pod; and who describes a thing elsewhere is not its pod."""
    other = await start_peer()
    other.replies["/a.meta"] = turtle()
    peer.replies["/a"] = file(f'<{other.url("/a.meta")}>; rel="describedby"')
    with pytest.raises(AnswerRefused, match="no description of its own"):
        await editor.read(peer.url("/a"), token="secret")
    assert other.asked == []


@pytest.mark.parametrize("described", ["pdf", "container"])
async def test_a_description_that_is_no_document_itself_is_refused(
    described: str, peer: "Peer", editor: Editor
) -> None:
    link = f'<more>; rel="describedby", {CONTAINER}'
    replies = {"pdf": file('<more>; rel="describedby"'), "container": turtle(Link=link)}
    peer.replies |= {"/a": file('<meta>; rel="describedby"'), "/meta": replies[described], "/more": turtle()}
    with pytest.raises(AnswerRefused, match="/meta is no RDF"):
        await editor.read(peer.url("/a"))
    assert peer.asked == ["GET /a", "GET /meta"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, peer: "Peer", editor: Editor) -> None:
    peer.replies |= {"/a": answers(status, Location="/b"), "/b": turtle()}
    with pytest.raises(AnswerRefused, match=f"GET {peer.url('/a')} answered {status}"):
        await editor.read(peer.url("/a"), token="secret")
    document = Editable(url=peer.url("/a"), said=(), etag='"1"', takes=(N3,))
    with pytest.raises(AnswerRefused, match=f"PATCH {peer.url('/a')} answered {status}"):
        await editor.patch(document, b"x", N3, token="secret")
    assert peer.asked == ["GET /a", "PATCH /a"]


REFUSALS: list[tuple[int, type[OrchestratorError], str]] = [
    (401, AnswerRefused, "give a token"),
    (403, AnswerRefused, "give a token"),
    (404, NotFound, "answered 404"),
    (410, NotFound, "answered 410"),
    (400, AnswerRefused, "answered 400"),
    (405, AnswerRefused, "answered 405"),
    (415, AnswerRefused, "answered 415"),
    (422, AnswerRefused, "answered 422"),
    (500, PeerUnreachable, "answered 500"),
    (503, PeerUnreachable, "answered 503"),
]


@pytest.mark.parametrize(("status", "error", "said"), REFUSALS)
async def test_what_a_server_refuses_is_said_with_its_place_and_no_secrets(
    status: int, error: type[OrchestratorError], said: str, peer: "Peer", editor: Editor
) -> None:
    peer.replies["/a"] = answers(status)
    document = Editable(url=peer.url("/a?key=secret"), said=(), etag='"1"', takes=(N3,))
    with pytest.raises(error, match=said) as read:
        await editor.read(document.url, token="secret")
    with pytest.raises(error, match=said) as written:
        await editor.patch(document, b"secret", N3, token="secret")
    for refused, method in ((read, "GET"), (written, "PATCH")):
        assert str(refused.value).startswith(f"{method} {peer.url('/a')} answered {status}")
        assert "secret" not in str(refused.value)
        assert type(refused.value) is error


async def test_a_document_that_somebody_changed_meanwhile_is_not_changed(
    peer: "Peer", editor: Editor
) -> None:
    peer.replies["/a"] = answers(412)
    document = Editable(url=peer.url("/a"), said=(), etag='"1"', takes=(N3,))
    assert not await editor.patch(document, b"x", N3)
    assert peer.requests[0].headers["If-Match"] == '"1"'


async def test_a_412_to_a_reading_is_no_document(peer: "Peer", editor: Editor) -> None:
    peer.replies["/a"] = answers(412)
    with pytest.raises(AnswerRefused, match="answered 412"):
        await editor.read(peer.url("/a"))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 205])
async def test_any_2xx_to_a_change_is_success(status: int, peer: "Peer", editor: Editor) -> None:
    peer.replies["/a"] = answers(status)
    assert await editor.patch(Editable(url=peer.url("/a"), said=(), etag=None, takes=(N3,)), b"x", N3)


@pytest.mark.parametrize("status", [201, 204, 206])
async def test_only_a_200_is_a_document(status: int, peer: "Peer", editor: Editor) -> None:
    peer.replies["/a"] = answers(status, **{"Content-Type": "text/turtle"})
    with pytest.raises(AnswerRefused, match=f"answered {status}"):
        await editor.read(peer.url("/a"))


async def test_a_document_up_to_the_limit_is_read(peer: "Peer", editor: Editor) -> None:
    statement = "<> <urn:p> <urn:o> .\n"
    peer.replies["/a"] = turtle(statement + "#" * (MOST - len(statement)))
    assert (await editor.read(peer.url("/a"))).said == ((peer.url("/a"), "urn:p", "urn:o"),)


@pytest.mark.parametrize("is_endless", [False, True])
async def test_a_document_over_the_limit_is_refused(is_endless: bool, peer: "Peer", editor: Editor) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/turtle"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b"#" * 262_144)
        return response

    peer.replies["/a"] = endless if is_endless else turtle("#" * (MOST + 1))
    with pytest.raises(AnswerRefused, match=f"{peer.url('/a')} has more than {MOST} bytes"):
        await editor.read(peer.url("/a?token=secret"))


@pytest.mark.parametrize("text", ["<> a", "{}", "<html></html>", "<> a <urn:x> . \udcff"])
async def test_what_is_no_turtle_and_says_that_it_is_is_refused(
    text: str, peer: "Peer", editor: Editor
) -> None:
    body = text.encode("utf-8", "surrogateescape")
    peer.replies["/a"] = lambda _: web.Response(body=body, headers={"Content-Type": "text/turtle"})
    with pytest.raises(AnswerRefused, match="/a is not Turtle"):
        await editor.read(peer.url("/a"))


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a",
        "http://169.254.169.254/latest",
        "ftp://pod.example/a",
        "file:///etc/passwd",
        "/a",
        "https://user:secret@pod.example/a",
    ],
)
async def test_addresses_that_the_way_out_refuses_are_not_asked(url: str, editor: Editor) -> None:
    document = Editable(url=url, said=(), etag=None, takes=(N3,))
    with pytest.raises(AddressRefused) as read:
        await editor.read(url, token="secret")
    with pytest.raises(AddressRefused):
        await editor.patch(document, b"x", N3, token="secret")
    assert "secret" not in str(read.value)


async def test_a_server_that_closes_without_an_answer_is_unreachable(
    editor: Editor, start_raw: "StartRaw"
) -> None:
    async def talk(reader: object, writer: object) -> None:
        """Hear nothing and say nothing."""

    url = await start_raw(talk)
    with pytest.raises(PeerUnreachable):
        await editor.read(url)
    with pytest.raises(PeerUnreachable):
        await editor.patch(Editable(url=url, said=(), etag=None, takes=(N3,)), b"x", N3)


async def test_a_fragment_is_not_asked_for_and_stays_the_things_name(peer: "Peer", editor: Editor) -> None:
    peer.replies["/card"] = turtle("<#me> a <urn:Person> . <> a <urn:Document> . <other> a <urn:Other> .")
    found = await editor.read(peer.url("/card#me"))
    assert peer.asked == ["GET /card"]
    assert {subject for subject, _, _ in found.said} == {
        peer.url("/card#me"),
        peer.url("/card"),
        peer.url("/other"),
    }
