"""The headers that every answer carries, errors too."""

import functools
from collections.abc import MutableMapping
from typing import Final

from aiohttp import hdrs, web

from orchestrator.core import vocabulary as v
from orchestrator.web.representation import link
from orchestrator.web.site import Site

ALWAYS: Final = {
    "Server": "orchestrator",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Link, Link-Template, ETag, Location, Accept-Post, Retry-After",
}
"""What every answer says."""
CSP: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""What our pages may do: be read, with our stylesheet, and send our own forms (threat T17)."""


def finish(response: web.StreamResponse) -> None:
    """Add what every answer carries. Whoever prepares an answer himself calls this before."""
    headers = response.headers
    headers.update(ALWAYS)
    if headers.get(hdrs.CONTENT_TYPE, "").startswith(v.HTML):
        headers["Content-Security-Policy"] = CSP
        headers["Referrer-Policy"] = "no-referrer"


def constrain(headers: MutableMapping[str, str], site: Site) -> None:
    """Add the link to our shapes that every answer of the inbox carries.

    W3C LDP section 4.2.1.6, as W3C LDN section 3.2.1 asks of receivers.
    """
    said = headers.get("Link")
    shapes = _constraints(site.public_url)
    headers["Link"] = f"{said}, {shapes}" if said else shapes


@functools.cache
def _constraints(public_url: str) -> str:
    return link(public_url + "/shapes/", v.CONSTRAINED_BY)
