"""How the servers of the benchmarks are served, the same for all: aiohttp alone, on the loopback."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from orchestrator.bootstrap import loop_factory


def parser() -> argparse.ArgumentParser:
    """Return what all take on their command lines."""
    found = argparse.ArgumentParser()
    found.add_argument("--port", type=int, required=True)
    found.add_argument("--no-uvloop", action="store_true")
    return found


def run(make: Callable[[], Awaitable[web.Application]], given: argparse.Namespace) -> None:
    """Serve the application that `make` returns, until killed."""
    with asyncio.Runner(loop_factory=None if given.no_uvloop else loop_factory()) as runner:
        runner.run(_serve(make, given.port))


async def _serve(make: Callable[[], Awaitable[web.Application]], port: int) -> None:
    runner: Any = web.AppRunner(await make(), access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=256).start()
    print("ready", flush=True)
    await asyncio.Event().wait()
