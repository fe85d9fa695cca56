"""What the tests do with sources, over HTTP, and what they look for."""

import json
import uuid
from pathlib import Path
from typing import Any

from tests.acceptance.service import Answer, Service, ask, until
from tests.pods.conftest import TOKEN

ROOT = Path(__file__).resolve().parents[2]
REVIEW: dict[str, Any] = json.loads((ROOT / "fixtures/notifications/announce-review/valid.json").read_text())


def review(number: int) -> dict[str, Any]:
    """Return the announcement of a review, valid, with an id of its own for each number."""
    return {**REVIEW, "id": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, str(number))}"}


async def source(service: Service, name: str, query: str = "limit=0") -> dict[str, Any]:
    """Return how a source goes, with the members that `query` asks for."""
    answer = await ask("GET", f"{service.url}/sources/{name}?{query}", Authorization=f"Bearer {TOKEN}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def change(service: Service, name: str, what: str) -> Answer:
    """Poll, pause or resume a source."""
    url = f"{service.url}/sources/{name}/{what}"
    answer = await ask("POST", url, b"", Authorization=f"Bearer {TOKEN}")
    assert answer.status == 202, answer.body
    return answer


async def polled(service: Service, name: str) -> dict[str, Any]:
    """Have a source polled, and wait until that has ended."""
    before = (await source(service, name))["attempted"]
    await change(service, name, "poll")
    return await until(
        lambda: source(service, name),
        lambda found: found["attempted"] != before and found["state"] not in {"polling", "new"},
        within=120,
    )


async def read(service: Service, name: str, members: int) -> dict[str, Any]:
    """Wait until a source was read to its end and has so many members."""
    return await until(
        lambda: source(service, name),
        lambda found: found["state"] == "well" and sum(found["members"].values()) == members,
        within=120,
    )
