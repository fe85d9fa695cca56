"""The whole service, counted: what a notification costs from its POST to its delivery."""

import asyncio
import contextlib
import json
import sqlite3
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.guards.listening import Heard, listening, plans, until

from orchestrator import bootstrap
from orchestrator.catalogue import packaged
from orchestrator.config import Settings

MANY = 32
_POLICY = """\
@prefix as: <https://www.w3.org/ns/activitystreams#> .
@prefix coar-notify: <http://coar-notify.net/specification/vocabulary/> .
@prefix pol: <https://w3id.org/orchestrator/policy#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
<#reviews> a pol:Policy ; rdfs:label "Reviews" ;
  pol:when [ a sh:NodeShape ; sh:property [ sh:path rdf:type ; sh:hasValue coar-notify:ReviewAction ] ] ;
  pol:then [ a pol:Announce ; pol:to <HUB> ] .
"""


@dataclass
class Costs:
    """What was said to the database in each phase."""

    database: Path
    taken: Heard
    """For many notifications, from the POST to the delivery."""
    read: Heard
    """For readers of pages, events and the inbox."""
    delivered: int

    @property
    def everything(self) -> list[tuple[str, object]]:
        return [*self.taken.statements, *self.read.statements]


def _review(number: int) -> bytes:
    """Return a review of an artefact of its own: the hub is told of each."""
    document = json.loads((packaged("specimens") / "announce-review" / "valid.json").read_text("utf-8"))
    document["id"] = f"urn:uuid:{uuid.uuid4()}"
    document["object"]["id"] += f"?n={number}"
    return json.dumps(document).encode()


@contextlib.asynccontextmanager
async def _hub() -> AsyncIterator[str]:
    """Run a service hub; yield its IRI."""

    async def about(_request: web.Request) -> web.Response:
        return web.Response(headers={"Link": '</inbox/>; rel="http://www.w3.org/ns/ldp#inbox"'})

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=201)

    app = web.Application()
    app.router.add_get("/", about)
    app.router.add_post("/inbox/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _run(folder: Path) -> Costs:
    policies = folder / "policies"
    policies.mkdir()
    database = folder / "guard.sqlite"
    async with _hub() as hub:
        (policies / "reviews.ttl").write_text(_POLICY.replace("HUB", hub))
        settings = Settings(
            port=0,
            database=f"sqlite:///{database}",
            workers=1,
            budget=60.0,
            policies=str(policies),
            page_size=10,
            allow_private=("127.0.0.0/8",),
            # Looks on the clock would be counted too, as many as the machine is slow.
            interval=600.0,
        )
        async with bootstrap.running(settings) as service, aiohttp.ClientSession() as session:
            store = service.store

            async def post(number: int) -> None:
                headers = {"Content-Type": "application/ld+json"}
                async with session.post(
                    f"{service.url}/inbox/", data=_review(number), headers=headers
                ) as answer:
                    assert answer.status == 201, await answer.text()

            await post(0)
            await until(lambda: _finished(database) == 1)
            with listening(store.engine) as taken:
                await asyncio.gather(*(post(number) for number in range(1, MANY + 1)))
                # Asked of the log itself, so that our own questions are not counted.
                await until(lambda: _finished(database) == MANY + 1)
                await _silence(taken)
            with listening(store.engine) as read:
                for path in (
                    "/log",
                    "/log?page=1",
                    "/log?page=2",
                    "/log?since=3&limit=5",
                    "/log/e/7",
                    "/inbox/",
                ):
                    async with session.get(service.url + path) as answer:
                        assert answer.status == 200, path
            return Costs(database, taken, read, _finished(database))


async def _silence(heard: Heard) -> None:
    """Wait until the last commit has woken whom it wakes, and they have found nothing more to do."""
    before = -1
    while before != len(heard.statements):
        before = len(heard.statements)
        await asyncio.sleep(0.5)


def _finished(database: Path) -> int:
    """Count the deliveries that have arrived."""

    with contextlib.closing(sqlite3.connect(database)) as connection:
        ((number,),) = connection.execute("SELECT count(*) FROM delivery WHERE state = 'DELIVERED'")
    return int(number)


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Costs:
    """Run it once; the tests look at what was said. The file is there as long as they are."""
    return asyncio.run(_run(tmp_path_factory.mktemp("service")))


def test_everything_arrived(costs: Costs) -> None:
    assert costs.delivered == MANY + 1


def test_a_notification_costs_few_statements_from_its_post_to_its_delivery(costs: Costs) -> None:
    """Even when nothing comes together, so that no group can share any."""
    rows = [text for text in costs.taken.texts if not text.startswith(("BEGIN", "COMMIT"))]
    assert len(rows) / MANY <= 26, sorted({(rows.count(text), text[:90]) for text in rows}, reverse=True)


def test_a_notification_costs_few_commits_from_its_post_to_its_delivery(costs: Costs) -> None:
    """Kept, claimed, recorded; its delivery claimed, prepared, finished."""
    assert 1 <= costs.taken.commits <= 7 * MANY


def test_no_statement_walks_through_what_ten_years_have_left(costs: Costs) -> None:
    found = plans(costs.database, costs.everything)
    assert len(found) >= 15
    for text, steps in found.items():
        for step in steps:
            # The rows of one INSERT for many are constants.
            assert not step.startswith("SCAN") or step.endswith("CONSTANT ROWS"), (text, steps)
            assert "TEMP B-TREE" not in step, (text, steps)


def test_no_request_counts_or_skips_rows(costs: Costs) -> None:
    for text, values in costs.everything:
        assert "count(" not in text.lower(), text
        if "OFFSET" in text:
            # SQLAlchemy writes “OFFSET ?” beside every limit in SQLite: it must be nothing.
            assert isinstance(values, tuple)
            assert values[-1] == 0, text


def test_reading_commits_nothing_and_asks_little(costs: Costs) -> None:
    """Two questions for each answer: where the log ends, and what is asked for."""
    assert costs.read.commits == 0
    rows = [text for text in costs.read.texts if not text.startswith("BEGIN")]
    assert 1 <= len(rows) <= 2 * 6, rows
