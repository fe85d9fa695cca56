"""What another log told: policies see it like anything else, hubs hear of it, and our log repeats only what is ours."""

import dataclasses
import json
from typing import Any

import pytest
import sqlalchemy as sa
from tests.acceptance.notifications import policy

from orchestrator.core import vocabulary as v
from orchestrator.core.delivery import DeliveryState, delivery_id
from orchestrator.core.policy import Trust
from orchestrator.core.source import FOLLOWED
from orchestrator.pipeline.receive import receive
from orchestrator.ports import Delivery, NotificationState, Provenance, Stored

from .conftest import BASE, House, Specimen

HUB = "https://hub.example/"
LATE = "https://late.example/"
VIA = "https://local.example/log/e/1"
MINE = f"{BASE}/articles/1"


async def arrive(
    house: House, document: object, *, via: str = VIA, trust: Trust = "unknown", inbox: str = FOLLOWED
) -> str:
    """Receive what another log told; return its token."""
    received = await receive(
        document if isinstance(document, bytes) else json.dumps(document).encode(),
        inbox=inbox,
        media_type=v.JSON_LD,
        screener=house.screener,
        ledger=house.store.ledger,
        clock=house.clock,
        provenance=Provenance(source="local", via=via, trust=trust),
    )
    return received.receipt.token


async def follow(house: House, document: object, *, via: str = VIA, trust: Trust = "unknown") -> Stored:
    """Receive and process what another log told; return what became of it."""
    token = await arrive(house, document, via=via, trust=trust)
    await house.process()
    return await house.stored(token, inbox=FOLLOWED)


def came_to(stored: Stored) -> tuple[str, str | None, int | None]:
    return stored.state.value, stored.reason, stored.event


def verified(*, then: str = "", hubs: tuple[str, ...] = ()) -> str:
    """Return a policy about what verified senders say."""
    action = f"[ a {then} ]"
    if hubs:
        action = f"[ a pol:Announce ; pol:to {' , '.join(f'<{hub}>' for hub in hubs)} ]"
    head = policy("as:Announce", then="pol:Log").partition("<#p>")[0]
    return (
        f'{head}<#v> a pol:Policy ; rdfs:label "Of verified senders"@en ;\n'
        "    pol:when [ a sh:NodeShape ; sh:property [ sh:path as:origin ;"
        " sh:qualifiedMinCount 1 ; sh:qualifiedValueShape [ sh:class pol:VerifiedSender ] ] ] ;\n"
        f"    pol:then {action} .\n"
    )


@pytest.fixture
def owner(house: House) -> House:
    """A pod with artefacts of its own, and a hub that is told of announcements."""
    house.own(f"{BASE}/")
    house.rule(policy("as:Announce", hubs=(HUB,)))
    return house


@pytest.mark.parametrize("prefixes", [(), (f"{BASE}/",)])
async def test_what_is_not_ours_goes_to_the_hubs_and_not_into_our_log(
    house: House, specimen: Specimen, prefixes: tuple[str, ...]
) -> None:
    """Without prefixes whatever is posted is ours; nothing that another log tells is."""
    house.own(*prefixes)
    house.rule(policy("as:Announce", hubs=(HUB,)), policy("as:Announce", hubs=(HUB, LATE), name="q"))
    stored = await follow(house, specimen())
    assert came_to(stored) == ("PROCESSED", "followed", None)
    assert await house.events() == []
    assert (await house.store.reader.head()).sequence == 0
    told = await house.deliveries()
    assert {target: len(each.policies) for target, each in told.items()} == {HUB: 2, LATE: 1}
    for target, each in told.items():
        assert (each.event, each.told, each.id) == (
            None,
            stored.token,
            delivery_id(f"urn:told:{stored.token}", target),
        )
    # Nobody is asked whether an artefact of somebody else exists.
    assert house.peers.asked == []


async def test_by_default_it_is_followed_and_told_to_nobody(house: House, specimen: Specimen) -> None:
    assert came_to(await follow(house, specimen())) == ("PROCESSED", "followed", None)
    assert await house.deliveries() == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"context": {"id": MINE}},
        {"context": {"id": "https://x.example/"}, "object": {"id": MINE, "type": ["Page", "sorg:Review"]}},
    ],
)
async def test_what_is_ours_is_logged(owner: House, specimen: Specimen, changes: dict[str, Any]) -> None:
    stored = await follow(owner, specimen(**changes))
    assert came_to(stored) == ("PROCESSED", "logged", 1)
    [event] = await owner.events()
    assert event.artefact == MINE
    [told] = (await owner.deliveries()).values()
    assert (told.event, told.told, told.id) == (1, None, delivery_id(event.iri, HUB))


@pytest.mark.parametrize(
    "changes",
    [
        {"context": {"id": f"{BASE}.evil.example/articles/1"}},
        {"context": {"id": f"{BASE}/../x"}},
        # To be addressed to us makes nothing ours that another log tells.
        {"target": {"id": f"{BASE}/", "type": "Service", "inbox": f"{BASE}/inbox/"}},
    ],
)
async def test_what_only_seems_to_be_ours_is_not_logged(
    owner: House, specimen: Specimen, changes: dict[str, Any]
) -> None:
    assert came_to(await follow(owner, specimen(**changes))) == ("PROCESSED", "followed", None)
    assert await owner.events() == []


async def test_what_is_ours_and_is_gone_is_ignored(owner: House, specimen: Specimen) -> None:
    owner.peers.statuses[MINE] = 410
    stored = await follow(owner, specimen(context={"id": MINE}))
    assert came_to(stored) == ("IGNORED", "vanished", None)
    assert await owner.deliveries() == {}


async def test_an_answer_in_a_thread_of_ours_is_logged_where_the_artefact_is_ours(
    owner: House, specimen: Specimen
) -> None:
    offer = specimen("request-review", object={"id": MINE, "type": ["Page", "sorg:AboutPage"]})
    await owner.take(offer)
    stored = await follow(owner, specimen(inReplyTo=offer["id"], context={"id": MINE}))
    assert came_to(stored) == ("PROCESSED", "logged", 2)
    first, second = await owner.events()
    assert json.loads(second.envelope)["causedBy"] == first.iri


@pytest.mark.parametrize("is_ours", [False, True])
@pytest.mark.parametrize(
    ("then", "expected"),
    [("pol:Ignore", ("IGNORED", "policy")), ("pol:RequireAcceptance", ("PARKED", "acceptance required"))],
)
async def test_policies_that_stop_a_notification_stop_what_another_log_told(
    owner: House, specimen: Specimen, then: str, expected: tuple[str, str], is_ours: bool
) -> None:
    owner.rule(policy("as:Announce", then=then), policy("as:Announce", hubs=(HUB,), name="hub"))
    stored = await follow(owner, specimen(**({"context": {"id": MINE}} if is_ours else {})))
    assert came_to(stored) == (*expected, None)
    assert await owner.events() == []
    assert await owner.deliveries() == {}


@pytest.mark.parametrize("accept", [False, True])
async def test_what_was_parked_goes_on_as_what_another_log_told(
    owner: House, specimen: Specimen, accept: bool
) -> None:
    owner.rule(
        policy("as:Announce", then="pol:RequireAcceptance"), policy("as:Announce", hubs=(HUB,), name="h")
    )
    parked = await follow(owner, specimen())
    await owner.store.ledger.settle(FOLLOWED, parked.token, accept=accept, who="ada", now=owner.clock.time)
    await owner.process()
    stored = await owner.stored(parked.token, inbox=FOLLOWED)
    if not accept:
        assert came_to(stored) == ("IGNORED", "policy", None)
        return
    assert came_to(stored) == ("PROCESSED", "followed", None)
    told = await owner.only()
    assert (told.target, told.id) == (HUB, delivery_id(f"urn:told:{parked.token}", HUB))


async def test_what_we_sent_ourselves_comes_back_as_ignored_self(owner: House, specimen: Specimen) -> None:
    """A hub that keeps a log tells us of our own announcement: nothing goes round in circles."""
    await follow(owner, specimen())
    await owner.deliver()
    [(_, sent)] = owner.peers.sent
    back = await follow(owner, sent, via="https://hub.example/log/e/1")
    assert came_to(back) == ("IGNORED", "self", None)
    assert len(await owner.deliveries()) == 1


@pytest.mark.parametrize("trust", ["unknown", "verified"])
@pytest.mark.parametrize("is_kept_back", [False, True])
async def test_what_the_source_vouches_for_reaches_the_policies(
    house: House, specimen: Specimen, trust: Trust, is_kept_back: bool
) -> None:
    """By memory, as it has just come, and by a claim from the database, as after a crash."""
    house.rule(verified(hubs=(HUB,)))
    token = await arrive(house, specimen(), trust=trust)
    if is_kept_back:
        await house.process()
    else:
        await house.decide(house.store.ledger.fresh("us", limit=9))
    assert (await house.stored(token, inbox=FOLLOWED)).reason == "followed"
    assert set(await house.deliveries()) == ({HUB} if trust == "verified" else set())


@pytest.mark.parametrize(("trust", "expected"), [("unknown", "logged"), ("verified", "policy")])
async def test_what_a_source_of_an_inbox_vouches_for_reaches_the_policies_too(
    house: House, specimen: Specimen, trust: Trust, expected: str
) -> None:
    house.rule(verified(then="pol:Ignore"))
    token = await arrive(house, specimen(), trust=trust, inbox="inbox")
    await house.process()
    assert (await house.stored(token)).reason == expected


async def test_what_is_posted_is_of_an_unknown_sender(house: House, specimen: Specimen) -> None:
    house.rule(verified(then="pol:Ignore"))
    assert came_to(await house.take(specimen())) == ("PROCESSED", "logged", 1)


async def test_what_a_message_says_of_its_own_sender_is_no_fact(house: House, specimen: Specimen) -> None:
    house.rule(verified(then="pol:Ignore"))
    document = specimen()
    document["origin"]["type"] = ["Service", f"{v.POLICY}VerifiedSender"]
    assert came_to(await follow(house, document)) == ("PROCESSED", "followed", None)


async def test_what_came_to_our_inbox_first_is_a_duplicate_in_a_log(owner: House, specimen: Specimen) -> None:
    document = specimen(context={"id": MINE})
    await owner.take(document)
    assert came_to(await follow(owner, document)) == ("IGNORED", "duplicate", None)
    assert len(await owner.events()) == len(await owner.deliveries()) == 1


async def test_what_a_log_told_first_is_logged_when_it_comes_to_our_inbox_and_hubs_hear_of_it_once(
    house: House, specimen: Specimen
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    assert came_to(await follow(house, document)) == ("PROCESSED", "followed", None)
    house.rule(policy("as:Announce", hubs=(HUB, LATE)))
    assert came_to(await house.take(document)) == ("PROCESSED", "logged", 1)
    assert {target: each.event for target, each in (await house.deliveries()).items()} == {HUB: None, LATE: 1}


async def test_what_two_logs_tell_is_told_once(house: House, specimen: Specimen) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    first = await follow(house, document)
    again = await follow(house, {**document, "id": specimen()["id"]}, via="https://other.example/log/e/9")
    assert came_to(again) == ("PROCESSED", "followed", None)
    assert (await house.only()).id == delivery_id(f"urn:told:{first.token}", HUB)


async def test_nobody_is_told_of_what_they_caused_nor_are_we(house: House, specimen: Specimen) -> None:
    document = specimen()
    origin, actor = document["origin"], document["actor"]
    house.rule(policy("as:Announce", hubs=(origin["id"], actor["id"], origin["inbox"], f"{BASE}/", HUB)))
    await follow(house, document)
    assert set(await house.deliveries()) == {HUB}


async def test_a_hub_gets_our_own_announcement_of_what_another_log_told(
    house: House, specimen: Specimen
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    stored = await follow(house, document)
    assert await house.deliver() == [DeliveryState.DELIVERED]
    [(inbox, body)] = house.peers.sent
    said = json.loads(body)
    assert inbox == f"{HUB}inbox/"
    for name in ("type", "object", "context", "actor"):
        assert said[name] == document[name]
    assert said["id"] == delivery_id(f"urn:told:{stored.token}", HUB)
    assert said["origin"] == {"id": f"{BASE}/", "type": "Service", "inbox": f"{BASE}/inbox/"}
    assert said["target"] == {"id": HUB, "type": "Service", "inbox": inbox}
    assert "inReplyTo" not in said
    assert not [found for found in (await house.screener.screen(body)).findings if found.refuses]
    assert (await house.only()).state is DeliveryState.DELIVERED


async def test_an_answer_that_another_log_told_stays_an_answer(house: House, specimen: Specimen) -> None:
    house.rule(policy("as:Accept", hubs=(HUB,)))
    document = specimen("accept")
    await follow(house, document)
    await house.deliver()
    [(_, body)] = house.peers.sent
    assert json.loads(body)["inReplyTo"] == document["object"]["id"]


async def attempt(house: House, **changes: Any) -> tuple[DeliveryState | None, Delivery]:
    """Attempt the one delivery that is due as if it were changed; return what came of it."""
    [held] = await house.store.outbox.claim("us", limit=9, now=house.clock.time, lease=45_000)
    state = await house.delivering.deliver(dataclasses.replace(held, **changes))
    return state, await house.only()


@pytest.mark.parametrize("token", ["unknown", None, "of another inbox"])
async def test_what_nobody_told_is_told_to_nobody(
    house: House, specimen: Specimen, token: str | None
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await follow(house, specimen())
    if token == "of another inbox":
        token = (await house.take(specimen("notification"))).token
    state, ended = await attempt(house, told=token)
    assert (state, ended.state, ended.reason) == (
        DeliveryState.CANCELLED,
        DeliveryState.CANCELLED,
        "the event's payload was erased",
    )
    assert house.peers.sent == []
    assert await house.deliver() == []


async def test_what_was_told_is_read_when_it_is_sent_and_its_bytes_stay(
    house: House, specimen: Specimen
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await follow(house, specimen())
    house.peers.answers = [ConnectionError("of a hub's own making")]
    await house.deliver()
    with house.store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE notification SET body = '{}'"))
    house.clock.time += 6_000
    assert await house.deliver() == [DeliveryState.DELIVERED]
    assert len({body for _, body in house.peers.sent}) == 1


async def test_what_cannot_be_recorded_now_is_followed_later(house: House, specimen: Specimen) -> None:
    """Its lease runs out, and it is decided about again; nothing is told twice."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    token = await arrive(house, specimen())
    [late] = await house.claim()
    house.clock.time += 60_000
    await house.process()
    await house.decide([late])
    assert came_to(await house.stored(token, inbox=FOLLOWED)) == ("PROCESSED", "followed", None)
    assert len(await house.deliveries()) == 1


@pytest.mark.parametrize(
    "written",
    [
        {"@type": ["Announce", "coar-notify:ReviewAction"]},
        {"as:object": {"id": "https://x.example/review", "type": ["Document", "sorg:Review"]}},
    ],
)
async def test_a_hub_is_told_what_another_log_means_however_that_is_written(
    house: House, specimen: Specimen, written: dict[str, Any]
) -> None:
    """The payload of an event of ours has one spelling; what another log told came in its own."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = {**specimen(), **written}
    for name in written:
        del document[name.removeprefix("@").removeprefix("as:")]
    assert (await follow(house, document)).state is NotificationState.PROCESSED
    await house.deliver()
    [(_, body)] = house.peers.sent
    assert not [found for found in (await house.screener.screen(body)).findings if found.refuses]


async def test_only_what_our_own_log_would_publish_goes_to_hubs(house: House, specimen: Specimen) -> None:
    """Known vocabularies, and no e-mail addresses: of an event of ours the hub gets the published part."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    document["actor"]["sorg:email"] = "ada@example.org"
    document["object"]["https://internal.example/secret"] = "a claim ticket"
    await follow(house, document)
    await house.deliver()
    [(_, body)] = house.peers.sent
    assert b"ada@example.org" not in body
    assert b"claim ticket" not in body
