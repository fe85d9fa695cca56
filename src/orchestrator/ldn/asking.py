"""What every request to another server has in common: redirects, and our words for what goes wrong."""

import errno
import os
import ssl
from typing import Final
from urllib.parse import urldefrag, urljoin

import aiohttp

from orchestrator.core.errors import AddressRefused, AnswerRefused, PeerError, PeerUnreachable
from orchestrator.ldn.egress import shown

MOST_REDIRECTS: Final = 3
REDIRECTING: Final = frozenset((301, 302, 303, 307, 308))
NO_HEAD: Final = frozenset((405, 501))


def explain(error: Exception, url: str) -> PeerError:
    """Say in our words what aiohttp, the system or TLS says in theirs."""
    kind: type[PeerError] = PeerUnreachable
    match error:
        case TimeoutError():
            said = "no answer in time"
        case aiohttp.ClientConnectorDNSError():
            said = "the host name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as why):
            said = f"the certificate is not valid: {why.verify_message}"
        case aiohttp.ClientSSLError():
            said = "TLS failed"
        case aiohttp.ClientConnectorError():
            said = os.strerror(error.os_error.errno or errno.EHOSTUNREACH).lower()
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            kind, said = AnswerRefused, "the answer is not HTTP"
        case aiohttp.ClientError() | OSError() if not isinstance(error, aiohttp.InvalidURL):
            said = "the connection was closed without an answer"
        case _:
            # A host name that DNS cannot hold ends here (UnicodeError is a ValueError).
            kind, said = AddressRefused, "this address cannot be asked"
    return kind(f"{shown(url)}: {said}.")


def join(base: str, reference: str) -> str:
    """Return `reference` as an absolute URL; what cannot be joined stays as it is, to be refused."""
    try:
        joined = urljoin(base, reference)
    except ValueError:
        return reference
    # RFC 9110, section 10.2.2: a Location without a fragment inherits that of the request.
    fragment = urldefrag(base).fragment
    return f"{joined}#{fragment}" if fragment and "#" not in joined else joined
