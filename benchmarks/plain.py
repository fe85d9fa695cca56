"""The same inbox put together plainly: pyld and pySHACL on the event loop, and our own store.

python -m benchmarks.plain --port 0 --database URL
"""

import argparse
import asyncio
import time
from typing import Any

from aiohttp import web

from benchmarks import subjects
from orchestrator.bootstrap import loop_factory
from orchestrator.ports import Arrival
from orchestrator.storage import Store


async def _serve(port: int, database: str) -> None:
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
    runner: Any = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=256).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(given.port, given.database))


if __name__ == "__main__":
    main()
