"""What goes wrong on our side: strangers hear little, the log hears all."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.errors import Overloaded, StorageError
from orchestrator.core.screening import Screening

BASE = "https://orchestrator.example"
CONSTRAINED = f'<{BASE}/shapes/>; rel="http://www.w3.org/ns/ldp#constrainedBy"'
Specimen = Callable[..., dict[str, Any]]


class _Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    async def screen(self, _body: bytes) -> Screening:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "slug", "retry_after"),
    [
        (Overloaded(), 503, "overloaded", "1"),
        (StorageError("disk sda1 at /srv is full"), 503, "storage-error", "5"),
        (RuntimeError("secret\r\nSet-Cookie: a=b"), 500, "internal-error", None),
    ],
)
async def test_our_own_failures_tell_strangers_when_to_come_back_and_nothing_more(
    build: Any, specimen: Specimen, error: Exception, status: int, slug: str, retry_after: str | None
) -> None:
    async with build(screener=_Failing(error)) as house:
        answer = await house.post(specimen())
        assert answer.status == status
        assert json.loads(answer._body)["type"] == f"{BASE}/problems/{slug}"
        assert answer.headers.get("Retry-After") == retry_after
        assert CONSTRAINED in answer.headers["Link"]
        told = answer._body.decode() + str(answer.headers)
        assert "secret" not in told
        assert "sda1" not in told


async def test_an_unforeseen_failure_is_logged_with_its_traceback(
    build: Any, specimen: Specimen, caplog: pytest.LogCaptureFixture
) -> None:
    async with build(screener=_Failing(RuntimeError("what happened"))) as house:
        await house.post(specimen())
    record = next(record for record in caplog.records if record.name.startswith("orchestrator.web"))
    assert record.getMessage() == "request_failed route=/inbox/"
    assert record.exc_info is not None
