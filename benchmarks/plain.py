"""The same inbox put together plainly: pyld and pySHACL on the event loop, and our own store.

python -m benchmarks.plain --port 0 --database URL
"""

import time

from aiohttp import web

from benchmarks import serving, subjects
from orchestrator.ports import Arrival
from orchestrator.storage import Store


async def _make(port: int, database: str) -> web.Application:
    store = Store.open(database, public_url=f"http://127.0.0.1:{port}")

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        screening = subjects.oracle_screen(body)
        if not screening.accepted or screening.notification is None:
            return web.Response(status=422)
        arrival = Arrival(
            inbox="inbox",
            body=body,
            media_type=request.content_type,
            received=time.time_ns() // 1_000_000,
            notification=screening.notification,
            warnings=screening.findings,
        )
        receipt = await store.ledger.keep(arrival)
        return web.Response(status=201, headers={"Location": f"/inbox/{receipt.token}"})

    app = web.Application()
    app.router.add_post("/inbox/", take)
    return app


def main() -> None:
    """Serve until killed."""
    parser = serving.parser()
    parser.add_argument("--database", required=True)
    given = parser.parse_args()
    serving.run(lambda: _make(given.port, given.database), given)


if __name__ == "__main__":
    main()
