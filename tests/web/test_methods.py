"""HEAD, OPTIONS and the methods that there are not, on every resource."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from orchestrator.core.event import artefact_id

BASE = "https://orchestrator.example"
Write = Callable[..., Awaitable[list[dict[str, Any]]]]


async def test_head_has_the_headers_of_get_and_no_body(build: Any, write: Write) -> None:
    async with build(page_size=1) as house:
        sent = (await write(house, 2))[0]
        artefact = f"/artefacts/{artefact_id(sent['context']['id'])}"
        kept = json.loads((await house.ask("/inbox/"))._body)["contains"][0].removeprefix(BASE)
        paths = ["/", "/inbox", "/inbox/", kept, f"{kept}/report", "/log", "/log?page=1", "/log?page=2"]
        paths += ["/log?since=0", "/log/e/1", artefact, f"{artefact}/log", "/artefacts?url=urn:x:1"]
        paths += [
            "/shapes/",
            "/shapes/accept",
            "/policies/",
            "/problems/",
            "/nothing",
            "/log?page=9",
            "/livez",
        ]
        for path in paths:
            for accept in ("*/*", "application/n-quads", "text/html"):
                got = await house.ask(path, Accept=accept)
                headed = await house.ask(path, "HEAD", Accept=accept)
                assert headed.status == got.status, path
                assert headed._body == b""
                without_date = [
                    {key: value for key, value in answer.headers.items() if key != "Date" and value != "0"}
                    for answer in (got, headed)
                ]
                assert without_date[0] == without_date[1], path


async def test_every_public_resource_answers_options(house: Any) -> None:
    for path in (
        "/",
        "/inbox",
        "/log",
        "/log/e/1",
        "/artefacts",
        "/shapes/",
        "/problems/not-found",
        "/readyz",
    ):
        answer = await house.ask(path, "OPTIONS")
        assert answer.status == 204, path
        assert "GET, HEAD, OPTIONS" in answer.headers["Allow"]
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        refused = await house.ask(path, "DELETE")
        assert (refused.status, refused.headers["Allow"]) == (405, answer.headers["Allow"])
