"""Who may read a private inbox: whoever shows a token of which we keep the hash."""

import hashlib
import hmac

from aiohttp import web

from orchestrator.core.errors import AuthenticationRequired
from orchestrator.web.site import Site


def require_reader(request: web.BaseRequest, site: Site) -> None:
    """Raise `AuthenticationRequired` unless the inbox is public or a valid token is shown."""
    if site.inbox_read == "public":
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).hexdigest()
    # Every hash is compared, so that the time taken tells nothing about which one was near.
    matches = [hmac.compare_digest(given, known) for known in site.read_tokens]
    if scheme.lower() != "bearer" or not any(matches):
        raise AuthenticationRequired
