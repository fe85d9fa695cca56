"""Stage 2: what becomes of a notification, and that it becomes that once."""

import json
from typing import Any

import pytest
from tests.acceptance.notifications import policy

from orchestrator.core import vocabulary as v
from orchestrator.core.delivery import DeliveryState, delivery_id
from orchestrator.core.errors import Overloaded, PeerUnreachable, StorageError, TooCostly
from orchestrator.ports import Answer, NotificationState, Stored

from .conftest import BASE, LEASE, START, House, Specimen

HUB = "https://hub.example/"
MINUTE = 60_000
PRIORITY = "pol:priority {} ; rdfs:label"


def came_to(stored: Stored) -> tuple[str, str | None]:
    return stored.state.value, stored.reason


def about(document: dict[str, Any], artefact: str) -> dict[str, Any]:
    return {**document, "context": {**document["context"], "id": artefact}}


async def test_by_default_it_is_logged_with_what_it_says_and_what_we_know(
    house: House, specimen: Specimen
) -> None:
    offer = specimen("request-review")
    first = await house.take(offer)
    house.clock.time += 5_000
    document = specimen(inReplyTo=offer["id"])
    stored = await house.take(document)
    assert [came_to(each) for each in (first, stored)] == [("PROCESSED", "logged")] * 2
    assert (first.event, stored.event) == (1, 2)
    one, two = await house.events()
    envelope = json.loads(two.envelope)
    assert envelope == {
        "id": f"{BASE}/log/e/2",
        "type": ["coar-notify:ReviewAction", "Announce", "LifecycleEvent"],
        "sequence": 2,
        "created": "2030-03-17T17:46:45.000Z",
        "received": "2030-03-17T17:46:45.000Z",
        "artefact": document["context"]["id"],
        "activity": document["id"],
        "actor": document["actor"]["id"],
        "origin": document["origin"]["id"],
        "inReplyTo": offer["id"],
        "correlatedBy": "inReplyTo",
        "causedBy": one.iri,
        "policySet": house.policies.current.id,
        "digest": envelope["digest"],
    }
    assert two.payload is not None
    assert json.loads(two.payload)["object"]["id"] == document["object"]["id"]


async def test_an_actor_who_is_named_by_an_e_mail_address_is_left_out_of_the_log(
    house: House, specimen: Specimen
) -> None:
    actor = {"id": "MailTo:ada@example.org", "type": "Person", "name": "Ada Example"}
    await house.take(specimen(actor=actor))
    [event] = await house.events()
    assert event.payload is not None
    assert b"ada@example.org" not in event.envelope + event.payload
    assert json.loads(event.envelope)["actor"] is None


async def test_what_we_sent_ourselves_comes_back_as_ignored_self(house: House, specimen: Specimen) -> None:
    """C2.4: "recognises it as own": ids that we sent are remembered."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await house.take(specimen())
    own = (await house.only()).id
    assert own == delivery_id(f"{BASE}/log/e/1", HUB)
    for origin in ({"id": f"{BASE}/", "type": "Service"}, specimen()["origin"]):
        assert came_to(await house.take(specimen(id=own, origin=origin))) == ("IGNORED", "self")
    assert len(await house.events()) == 1


async def test_the_same_notification_in_a_second_inbox_is_a_duplicate(
    house: House, specimen: Specimen
) -> None:
    """Pitfall P2: "a second inbox ⇒ one event, IGNORED(duplicate)"."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    first = await house.take(document)
    second = await house.take(document, inbox="special")
    assert [came_to(first), came_to(second)] == [("PROCESSED", "logged"), ("IGNORED", "duplicate")]
    # Other content under an id that is in the log already cannot get there by another door either.
    altered = await house.take({**document, "summary": "Altered."}, inbox="third")
    assert came_to(altered) == ("IGNORED", "duplicate")
    assert len(await house.events()) == len(await house.deliveries()) == 1


@pytest.mark.parametrize(
    ("changes", "is_ours"),
    [
        ({}, False),
        ({"context": {"id": f"{BASE}/articles/1"}}, True),
        ({"object": {"id": f"{BASE}/reviews/1", "type": ["Page", "sorg:Review"]}}, True),
        ({"target": {"id": f"{BASE}/", "type": "Service", "inbox": f"{BASE}/inbox/"}}, True),
        ({"target": {"id": "https://x.example/", "type": "Service", "inbox": f"{BASE}/inbox/"}}, True),
        ({"target": {"id": f"{BASE}/", "type": "Service", "inbox": "https://x.example/inbox/"}}, True),
        ({"context": {"id": "https://pod.example.evil.example/articles/1"}}, False),
    ],
)
async def test_with_artefacts_of_our_own_only_what_is_ours_or_to_us_is_processed(
    house: House, specimen: Specimen, changes: dict[str, Any], is_ours: bool
) -> None:
    """C3.3 and pitfall P7: "process only if target/artefact is ours"."""
    house.own(f"{BASE}/")
    stored = await house.take(specimen(**changes))
    expected = ("PROCESSED", "logged") if is_ours else ("IGNORED", "not_addressed")
    assert came_to(stored) == expected
    assert len(await house.events()) == is_ours


async def test_an_answer_to_what_is_in_the_log_is_ours_whatever_it_names(
    house: House, specimen: Specimen
) -> None:
    house.own(f"{BASE}/")
    ours = specimen(context={"id": f"{BASE}/articles/1"})
    await house.take(ours)
    assert came_to(await house.take(specimen(inReplyTo=ours["id"]))) == ("PROCESSED", "logged")
    assert came_to(await house.take(specimen(inReplyTo="urn:x:unknown"))) == ("IGNORED", "not_addressed")
    # So is an answer to what we announced: the hub knows our id of it, not the certifier's.
    house.rule(policy("as:Announce", hubs=(HUB,)))
    await house.take(specimen(context={"id": f"{BASE}/articles/2"}))
    told = await house.only()
    house.rule()
    assert came_to(await house.take(specimen(inReplyTo=told.id))) == ("PROCESSED", "logged")
    assert json.loads((await house.events())[-1].envelope)["causedBy"] == f"{BASE}/log/e/{told.event}"


@pytest.mark.parametrize("status", [404, 410])
async def test_an_artefact_of_ours_that_is_gone_makes_no_event_and_is_asked_after_again_in_five_minutes(
    house: House, specimen: Specimen, status: int
) -> None:
    """C1a.2: "MAY filter out notifications about resources that don't exist (anymore)"."""
    house.own(f"{BASE}/")
    artefact = f"{BASE}/articles/1"
    house.peers.statuses[artefact] = status
    assert came_to(await house.take(about(specimen(), artefact))) == ("IGNORED", "vanished")
    house.peers.statuses[artefact] = 200
    house.clock.time += 5 * MINUTE - 1
    assert came_to(await house.take(about(specimen(), artefact))) == ("IGNORED", "vanished")
    assert house.peers.asked == [artefact]
    house.clock.time += 1
    assert came_to(await house.take(about(specimen(), artefact))) == ("PROCESSED", "logged")
    house.peers.statuses[artefact] = status
    house.clock.time += 5 * MINUTE - 1
    assert came_to(await house.take(about(specimen(), artefact))) == ("PROCESSED", "logged")
    assert house.peers.asked == [artefact] * 2


@pytest.mark.parametrize("answer", [PeerUnreachable(), 500, 403, 301])
async def test_not_knowing_whether_an_artefact_exists_is_no_reason_to_lose_an_event(
    house: House, specimen: Specimen, answer: int | Exception
) -> None:
    house.own(f"{BASE}/")
    artefact = f"{BASE}/articles/1"
    house.peers.statuses[artefact] = answer
    assert came_to(await house.take(about(specimen(), artefact))) == ("PROCESSED", "logged")
    house.peers.statuses[artefact] = 410
    if isinstance(answer, Exception):
        # What was no answer is believed for half a minute, so that not each of many waits for it.
        house.clock.time += 30_000 - 1
        assert came_to(await house.take(about(specimen(), artefact))) == ("PROCESSED", "logged")
        house.clock.time += 1
        assert came_to(await house.take(about(specimen(), artefact))) == ("IGNORED", "vanished")
        assert house.peers.asked == [artefact] * 2


async def test_nobody_is_asked_about_artefacts_that_are_not_ours(house: House, specimen: Specimen) -> None:
    await house.take(specimen())
    house.own(f"{BASE}/")
    await house.take(specimen(target={"id": f"{BASE}/", "type": "Service", "inbox": f"{BASE}/inbox/"}))
    assert house.peers.asked == []
    assert len(await house.events()) == 2


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([], ("PROCESSED", "logged")),
        ([policy("as:Announce", then="pol:Log")], ("PROCESSED", "logged")),
        ([policy("as:Announce", then="pol:Ignore")], ("IGNORED", "policy")),
        ([policy("as:Announce", then="pol:RequireAcceptance")], ("PARKED", "acceptance required")),
        ([policy("as:Offer", then="pol:Ignore")], ("PROCESSED", "logged")),
        (
            [policy("as:Announce", then="pol:Log"), policy("as:Announce", then="pol:Ignore", name="q")],
            ("IGNORED", "policy"),
        ),
        (
            [
                policy("as:Announce", then="pol:Ignore"),
                policy("as:Announce", then="pol:RequireAcceptance", name="q"),
            ],
            ("PARKED", "acceptance required"),
        ),
        (
            [
                policy("as:Announce", then="pol:Log").replace("rdfs:label", PRIORITY.format(1)),
                policy("as:Announce", then="pol:RequireAcceptance", name="q"),
            ],
            ("PROCESSED", "logged"),
        ),
    ],
)
async def test_the_strongest_policy_that_matches_decides(
    house: House, specimen: Specimen, policies: list[str], expected: tuple[str, str]
) -> None:
    """C1a.2, C2a.3, P6: Log, Ignore, RequireAcceptance, and which wins."""
    house.rule(*policies, policy("as:Announce", hubs=(HUB,), name="hub"))
    stored = await house.take(specimen())
    assert came_to(stored) == expected
    is_logged = expected == ("PROCESSED", "logged")
    # What is not logged is not told to anybody.
    assert [len(await house.events()), len(await house.deliveries())] == [is_logged, is_logged]


async def test_an_event_records_the_policies_in_force_when_it_was_decided(
    house: House, specimen: Specimen
) -> None:
    ids = []
    for text in (policy("as:Offer", then="pol:Log"), policy("as:Offer", then="pol:Ignore")):
        house.rule(text)
        ids.append(house.policies.current.id)
        await house.take(specimen())
    assert [json.loads(event.envelope)["policySet"] for event in await house.events()] == ids
    assert len(set(ids)) == 2


async def test_nobody_is_told_of_what_they_caused_nor_are_we(house: House, specimen: Specimen) -> None:
    """Pitfall P23: "`caused_by` on every event; no delivery to it"."""
    document = specimen()
    origin, actor = document["origin"], document["actor"]
    house.rule(policy("as:Announce", hubs=(origin["id"], actor["id"], origin["inbox"], f"{BASE}/", HUB)))
    await house.take(document)
    assert set(await house.deliveries()) == {HUB}


async def test_all_policies_that_ask_for_a_hub_are_recorded_on_one_delivery(
    house: House, specimen: Specimen
) -> None:
    other = "https://other-hub.example/"
    house.rule(
        policy("as:Announce", hubs=(HUB,), name="a"),
        policy("coar-notify:ReviewAction", hubs=(HUB, other), name="b"),
        policy("as:Offer", hubs=("https://third.example/",), name="c"),
    )
    await house.take(specimen())
    told = await house.deliveries()
    assert {target: len(delivery.policies) for target, delivery in told.items()} == {HUB: 2, other: 1}


async def test_a_hub_is_told_of_a_topic_once(house: House, specimen: Specimen) -> None:
    """Decision 0006: origin, types, objects, contexts; two orchestrators would tell each other for ever."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    await house.take(document)
    first = await house.only()
    # The same review, announced again under another id, is an event, and no news to the hub.
    stored = await house.take({**document, "id": specimen()["id"]})
    assert (came_to(stored), stored.event) == (("PROCESSED", "logged"), 2)
    assert await house.only() == first
    assert await house.deliver() == [DeliveryState.DELIVERED]

    # A hub that joins later is told; a new review is news to both.
    late = "https://late.example/"
    house.rule(policy("as:Announce", hubs=(HUB, late)))
    await house.take({**document, "id": specimen()["id"]})
    assert {target: delivery.event for target, delivery in (await house.deliveries()).items()} == {
        HUB: 1,
        late: 3,
    }
    await house.take({**specimen(), "object": {**document["object"], "id": "https://review.example/2"}})
    # Nor does a stranger who was first keep what somebody else says from the hub.
    await house.take({**specimen(), "origin": {**document["origin"], "id": "https://other.example/"}})
    found = await house.store.outbox.deliveries()
    assert sorted((delivery.event, delivery.target) for delivery in found) == [
        (1, HUB),
        (3, late),
        (4, HUB),
        (4, late),
        (5, HUB),
        (5, late),
    ]


async def test_a_topic_whose_delivery_died_is_told_when_it_comes_again(
    house: House, specimen: Specimen
) -> None:
    house.rule(policy("as:Announce", hubs=(HUB,)))
    document = specimen()
    await house.take(document)
    house.peers.answers = [Answer(status=410)]
    assert await house.deliver() == [DeliveryState.DEAD]
    house.clock.time += 1_000
    await house.take({**document, "id": specimen()["id"]})
    assert await house.deliver() == [DeliveryState.DELIVERED]
    assert len({body for _, body in house.peers.sent}) == 2


async def test_what_the_maintainer_accepts_goes_on_as_if_no_policy_had_parked_it(
    house: House, specimen: Specimen
) -> None:
    """Pitfall P6: "ignore until M sends Accept"; PARKED → PROCESSED | IGNORED(policy) (wire.md, section 1)."""
    house.rule(
        policy("as:Announce", then="pol:RequireAcceptance", name="park"),
        policy("as:Announce", hubs=(HUB,), name="hub"),
    )
    accepted, dismissed, waiting = [await house.take(specimen()) for _ in range(3)]
    assert {came_to(each) for each in (accepted, dismissed, waiting)} == {("PARKED", "acceptance required")}
    for stored, is_accepted in ((accepted, True), (dismissed, False)):
        await house.store.ledger.settle(
            "inbox", stored.token, accept=is_accepted, who="a test", now=house.clock.time
        )
    await house.process()
    assert [came_to(await house.stored(each.token)) for each in (accepted, dismissed, waiting)] == [
        ("PROCESSED", "logged"),
        ("IGNORED", "policy"),
        ("PARKED", "acceptance required"),
    ]
    [event] = await house.events()
    assert event.activity == accepted.notification.id
    assert (await house.only()).target == HUB
    # What another policy ignores is not let in by accepting it.
    house.rule(
        policy("as:Announce", then="pol:RequireAcceptance", name="park"),
        policy("as:Announce", then="pol:Ignore", name="ignore"),
    )
    await house.store.ledger.settle("inbox", waiting.token, accept=True, who="a test", now=house.clock.time)
    await house.process()
    assert came_to(await house.stored(waiting.token)) == ("IGNORED", "policy")


async def test_who_claims_after_a_lease_ran_out_decides_and_the_first_changes_nothing(
    house: House, specimen: Specimen
) -> None:
    """Invariant I8: "completion is fenced by lease token, a late finisher cannot overwrite"."""
    house.rule(policy("as:Announce", hubs=(HUB,)))
    received = await house.receive(specimen())
    [slow] = await house.claim("slow")
    assert await house.claim("quick") == []
    house.clock.time += LEASE
    [quick] = await house.claim("quick")
    [event] = await house.decide([quick])
    assert event is not None
    house.policies.current = type(house.policies.current)({})
    assert await house.decide([slow]) == [None]
    assert (await house.stored(received.receipt.token)).event == event.sequence == 1
    assert len(await house.events()) == len(await house.deliveries()) == 1


@pytest.mark.parametrize(
    ("error", "reason"), [(TooCostly(), "too-costly"), (RuntimeError("a secret"), "failed: RuntimeError")]
)
async def test_what_fails_five_times_is_dead_with_its_reason_and_never_lost(
    house: House, specimen: Specimen, error: Exception, reason: str
) -> None:
    received = await house.receive(specimen())
    token = received.receipt.token
    for wait in (2_000, 4_000, 8_000, 16_000):
        house.screener.trouble.append(error)
        assert await house.process() == [None]
        assert came_to(await house.stored(token)) == ("RETRY", reason)
        house.clock.time += wait - 1
        assert await house.claim() == []
        house.clock.time += 1
    house.screener.trouble.append(error)
    assert await house.process() == [None]
    stored = await house.stored(token)
    assert came_to(stored) == ("DEAD", reason)
    house.clock.time += 10 * MINUTE
    assert await house.claim() == []
    assert await house.events() == []
    assert await house.store.ledger.pending() == 0
    # The sender is told the same as before.
    assert (await house.receive(stored.body)).receipt.token == token


@pytest.mark.parametrize("error", [Overloaded(), StorageError("The database is busy.")])
async def test_nothing_ever_dies_of_trouble_of_our_own(
    house: House, specimen: Specimen, error: Exception
) -> None:
    received = await house.receive(specimen())
    for _ in range(12):
        house.screener.trouble.append(error)
        await house.process()
        stored = await house.stored(received.receipt.token)
        assert came_to(stored) == ("RETRY", "overloaded")
        house.clock.time += 64_000
    await house.process()
    assert came_to(await house.stored(received.receipt.token)) == ("PROCESSED", "logged")


async def test_one_that_fails_keeps_no_other_waiting(house: House, specimen: Specimen) -> None:
    documents = [specimen(), specimen()]
    for document in documents:
        await house.receive(document)
    house.screener.trouble.append(RuntimeError())
    failed, event = await house.process()
    assert failed is None
    assert event is not None
    assert event.activity == documents[1]["id"]
    house.clock.time += 2_000
    await house.process()
    assert [each.activity for each in await house.events()] == [documents[1]["id"], documents[0]["id"]]


async def test_what_could_not_be_recorded_is_left_whole_to_the_next_claim(
    house: House, specimen: Specimen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant I3: "no half state"."""
    house.rule(policy("as:Announce", hubs=(HUB,)))

    async def record(*_: object, **__: object) -> None:
        raise StorageError("The disk of the database is full.")

    received = await house.receive(specimen())
    ledger: Any = house.store.ledger
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "record", record)
        assert await house.process() == [None]
    assert (await house.stored(received.receipt.token)).state is NotificationState.RECEIVED
    assert len(await house.events()) == len(await house.deliveries()) == 0
    house.clock.time += LEASE
    await house.process()
    assert (await house.stored(received.receipt.token)).event == 1
    assert len(await house.deliveries()) == 1


async def test_a_clock_that_was_set_back_lets_notifications_wait_until_it_has_caught_up(
    house: House, specimen: Specimen
) -> None:
    """C1a.7 and invariant I11: `created` increases, and leads the clock by 250 ms at most."""
    await house.take(specimen())
    house.clock.time -= 2_000
    waiting = await house.take(specimen())
    assert waiting.state is NotificationState.RETRY
    assert waiting.event is None
    steps = 0
    while (await house.stored(waiting.token)).state is not NotificationState.PROCESSED:
        house.clock.time += 250
        steps += 1
        assert steps < 10
        await house.process()
    assert house.clock.time >= START - 250
    first, second = await house.events()
    assert first.created < second.created <= house.clock.time + 250


async def test_the_projection_keeps_what_is_said_in_other_vocabularies_out_of_the_log(
    house: House, specimen: Specimen
) -> None:
    """Pitfall P8: "allow-list projection into events"."""
    document = specimen()
    document["@context"] = [*document["@context"], {"secret": "https://internal.example/secret"}]
    document["secret"] = "a claim ticket"
    document["actor"]["sorg:email"] = "ada@example.org"
    await house.take(document)
    [event] = await house.events()
    assert event.payload is not None
    assert b"claim ticket" not in event.payload
    assert b"ada@example.org" not in event.payload
    assert event.types == (v.NOTIFY + "ReviewAction", v.AS + "Announce")
