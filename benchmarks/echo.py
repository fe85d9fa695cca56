"""The least that a server of this kind can cost: aiohttp alone. Also a service hub that takes everything.

python -m benchmarks.echo --port 0 [--no-uvloop]
"""

import argparse
import asyncio
from typing import Any, Final

from aiohttp import web

from orchestrator.bootstrap import loop_factory

_SMALL: Final = b"x" * 500
_INBOX: Final = "http://www.w3.org/ns/ldp#inbox"


async def _take(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=201)


async def _small(_request: web.Request) -> web.Response:
    return web.Response(body=_SMALL, content_type="application/json")


async def _hub(_request: web.Request) -> web.Response:
    return web.Response(headers={"Link": f'</inbox/>; rel="{_INBOX}"'})


async def _serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/inbox/", _take)
    app.router.add_get("/500", _small)
    app.router.add_get("/", _hub)
    runner: Any = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=256).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--no-uvloop", action="store_true")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=None if given.no_uvloop else loop_factory()) as runner:
        runner.run(_serve(given.port))


if __name__ == "__main__":
    main()
