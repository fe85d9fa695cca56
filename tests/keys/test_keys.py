"""The file of the key that signs the log: made once, never mistaken, never told."""

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from tests.acceptance.service import Service, environment
from tests.keys.stopping import NAME
from tests.storage.examples import BASE, NOW, log

from orchestrator.core.checkpoint import Checkpoint, SignerKey, open_note, signed
from orchestrator.core.errors import ConfigurationError
from orchestrator.keys import rotate, signing_key
from orchestrator.storage import Store

TOP = Path(__file__).resolve().parents[2]
STOPPING = Path(__file__).with_name("stopping.py")
SPECIMEN = (TOP / "fixtures/notifications/announce-review/valid.json").read_text("utf-8")


@dataclass(frozen=True)
class KeyFile:
    """The file of a log's key."""

    path: Path

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()

    @property
    def mode(self) -> int:
        return self.path.stat().st_mode & 0o777

    @property
    def kept(self) -> dict[str, bytes | None]:
        """All files whose names begin like the key's."""
        files = sorted(self.path.parent.glob(f"{self.path.name}*"))
        return {file.name: file.read_bytes() if file.is_file() else None for file in files}

    @property
    def secrets(self) -> list[bytes]:
        """The ways in which the secret could be written."""
        key = load_pem_private_key(self.content, password=None)
        seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        written = [
            seed.hex().encode(),
            base64.b64encode(seed),
            base64.urlsafe_b64encode(seed),
            repr(seed).encode(),
        ]
        return [seed, *written, *(line for line in self.content.splitlines() if b"-----" not in line)]

    def beside(self, name: str) -> "KeyFile":
        return KeyFile(self.path.with_name(name))

    def put(self, content: bytes, mode: int = 0o600) -> None:
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def make_folder(self) -> None:
        self.path.mkdir()

    def lose(self) -> None:
        self.path.unlink()

    def others(self) -> list[bytes]:
        """Return all other files in the folder."""
        return [
            file.read_bytes() for file in self.path.parent.iterdir() if file.is_file() and file != self.path
        ]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return a log with one event."""
    opened = Store.open(f"sqlite:///{tmp_path / 'log.sqlite'}", public_url=BASE)
    await log(opened, 1)
    yield opened
    await opened.close()


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "log.key")


async def start(file: KeyFile, store: Store, *, name: str = NAME, now: int = NOW) -> SignerKey:
    return await signing_key(file.path, name, store.tree, now=now)


async def renew(file: KeyFile, store: Store, *, now: int = NOW + 1) -> SignerKey:
    return await rotate(file.path, NAME, store.tree, now=now)


async def refusal(file: KeyFile, store: Store) -> str:
    """Return why a service does not start; nothing is published, and no file touched, for that."""
    published, files = await store.tree.keys(), file.kept
    with pytest.raises(ConfigurationError) as raised:
        await start(file, store, now=NOW + 1)
    assert await store.tree.keys() == published
    assert file.kept == files
    return raised.value.message


async def test_the_first_start_makes_the_key_and_publishes_it(store: Store, file: KeyFile) -> None:
    key = await start(file, store)
    assert (file.mode, list(file.kept)) == (0o600, ["log.key"])
    [published] = await store.tree.keys()
    assert (published.verifier, published.since, published.until) == (key.verifier.text(), NOW, None)
    said = Checkpoint(origin=NAME, size=0, root=b"r" * 32)
    assert open_note(signed(said, [SignerKey.from_pem(NAME, file.content)]), [key.verifier]) == said


async def test_every_later_start_uses_the_same_key(store: Store, file: KeyFile) -> None:
    first, content = await start(file, store), file.content
    assert await start(file, store, now=NOW + 1) == first
    assert file.content == content
    assert len(await store.tree.keys()) == 1


async def test_no_two_logs_get_the_same_key(store: Store, file: KeyFile) -> None:
    await start(file, store)
    other = Store.open(f"sqlite:///{file.beside('other.sqlite').path}", public_url=BASE)
    await start(file.beside("other.key"), other)
    await other.close()
    assert file.content != file.beside("other.key").content


async def test_a_key_of_openssl_s_that_was_put_there_before_is_taken(store: Store, file: KeyFile) -> None:
    """As `openssl genpkey -algorithm ed25519` writes it."""
    file.put(
        b"-----BEGIN PRIVATE KEY-----\n"
        b"MC4CAQAwBQYDK2VwBCIEIOFIsJjCdnBhBOMR4Uj6wW2nF0Y6qk1XYbJ2Y2pHOa2B\n"
        b"-----END PRIVATE KEY-----\n"
    )
    content = file.content
    key = await start(file, store)
    assert file.content == content
    assert [each.verifier for each in await store.tree.keys()] == [key.verifier.text()]


async def test_a_key_file_that_is_lost_is_not_made_again(store: Store, file: KeyFile) -> None:
    """Readers would see a log that changes its key without a word."""
    await start(file, store)
    file.lose()
    said = await refusal(file, store)
    assert str(file.path) in said
    assert "missing" in said
    assert "restore" in said
    assert "orchestrator key rotate" in said


async def test_another_log_s_key_is_refused(store: Store, file: KeyFile) -> None:
    ours = await start(file, store)
    file.put(SignerKey.generate(NAME, b"x" * 32).to_pem())
    said = await refusal(file, store)
    assert str(file.path) in said
    assert ours.verifier.text() in said
    assert "orchestrator key rotate" in said


async def test_the_right_key_under_another_name_is_refused(store: Store, file: KeyFile) -> None:
    """A key's name is in its id: readers would not know it."""
    await start(file, store)
    with pytest.raises(ConfigurationError, match="not the key that signs this log"):
        await start(file, store, name="elsewhere.example/log")


async def test_a_key_that_was_replaced_is_refused(store: Store, file: KeyFile) -> None:
    await start(file, store)
    old = file.content
    await renew(file, store)
    file.put(old)
    assert "not the key that signs this log" in await refusal(file, store)


def _rsa() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _encrypted() -> bytes:
    key = load_pem_private_key(SignerKey.generate(NAME, b"k" * 32).to_pem(), password=None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"", "PEM"),
        (b"\xff\x00 not a key", "PEM"),
        (SignerKey.generate(NAME, b"k" * 32).to_pem()[:60], "PEM"),
        (b"-" * 1_000_000, "PEM"),
        (_rsa(), "ed25519"),
        (_encrypted(), "without a password"),
    ],
    ids=["empty", "binary", "cut off", "very large", "another kind", "encrypted"],
)
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
async def test_a_file_that_is_no_key_is_refused(
    store: Store, file: KeyFile, content: bytes, remedy: str, is_first: bool
) -> None:
    if not is_first:
        await start(file, store)
    file.put(content)
    assert remedy in await refusal(file, store)


async def test_what_cannot_be_read_is_named_with_its_reason(store: Store, file: KeyFile) -> None:
    file.make_folder()
    said = await refusal(file, store)
    assert str(file.path) in said
    assert "cannot be read" in said


@pytest.mark.parametrize(
    "where", ["nowhere/log.key", "file/log.key"], ids=["no folder", "a file for a folder"]
)
async def test_what_cannot_be_written_is_named_with_its_reason(
    store: Store, file: KeyFile, where: str
) -> None:
    file.beside("file").put(b"")
    place = KeyFile(file.path.parent / where)
    said = await refusal(place, store)
    assert str(place.path) in said
    assert "cannot be" in said
    with pytest.raises(ConfigurationError, match="cannot be"):
        await renew(place, store)
    assert await store.tree.keys() == []


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o666, 0o777], ids=oct)
async def test_a_key_that_others_may_read_or_change_is_refused(
    store: Store, file: KeyFile, mode: int
) -> None:
    key = await start(file, store)
    file.put(file.content, mode)
    said = await refusal(file, store)
    assert str(file.path) in said
    assert "chmod" in said
    file.put(file.content, 0o400)
    assert await start(file, store) == key


async def test_a_rotation_puts_a_new_key_in_the_place_of_the_old(store: Store, file: KeyFile) -> None:
    old = await start(file, store)
    new = await renew(file, store)
    assert new != old
    assert [(key.verifier, key.until) for key in await store.tree.keys()] == [
        (old.verifier.text(), NOW + 1),
        (new.verifier.text(), None),
    ]
    assert (file.mode, list(file.kept)) == (0o600, ["log.key"])
    assert await start(file, store) == new


async def test_a_key_that_an_administrator_rotates_is_still_the_service_s(
    store: Store, file: KeyFile
) -> None:
    """Or the service could not read it, and would not start."""
    await start(file, store)
    service = 65_534 if os.geteuid() == 0 else os.getuid()
    os.chown(file.path, service, -1)
    await renew(file, store)
    assert (file.path.stat().st_uid, file.mode) == (service, 0o600)


async def test_a_rotation_needs_no_old_file(store: Store, file: KeyFile) -> None:
    """It may be lost, or nobody may have made one yet."""
    first = await renew(file, store, now=NOW)
    assert await start(file, store) == first
    file.lose()
    second = await renew(file, store)
    file.put(b"damaged")
    third = await renew(file, store, now=NOW + 2)
    assert await start(file, store) == third
    assert [key.verifier for key in await store.tree.keys()] == [
        key.verifier.text() for key in (first, second, third)
    ]


async def test_a_rotation_that_cannot_be_published_leaves_all_as_it_was(store: Store, file: KeyFile) -> None:
    key, content = await start(file, store), file.content
    await store.close()
    with pytest.raises(Exception, match="closed"):
        await renew(file, store)
    assert file.content == content
    again = Store.open(f"sqlite:///{file.beside('log.sqlite').path}")
    assert await start(file, again) == key
    await again.close()


@pytest.mark.parametrize("rest", [b"", b"half a", None], ids=["empty", "half", "whole"])
async def test_what_is_left_of_a_rotation_that_was_not_published_hurts_nobody(
    store: Store, file: KeyFile, rest: bytes | None
) -> None:
    """A start uses the key in use; the next rotation clears up."""
    key = await start(file, store)
    whole = SignerKey.generate(NAME, b"n" * 32).to_pem()
    file.beside("log.key.new").put(whole if rest is None else rest)
    assert await start(file, store) == key
    after = await renew(file, store)
    assert await start(file, store) == after
    assert list(file.kept) == ["log.key"]


async def test_an_empty_log_takes_the_key_that_is_there(file: KeyFile) -> None:
    """Nobody has seen a checkpoint of an event; its address may still change too, and with it the key's name."""
    store = Store.open(f"sqlite:///{file.beside('log.sqlite').path}", public_url=BASE)
    first = await start(file, store)
    moved = await start(file, store, name="moved.example/log")
    assert moved.private == first.private
    assert [key.verifier for key in await store.tree.keys()] == [moved.verifier.text()]
    await store.close()


@pytest.mark.parametrize(
    ("first", "second"),
    [("start", "start"), ("rotate", "start"), ("rotate", "rotate")],
    ids=["a start at a start", "a start in a rotation", "two rotations"],
)
async def test_whatever_step_a_process_stops_at_the_next_finds_the_right_key(
    tmp_path: Path, first: str, second: str
) -> None:
    """Killed there, or only slow: a start always succeeds, and all agree in the end."""
    stories = await asyncio.to_thread(_stories, first, second, tmp_path)
    assert len(stories) > 15
    for story in stories:
        _check(story, first, second)


def _stories(first: str, second: str, folder: Path) -> list[dict[str, Any]]:
    path = {"PYTHONPATH": f"{environment({})['PYTHONPATH']}{os.pathsep}{TOP}"}
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(STOPPING), first, second, str(folder)],
        env={**environment({}), **path},
        check=False,
        capture_output=True,
        timeout=110,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return [json.loads(line) for line in ended.stdout.splitlines()]


def _check(story: dict[str, Any], first: str, second: str) -> None:
    one, other, last = story["first"], story["second"], story["last"]
    assert last["published"][-1] == [last["key"], None], story
    assert [key for key, until in last["published"] if until is None] == [last["key"]], story
    assert story["files"] == {"log.key": 0o600}, story
    if first == "start":
        assert one["key"] == other["key"] == last["key"], story
    elif second == "start":
        old, new = (key for key, _ in last["published"])
        assert (one["key"], last["key"]) == (new, new), story
        # What was published when it started: it never signs with a key that nobody can know.
        assert other["key"] == other["published"][-1][0], story
        assert other["key"] in (old, new), story
    else:
        made = [one["key"]] if "key" in one else []
        made += [other["key"]] if "key" in other else []
        assert last["key"] in made, story
        for refused in (one, other):
            assert "key" in refused or "is in use by another process" in refused["refused"], story


async def test_the_secret_is_not_in_what_a_key_says_of_itself(
    store: Store, file: KeyFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    keys = [await start(file, store), await renew(file, store)]
    hidden = file.secrets
    said = [repr(keys), str(keys), repr(keys[1].verifier), caplog.text, repr(await store.tree.keys())]
    file.put(file.content[:-30])
    said.append(await refusal(file, store))
    file.lose()
    said.append(await refusal(file, store))
    told = [*(text.encode() for text in said), *file.others()]
    assert len(told) > len(said)
    for secret in hidden:
        assert not [text for text in told if secret in text]


async def test_a_service_keeps_its_secret_in_one_file(tmp_path: Path) -> None:
    """Not in its log, its answers, its database, nor in what it says when it cannot start."""
    service = Service(folder=tmp_path, settings={})
    file = KeyFile(tmp_path / "orchestrator.key")
    try:
        await service.start(("-m", "orchestrator", "--verbose"))
        sent = {**json.loads(SPECIMEN), "id": f"urn:uuid:{uuid.uuid4()}"}
        assert (await service.take(sent))["state"] == "PROCESSED"
        asked = ("/log/checkpoint", "/log/keys", "/log", "/", "/readyz")
        answers = [await service.get(place) for place in asked]
        assert [answer.status for answer in answers] == [200] * 5
        hidden = file.secrets
        await service.stop()
        file.lose()
        service.begin()
        assert await service.gone() == 2
    finally:
        if service.is_running:
            await service.kill()
    told = [*(answer.body for answer in answers), *file.others()]
    assert any(b"The key that signs this log is missing" in text for text in told)
    assert any(text.startswith(b"SQLite format 3") for text in told)
    for secret in hidden:
        assert not [text for text in told if secret in text]
