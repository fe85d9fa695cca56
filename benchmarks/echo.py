"""The least that a server of this kind can cost: aiohttp alone. Also a service hub that takes everything.

python -m benchmarks.echo --port 0 [--no-uvloop]
"""

from typing import Final

from aiohttp import web

from benchmarks import serving

_SMALL: Final = b"x" * 500
_INBOX: Final = "http://www.w3.org/ns/ldp#inbox"


async def _take(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=201)


async def _small(_request: web.Request) -> web.Response:
    return web.Response(body=_SMALL, content_type="application/json")


async def _hub(_request: web.Request) -> web.Response:
    return web.Response(headers={"Link": f'</inbox/>; rel="{_INBOX}"'})


async def _make() -> web.Application:
    app = web.Application()
    app.router.add_post("/inbox/", _take)
    app.router.add_get("/500", _small)
    app.router.add_get("/", _hub)
    return app


if __name__ == "__main__":
    serving.run(_make, serving.parser().parse_args())
