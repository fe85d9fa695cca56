"""A pod's inbox: one listing in N-Triples, as Community Solid Server writes it, and its members.

python -m benchmarks.listing --port 0 --members 10000
"""

import json
import uuid
from typing import Any, Final

from aiohttp import web

from benchmarks import notifications, serving
from orchestrator.core import vocabulary as v

_PATH: Final = "/inbox/"


async def _make(base: str, members: int) -> web.Application:
    lines = [
        f'<{base}{number}> <{v.MODIFIED}> "2026-01-01T00:00:00.000Z"^^<{v.XSD}dateTime> .\n'
        f"<{base}> <{v.CONTAINS}> <{base}{number}> .\n"
        f'<{base}{number}> <{v.SIZE}> "1400"^^<{v.XSD}integer> .\n'
        for number in range(members)
    ]
    state: dict[str, Any] = {"version": 0, "body": "".join(lines).encode(), "asked": 0}
    [review] = [json.loads(body) for body in [next(iter(notifications.stream()))]]

    async def show(request: web.Request) -> web.Response:
        state["asked"] += 1
        tag = f'"{state["version"]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=state["body"], headers={"ETag": tag, "Content-Type": v.N_TRIPLES})

    async def member(_request: web.Request) -> web.Response:
        state["asked"] += 1
        return web.json_response({**review, "id": f"urn:uuid:{uuid.uuid4()}"}, content_type=v.JSON_LD)

    async def grow(_request: web.Request) -> web.Response:
        """List one more, and answer with how many requests there have been."""
        state["version"] += 1
        state["body"] += f"<{base}> <{v.CONTAINS}> <{base}new-{state['version']}> .\n".encode()
        return web.json_response(state["asked"])

    async def asked(_request: web.Request) -> web.Response:
        return web.json_response(state["asked"])

    app = web.Application()
    app.router.add_get(_PATH, show)
    app.router.add_get(_PATH + "{member}", member)
    app.router.add_post("/grow", grow)
    app.router.add_get("/asked", asked)
    return app


def main() -> None:
    """Serve until killed."""
    parser = serving.parser()
    parser.add_argument("--members", type=int, required=True)
    given = parser.parse_args()
    base = f"http://127.0.0.1:{given.port}{_PATH}"
    serving.run(lambda: _make(base, given.members), given)


if __name__ == "__main__":
    main()
