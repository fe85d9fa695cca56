"""Seed C1b: the log is a Linked Data Event Stream that a client of others replicates, resumes and follows."""

import pytest
from tests.agreement.datasets import canonical, parsed
from tests.readers.clients import Member
from tests.readers.conftest import Copy, Serve
from tests.readers.steps import activities, inboxes, inboxes_in, log, stated

from orchestrator.core import vocabulary as v

ARTEFACT = "https://preprints.lakeside.example.org/item/4417"


def sequences(members: list[Member]) -> list[int]:
    return [member.sequence for member in members]


@pytest.mark.timeout(240)
async def test_a_thousand_events_are_replicated_whole_and_in_order_and_resumed(
    serve: Serve, copy: Copy
) -> None:
    """Every statement of every payload arrives; the next run takes up what is new, and nothing else."""
    service = await serve(page_size=100)
    documents = activities(1, 1_050)
    await log(service, documents[:1_000])
    replica = copy(service.log)
    members = await replica.read()
    assert sequences(members) == list(range(1, 1_001))

    # Said by the JSON-LD of the pages, read by pyld: another form, another reader.
    received = {member.iri: parsed(member.quads, v.N_QUADS) for member in members}
    expected = await stated(service)
    assert list(expected) == list(received)
    for iri, quads in received.items():
        assert canonical(quads) == canonical(expected[iri])
    posted = {document["id"]: set(inboxes(document)) for document in documents}
    for event in await service.events():
        assert inboxes_in(received[event["id"]]) == posted[event["activity"]]

    await log(service, documents[1_000:])
    assert sequences(await replica.read()) == list(range(1_001, 1_051))
    assert await replica.read() == []


@pytest.mark.timeout(180)
async def test_what_comes_while_the_log_is_followed_arrives_once(serve: Serve, copy: Copy) -> None:
    """One by one and all at once, and where a page is full and another one opens."""
    service = await serve(page_size=100)
    await log(service, activities(1, 190))
    replica = copy(service.log)
    replica.follow()
    await replica.arrived(190)
    for number in range(191, 204):
        await log(service, activities(number, number))
        await replica.arrived(number)
    await log(service, activities(204, 210))
    await replica.arrived(210)
    await replica.looked_again(times=3)
    await replica.end()
    assert sequences(replica.members()) == list(range(1, 211))


@pytest.mark.timeout(180)
async def test_the_log_of_an_artefact_is_replicated_and_resumed(serve: Serve, copy: Copy) -> None:
    """Its pages are not those of the log, and are as many as are needed."""
    service = await serve(page_size=10)
    await log(service, activities(1, 60))
    found = await service.get(f"/artefacts/log?url={ARTEFACT}")
    replica = copy(found.location)

    async def about() -> list[int]:
        return [event["sequence"] for event in await service.events(f"since=0&artefact={ARTEFACT}")]

    first = await about()
    assert len(first) > 20
    assert sequences(await replica.read()) == first
    await log(service, activities(61, 120))
    assert sequences(await replica.read()) == (await about())[len(first) :]


@pytest.mark.timeout(240)
async def test_a_log_of_many_pages_is_read_through_its_indexes(serve: Serve, copy: Copy) -> None:
    service = await serve(page_size=1)
    await log(service, activities(1, 520))
    root = await service.get("/log", Accept=v.JSON_LD)
    nodes = {relation["node"] for relation in root.json["relation"]}
    assert f"{service.log}?index=1" in nodes
    assert f"{service.log}?page=1" not in nodes
    assert sequences(await copy(service.log).read()) == list(range(1, 521))
