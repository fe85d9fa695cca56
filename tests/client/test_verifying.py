"""Verifying a served log: whatever somebody with the database file changes is found, and named."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from tests.storage.examples import BASE
from tests.web.conftest import Build, build

from orchestrator.client import Client, Kept, Verified
from orchestrator.core.checkpoint import BadCheckpoint, Checkpoint, SignerKey, signed
from orchestrator.core.errors import AnswerRefused, ConfigurationError, PeerUnreachable
from orchestrator.core.merkle import EMPTY_ROOT, Frontier
from orchestrator.storage import Store

from .served_log import Tampered, erase, write

if TYPE_CHECKING:
    from tests.client.conftest import Pod

__all__ = ["build"]

EVENTS = 270
"""A full tile and a part of one; and more than a page."""
KEY = SignerKey.generate("orchestrator.example/log", b"k" * 32)
OTHER = SignerKey.generate("orchestrator.example/log", b"o" * 32)
FORGED = b'{"id":"urn:forged"}'
Serve = Callable[..., Awaitable[str]]
Found = list[tuple[str, int | None]]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, which nobody has open."""
    path = tmp_path_factory.mktemp("log") / "log.sqlite"
    asyncio.run(write(path, 1, EVENTS))
    return path


@pytest.fixture
def path(seed: Path, tmp_path: Path) -> Path:
    """A copy of that log, of one's own."""
    return Path(shutil.copy(seed, tmp_path / "log.sqlite"))


@pytest.fixture
def log(path: Path) -> Tampered:
    return Tampered(path)


@pytest.fixture
async def serve(build: Build, path: Path) -> AsyncIterator[Serve]:
    """Return what serves the log as it is now, with a fresh server, and says where."""
    async with AsyncExitStack() as stack:

        async def go(**changes: Any) -> str:
            store = await asyncio.to_thread(Store.open, f"sqlite:///{path}", public_url=BASE)
            stack.push_async_callback(store.close)
            ports = {name: getattr(store, name) for name in ("ledger", "reader", "sources", "tree")}
            house = await stack.enter_async_context(build(**{**ports, "signer": KEY, **changes}))
            return f"http://127.0.0.1:{house.port}/log"

        yield go


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(attempts=1, timeout=30.0) as made:
        yield made


def found(verified: Verified) -> Found:
    assert verified.more == 0
    return [(each.rule, each.event) for each in verified.discrepancies]


def checkpoint(size: int, root: bytes, key: SignerKey = KEY) -> Kept:
    note = signed(Checkpoint(origin=KEY.name, size=size, root=root), [key])
    return Kept(note=note, key=key.verifier.text())


async def publish(log: Tampered) -> None:
    """Have the log name its key, as the service does when it starts."""
    log.do("INSERT INTO log_key VALUES (1, ?, 0, NULL)", KEY.verifier.text())


# A sound log


async def test_a_sound_log_is_as_it_was_signed(log: Tampered, serve: Serve, client: Client) -> None:
    await publish(log)
    told: list[tuple[int, int]] = []
    verified = await client.verify(await serve(), progress=lambda done, all_: told.append((done, all_)))
    assert verified.ok
    assert (verified.log, verified.origin) == (f"{BASE}/log", "orchestrator.example/log")
    assert (verified.size, verified.events, verified.erased) == (EVENTS, EVENTS, 0)
    assert (verified.trust, verified.checkpoint.key) == ("first use", KEY.verifier.text())
    assert told[-1] == (EVENTS, EVENTS)


async def test_a_log_continues_a_checkpoint_that_was_kept(path: Path, serve: Serve, client: Client) -> None:
    key = KEY.verifier.text()
    before = await client.verify(await serve(), key=key)
    assert (before.ok, before.trust) == (True, "given")
    await write(path, EVENTS + 1, EVENTS + 50)
    url = await serve()
    for quick, events in ((False, EVENTS + 50), (True, None)):
        after = await client.verify(url, kept=Kept.parse(before.checkpoint.to_bytes()), quick=quick)
        assert after.ok
        assert (after.trust, after.kept_size, after.size) == ("kept", EVENTS, EVENTS + 50)
        assert after.events == events


async def test_an_empty_log_is_sound(tmp_path: Path, build: Build, client: Client) -> None:
    async with build(signer=KEY) as house:
        verified = await client.verify(f"http://127.0.0.1:{house.port}/log", key=KEY.verifier.text())
    assert (verified.ok, verified.size, verified.root) == (True, 0, EMPTY_ROOT)


async def test_an_erased_payload_is_counted_and_is_no_discrepancy(
    path: Path, log: Tampered, serve: Serve, client: Client
) -> None:
    before = checkpoint(EVENTS, root_of(log))
    await erase(path, 7, 260)
    verified = await client.verify(await serve(), kept=before)
    assert (found(verified), verified.erased, verified.events) == ([], 2, EVENTS + 2)


class Earlier:
    """The tree of a log as it was."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._frontier = Frontier(0, ()).extend(leaves)[0]

    async def frontier(self) -> Frontier:
        return self._frontier


async def test_what_is_erased_while_it_is_verified_is_no_discrepancy(
    path: Path, log: Tampered, serve: Serve, client: Client
) -> None:
    """The checkpoint was asked for before the tombstone was written."""
    earlier = Earlier(log.leaves())
    await erase(path, 7)
    verified = await client.verify(await serve(tree=earlier), key=KEY.verifier.text())
    assert (found(verified), verified.erased, verified.events) == ([], 1, EVENTS)


# What somebody with the database could do


def swap(log: Tampered, one: int, other: int, *columns: str) -> None:
    rows = log.row(one), log.row(other)
    for sequence, row in ((one, rows[1]), (other, rows[0])):
        log.set(sequence, identity=f"nobody's {sequence}".encode())
        log.set(sequence, **{name: row[name] for name in columns})


def set_member(name: str, value: object, *, leaf: bool = False, at: int = 7) -> Callable[[Tampered], None]:
    return lambda log: log.change(at, lambda members: members.update({name: value}), leaf=leaf)


def forge(log: Tampered) -> None:
    log.set(7, payload=FORGED, salt="")
    set_member("digest", hashlib.sha256(FORGED).hexdigest())(log)


def remove_some(log: Tampered) -> None:
    for first, last in ((1, 2), (255, 257), (EVENTS, EVENTS)):
        log.remove(first, last)


def change_numbers(log: Tampered) -> None:
    set_member("sequence", 9, at=8)(log)
    set_member("sequence", 8, at=9)(log)


TAMPERINGS: dict[str, tuple[Callable[[Tampered], None], Found]] = {
    "a payload is changed": (
        lambda log: log.set(7, payload=FORGED),
        [("digest", 7)],
    ),
    "a payload is taken out": (lambda log: log.set(7, payload=None, salt=None), [("erased", 7)]),
    "a salt is changed": (lambda log: log.set(EVENTS, salt="other"), [("digest", EVENTS)]),
    "payload and digest are changed": (
        forge,
        [("root", None), ("leaf", 7)],
    ),
    "an envelope is changed": (
        set_member("artefact", "https://artefact.example/2"),
        [("root", None), ("leaf", 7)],
    ),
    "a member is added to an envelope": (set_member("note", "x"), [("root", None), ("leaf", 7)]),
    "an envelope is changed and its leaf too": (
        set_member("artefact", "https://artefact.example/2", leaf=True),
        [("root", None), ("tiles", None)],
    ),
    "a time is moved a little": (
        set_member("created", "2023-11-14T22:13:21.500Z", at=100),
        [("root", None), ("leaf", 100)],
    ),
    "a time is moved far": (
        set_member("created", "2031-01-01T00:00:00.000Z"),
        [("created", 8), ("root", None), ("leaf", 7)],
    ),
    "a time is moved back": (
        set_member("created", "2001-01-01T00:00:00.000Z"),
        [("created", 7), ("root", None), ("leaf", 7)],
    ),
    "a time is written in another way": (
        set_member("created", "2023-11-14T22:13:21.006+00:00"),
        [("created", 7), ("root", None), ("leaf", 7)],
    ),
    "an id is changed": (
        set_member("id", "https://evil.example/log/e/7"),
        [("id", 7), ("root", None), ("leaf", 7)],
    ),
    "an event is removed": (lambda log: log.remove(258, 258), [("missing", 258)]),
    "events are removed": (
        remove_some,
        [("missing", 1), ("missing", 255), ("missing", EVENTS)],
    ),
    "the tail is removed": (lambda log: log.remove(240, EVENTS), [("missing", 240)]),
    "two events change places": (
        lambda log: swap(log, 8, 9, "envelope", "payload", "salt"),
        [("order", 8)],
    ),
    "two events change places across pages": (
        lambda log: swap(log, 250, 251, "envelope", "payload", "salt"),
        [("order", 250)],
    ),
    "two events change places far apart": (
        lambda log: swap(log, 8, 262, "envelope", "payload", "salt"),
        [("order", 9), ("order", 8)],
    ),
    "two events change numbers": (
        change_numbers,
        [("id", 9), ("id", 8), ("order", 8), ("root", None), ("leaf", 8), ("leaf", 9)],
    ),
    "two events change places and leaves": (
        lambda log: swap(log, 8, 9, "envelope", "payload", "salt", "leaf"),
        [("order", 8)],
    ),
    "an event is told twice": (
        lambda log: log.set(9, envelope=log.row(8)["envelope"]),
        [("twice", 8), ("missing", 9)],
    ),
}


@pytest.mark.parametrize(("tamper", "expected"), TAMPERINGS.values(), ids=TAMPERINGS)
async def test_what_was_changed_is_found_and_named(
    tamper: Callable[[Tampered], None], expected: Found, log: Tampered, serve: Serve, client: Client
) -> None:
    tamper(log)
    verified = await client.verify(await serve(), key=KEY.verifier.text())
    assert found(verified) == expected
    assert not verified.ok


async def test_so_many_discrepancies_are_told_and_the_others_counted(
    log: Tampered, serve: Serve, client: Client
) -> None:
    log.do("UPDATE event SET payload = ?", FORGED)
    verified = await client.verify(await serve(), key=KEY.verifier.text())
    assert [(each.rule, each.event) for each in verified.discrepancies] == [
        ("digest", sequence) for sequence in range(1, 101)
    ]
    assert verified.more == EVENTS - 100


# What somebody with the database and the signing key could do: only who kept a checkpoint can tell


@pytest.mark.parametrize("quick", [False, True])
async def test_a_log_that_was_cut_behind_a_kept_checkpoint_is_found(
    quick: bool, path: Path, log: Tampered, serve: Serve, client: Client
) -> None:
    before = checkpoint(EVENTS, root_of(log))
    log.remove(240, EVENTS)
    log.make_consistent()
    url = await serve()
    assert (await client.verify(url, key=before.key)).ok
    verified = await client.verify(url, kept=before, quick=quick)
    assert found(verified) == [("truncated", None)]
    assert (verified.size, verified.kept_size) == (239, EVENTS)


@pytest.mark.parametrize("quick", [False, True])
async def test_a_log_that_was_cut_and_has_grown_again_is_found(
    quick: bool, path: Path, log: Tampered, serve: Serve, client: Client
) -> None:
    before = checkpoint(EVENTS, root_of(log))
    log.remove(240, EVENTS)
    log.make_consistent()
    await write(path, EVENTS + 1, EVENTS + 60)
    url = await serve()
    assert (await client.verify(url, key=before.key)).ok
    verified = await client.verify(url, kept=before, quick=quick)
    assert found(verified) == [("prefix", None)]
    assert verified.size > EVENTS


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("more", [0, 30])
async def test_a_log_that_was_written_anew_is_found(
    more: int, quick: bool, path: Path, log: Tampered, serve: Serve, client: Client
) -> None:
    before = checkpoint(EVENTS, root_of(log))
    log.change(7, lambda members: members.update(artefact="https://artefact.example/2"), leaf=True)
    log.make_consistent()
    await write(path, EVENTS + 1, EVENTS + more)
    url = await serve()
    assert (await client.verify(url, key=before.key)).ok
    assert found(await client.verify(url, kept=before, quick=quick)) == [("prefix", None)]


def root_of(log: Tampered) -> bytes:
    return Frontier(0, ()).extend(log.leaves())[0].root()


# Keys and signatures


async def test_a_checkpoint_that_another_key_signed_is_refused_and_the_events_are_read_all_the_same(
    log: Tampered, serve: Serve, client: Client
) -> None:
    log.set(7, payload=FORGED)
    before = checkpoint(EVENTS, root_of(log))
    url = await serve(signer=OTHER)
    for key, kept in ((KEY.verifier.text(), None), (None, before)):
        verified = await client.verify(url, key=key, kept=kept)
        assert found(verified) == [("signature", None), ("digest", 7)]
        assert "None of the keys that you trust" in verified.discrepancies[0].message
        assert verified.checkpoint.key is None


async def test_a_new_key_is_taken_when_it_is_given(log: Tampered, serve: Serve, client: Client) -> None:
    before = checkpoint(EVENTS, root_of(log))
    verified = await client.verify(await serve(signer=OTHER), key=OTHER.verifier.text(), kept=before)
    assert (verified.ok, verified.trust, verified.checkpoint.key) == (True, "given", OTHER.verifier.text())


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (Kept(note=checkpoint(5, b"r" * 32, OTHER).note), "None of the keys that you trust"),
        (
            Kept(note=checkpoint(5, b"r" * 32).note.replace(b"\n5\n", b"\n6\n")),
            "does not match the checkpoint",
        ),
        (Kept(note=b"nonsense"), "is text, an empty line"),
        (
            Kept(note=signed(Checkpoint(origin="another.example/log", size=5, root=b"r" * 32), [KEY])),
            "is that of another.example/log",
        ),
    ],
)
async def test_a_kept_checkpoint_that_says_nothing_is_a_discrepancy(
    kept: Kept, said: str, serve: Serve, client: Client
) -> None:
    verified = await client.verify(await serve(), key=KEY.verifier.text(), kept=kept)
    assert found(verified) == [("kept", None)]
    assert said in verified.discrepancies[0].message
    assert verified.events == EVENTS


async def test_a_checkpoint_of_another_log_is_a_discrepancy(serve: Serve, client: Client) -> None:
    other = SignerKey.generate("another.example/log", b"k" * 32)
    verified = await client.verify(await serve(signer=other), key=other.verifier.text())
    assert found(verified) == [("origin", None)]


async def test_a_log_that_names_no_key_is_believed_nothing(serve: Serve, client: Client) -> None:
    assert found(await client.verify(await serve())) == [("signature", None)]


async def test_what_is_no_key_is_the_callers_mistake(serve: Serve, client: Client) -> None:
    with pytest.raises(ConfigurationError, match="NAME"):
        await client.verify(await serve(), key="nonsense")


@pytest.mark.parametrize("key", [None, KEY.verifier.text()])
def test_a_kept_checkpoint_is_read_as_it_was_written(key: str | None) -> None:
    kept = Kept(note=checkpoint(5, b"r" * 32).note, key=key)
    assert Kept.parse(kept.to_bytes()) == kept


# Logs that are none, or lie


async def test_a_part_of_a_log_cannot_be_verified(serve: Serve, client: Client) -> None:
    url = await serve()
    for part in (f"{url}?type=Announce", f"{url}?page=1", url.removesuffix("log")):
        with pytest.raises(AnswerRefused, match="no log of our form"):
            await client.verify(part)


class Liar:
    """A log that says what it likes."""

    def __init__(self, pod: "Pod") -> None:
        self.url = pod.url("/log")
        self.said: dict[str, object] = {
            "/log": {"id": f"{BASE}/log", "totalItems": 1},
            "/log/checkpoint": checkpoint(1, b"r" * 32).note,
            "/log/keys": {"keys": [{"key": KEY.verifier.text()}]},
        }
        for path in ("/log", "/log/checkpoint", "/log/keys", "/log/proof", "/log/tile/0/000.p/1"):
            pod.replies[path] = self._answer

    def _answer(self, request: web.Request) -> web.Response:
        said = self.said.get(request.path)
        if said is None:
            return web.Response(status=404)
        return web.Response(body=said) if isinstance(said, bytes) else web.json_response(said)


@pytest.mark.parametrize(
    ("path", "said", "message"),
    [
        ("/log/keys", b"{", "keys is not JSON"),
        ("/log/keys", {"keys": [{"key": "nonsense"}]}, "has a key that cannot be read"),
        ("/log/keys", None, "keys answered 404"),
        ("/log/checkpoint", None, "checkpoint answered 404"),
        ("/log/checkpoint", b"x" * 70_000, "more than 65536 bytes"),
        ("/log", [], "no log of our form"),
        ("/log", {"id": 7, "totalItems": 1}, "no log of our form"),
    ],
)
async def test_answers_of_no_use_are_errors(
    path: str, said: object, message: str, pod: "Pod", client: Client
) -> None:
    liar = Liar(pod)
    liar.said[path] = said
    with pytest.raises(AnswerRefused, match=message):
        await client.verify(liar.url)


async def test_what_is_no_checkpoint_is_an_error(pod: "Pod", client: Client) -> None:
    liar = Liar(pod)
    liar.said["/log/checkpoint"] = b"nonsense"
    with pytest.raises(BadCheckpoint):
        await client.verify(liar.url)


@pytest.mark.parametrize("keys", [{}, {"keys": 7}, {"keys": [7, {"key": 7}, {}]}, []])
async def test_a_log_without_readable_keys_is_believed_nothing(
    keys: object, pod: "Pod", client: Client
) -> None:
    liar = Liar(pod)
    liar.said["/log/keys"] = keys
    verified = await client.verify(liar.url)
    assert found(verified)[:1] == [("signature", None)]


@pytest.mark.parametrize("tile", [None, b"short", b"x" * 32])
async def test_events_that_are_not_there_are_missing_whatever_the_tiles_say(
    tile: bytes | None, pod: "Pod", client: Client
) -> None:
    liar = Liar(pod)
    liar.said["/log/tile/0/000.p/1"] = tile
    assert found(await client.verify(liar.url)) == [("missing", 1)]


@pytest.mark.parametrize(
    "proof",
    [{"proof": []}, {"proof": ["x"]}, {"proof": [7]}, {"proof": ["AAAA"] * 3}, {"proof": ["A" * 43 + "="]}],
)
async def test_a_proof_that_proves_nothing_is_a_discrepancy(
    proof: object, pod: "Pod", client: Client
) -> None:
    liar = Liar(pod)
    liar.said["/log/checkpoint"] = checkpoint(2, b"s" * 32).note
    liar.said["/log/proof"] = proof
    verified = await client.verify(liar.url, kept=checkpoint(1, b"r" * 32), quick=True)
    assert found(verified) == [("prefix", None)]
    assert "?first=1&second=2" in pod.asked[-1]


async def test_what_is_no_proof_is_an_error(pod: "Pod", client: Client) -> None:
    liar = Liar(pod)
    liar.said["/log/checkpoint"] = checkpoint(2, b"s" * 32).note
    liar.said["/log/proof"] = {}
    with pytest.raises(AnswerRefused, match="is no proof"):
        await client.verify(liar.url, kept=checkpoint(1, b"r" * 32), quick=True)


async def test_a_log_that_does_not_answer_is_unreachable(client: Client) -> None:
    with pytest.raises(PeerUnreachable):
        await client.verify("http://127.0.0.1:9/log")
