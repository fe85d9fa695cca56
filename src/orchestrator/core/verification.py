"""Whether the events that a log serves are those that it signed (`docs/reference/log.md`).

An auditor takes the events in the order in which they are served, and says everything that is wrong with
them, up to a bound, each with the event and with what to do about it. Of each event it keeps 32 bytes.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from orchestrator.core.merkle import Frontier, leaf_hash
from orchestrator.core.strict_json import Json, canonical

MOST: Final = 100
"""Discrepancies that are told; more of them are counted."""
PAYLOAD: Final = "@graph"
SALT: Final = "salt"
_HASH_BYTES: Final = 32
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
_ERASURE: Final = "erasure"
"""How a tombstone is correlated; nobody but the log says so of an event."""
_ASK: Final = "compare it with a copy that somebody kept, and ask the log's owner"

Rule = Literal[
    "signature", "origin", "kept", "truncated", "prefix", "root", "tiles", "missing", "order", "twice",
    "id", "created", "digest", "leaf", "erased",
]  # fmt: skip
"""What can be wrong: with the checkpoint, with the log as a whole, with one event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One thing that is not as it was signed."""

    rule: Rule
    message: str
    """What is wrong, and what to do about it."""
    event: int | None = None
    """Which event, where it is one."""


@dataclass(slots=True)
class Findings:
    """What was found, in the order in which it was."""

    found: list[Discrepancy] = field(default_factory=list)
    more: int = 0
    """How many others there were."""

    def add(self, rule: Rule, message: str, event: int | None = None) -> None:
        """Tell of one more, or count it."""
        if len(self.found) < MOST:
            self.found.append(Discrepancy(rule=rule, message=message, event=event))
        else:
            self.more += 1


class Auditor:
    """Takes the events of one log up to the size of a checkpoint."""

    def __init__(self, name: str, size: int, findings: Findings) -> None:
        """Expect events 1 to `size` of the log whose IRI is `name`."""
        self.count = 0
        """Events taken."""
        self.erased = 0
        """How many of them have no payload."""
        self._name = name
        self._size = size
        self._findings = findings
        self._leaves = bytearray()
        """Leaf hashes of events 1 to n, while none is missing."""
        self._others: dict[int, bytes] = {}
        """Those after the first that was missing in its place, by number."""
        self._bare: set[str] = set()
        """Names of events without a payload, of which no tombstone has told."""
        self._told: set[str] = set()
        """Names of the events that tombstones say were erased."""
        self._before = 0
        """The number of the event that was served before."""
        self._time = ""
        """When that was created."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Look at the event that is served next; after the checkpoint's last one, only for tombstones."""
        sequence = event["sequence"]
        if event.get("correlatedBy") == _ERASURE and isinstance(event.get("causedBy"), str):
            self._told.add(event["causedBy"])
        if not 1 <= sequence <= self._size:
            return
        self.count += 1
        if self.leaf(sequence) is not None:
            self._findings.add("twice", f"it is served twice: {_ASK}", sequence)
            return
        envelope = canonical({key: value for key, value in event.items() if key not in (PAYLOAD, SALT)})
        self._keep(sequence, leaf_hash(envelope))
        self._look(sequence, event)
        self._look_into(sequence, event)

    @property
    def wants_tombstones(self) -> bool:
        """Whether payloads are gone of which no event taken so far tells."""
        return not self._bare <= self._told

    def end(self) -> None:
        """Say which events did not come, and which have no payload without a reason."""
        for name in sorted(self._bare - self._told):
            self._findings.add(
                "erased",
                f"its payload is gone, and no tombstone tells that it was erased: {_ASK}",
                int(name.rpartition("/")[2]),
            )
        for first, last in self._gaps():
            which = f"it is signed, but not served: {_ASK}"
            if last > first:
                which = f"this and all up to event {last} are signed, but not served: {_ASK}"
            self._findings.add("missing", which, first)

    def root(self, size: int) -> bytes | None:
        """Return the root over the first `size` events; None when not all of them came."""
        if any(first <= size for first, _ in self._gaps()):
            return None
        leaves = (self.leaf(sequence) or b"" for sequence in range(1, size + 1))
        return Frontier(0, ()).extend(leaves)[0].root()

    def leaf(self, sequence: int) -> bytes | None:
        """Return the leaf hash of an event, if it came."""
        start = (sequence - 1) * _HASH_BYTES
        return bytes(self._leaves[start : start + _HASH_BYTES]) or self._others.get(sequence)

    def compare(self, first: int, leaves: Sequence[bytes]) -> None:
        """Say which events from `first` on are not those whose leaves were signed."""
        for sequence, signed in enumerate(leaves, first):
            leaf = self.leaf(sequence)
            if leaf is not None and leaf != signed:
                self._findings.add(
                    "leaf", f"its envelope is not the one that was signed, it was changed: {_ASK}", sequence
                )

    def _gaps(self) -> Iterator[tuple[int, int]]:
        """Yield first and last number of what is missing."""
        expected = len(self._leaves) // _HASH_BYTES + 1
        for sequence in (*sorted(self._others), self._size + 1):
            if sequence > expected:
                yield expected, sequence - 1
            expected = sequence + 1

    def _keep(self, sequence: int, leaf: bytes) -> None:
        if len(self._leaves) == (sequence - 1) * _HASH_BYTES:
            self._leaves += leaf
        else:
            self._others[sequence] = leaf

    def _look(self, sequence: int, event: Mapping[str, Any]) -> None:
        """Look at an event's place among the others, and at what it says of itself."""
        if event.get("id") != f"{self._name}/e/{sequence}":
            self._findings.add("id", f"its id is not {self._name}/e/{sequence}: {_ASK}", sequence)
        created = event.get("created")
        if not isinstance(created, str) or not _TIME.fullmatch(created):
            self._findings.add("created", "its `created` is no time in UTC with milliseconds", sequence)
            created = self._time
        elif sequence > self._before and created <= self._time:
            self._findings.add("created", f"it was not created after the one before it: {created}", sequence)
        if sequence < self._before:
            self._findings.add("order", f"it is served after event {self._before}: {_ASK}", sequence)
        self._before, self._time = sequence, created

    def _look_into(self, sequence: int, event: Mapping[str, Any]) -> None:
        """Compare the payload with its digest, which is in the envelope."""
        payload, salt = event.get(PAYLOAD), event.get(SALT)
        if payload is None and salt is None:
            self.erased += 1
            self._bare.add(f"{self._name}/e/{sequence}")
        elif not isinstance(payload, list) or not isinstance(salt, str):
            self._findings.add("digest", f"of payload and salt, one is missing: {_ASK}", sequence)
        elif digest_of(payload, salt) != event.get("digest"):
            self._findings.add(
                "digest", f"its payload is not the one that was signed, it was changed: {_ASK}", sequence
            )


def digest_of(payload: Sequence[Json], salt: str) -> str:
    """Return the digest of a payload, as an envelope has it."""
    text = b",".join(canonical(node) for node in payload)
    return hashlib.sha256(salt.encode() + text).hexdigest()
