"""The demo's other servers: small LDN receivers and pages on loopback sockets, in threads of this process."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

from orchestrator.core.vocabulary import AS_CONTEXT, INBOX, JSON_LD, LDP_CONTEXT

_HOST: Final = "127.0.0.1"
_PATH: Final = "/inbox/"
_MOST: Final = 65_536
_PATIENCE: Final = 10.0
"""Seconds for which a connection may be silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A resource that a peer shows."""

    name: str
    inbox: str | None = None
    """The inbox that it advertises; None: the peer's own."""


@dataclass(slots=True, kw_only=True)
class Peer:
    """Somebody else's service, with an LDN inbox (W3C LDN, section 3.2)."""

    name: str
    url: str
    """With a slash at the end; it advertises the inbox."""
    pages: dict[str, Page] = field(default_factory=dict)
    """What stands at its paths."""
    kept: list[dict[str, Any]] = field(default_factory=list)
    """Notifications received, each once, in order."""
    posts: int = 0
    """Notifications that were posted, repeats too."""
    _turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def inbox(self) -> str:
        """URL of its inbox."""
        return self.url.removesuffix("/") + _PATH

    def member(self, number: int) -> str:
        """Return the URL of a notification in its inbox, counted from 0."""
        return f"{self.inbox}{number + 1}"

    def keep(self, notification: dict[str, Any]) -> str:
        """Keep a notification once for its id; return its URL."""
        with self._turn:
            self.posts += 1
            ids = [known["id"] for known in self.kept]
            if notification["id"] not in ids:
                self.kept.append(notification)
                return self.member(len(ids))
            return self.member(ids.index(notification["id"]))

    def listing(self) -> dict[str, Any]:
        """Return the inbox's listing (W3C LDN, section 3.3.1)."""
        contains = [self.member(number) for number in range(len(self.kept))]
        return {"@context": LDP_CONTEXT, "@id": self.inbox, "@type": "ldp:Container", "contains": contains}


@contextmanager
def served(names: Sequence[str]) -> Iterator[list[Peer]]:
    """Serve a peer for each name, on ports that are free, until the context ends."""
    servers = [_Server(name) for name in names]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield [server.peer for server in servers]
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, name: str) -> None:
        super().__init__((_HOST, 0), _Exchange)
        self.peer = Peer(name=name, url=f"http://{_HOST}:{self.server_address[1]}/")
        self.peer.pages["/"] = Page(name=name)

    def server_bind(self) -> None:
        """Bind without asking the network for our own name, as http.server does: that may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, int(self.server_address[1])


class _Exchange(BaseHTTPRequestHandler):
    """One connection to a peer."""

    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE
    server: _Server

    def do_GET(self) -> None:
        """Answer with a page, the listing, or a member."""
        peer = self.server.peer
        path = self.path.partition("?")[0]
        if path == _PATH:
            self._answer(200, peer.listing())
            return
        number = path.removeprefix(_PATH)
        if path.startswith(_PATH) and number.isdecimal() and 0 < int(number) <= len(peer.kept):
            self._answer(200, peer.kept[int(number) - 1])
        elif path in peer.pages:
            page = peer.pages[path]
            inbox = page.inbox or peer.inbox
            url = peer.url.removesuffix("/") + path
            body = {"@context": [AS_CONTEXT, LDP_CONTEXT], "id": url, "name": page.name, "inbox": inbox}
            self._answer(200, body, {"Link": f'<{inbox}>; rel="{INBOX}"'})
        else:
            self._answer(404, {"error": "There is nothing here."})

    do_HEAD = do_GET  # noqa: N815  (http.server's name)

    def do_OPTIONS(self) -> None:
        """Say what the inbox takes."""
        self._answer(204, None, {"Allow": "GET, HEAD, OPTIONS, POST", "Accept-Post": JSON_LD})

    def do_POST(self) -> None:
        """Take a notification."""
        length = self.headers.get("Content-Length", "")
        if self.path != _PATH or not length.isdecimal() or int(length) > _MOST:
            self.close_connection = True  # the body is still on its way
            self._answer(404 if self.path != _PATH else 413, {"error": "Post a notification to the inbox."})
            return
        try:
            notification = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            notification = None
        if not isinstance(notification, dict) or not isinstance(notification.get("id"), str):
            self._answer(400, {"error": "Post one activity with an id."})
        else:
            self._answer(201, None, {"Location": self.server.peer.keep(notification)})

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo's account tells what happened."""

    def _answer(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(document, indent=2).encode() if document is not None else b""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", JSON_LD)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
