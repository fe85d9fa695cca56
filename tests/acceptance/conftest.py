"""Server processes for acceptance tests, and what asserts that they have nothing to hide."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from tests.acceptance.service import Service

Serve = Callable[..., Awaitable[Service]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Return what makes and starts a service with settings (by key) and policy files (by name).

    In the end it is killed where it still runs, and its log must hold no error that the test did not
    expect.
    """
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            settings: Mapping[str, object] | None = None,
            policies: Mapping[str, str] | None = None,
            *,
            start: bool = True,
        ) -> Service:
            folder = tmp_path / "service"
            folder.mkdir()
            service = Service(folder=folder, settings=settings or {})
            if policies is not None:
                service.policies.mkdir()
                for name, text in policies.items():
                    (service.policies / name).write_text(text)
            stack.push_async_callback(service.end)
            if start:
                await service.start()
            return service

        yield make
