"""`/shapes/` and `/policies/`: what notifications must look like, and what becomes of them."""

from aiohttp import web

from orchestrator.web import texts
from orchestrator.web.site import SITE


async def shapes(request: web.Request) -> web.Response:
    """Answer with the list of shapes, to which every answer of the inbox links (ldp:constrainedBy)."""
    return await texts.index(request, "/shapes/", "Shapes", request.app[SITE].shapes)


async def shape(request: web.Request) -> web.Response:
    """Answer with the shapes of one pattern, as Turtle."""
    return texts.turtle(request, request.app[SITE].shapes.get(request.match_info["name"]))


async def policies(request: web.Request) -> web.Response:
    """Answer with the list of policies."""
    return await texts.index(request, "/policies/", "Policies", _in_force(request))


async def policy(request: web.Request) -> web.Response:
    """Answer with one policy, as Turtle."""
    return texts.turtle(request, _in_force(request).get(request.match_info["name"]))


def _in_force(request: web.Request) -> dict[str, str]:
    """Return the policies' Turtle by the names that their URLs have."""
    files = request.app[SITE].policies()
    return {name.removesuffix(".ttl"): text for name, text in files.items()}
