"""Sources: the remote inboxes and event logs that we poll, as maintainers declare them (pure).

A source is only ever read: progress, and what became of each member, are kept by us.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from orchestrator.core.errors import ConfigurationError
from orchestrator.core.schedule import Interval, read_schedule

if TYPE_CHECKING:  # pyld, which reading settings does not need
    from orchestrator.core.notification import Notification

FOLLOWED: Final = "log"
"""Name of the inbox in which what other logs tell is kept; it is not served."""
MAIN: Final = "inbox"
"""Name of the main inbox."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WEB: Final = re.compile(r"https?://[^\x00-\x20<>\"{}|\\^`\ud800-\udfff]+", re.IGNORECASE)
_MAX_URL: Final = 2_048
_MOST_SENDERS: Final = 1_000
_SHORTEST_WAIT: Final = 5_000
_FIRST_WAIT: Final = 60_000
LONGEST_WAIT: Final = 3_600_000
"""Milliseconds for which a failing source is left alone at most."""
A_DAY: Final = 86_400_000
"""Milliseconds for which a failing member is left alone at most."""
_LONGEST_ASKED: Final = 86_400_000
JITTER: Final = 0.2
EVERY: Final = "5m"
"""The schedule of a source that says nothing."""


class SourceKind(StrEnum):
    """What is read there."""

    INBOX = "inbox"
    """An LDN inbox: a container of notifications."""
    LOG = "log"
    """An event log: ours, or another LDES."""


class SenderPolicy(StrEnum):
    """Whom we believe to have written what a source holds."""

    OPEN = "open"
    """Anybody: senders are unknown, whatever they say."""
    REGISTERED = "registered"
    """Only what says that it comes from one of the source's `senders` is taken; they stay unknown."""
    AUTHENTICATED = "authenticated"
    """The same, and the source itself lets nobody write under another's name: senders are verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One remote inbox or event log."""

    name: str
    kind: SourceKind
    url: str
    """Of the inbox or the log; where `is_discovered`, of an artefact or a profile that advertises it."""
    is_discovered: bool = False
    schedule: str = EVERY
    """When to poll, as `core.schedule` reads it."""
    policy: SenderPolicy = SenderPolicy.OPEN
    senders: tuple[str, ...] = ()
    """URLs of those who may have written there; their hosts count."""
    into: str = MAIN
    """Name of the inbox of ours that keeps what is found."""
    token_file: str | None = None
    """Path of a file with the bearer token that reads the source; only the path is ever stored."""

    def admits(self, notification: "Notification") -> bool:
        """Whether who seems to have written `notification` may have: its id's host and its sender's."""
        if self.policy is SenderPolicy.OPEN or (self.kind is SourceKind.LOG and not self.senders):
            return True
        hosts = {place_of(sender) for sender in self.senders}
        claimed = [iri for iri in (notification.id, notification.sender) if is_web(iri)]
        return is_web(notification.sender) and all(place_of(iri) in hosts for iri in claimed)

    @property
    def is_vouched(self) -> bool:
        """Whether the source answers for its senders' names."""
        return self.policy is SenderPolicy.AUTHENTICATED


_ADDRESSES: Final[Mapping[str, tuple[SourceKind, bool]]] = {
    "inbox": (SourceKind.INBOX, False),
    "artefact": (SourceKind.INBOX, True),
    "log": (SourceKind.LOG, False),
}
_NEVER_EMPTY: Final = ("schedule", "policy", "into", "token_file")
_MEMBERS: Final = ("name", *_ADDRESSES, "schedule", "policy", "senders", "into", "token_file")


def read_sources(given: object, place: str) -> tuple[Source, ...]:
    """Read a list of tables, as `[[source]]` in a TOML file makes them. Raises `ConfigurationError`."""
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"{place}: write each source as a table of its own, under [[source]]")
    found = [read_source(item, f"{place}: source {number}") for number, item in enumerate(given, 1)]
    for number, source in enumerate(found):
        if source.name in {earlier.name for earlier in found[:number]}:
            raise ConfigurationError(f"{place}: two sources are named {source.name}")
    return tuple(found)


def read_source(given: object, place: str) -> Source:
    """Read one source from its members; raises `ConfigurationError` that names the member."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{place}: a source is a table with a name and an inbox, artefact or log")
    for member in given:
        if member not in _MEMBERS:
            near = difflib.get_close_matches(str(member), _MEMBERS, n=1, cutoff=0.6)
            raise ConfigurationError(
                f"{place}: unknown member {member}" + (f"; did you mean {near[0]}?" if near else "")
            )
        if member in _NEVER_EMPTY and given[member] == "":
            raise ConfigurationError(f"{place}: {member} must not be empty; leave it out instead")
    members: Mapping[str, Any] = given
    name = _text(members, "name", place)
    if name is None or not _NAME.fullmatch(name):
        raise ConfigurationError(f"{place}: name must be of a-z, 0-9 and -, at most 64 characters")
    place = f"{place} ({name})"
    kind, is_discovered, url = _address(members, place)
    schedule = _text(members, "schedule", place) or EVERY
    try:
        read_schedule(schedule)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error.message}") from None
    into = _text(members, "into", place) or MAIN
    if into == FOLLOWED:
        raise ConfigurationError(f"{place}: into names the inbox of followed logs: {FOLLOWED}")
    if kind is SourceKind.LOG and "into" in members:
        raise ConfigurationError(f"{place}: a log has no into: what it tells is kept apart from inboxes")
    return Source(
        name=name,
        kind=kind,
        url=url,
        is_discovered=is_discovered,
        schedule=schedule,
        into=FOLLOWED if kind is SourceKind.LOG else into,
        token_file=_text(members, "token_file", place),
        **_trust(members, place),
    )


def members_of(source: Source) -> dict[str, object]:
    """Return what `read_source` reads as `source`: for files, the database and answers."""
    address = next(key for key, what in _ADDRESSES.items() if what == (source.kind, source.is_discovered))
    members: dict[str, object] = {
        "name": source.name,
        address: source.url,
        "schedule": source.schedule,
        "policy": source.policy.value,
    }
    if source.senders:
        members["senders"] = list(source.senders)
    if source.kind is SourceKind.INBOX:
        members["into"] = source.into
    if source.token_file:
        members["token_file"] = source.token_file
    return members


def patience(
    schedule: str,
    failures: int,
    *,
    chance: float,
    asked: float | None = None,
    longest: int = LONGEST_WAIT,
) -> int:
    """Return for how many ms a source is left alone after so many `failures` in a row.

    Twice as long each time, from the source's own interval (5 s to a minute) up to an hour, or to `longest`,
    and spread by `chance` (0 to 1), so that many sources of one host do not come back at once. Never for
    ever (P25). `asked` are the seconds that the source asks for; a day is believed.
    """
    read = read_schedule(schedule)
    first = _FIRST_WAIT
    if isinstance(read, Interval):
        first = min(max(_SHORTEST_WAIT, read.seconds * 1_000), _FIRST_WAIT)
    wait = min(first << min(max(failures - 1, 0), 16), longest)
    wait = round(wait * (1 + JITTER * chance))
    return wait if asked is None else max(wait, min(round(asked * 1_000), _LONGEST_ASKED))


def place_of(url: str) -> str:
    """Return host and port of `url`, in lower case, without a scheme's own port; empty for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return host if port in {None, usual} else f"{host}:{port}"


def is_same_origin(url: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common (RFC 6454, section 5)."""
    place = place_of(url)
    if not place or place != place_of(other):
        return False
    return url.partition(":")[0].lower() == other.partition(":")[0].lower()


def is_web(url: str) -> bool:
    """Whether `url` is an absolute http or https URL that can be written down and asked for."""
    return is_written(url) and bool(place_of(url))


def is_written(url: str) -> bool:
    """Whether `url` looks like one, and can be kept; whether its host can be read is left open."""
    return len(url) <= _MAX_URL and _WEB.fullmatch(url) is not None


def _address(members: Mapping[str, Any], place: str) -> tuple[SourceKind, bool, str]:
    given = [key for key in _ADDRESSES if key in members]
    if len(given) != 1:
        raise ConfigurationError(
            f"{place}: give one of inbox (its URL), artefact (what advertises the inbox) and log"
        )
    url = _text(members, given[0], place) or ""
    if not is_web(url) or len(url) > _MAX_URL or "@" in urlsplit(url).netloc:
        raise ConfigurationError(f"{place}: {given[0]} must be an http or https URL without a user")
    return *_ADDRESSES[given[0]], url


def _trust(members: Mapping[str, Any], place: str) -> dict[str, Any]:
    said = _text(members, "policy", place) or SenderPolicy.OPEN.value
    if said not in [policy.value for policy in SenderPolicy]:
        raise ConfigurationError(f"{place}: policy must be one of {', '.join(SenderPolicy)}, not {said}")
    policy = SenderPolicy(said)
    senders = _urls(members.get("senders", ()), place)
    if senders and policy is SenderPolicy.OPEN:
        raise ConfigurationError(f"{place}: senders are given, so policy must be registered or authenticated")
    # Who keeps a log answers for all that it tells, unless some are named.
    vouches_for_all = policy is SenderPolicy.AUTHENTICATED and "log" in members
    if not senders and policy is not SenderPolicy.OPEN and not vouches_for_all:
        raise ConfigurationError(f"{place}: policy is {policy}: list in senders who may write there")
    return {"policy": policy, "senders": senders}


def _urls(given: object, place: str) -> tuple[str, ...]:
    urls: Iterable[object] = given if isinstance(given, list | tuple) else [None]
    found = tuple(url for url in urls if isinstance(url, str) and is_web(url))
    if len(found) != len(list(urls)) or len(found) > _MOST_SENDERS:
        raise ConfigurationError(f"{place}: senders must be a list of http or https URLs")
    return found


def _text(members: Mapping[str, Any], name: str, place: str) -> str | None:
    value = members.get(name)
    if value is not None and (not isinstance(value, str) or not value.isprintable()):
        raise ConfigurationError(f"{place}: {name} must be text")
    return value
