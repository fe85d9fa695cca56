"""Whether the process lives, and whether it can do its work."""

from aiohttp import web

from orchestrator.core import vocabulary as v
from orchestrator.web.site import SITE
from orchestrator.web.violations import dump


async def live(_request: web.Request) -> web.Response:
    """Answer that the process answers."""
    return _answer({"ok": True}, status=200)


async def ready(request: web.Request) -> web.Response:
    """Answer with what works and what does not; 503 unless all that is needed does."""
    report = dict(await request.app[SITE].ready())
    return _answer(report, status=200 if report.get("ok") is True else 503)


def _answer(report: dict[str, object], *, status: int) -> web.Response:
    headers = {"Content-Type": v.JSON, "Cache-Control": "no-store"}
    return web.Response(body=dump(report), status=status, headers=headers)
