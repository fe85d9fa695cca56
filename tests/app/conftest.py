"""A world on a socket, and the app in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.app.world import US, Runs, World, served

from orchestrator.config import Settings


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with served(World()) as made:
        yield made


@pytest.fixture
def runs(world: World, tmp_path: Path) -> Runs:
    settings = Settings(
        app_log=world.log,
        app_artefacts=(f"{world.root}/papers/",),
        app_id=US,
        app_inbox=f"{US}inbox/",
        app_state=str(tmp_path / "app.json"),
        allow_private=("127.0.0.0/8",),
        budget=30.0,
    )
    return Runs(world=world, folder=tmp_path, settings=settings)
