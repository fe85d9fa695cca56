"""The reference implementation of COAR Notify as our sender."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from coarnotify.client import COARNotifyClient
from coarnotify.factory import COARNotifyFactory


@pytest.mark.parametrize(
    "slug", ["announce-review", "announce-endorsement", "request-review", "accept", "reject"]
)
async def test_the_reference_client_takes_our_answer_for_created(
    house: Any, specimen: Callable[..., dict[str, Any]], slug: str
) -> None:
    pattern = COARNotifyFactory.get_by_object(specimen(slug))
    client = COARNotifyClient(f"http://127.0.0.1:{house.port}/inbox/")
    answer = await asyncio.to_thread(client.send, pattern, validate=False)
    assert answer.action == "created"
    assert answer.location.startswith("https://orchestrator.example/inbox/")
    assert await house.kept() == 1
