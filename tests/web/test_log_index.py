"""The root leads to every page by relations on the time of writing, through indexes once there are many."""

import dataclasses
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from tests.agreement.datasets import canonical, of_json_ld, parsed

from orchestrator.core import vocabulary as v
from orchestrator.core.event import stamp
from orchestrator.core.quads import Quad
from orchestrator.web import hypermedia, log
from orchestrator.web.log_form import SUFFIXES, WITHOUT_HTML

BASE = "https://orchestrator.example"
LOG = f"{BASE}/log"
FAN = 3
TIME = v.PROV + "generatedAtTime"
Specimen = Callable[..., dict[str, Any]]
Write = Callable[..., Awaitable[list[dict[str, Any]]]]


class Way(NamedTuple):
    """Where relations lead, and which times are there: from the first on, and before the second."""

    node: str
    since: str
    before: str | None


def ways(quads: Sequence[Quad], node: str) -> list[Way]:
    """Return where the relations of `node` lead, in the order in which they stand."""

    def values(subject: Any, predicate: str) -> list[Any]:
        return [
            term for about, said, term, graph in quads if (about, said, graph) == (subject, predicate, "")
        ]

    found: dict[str, dict[str, str]] = {}
    for relation in values(node, v.TREE + "relation"):
        [kind], [path] = values(relation, v.RDF + "type"), values(relation, v.TREE + "path")
        [(time, datatype, _)], [target] = (
            values(relation, v.TREE + "value"),
            values(relation, v.TREE + "node"),
        )
        assert (path, datatype) == (TIME, v.XSD + "dateTime")
        bounds = found.setdefault(target, {})
        assert kind not in bounds
        bounds[kind] = time
    first, last = (f"{v.TREE}{name}Relation" for name in ("GreaterThanOrEqualTo", "LessThan"))
    assert {kind for bounds in found.values() for kind in bounds} <= {first, last}
    return [Way(target, bounds[first], bounds.get(last)) for target, bounds in found.items()]


def check_cover(found: Sequence[Way], since: str, before: str | None) -> None:
    """See that `found` divide the time from `since` to `before` without gap or overlap."""
    assert found[0].since == since
    assert found[-1].before == before
    for one, following in pairwise(found):
        assert one.since < following.since
        assert one.before == following.since


def time_of(page: int) -> int:
    return 1_900_000_000_000 + 1_001 * page


@pytest.mark.parametrize("events_on_a_page", [1, 250])
async def test_however_long_the_log_is_the_root_leads_to_each_page_once(
    house: Any, events_on_a_page: int
) -> None:
    """The real fan, at both sides of every step, without a million events."""
    site = dataclasses.replace(house.site, page_size=events_on_a_page)
    for pages in (1, 2, 255, 256, 257, 511, 512, 513, 767, 768, 769, 1_024, 5_000):
        times = {page: time_of(page) for page in hypermedia.root_pages(pages)}
        sequence = (pages - 1) * events_on_a_page + 1
        root = hypermedia.root(site, sequence, times)
        found = list(_told(root))
        check_cover(found, stamp(time_of(1)), None)
        reached: list[str] = []
        for way in found:
            place, _, number = way.node.rpartition("=")
            if place == f"{LOG}?page":
                reached.append(way.node)
                continue
            assert place == f"{LOG}?index"
            first = (int(number) - 1) * hypermedia.FAN + 1
            inner = {page: time_of(page) for page in range(first, first + hypermedia.FAN + 1)}
            below = list(_told(hypermedia.index(site, int(number), inner)))
            check_cover(below, way.since, way.before or "")
            reached += [page.node for page in below]
        assert reached == [f"{LOG}?page={number}" for number in range(1, pages + 1)]
        assert len(found) <= 511 + pages // 256
        assert root["last"] == reached[-1]


def _told(node: dict[str, Any]) -> Iterator[Way]:
    """Yield where the relations of a document that is not written yet lead."""
    bounds: dict[str, dict[str, str]] = {}
    for relation in node["relation"]:
        kind = relation["type"].removeprefix("tree:").removesuffix("Relation")
        assert bounds.setdefault(relation["node"], {}).setdefault(kind, relation["value"])
        assert relation["path"] == "prov:generatedAtTime"
    assert sum(map(len, bounds.values())) == len(node["relation"])
    for target, found in bounds.items():
        yield Way(target, found["GreaterThanOrEqualTo"], found.get("LessThan"))


async def fill(house: Any, specimen: Specimen, count: int) -> None:
    """Let `count` notifications become events together, a millisecond apart."""
    for _ in range(count):
        assert (await house.post(specimen())).status == 201
    assert len(await house.process()) == count


@pytest.fixture
def _small_fan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an index lead to three pages."""
    monkeypatch.setattr(hypermedia, "FAN", FAN)
    monkeypatch.setattr(log, "FAN", FAN, raising=False)


async def read(house: Any, url: str, media_type: str) -> list[Quad]:
    answer = await house.ask(url.removeprefix(BASE), Accept=media_type)
    assert answer.status == 200, url
    if media_type == v.JSON_LD:
        return of_json_ld(json.loads(answer._body))
    return parsed(answer._body.decode(), media_type)


@pytest.mark.usefixtures("_small_fan")
@pytest.mark.parametrize("media_type", [v.JSON_LD, v.N_QUADS])
async def test_a_client_that_follows_relations_reads_each_page_once_and_each_event_once(
    build: Any, specimen: Specimen, media_type: str
) -> None:
    async with build(page_size=2) as house:
        await fill(house, specimen, 21)
        asked: Counter[str] = Counter()
        members: list[str] = []
        # In ascending order, as clients have it: what begins first is read first.
        pending = [Way(LOG, "", None)]
        while pending:
            way = pending.pop(0)
            asked[way.node] += 1
            quads = await read(house, way.node, media_type)
            found = [term for about, said, term, _ in quads if (about, said) == (LOG, v.TREE + "member")]
            members += sorted(map(str, found), key=lambda iri: int(iri.rpartition("/")[2]))
            times = [term[0] for _, said, term, graph in quads if said == TIME and not graph]
            assert all(way.since <= time and (way.before is None or time < way.before) for time in times)
            pending = sorted([*pending, *ways(quads, way.node)], key=lambda way: way.since)
        assert members == [f"{LOG}/e/{sequence}" for sequence in range(1, 22)]
        assert asked == Counter(
            [LOG, *(f"{LOG}?index={n}" for n in (1, 2)), *(f"{LOG}?page={n}" for n in range(1, 12))]
        )


@pytest.mark.usefixtures("_small_fan")
async def test_while_the_log_grows_the_root_covers_all_times_and_stays_short(
    build: Any, write: Write
) -> None:
    async with build(page_size=1) as house:
        for pages in range(1, 12):
            await write(house, 1)
            created = [event.created for event in await _events(house)]
            found = ways(await read(house, LOG, v.JSON_LD), LOG)
            check_cover(found, stamp(created[0]), None)
            indexes = [way.node for way in found if "index" in way.node]
            assert [way.node for way in found] == [*indexes, *(way.node for way in found[len(indexes) :])]
            assert indexes == [f"{LOG}?index={number}" for number in range(1, max(0, pages // FAN - 1) + 1)]
            assert len(found) <= 2 * FAN - 1 + len(indexes)
            assert found[-1].node == f"{LOG}?page={pages}"
            assert found[-1].since == stamp(created[-1])


async def _events(house: Any) -> list[Any]:
    head = await house.store.reader.head()
    return [await house.store.reader.event(sequence) for sequence in range(1, head.sequence + 1)]


@pytest.mark.usefixtures("_small_fan")
async def test_an_index_is_there_for_life_once_its_pages_are_closed(build: Any, specimen: Specimen) -> None:
    async with build(page_size=2) as house:
        await fill(house, specimen, 2 * FAN)
        # Its last page is full, and does not say what comes next yet.
        assert (await house.ask("/log?index=1")).status == 404
        await fill(house, specimen, 1)
        first = await house.ask("/log?index=1")
        assert first.status == 200
        assert (await house.ask("/log?index=2")).status == 404
        found = ways(of_json_ld(json.loads(first._body)), f"{LOG}?index=1")
        assert [way.node for way in found] == [f"{LOG}?page={number}" for number in (1, 2, 3)]
        events = await _events(house)
        check_cover(found, stamp(events[0].created), stamp(events[-1].created))
        await fill(house, specimen, 2 * FAN)
        later = await house.ask("/log?index=1")
        assert (later._body, later.headers["ETag"]) == (first._body, first.headers["ETag"])
        assert later.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        below = ways(of_json_ld(json.loads((await house.ask("/log?index=2"))._body)), f"{LOG}?index=2")
        assert below[0].since == found[-1].before


@pytest.mark.usefixtures("_small_fan")
async def test_an_index_says_of_itself_what_a_client_needs(build: Any, specimen: Specimen) -> None:
    async with build(page_size=1) as house:
        await fill(house, specimen, FAN + 1)
        said = {quad[:3] for quad in await read(house, f"{LOG}?index=1", v.JSON_LD)}
        assert (f"{LOG}?index=1", v.RDF + "type", v.TREE + "Node") in said
        assert (LOG, v.RDF + "type", v.LDES + "EventStream") in said
        assert (LOG, v.TREE + "view", f"{LOG}?index=1") in said
        assert (LOG, v.LDES + "timestampPath", TIME) in said
        assert not {predicate for _, predicate, _ in said} & {v.TREE + "member", v.LDP + "contains"}


@pytest.mark.usefixtures("_small_fan")
async def test_an_index_has_all_forms_but_html(build: Any, specimen: Specimen) -> None:
    async with build(page_size=1) as house:
        await fill(house, specimen, FAN + 1)
        told = canonical(await read(house, f"{LOG}?index=1", v.JSON_LD))
        for media_type in WITHOUT_HTML:
            answer = await house.ask("/log?index=1", Accept=media_type)
            assert answer.headers["Content-Type"] == media_type
            assert answer.headers["Cache-Control"].endswith("immutable")
            assert answer.headers["Vary"] == "Accept"
            unchanged = await house.ask(
                "/log?index=1", Accept=media_type, If_None_Match=answer.headers["ETag"]
            )
            assert (unchanged.status, unchanged._body) == (304, b"")
            head = await house.ask("/log?index=1", "HEAD", Accept=media_type)
            assert (head.headers["Content-Length"], head._body) == (str(len(answer._body)), b"")
        for media_type in (v.N_QUADS, v.TRIG, v.TURTLE):
            assert canonical(await read(house, f"{LOG}?index=1", media_type)) == told
        for suffix, media_type in SUFFIXES.items():
            named = await house.ask(f"/log.{suffix}?index=1")
            if media_type == v.HTML:
                assert named.status == 404
            else:
                assert named._body == (await house.ask("/log?index=1", Accept=media_type))._body
        refused = await house.ask("/log?index=1", Accept="text/html")
        assert refused.status == 406
        assert "text/html" not in json.loads(refused._body)["detail"]


async def test_an_index_that_cannot_be_read_is_refused_by_name(house: Any) -> None:
    for query, name in (
        ("index=0", "index"),
        ("index=x", "index"),
        ("index=", "index"),
        ("index=99999999999999999", "index"),
        ("index=1&index=2", "index"),
        ("index=1&since=2", "index"),
        ("index=1&page=1", "page"),
    ):
        answer = await house.ask(f"/log?{query}")
        assert answer.status == 400, query
        assert f"“{name}”" in json.loads(answer._body)["detail"]
    assert (await house.ask("/log?index=1")).status == 404


@pytest.mark.usefixtures("_small_fan")
async def test_times_that_were_told_are_not_asked_for_again(build: Any, specimen: Specimen) -> None:
    async with build(page_size=1) as house:
        await fill(house, specimen, 3 * FAN)
        await house.ask("/log")
        await house.ask("/log?index=1")
        house.asked.clear()
        await house.ask("/log")
        await house.ask("/log?index=1")
        assert house.asked == ["head", "head"]
