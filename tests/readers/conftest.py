"""A service whose log is read by others: all of them processes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.acceptance.service import Service
from tests.readers.clients import Replica, are_installed

Serve = Callable[..., Awaitable[Service]]
Copy = Callable[[str], Replica]


@pytest.fixture(autouse=True)
def readers() -> None:
    """Ask for the readers: without them there is nothing to test."""
    if not are_installed():
        pytest.skip("needs ldes-client and Comunica: npm ci --prefix tests/readers")


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Return what starts the service with pages of so many events."""
    made: list[Service] = []

    async def start(page_size: int) -> Service:
        folder = tmp_path / "service"
        folder.mkdir()
        service = Service(folder=folder, settings={"log.page_size": page_size})
        made.append(service)
        await service.start()
        return service

    yield start
    for service in made:
        await service.end()


@pytest.fixture
async def copy(tmp_path: Path) -> AsyncIterator[Copy]:
    """Return what makes an empty copy of the log at a URL."""
    made: list[Replica] = []

    def replica(url: str) -> Replica:
        made.append(Replica(url=url, folder=tmp_path / f"replica-{len(made)}"))
        return made[-1]

    yield replica
    for each in made:
        await each.end()
