"""An event before the log gives it a number and a time, for tests."""

from typing import Any

from orchestrator.core import vocabulary as v
from orchestrator.core.event import Draft


def draft(**changes: Any) -> Draft:
    members: dict[str, Any] = {
        "types": (v.AS + "Announce", v.NOTIFY + "ReviewAction"),
        "activity": "urn:uuid:1",
        "sender": "https://cs.example/",
        "received": 1_000,
        "artefact": "https://pod.example/a",
        "actor": "https://cs.example/about",
        "origin": "https://cs.example/",
        "in_reply_to": None,
        "correlated_by": None,
        "caused_by": None,
        "policy_set": "ni:///sha-256;x",
        "payload": b'{"id":"urn:uuid:1"}',
        "salt": "00" * 16,
    }
    return Draft(**(members | changes))
