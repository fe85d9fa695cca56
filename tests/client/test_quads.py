"""A log as N-Quads: the statements about its events, page after page."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from orchestrator.client import Client, Quads
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused

if TYPE_CHECKING:
    from tests.client.conftest import Pod, Reply

LOG = "https://pod.example/log"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(attempts=1) as made:
        yield made


def event(sequence: int) -> str:
    iri = f"<{LOG}/e/{sequence}>"
    return (
        f'{iri} <{v.LOG}digest> "x" .\n'
        f'{iri} <{v.LOG}sequence> "{sequence}"^^<{v.XSD}integer> .\n'
        f'<urn:a> <{v.AS}name> "{iri} says <{v.LOG}sequence>" {iri} .\n'
        f'<urn:a> <{v.LOG}sequence> "99"^^<{v.XSD}integer> {iri} .\n'
    )


def page(*sequences: int, following: str = "", media_type: str = v.N_QUADS) -> "Reply":
    own = "".join(f"<{LOG}?page=1> <{v.LDP}contains> <{LOG}/e/{sequence}> .\n" for sequence in sequences)
    text = own + "".join(map(event, sequences))
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return lambda _: web.Response(body=text.encode(), content_type=media_type, headers=headers)


async def read(client: Client, url: str, since: int = 0) -> list[Quads]:
    return [part async for part in client.quads(url, since=since)]


async def test_what_events_say_is_kept_and_what_pages_say_is_not(pod: "Pod", client: Client) -> None:
    pod.replies["/log?since=5&limit=250"] = page(6, 7, following="/elsewhere")
    pod.replies["/log?since=7&limit=250"] = page(8)
    assert await read(client, pod.url("/log"), since=5) == [
        Quads(text=(event(6) + event(7)).encode(), last=7, count=2),
        Quads(text=event(8).encode(), last=8, count=1),
    ]
    assert {request.headers["Accept"] for request in pod.requests} == {v.N_QUADS}


async def test_a_log_without_events_is_no_text(pod: "Pod", client: Client) -> None:
    pod.replies["/log"] = page(following="/log?since=0")
    assert await read(client, pod.url("/log")) == []


@pytest.mark.parametrize("sequences", [(2, 1), (1, 1), (5,)])
async def test_events_out_of_order_are_refused(
    sequences: tuple[int, ...], pod: "Pod", client: Client
) -> None:
    pod.replies["/log"] = page(*sequences)
    with pytest.raises(AnswerRefused, match="in their order"):
        await read(client, pod.url("/log"), since=5 if sequences == (5,) else 0)


async def test_a_log_in_another_form_is_refused(pod: "Pod", client: Client) -> None:
    pod.replies["/log"] = page(1, media_type="text/turtle")
    with pytest.raises(AnswerRefused, match="not available as N-Quads"):
        await read(client, pod.url("/log"))
