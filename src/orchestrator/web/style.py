"""`/style.css`: the one stylesheet of our pages, as it is."""

from pathlib import Path
from typing import Final

from aiohttp import web

from orchestrator.web.representation import cache_headers, entity_tag, is_unchanged, not_modified

PATH: Final = "/style.css"
_TEXT: Final = Path(__file__).with_name("style.css").read_bytes()
_HEADERS: Final = {
    **cache_headers(entity_tag(_TEXT), "public, max-age=3600"),
    "Content-Type": "text/css; charset=utf-8",
}


async def show(request: web.Request) -> web.Response:
    """Answer with the stylesheet, whatever form is asked for: it has one."""
    if is_unchanged(request, _HEADERS):
        return not_modified(_HEADERS)
    return web.Response(body=_TEXT, headers=_HEADERS)
