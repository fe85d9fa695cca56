"""What proves the log, asked for over HTTP by readers who know C2SP tlog-tiles and RFC 6962, and no more."""

import base64
import itertools
import json
import random
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.statements import Statement, statements
from tests.storage.trees import NaiveTree, grow

from orchestrator.core.checkpoint import Checkpoint, SignerKey, VerifierKey, open_note
from orchestrator.core.merkle import verify_consistency, verify_inclusion
from orchestrator.core.strict_json import canonical
from orchestrator.ports import Query
from orchestrator.storage import schema

Write = Callable[..., Awaitable[list[dict[str, Any]]]]
NOW = 1_900_000_000_000
ORIGIN = "orchestrator.example/log"
IMMUTABLE = "public, max-age=31536000, immutable"
SMALL, LARGE = 12, 530
NO_TILES = (
    "0/0",
    "0/00",
    "0/0000",
    "00/000",
    "+0/000",
    "0/x000/000",
    "0/X000/000",
    "0/000/000",
    "0/000.p",
    "0/000.p/",
    "0/000.p/0",
    "0/000.p/05",
    "0/000.p/+5",
    "0/000.p/256",
    "0/000.p/1000",
    "0/000.p/5/",
    "0/000/",
    "0/-01",
    "0/00a",
    "0/%D9%A0%D9%A0%D9%A0",
    "0/000%0A",
    "0/000.p/5%0A",
    "0%2F000.p%2F5%2F",
    "64/000",
    "100/000",
    "-1/000",
    "0",
    "000",
    "0/x999/x999/x999/x999/x999/x999/999",
    "0/x999/x999/x999/x999/x999/x999/x999/999",
    "data/000",
    "entries",
    "entries/0",
    "entries/0/000",
    "entries/000.p/0",
    "entries/000.p/012",
    "entries/x000/000",
    "entries/000/",
    "entries/entries/000",
    "Entries/000",
    "a" * 60,
    "a" * 6_000,
    "%00",
    "0/%F0%9F%8C%B3",
)
REFUSED = (
    ("", "event"),
    ("size=3", "event"),
    ("second=3", "first"),
    ("event=3&first=3", "event"),
    ("event=3&second=3", "event"),
    ("first=3&size=3", "first"),
    ("event=0", "event"),
    ("event=-1", "event"),
    ("event=", "event"),
    ("event=x", "event"),
    ("event=1.0", "event"),
    ("event=%D9%A3", "event"),
    ("event=1&event=2", "event"),
    (f"event={SMALL + 1}", "event"),
    ("event=8&size=7", "event"),
    ("event=99999999999999999999999", "event"),
    ("event=1&size=0", "size"),
    (f"event=1&size={SMALL + 1}", "size"),
    ("event=1&size=", "size"),
    ("first=-1", "first"),
    ("first=x&second=3", "first"),
    ("first=4&second=3", "first"),
    (f"first={SMALL + 1}", "first"),
    ("first=1&first=1", "first"),
    (f"first=1&second={SMALL + 1}", "second"),
    ("first=1&second=x", "second"),
    ("event=1&colour=red", "colour"),
    ("first=1&Second=3", "Second"),
)


def tile_path(level: int | str, index: int, width: int = 256) -> str:
    """Return the path of a tile as tlog-tiles has it: groups of three digits, all but the last after an x."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return f"/log/tile/{level}/{number}" + ("" if width == 256 else f".p/{width}")


class TileReader:
    """A reader who knows the address of the log, and its key."""

    def __init__(self, house: Any, key: str) -> None:
        self._house = house
        self._key = VerifierKey.parse(key)

    async def checkpoint(self) -> Checkpoint:
        answer = await self._house.ask("/log/checkpoint")
        assert (answer.status, answer.content_type) == (200, "text/plain")
        said = open_note(answer._body, [self._key])
        assert said.origin == ORIGIN
        return said

    async def tiles(self, level: int | str, count: int) -> list[bytes]:
        """Return the bodies of the tiles that hold `count` hashes of a level, or entries."""
        widths = [256] * (count // 256) + ([count % 256] if count % 256 else [])
        bodies = []
        for index, width in enumerate(widths):
            answer = await self._house.ask(tile_path(level, index, width))
            assert (answer.status, answer.content_type) == (200, "application/octet-stream")
            bodies.append(answer._body)
        return bodies

    async def hashes(self, level: int, count: int) -> list[bytes]:
        bodies = await self.tiles(level, count)
        assert all(len(body) % 32 == 0 for body in bodies)
        whole = b"".join(bodies)
        return [whole[place : place + 32] for place in range(0, len(whole), 32)]

    async def entries(self, size: int) -> list[bytes]:
        found = []
        for body in await self.tiles("entries", size):
            place = 0
            while place < len(body):
                (length,) = struct.unpack_from(">H", body, place)
                found.append(body[place + 2 : place + 2 + length])
                place += 2 + length
            assert place == len(body)
        return found


@pytest.fixture
async def log(house: Any) -> Any:
    """Return a served log with a few events, whose key is published."""
    await grow(house.store, [SMALL])
    assert await house.store.tree.use_key(house.site.signer.verifier.text(), now=NOW)
    return house


@pytest.fixture
async def long_log(log: Any) -> Any:
    """Return a log with tiles on two levels."""
    await grow(log.store, [250, 250, LARGE - SMALL - 500], first=SMALL + 1)
    return log


async def tree_of(house: Any) -> NaiveTree:
    return NaiveTree([event.envelope for event in await house.store.reader.events(Query(limit=100_000))])


async def reader_of(house: Any) -> TileReader:
    answer = await house.ask("/log/keys", Accept="text/plain")
    return TileReader(house, answer._body.decode().splitlines()[-1])


def unpacked(said: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(each, validate=True) for each in said["proof"]]


async def told(house: Any, query: str) -> Any:
    answer = await house.ask(f"/log/proof?{query}")
    assert (answer.status, answer.content_type) == (200, "application/json"), answer._body
    return json.loads(answer._body)


async def refused(house: Any, path: str, status: int) -> str:
    answer = await house.ask(path)
    problem = json.loads(answer._body)
    assert (answer.status, answer.content_type) == (status, "application/problem+json"), (path, problem)
    assert "immutable" not in answer.headers.get("Cache-Control", "")
    return str(problem["detail"])


async def test_the_checkpoint_says_what_the_published_key_has_signed(log: Any) -> None:
    said = await (await reader_of(log)).checkpoint()
    assert (said.size, said.root) == (SMALL, (await tree_of(log)).head(0, SMALL))


async def test_a_log_without_events_has_a_checkpoint(house: Any) -> None:
    answer = await house.ask("/log/checkpoint")
    said = open_note(answer._body, [house.site.signer.verifier])
    assert (said.size, said.root) == (0, NaiveTree([]).head(0, 0))
    assert (await told(house, "first=0"))["firstRoot"] == base64.b64encode(said.root).decode()
    await refused(house, "/log/proof?event=1", 404)
    await refused(house, "/log/tile/0/000.p/1", 404)


async def test_the_checkpoint_changes_with_each_event_and_with_nothing_else(house: Any, write: Write) -> None:
    seen = []
    for size in range(1, 5):
        await write(house, 1)
        answer = await house.ask("/log/checkpoint")
        said = open_note(answer._body, [house.site.signer.verifier])
        assert (said.size, said.root) == (size, (await tree_of(house)).head(0, size))
        seen.append((answer._body, answer.headers["ETag"]))
        again = await house.ask("/log/checkpoint")
        assert (again._body, again.headers["ETag"]) == seen[-1]
    assert len({body for body, _ in seen}) == len({tag for _, tag in seen}) == 4


async def test_the_checkpoint_is_revalidated_and_has_a_head(log: Any) -> None:
    first = await log.ask("/log/checkpoint")
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    same = await log.ask("/log/checkpoint", If_None_Match=first.headers["ETag"])
    assert (same.status, same._body) == (304, b"")
    head = await log.ask("/log/checkpoint", "HEAD")
    assert (head.status, head._body) == (200, b"")
    for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control"):
        assert head.headers[name] == first.headers[name]
    await grow(log.store, [1], first=SMALL + 1)
    new = await log.ask("/log/checkpoint", If_None_Match=first.headers["ETag"])
    assert new.status == 200


async def test_keys_are_told_as_json_and_as_lines(build: Any) -> None:
    old, new = (SignerKey.generate(ORIGIN, seed * 32) for seed in (b"o", b"n"))
    async with build(signer=new) as house:
        assert json.loads((await house.ask("/log/keys"))._body) == {"keys": []}
        await grow(house.store, [1])
        await house.store.tree.use_key(old.verifier.text(), now=NOW)
        before = await house.ask("/log/keys")
        await house.store.tree.use_key(new.verifier.text(), now=NOW + 1_500, replaces=True)
        answer = await house.ask("/log/keys")
        assert answer.content_type == "application/json"
        assert json.loads(answer._body) == {
            "keys": [
                {
                    "key": old.verifier.text(),
                    "since": "2030-03-17T17:46:40.000Z",
                    "until": "2030-03-17T17:46:41.500Z",
                },
                {"key": new.verifier.text(), "since": "2030-03-17T17:46:41.500Z", "until": None},
            ]
        }
        text = await house.ask("/log/keys", Accept="text/plain")
        assert (text.content_type, text.charset) == ("text/plain", "utf-8")
        assert text._body.decode() == f"{old.verifier.text()}\n{new.verifier.text()}\n"
        tags = [each.headers["ETag"] for each in (before, answer, text)]
        assert len(set(tags)) == 3
        assert (await house.ask("/log/keys", If_None_Match=tags[1])).status == 304
        assert (await house.ask("/log/keys", If_None_Match=tags[0])).status == 200
        assert (await house.ask("/log/keys", Accept="image/png")).status == 406
        assert (await (await reader_of(house)).checkpoint()).size == 1


async def test_the_secret_key_is_in_no_answer(log: Any) -> None:
    seed = log.site.signer.private
    for path in ("/log/checkpoint", "/log/keys", "/log/proof?event=1", "/log/proof?first=1", "/log", "/"):
        body = (await log.ask(path))._body
        assert seed not in body
        assert base64.b64encode(seed) not in body


async def test_a_reader_of_tiles_finds_the_root_that_was_signed(long_log: Any) -> None:
    """Who fetches all tiles and entries, and checks each against the other."""
    reader = await reader_of(long_log)
    said = await reader.checkpoint()
    entries = await reader.entries(said.size)
    tree = NaiveTree(entries)
    assert (len(entries), tree.head(0, said.size)) == (LARGE, said.root)
    assert await reader.hashes(0, said.size) == tree.leaves
    assert await reader.hashes(1, said.size // 256) == [tree.head(0, 256), tree.head(256, 512)]
    for sequence, entry in enumerate(entries, 1):
        if sequence % 50 == 0:
            event = json.loads((await long_log.ask(f"/log/e/{sequence}"))._body)
            shown = {name: said for name, said in event.items() if name not in ("@context", "@graph", "salt")}
            assert canonical(shown) == entry


async def test_partial_tiles_stay_available_and_are_the_beginning_of_the_full_one(long_log: Any) -> None:
    full = (await long_log.ask(tile_path(0, 0)))._body
    bundle = (await long_log.ask(tile_path("entries", 0)))._body
    for width in (1, 2, 127, 128, 255):
        assert (await long_log.ask(tile_path(0, 0, width)))._body == full[: 32 * width]
        part = (await long_log.ask(tile_path("entries", 0, width)))._body
        assert bundle.startswith(part)
        assert 0 < len(part) < len(bundle)
    last = LARGE % 256
    for width in range(1, last + 1):
        assert (await long_log.ask(tile_path(0, 2, width))).status == 200
        assert (await long_log.ask(tile_path("entries", 2, width))).status == 200
    assert len((await long_log.ask(tile_path(1, 0, 2)))._body) == 64


async def test_what_lies_beyond_the_end_is_not_there_yet(long_log: Any) -> None:
    """And is when the log has grown, so that no cache may keep the refusal for long."""
    last = LARGE % 256
    beyond = [tile_path(level, 2, width) for level in (0, "entries") for width in (last + 1, 256)]
    beyond += [tile_path(0, 3, 1), tile_path("entries", 3, 1), tile_path(1, 0, 3), tile_path(1, 0)]
    beyond += [tile_path(2, 0, 1), tile_path(63, 0, 1), tile_path(0, 2**62), tile_path("entries", 2**62)]
    for path in beyond:
        await refused(long_log, path, 404)
    await grow(long_log.store, [1], first=LARGE + 1)
    assert (await long_log.ask(beyond[0])).status == 200
    assert (await long_log.ask(beyond[2])).status == 200


async def test_a_path_that_is_not_how_a_tile_is_written_leads_nowhere(long_log: Any) -> None:
    """One tile has one URL; whatever a stranger asks for."""
    for path in NO_TILES:
        detail = await refused(long_log, f"/log/tile/{path}", 404)
        assert len(detail) < 500


async def test_every_event_is_proved_to_be_in_the_log_of_every_size(log: Any) -> None:
    tree = await tree_of(log)
    for size in range(1, SMALL + 1):
        for sequence in range(1, size + 1):
            said = await told(log, f"event={sequence}&size={size}")
            check_inclusion(said, tree, sequence, size)
    said = await told(log, "event=3")
    check_inclusion(said, tree, 3, SMALL)
    assert said["event"] == "https://orchestrator.example/log/e/3"


def check_inclusion(said: dict[str, Any], tree: NaiveTree, sequence: int, size: int) -> None:
    leaf, root = (base64.b64decode(said[name], validate=True) for name in ("leaf", "root"))
    assert (said["origin"], said["index"], said["size"]) == (ORIGIN, sequence - 1, size)
    assert (leaf, root) == (tree.leaves[sequence - 1], tree.head(0, size))
    assert verify_inclusion(leaf, sequence - 1, size, root, unpacked(said))


async def test_every_log_is_proved_to_continue_every_earlier_one(log: Any) -> None:
    tree = await tree_of(log)
    for first, second in itertools.combinations_with_replacement(range(SMALL + 1), 2):
        check_consistency(await told(log, f"first={first}&second={second}"), tree, first, second)
    check_consistency(await told(log, "first=5"), tree, 5, SMALL)


def check_consistency(said: dict[str, Any], tree: NaiveTree, first: int, second: int) -> None:
    roots = [base64.b64decode(said[name], validate=True) for name in ("firstRoot", "secondRoot")]
    assert (said["origin"], said["first"], said["second"]) == (ORIGIN, first, second)
    assert roots == [tree.head(0, first), tree.head(0, second)]
    assert verify_consistency(first, second, roots[0], roots[1], unpacked(said))


async def test_proofs_reach_over_all_levels_of_tiles(long_log: Any) -> None:
    """At the edges of tiles, and anywhere."""
    chance = random.Random(9162)
    tree = await tree_of(long_log)
    edges = [1, 2, 255, 256, 257, 511, 512, 513, LARGE]
    for first, second in [*itertools.combinations(edges, 2), *(_two(chance) for _ in range(40))]:
        check_consistency(await told(long_log, f"first={first}&second={second}"), tree, first, second)
        check_inclusion(await told(long_log, f"event={first}&size={second}"), tree, first, second)


def _two(chance: random.Random) -> tuple[int, int]:
    first, second = sorted(chance.sample(range(1, LARGE + 1), 2))
    return first, second


async def test_a_proof_is_believed_only_of_what_it_proves(log: Any) -> None:
    """Or the tests above could not fail."""
    said = await told(log, "event=3&size=7")
    leaf, root = (base64.b64decode(said[name]) for name in ("leaf", "root"))
    path = unpacked(said)
    assert not verify_inclusion(leaf, 3, 7, root, path)
    assert not verify_inclusion(leaf, 2, 9, root, path)
    assert not verify_inclusion(root, 2, 7, root, path)
    assert not verify_inclusion(leaf, 2, 7, root, path[::-1])
    said = await told(log, "first=3&second=7")
    roots = [base64.b64decode(said[name]) for name in ("firstRoot", "secondRoot")]
    assert not verify_consistency(3, 7, roots[1], roots[0], unpacked(said))
    assert not verify_consistency(4, 7, roots[0], roots[1], unpacked(said))


async def test_what_names_its_size_is_kept_for_ever_and_what_does_not_is_asked_for_again(
    long_log: Any,
) -> None:
    forever = [tile_path(0, 0), tile_path(0, 2, 5), tile_path(1, 0, 1), tile_path("entries", 0)]
    forever += [tile_path("entries", 2, 5), "/log/proof?event=3&size=9", "/log/proof?first=3&second=9"]
    again = ["/log/checkpoint", "/log/keys", "/log/proof?event=3", "/log/proof?first=3"]
    for paths, caching in ((forever, IMMUTABLE), (again, "no-cache")):
        for path in paths:
            answer = await long_log.ask(path)
            assert (answer.status, answer.headers["Cache-Control"]) == (200, caching), path
            head = await long_log.ask(path, "HEAD")
            assert (head.status, head._body, head.content_type) == (200, b"", answer.content_type)
            assert head.headers["Cache-Control"] == caching
            if "entries" not in path:
                tag = answer.headers["ETag"]
                assert head.headers["ETag"] == tag
                assert (await long_log.ask(path, If_None_Match=tag)).status == 304
            else:
                # Sent as it is read: what never changes needs no tag.
                assert "ETag" not in answer.headers


async def test_parameters_are_refused_by_name(log: Any) -> None:
    for query, name in REFUSED:
        assert name in await refused(log, f"/log/proof?{query}", 400), query


async def test_nothing_here_is_written_to(log: Any) -> None:
    for path in (
        "/log/checkpoint",
        "/log/keys",
        "/log/proof",
        tile_path(0, 0, 1),
        tile_path("entries", 0, 1),
    ):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await log.ask(path, method)).status == 405, (method, path)


async def test_what_proves_the_log_costs_few_look_ups_in_an_index(long_log: Any) -> None:
    """However long the log is, but for one more on each level of tiles."""
    most = {
        "/log/checkpoint": 1,
        "/log/keys": 1,
        tile_path(0, 0): 2,
        tile_path(1, 0, 2): 2,
        "/log/proof?event=3": 5,
        f"/log/proof?event={LARGE}&size={LARGE}": 5,
        "/log/proof?event=300&size=511": 5,
        f"/log/proof?first=255&second={LARGE}": 6,
        "/log/proof?first=300&second=511": 6,
    }
    everything: list[Statement] = []
    for path, count in most.items():
        long_log.asked.clear()
        ran: list[Statement] = []
        with statements(long_log.store, ran):
            assert (await long_log.ask(path)).status == 200
        selects = [each for each in ran if each[0].startswith("SELECT")]
        assert 1 <= len(selects) <= count, (path, selects)
        assert long_log.asked == []
        everything += selects
    for text, steps in plans(long_log, everything).items():
        assert steps, text
        # The few keys are sorted where they are found.
        for step in steps[:1] if "log_key" in text else steps:
            assert step.startswith("SEARCH"), (text, steps)
            if "event" in step or "subtree" in step:
                assert step.count(">") == step.count("<") == 1, (text, step)


def plans(house: Any, ran: Sequence[Statement]) -> dict[str, list[str]]:
    """Return how SQLite finds the rows of each statement."""
    with house.store.engine.connect() as connection:
        return {
            text: [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text, values)]
            for text, values in ran
        }


async def test_entries_are_read_a_few_at_a_time(long_log: Any) -> None:
    """One slow reader keeps 8 events in our memory, not 256; each is asked for once."""
    for path, most in ((tile_path("entries", 0), 33), (tile_path("entries", 2, 5), 1)):
        long_log.asked.clear()
        assert (await long_log.ask(path)).status == 200
        assert 1 <= len(long_log.asked) <= most
    long_log.asked.clear()
    await long_log.ask(tile_path("entries", 0), "HEAD")
    assert long_log.asked == []


async def test_a_tile_costs_the_same_however_large_its_events_are(house: Any) -> None:
    """What lies behind the payload in a row lies behind all its pages: 15 MB for 256 payloads of 60 KB."""
    await grow(house.store, [250, 6])
    with house.store.engine.begin() as connection:
        connection.execute(sa.update(schema.event).values(payload=b"p" * 60_000))
    for path in (tile_path(0, 0), "/log/proof?event=3", "/log/proof?first=3"):
        before = bytes_read()
        assert (await house.ask(path)).status == 200
        assert bytes_read() - before < 4_000_000, path


def bytes_read() -> int:
    """Return how much this process has read from files, where the system tells."""
    told = Path("/proc/self/io")
    return int(told.read_text().split()[1]) if told.exists() else 0


async def test_what_a_stranger_sends_is_never_too_long_for_an_entry(house: Any, specimen: Any) -> None:
    """An entry has 65,535 bytes at most (C2SP tlog-tiles, "Log entries"); one longer would end its bundle."""
    document = specimen()
    document["type"] += [f"vcard:{number:02d}{'a' * 680}" for number in range(93)]
    body = json.dumps(document, separators=(",", ":")).encode()
    assert 65_000 < len(body) <= 65_536
    assert (await house.post(body)).status in (201, 400)
    assert (await house.post(specimen())).status == 201
    events = await house.process()
    assert len(events) >= 1
    assert all(len(event.envelope) <= 65_535 for event in events)
    answer = await house.ask(tile_path("entries", 0, len(events)))
    assert answer._body == b"".join(struct.pack(">H", len(each.envelope)) + each.envelope for each in events)
