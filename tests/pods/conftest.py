"""A pod, and services that poll it: all of them processes."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from tests.acceptance.service import Service
from tests.pods.solid import Pod, installed

Serve = Callable[..., Awaitable[Service]]
TOKEN = "the-admins-own"


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[Pod]:
    """Return a pod that is not started yet: what should be in it can be laid into its folder."""
    if installed() is None:
        pytest.skip("needs the Community Solid Server: npm ci --prefix tests/pods")
    made = Pod(folder=tmp_path / "pod")
    made.folder.mkdir()
    try:
        yield made
    finally:
        await made.end()


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Return what makes a service by name, with a file of settings, more settings, and policy files."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            name: str,
            toml: str = "",
            *,
            settings: Mapping[str, object] | None = None,
            policies: Mapping[str, str] | None = None,
            start: bool = True,
        ) -> Service:
            folder = tmp_path / name
            folder.mkdir()
            (folder / "orchestrator.toml").write_text(toml)
            given = {
                "egress.allow_private": "127.0.0.0/8,localhost",
                "admin.token": TOKEN,
                "polling.lease": 2,
                **(settings or {}),
            }
            service = Service(folder=folder, settings=given)
            for file, text in (policies or {}).items():
                service.policies.mkdir(exist_ok=True)
                (service.policies / file).write_text(text)
            stack.push_async_callback(service.end)
            if start:
                await service.start()
            return service

        yield make
