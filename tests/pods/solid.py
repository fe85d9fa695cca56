"""A real Solid server: the Community Solid Server in a process of its own, over a folder of files."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.service import Answer, ask, free_port, until, until_true

HERE = Path(__file__).parent
_PACKAGE = Path("node_modules/@solid/community-server")
_REQUEST = re.compile(r"Received (\w+) request for (\S+)")


def installed() -> Path | None:
    """Return where the server is installed: beside this file, or where COMMUNITY_SOLID_SERVER says."""
    places = (Path(os.environ.get("COMMUNITY_SOLID_SERVER", HERE)), HERE)
    found = (place / _PACKAGE for place in places)
    return next((each for each in found if each.is_dir() and shutil.which("node")), None)


@dataclass(kw_only=True)
class Pod:
    """The server and its folder; what lies in the folder is in the pod."""

    folder: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/"

    @property
    def files(self) -> Path:
        """The folder that is the pod."""
        return self.folder / "files"

    async def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._begin()

        async def is_up() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()[-2_000:]
            try:
                return (await ask("GET", self.url)).status == 200
            except OSError:
                await asyncio.sleep(0.2)
                return False

        await until(is_up, within=90)

    def _begin(self) -> None:
        package = installed()
        assert package is not None
        self.files.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "node",
                    str(package / "bin/server.js"),
                    *("-p", str(self.port)),
                    *("-c", str(package / "config/file-root.json")),
                    *("-f", str(self.files)),
                    *("-l", "info"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )

    async def end(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            process = self._process
            await until_true(lambda: process.poll() is not None)

    async def put(self, path: str, body: bytes, media_type: str) -> Answer:
        """Write a resource as its owner does."""
        answer = await ask("PUT", self.url + path, body, Content_Type=media_type)
        assert answer.status in {201, 205}, answer.body
        return answer

    async def etag(self, path: str) -> str:
        """Return the ETag of a resource, as everybody sees it."""
        answer = await ask("HEAD", self.url + path, Accept="*/*")
        assert answer.status == 200
        return answer.headers["ETag"]

    def requests(self) -> list[tuple[str, str]]:
        """Return method and path of all requests so far, from the server's own log."""
        return [(found[1], found[2]) for found in _REQUEST.finditer(self._log.read_text())]

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"
