"""The guarded way out: an aiohttp session that connects to public addresses only (threats T12, T13).

The guard sits where the socket is made, so that it judges the address really connected to: a literal in
any spelling, every address of a name, and what a name resolves to *now*, whatever it was a moment ago.
A check of the URL comes first, so that most of what is refused costs nothing.
"""

import socket
from contextvars import ContextVar
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.connector import AddrInfoType
from yarl import URL

from orchestrator.core.errors import AddressRefused, ConfigurationError
from orchestrator.core.jsonld import is_absolute

MAX_URL: Final = 2_048
"""Characters (guarantees, section 2)."""
_SHOWN: Final = 200

# Global by Python's tables, and yet not somebody's server: protocol assignments, 6to4 relays.
_SPECIAL_V4: Final = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
# Only this is global unicast (IANA); so ::/8, NAT64, fc00::/7, fe80::/10, fec0::/10, ff00::/8 are not.
_UNICAST_V6: Final = IPv6Network("2000::/3")
_SPECIAL_V6: Final = (
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4 holds any IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressSettings:
    """What the way out may reach, and how long it waits."""

    allow_private: tuple[str, ...] = ()
    """Networks ("10.1.0.0/16") and host names that may be reached though they are not public; there, any
    port and plain http are allowed too."""
    ports: tuple[int, ...] = (80, 443)
    """Of public servers."""
    require_https: bool = True
    """Of public servers."""
    connect_timeout: float = 5.0
    """Seconds for one connection."""
    total_timeout: float = 15.0
    """Seconds for one call with everything in it."""
    answer_bytes: int = 65_536
    """Of an answer's body; the rest is not read."""
    concurrency: int = 64
    """Connections in all."""
    per_host: int = 4
    """Connections to one host and port."""
    user_agent: str = "orchestrator (W3C LDN; COAR Notify)"


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """Whether `address` is global unicast, and none of the special ranges that could lead inwards.

    Not `ipaddress.is_global`, which is true of NAT64, 6to4, multicast and more. What is no address is
    not public.
    """
    parsed = _parsed(address)
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not parsed.is_multicast and not _within(parsed, _SPECIAL_V4)
    return parsed is not None and parsed in _UNICAST_V6 and not _within(parsed, _SPECIAL_V6)


def shown(url: str | URL) -> str:
    """Return `url` as an error may show it: without what may be secret (user, password, query, fragment)."""
    try:
        parsed = url if isinstance(url, URL) else URL(url, encoded=True)
        text = (
            f"{parsed.scheme}://{parsed.raw_host}{_port(parsed)}{parsed.raw_path}" if parsed.raw_host else ""
        )
    except ValueError:
        text = ""
    if not text and isinstance(url, str) and "@" not in url:
        text = url.partition("?")[0].partition("#")[0]
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return printable[:_SHOWN] or "This address"


def read_url(text: str) -> URL:
    """Return `text` as a URL that can be asked, with its query byte for byte.

    Raises `AddressRefused` for anything but an absolute http(s) URL of at most 2,048 characters without
    a user.
    """
    if len(text) > MAX_URL:
        raise AddressRefused(f"{shown(text)}… is longer than {MAX_URL} characters.")
    try:
        # yarl would rewrite %2F and its like, and so break a signed URL; an IRI has to be encoded.
        url = URL(text, encoded=text.isascii())
        port = url.port
    except ValueError:
        url, port = URL(), None
    if url.scheme not in ("http", "https") or not url.raw_host or not port or not is_absolute(text):
        raise AddressRefused(f"{shown(text)} is not an absolute http or https URL.")
    if url.raw_user is not None or url.raw_password is not None:
        raise AddressRefused(f"{shown(url)} names a user; leave the user out.")
    return url


def guarded_session(
    settings: EgressSettings, resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """Return a session whose every connection obeys `settings`; make and close it in the event loop.

    What is refused raises `AddressRefused`. Nothing is decompressed, no cookie is kept, no proxy is taken
    from the environment. Each address of a redirect is judged too, but say `allow_redirects=False` and
    follow by hand what should be followed.
    """
    guard = _Guard(settings)
    connector = aiohttp.TCPConnector(
        socket_factory=guard.open,
        resolver=resolver,
        limit=settings.concurrency,
        limit_per_host=settings.per_host,
        # Community Solid Server (Node) resets idle connections after 5 s.
        keepalive_timeout=4,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=settings.total_timeout, sock_connect=settings.connect_timeout),
        headers={"Accept-Encoding": "identity", "User-Agent": settings.user_agent},
        middlewares=(guard.watch,),
    )


@dataclass(slots=True)
class _Attempt:
    """One request on its way to a connection."""

    url: URL
    objections: list[str] = field(default_factory=list)
    opened: bool = False


# The connector knows addresses only; this tells it which URL they are wanted for. The tasks in which it
# tries several addresses at once inherit it.
_attempt: Final[ContextVar[_Attempt]] = ContextVar("attempt")


class _Guard:
    """The rule, in the two places where a request passes."""

    def __init__(self, settings: EgressSettings) -> None:
        self._settings = settings
        self._networks, self._hosts = _allowances(settings.allow_private)

    async def watch(
        self, request: aiohttp.ClientRequest, proceed: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Judge the URL, and say why when the sockets are refused."""
        attempt = _Attempt(request.url)
        if not self._settings.allow_private:
            self._check(attempt.url)
        token = _attempt.set(attempt)
        try:
            return await proceed(request)
        except aiohttp.InvalidURL:
            # aiohttp takes a host of digits only where it is a canonical IPv4 address: not 127.1.
            raise AddressRefused(f"{shown(attempt.url)} is not a canonical address.") from None
        except aiohttp.ClientConnectorError:
            if attempt.opened or not attempt.objections:
                raise
            raise AddressRefused(f"{shown(attempt.url)}: {attempt.objections[0]}") from None
        finally:
            _attempt.reset(token)

    def open(self, address: AddrInfoType) -> socket.socket:
        """Open a socket for `address`, or raise `OSError`: the connector goes on to the next address."""
        family, kind, protocol, _, target = address
        attempt = _attempt.get()
        objection = self._objection(str(target[0]), int(target[1]), attempt.url)
        if objection:
            attempt.objections.append(objection)
            raise PermissionError(objection)
        attempt.opened = True
        return socket.socket(family, kind, protocol)

    def _check(self, url: URL) -> None:
        """Refuse a URL that no address could make lawful."""
        objection = self._objection_to_public(url.port or 0, url)
        if objection:
            raise AddressRefused(f"{shown(url)}: {objection}")

    def _objection(self, address: str, port: int, url: URL) -> str | None:
        if is_public(address):
            return self._objection_to_public(port, url)
        parsed = _parsed(address)
        named = (url.raw_host or "").lower().rstrip(".") in self._hosts
        if named or (parsed is not None and _within(parsed, self._networks)):
            return None
        return f"{address} is not a public address."

    def _objection_to_public(self, port: int, url: URL) -> str | None:
        if self._settings.require_https and url.scheme != "https":
            return "plain http is not allowed; use https."
        if port not in self._settings.ports:
            return f"port {port} is not allowed."
        return None


def _parsed(address: str | IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
    """Return the address that packets would go to: an IPv4 one inside `::ffff:0:0/96` is that IPv4 one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _within(address: IPv4Address | IPv6Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


def _allowances(entries: tuple[str, ...]) -> tuple[tuple[IPv4Network | IPv6Network, ...], frozenset[str]]:
    networks: list[IPv4Network | IPv6Network] = []
    hosts: set[str] = set()
    for entry in entries:
        try:
            networks.append(ip_network(entry))
        except ValueError:
            if not entry or set(entry) & set("/:@ "):
                raise ConfigurationError(
                    f"allow_private: {entry!r} is neither a network nor a host."
                ) from None
            hosts.add(entry.lower().rstrip("."))
    return tuple(networks), frozenset(hosts)


def _port(url: URL) -> str:
    return "" if url.is_default_port() or url.port is None else f":{url.port}"
