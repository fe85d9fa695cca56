"""How far an app has come, in one file: replaced whole and durable, by one process at a time."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from orchestrator import durable
from orchestrator.core.errors import ConfigurationError, StorageError
from orchestrator.core.patch import Triple
from orchestrator.core.source import place_of

_VERSION: Final = 1
_REMEMBERED: Final = 1_000
Stage = Literal["seen", "writing", "reporting"]


@dataclass(slots=True, kw_only=True)
class Pending:
    """An event of which something is to be made, and how far that is."""

    sequence: int
    event: str
    activity: str
    """What the event tells of, by its sender's id."""
    artefact: str
    links: list[Triple]
    """What the artefact should have."""
    stage: Stage = "seen"
    """`writing`: we may have written; `reporting`: the links are there, and we are to tell of them."""
    written: list[Triple] = field(default_factory=list)
    """Which of the links we have written, or were about to."""
    report: str | None = None
    """What we tell, once that is known: the same bytes each time."""
    failures: int = 0

    @property
    def place(self) -> str:
        """Host and port of the artefact; empty for a report, which goes to the log's inbox."""
        return "" if self.stage == "reporting" else place_of(self.artefact)


@dataclass(slots=True, kw_only=True)
class State:
    """What is kept of a log."""

    log: str
    sequence: int = 0
    """Number of the last event that was looked at."""
    last: str = ""
    """What stands for that event: another one under its number has another."""
    pending: list[Pending] = field(default_factory=list)
    """In the order of the log."""
    behind: dict[str, int] = field(default_factory=dict)
    """Place → number of the first event that had no room, and is to be read again."""
    sent: dict[str, None] = field(default_factory=dict)
    """Ids of our latest activities."""
    caused: dict[str, None] = field(default_factory=dict)
    """IRIs of the latest events that we caused."""

    def remember(self, memory: dict[str, None], name: str) -> None:
        """Add `name` to `sent` or `caused`, which keep the latest 1,000."""
        memory[name] = None
        while len(memory) > _REMEMBERED:
            del memory[next(iter(memory))]


class StateFile:
    """The file of a state."""

    def __init__(self, path: Path, state: State) -> None:
        """Keep `state` in `path`; see `opened`."""
        self._path = path
        self.state = state
        self.is_behind = False
        """Whether the state is another than the one on disk."""

    def save(self) -> None:
        """Make the state durable as it is now. Raises `StorageError`."""
        self.is_behind = False
        document = {"version": _VERSION, **asdict(self.state)}
        document |= {name: list(document[name]) for name in ("sent", "caused")}
        body = json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
        try:
            durable.replace(self._path, body)
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror or error}") from None


class Rehearsal(StateFile):
    """A state that is looked at and never written."""

    def save(self) -> None:
        """Do nothing."""


@contextlib.contextmanager
def opened(path: Path, log: str, *, rehearses: bool = False) -> Iterator[StateFile]:
    """Return the state of `log` that `path` keeps, or a new one; nobody else may have it open.

    Raises `ConfigurationError` for the state of another log, for what is none, and when it is in use.
    """
    if rehearses:
        yield Rehearsal(path, _read(path, log))
        return
    with durable.locked(path):
        yield StateFile(path, _read(path, log))


def _read(path: Path, log: str) -> State:
    try:
        text = path.read_text(encoding="utf-8", errors="surrogatepass")
    except FileNotFoundError:
        return State(log=log)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    try:
        state = _state_of(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"{path} is no state of an app: {error}") from None
    if state.log != log:
        raise ConfigurationError(f"{path} is the state of {state.log}: give another --state for {log}")
    return state


def _state_of(document: Mapping[str, Any]) -> State:
    members = dict(document)
    if members.pop("version") != _VERSION:
        raise ValueError("it is of another version")
    known = {each.name for each in fields(State)}
    if members.keys() != known or not isinstance(members["sequence"], int):
        raise ValueError("its members are others")
    members["pending"] = [_pending_of(each) for each in members["pending"]]
    members |= {name: dict.fromkeys(members[name]) for name in ("sent", "caused")}
    return State(**members)


def _pending_of(members: Mapping[str, Any]) -> Pending:
    triples = {name: [_triple(*triple) for triple in members[name]] for name in ("links", "written")}
    return Pending(**{**members, **triples})


def _triple(subject: str, predicate: str, target: str) -> Triple:
    return subject, predicate, target
