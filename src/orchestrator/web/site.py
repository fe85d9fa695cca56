"""What the site is made of: every setting and port that the handlers may use."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from orchestrator.core.checkpoint import SignerKey
from orchestrator.core.jsonld import Contexts
from orchestrator.core.pod import Identity
from orchestrator.core.source import MAIN
from orchestrator.core.strict_json import DEFAULT_LIMITS, Limits
from orchestrator.ports import Clock, Ledger, Reader, Screener
from orchestrator.ports.sources import Sources
from orchestrator.ports.tree import Tree

Listen = Callable[[Callable[[str], None]], Callable[[], None]]
"""Has a callback called with each kind of change that a commit of ours makes; returns how to stop that."""


def _to_nobody(_callback: Callable[[str], None]) -> Callable[[], None]:
    """Stay silent."""
    return lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """How `/log/live` is served."""

    followers: int = 10_000
    """Readers who may follow the log at once."""
    interval: float = 2.0
    """Seconds between looks at the log when no commit of ours wakes us."""
    heartbeat: float = 15.0
    """Seconds between signs of life to those who follow."""
    patience: float = 10.0
    """Seconds for which a follower may take nothing of what waits for him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One pod's site."""

    public_url: str
    """Base of every IRI that we mint, without a slash at its end; never taken from `Host`."""
    identity: Identity
    screener: Screener
    ledger: Ledger
    reader: Reader
    sources: Sources
    tree: Tree
    signer: SignerKey
    """What signs the log's checkpoints; its name is the log's origin."""
    clock: Clock
    contexts: Contexts
    ready: Callable[[], Awaitable[Mapping[str, object]]]
    """What `/readyz` says; ready when its member `ok` is true."""
    inbox_read: Literal["public", "token"] = "public"
    read_tokens: frozenset[str] = frozenset()
    """SHA-256, in hex, of the tokens that open a private inbox."""
    admin_tokens: frozenset[str] = frozenset()
    """SHA-256, in hex, of the tokens of those who look after sources."""
    artefacts: tuple[str, ...] = ()
    """IRI prefixes of the artefacts that are ours."""
    inboxes: tuple[str, ...] = ()
    """Names of the specialised inboxes, beside the main one."""
    limits: Limits = DEFAULT_LIMITS
    body_timeout: float = 10.0
    """Seconds in which a whole body must have come."""
    shapes: Mapping[str, str]
    """Turtle by slug."""
    policies: Callable[[], Mapping[str, str]]
    """What returns the policies in force: Turtle by file name."""
    problems: Mapping[str, str]
    """Markdown by slug."""
    vocabularies: Mapping[str, str]
    """Turtle by name: the terms that are ours."""
    page_size: int = 250
    """Events on a page of the log; a page's URL means the same members for life."""
    page_cache: int = 32 * 1024 * 1024
    """Bytes of closed pages, ready to be sent, that are kept in memory."""
    listing_size: int = 1000
    """Notifications that a listing of the inbox shows at once."""
    live: Live = Live()
    listen: Listen = _to_nobody

    def url(self, path: str) -> str:
        """Return the public URL of one of our paths (which begins with a slash)."""
        return self.public_url + path


def inbox_path(inbox: str) -> str:
    """Return the path of the inbox of that name, with its slash."""
    return "/inbox/" if inbox == MAIN else f"/inbox/{inbox}/"


SITE: Final = web.AppKey("site", Site)
