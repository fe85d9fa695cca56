"""Who may read a private inbox or look after sources: whoever shows a token of which we keep the hash."""

import hashlib
import hmac

from aiohttp import web

from orchestrator.core.errors import AuthenticationRequired
from orchestrator.web.site import Site


def require_reader(request: web.BaseRequest, site: Site) -> None:
    """Raise `AuthenticationRequired` unless the inbox is public or a valid token is shown."""
    if site.inbox_read != "public" and not _shows(request, site.read_tokens):
        raise AuthenticationRequired


def require_admin(request: web.BaseRequest, site: Site) -> None:
    """Raise `AuthenticationRequired` unless the token of an admin is shown; without one nobody is."""
    if not _shows(request, site.admin_tokens):
        raise AuthenticationRequired


def _shows(request: web.BaseRequest, hashes: frozenset[str]) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
    # Every hash is compared, so that the time taken tells nothing about which one was near.
    matches = [hmac.compare_digest(given, known) for known in hashes]
    return scheme.lower() == "bearer" and any(matches)
