"""Documents in pods, read and changed with If-Match, through the guarded egress (port `Editor`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self

import aiohttp

from orchestrator.core import links
from orchestrator.core import vocabulary as v
from orchestrator.core.container import CONTAINERS
from orchestrator.core.errors import AnswerRefused, NotFound, PeerUnreachable
from orchestrator.core.patch import FORMATS, Triple
from orchestrator.core.rdf import NotTurtle, parse_quads
from orchestrator.core.source import is_same_origin
from orchestrator.ldn.asking import explain
from orchestrator.ldn.egress import EgressSettings, guarded_session, read_url, shown
from orchestrator.ports.editing import Editable

_ACCEPT: Final = f"{v.TURTLE}, */*;q=0.1"
_CHANGED: Final = 412
_NOT_FOUND: Final = frozenset((404, 410))
_FORBIDDEN: Final = frozenset((401, 403))
_MOST: Final = 4_194_304
"""Bytes of a document that are read."""


class Editor:
    """Documents in pods: `async with Editor(…) as editor`. Redirects are not followed: we write here."""

    def __init__(self, settings: EgressSettings) -> None:
        """Ask as `settings` say."""
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = guarded_session(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def read(self, url: str, *, token: str | None = None) -> Editable:
        """Return what describes the resource at `url`; see `ports.editing.Editor`."""
        editable, description = await self._read(url, token)
        if editable is not None:
            return editable
        if description is None or not is_same_origin(description, url):
            raise AnswerRefused(f"{shown(url)} is no RDF, and names no description of its own (describedby).")
        editable, _ = await self._read(description, token)
        if editable is None:
            raise AnswerRefused(f"{shown(description)} is no RDF.")
        return editable

    async def patch(
        self, document: Editable, body: bytes, media_type: str, *, token: str | None = None
    ) -> bool:
        """Change a document as long as it is as it was read; return whether it was."""
        headers = {"Content-Type": media_type, **_authorized(token)}
        if document.etag is not None:
            headers["If-Match"] = document.etag
        async with self._asking("PATCH", document.url, headers, body) as answer:
            if answer.status == _CHANGED:
                return False
            if not 200 <= answer.status < 300:  # noqa: PLR2004
                raise _refused("PATCH", document.url, answer.status)
            return True

    async def _read(self, url: str, token: str | None) -> tuple[Editable | None, str | None]:
        """Return a document that can be changed, or None, and where the resource is described."""
        headers = {"Accept": _ACCEPT, **_authorized(token)}
        async with self._asking("GET", url, headers) as answer:
            if answer.status != 200:  # noqa: PLR2004
                raise _refused("GET", url, answer.status)
            linked = answer.headers.getall("Link", [])
            description = next(iter(links.find(linked, "describedby", url)), None)
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind != v.TURTLE or CONTAINERS.intersection(links.find(linked, "type", url)):
                # What a container says of itself and its members is the server's own.
                return None, description
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _MOST:
                    raise AnswerRefused(f"{shown(url)} has more than {_MOST} bytes.")
            takes = ",".join(answer.headers.getall("Accept-Patch", [])).lower()
            etag = answer.headers.get("ETag")
            # If-Match compares strongly (RFC 9110, section 13.1.1): a weak tag would never do.
            etag = None if etag is None or etag.startswith("W/") else etag
        said = await asyncio.to_thread(_said, bytes(body), url)
        formats = tuple(name for name in FORMATS if name in {each.strip() for each in takes.split(",")})
        return Editable(url=url, said=said, etag=etag, takes=formats), description

    @asynccontextmanager
    async def _asking(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            message = "Use Editor as a context manager: async with Editor(…)."
            raise RuntimeError(message)
        asked = read_url(url)
        try:
            async with self._session.request(
                method, asked, headers=headers, data=body, allow_redirects=False
            ) as answer:
                yield answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise explain(error, url) from None


def _authorized(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _said(body: bytes, url: str) -> tuple[Triple, ...]:
    try:
        quads = parse_quads(body, v.TURTLE, url)
    except NotTurtle as error:
        raise AnswerRefused(f"{shown(url)} is not Turtle: {error.message}") from None
    return tuple(
        (subject, predicate, value) for subject, predicate, value, _ in quads if isinstance(value, str)
    )


def _refused(method: str, url: str, status: int) -> Exception:
    said = f"{method} {shown(url)} answered {status}"
    if status in _NOT_FOUND:
        return NotFound(f"{said}.")
    if status in _FORBIDDEN:
        return AnswerRefused(f"{said}: give a token that may write there (--token-file).")
    return PeerUnreachable(f"{said}.") if status >= 500 else AnswerRefused(f"{said}.")  # noqa: PLR2004
