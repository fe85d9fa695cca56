"""Scenario 5: the certification service evaluates an Offer, answers it, and later announces the review."""

import pytest

from .conftest import Serve
from .notifications import announce, answer, offer
from .peers import Hub, Party, notify, party

ARTEFACT = "https://pod.example.org/articles/1"


async def test_accepting_is_logged_before_the_outcome_and_never_as_the_outcome(serve: Serve) -> None:
    """C5.1, C5.2, C5.3.

    "evaluates the offer and sends an Accept AS2 to the Inbox"; "creates a review and sends an Announce AS2
    to the Inbox": Offer, TentativeAccept, Accept and Announce are four events of one thread.
    """
    async with Hub() as certifier:
        service = await serve()
        us, reviewer = Party(id=f"{service.url}/", inbox=service.inbox), party(certifier, "Certifier")
        asked = offer(us, reviewer, ARTEFACT)
        assert (await notify(certifier.url, asked)).status == 202
        said = [
            asked,
            answer("TentativeAccept", asked, reviewer, summary="We are looking for reviewers."),
            answer("Accept", asked, reviewer),
            announce(reviewer, us, ARTEFACT, inReplyTo=asked["id"]),
        ]
        patterns = [(await service.take(document))["pattern"] for document in said]
        assert patterns == ["request-review", "tentatively-accept", "accept", "announce-review"]

        events = await service.events()
        assert [event["activity"] for event in events] == [document["id"] for document in said]
        assert [set(event["type"]) - {"LifecycleEvent"} for event in events] == [
            {"Offer", "coar-notify:ReviewAction"},
            {"TentativeAccept"},
            {"Accept"},
            {"Announce", "coar-notify:ReviewAction"},
        ]
        # All are about the artefact that was offered, though an answer's object is the Offer.
        assert {event["artefact"] for event in events} == {ARTEFACT}
        assert [event["causedBy"] for event in events] == [None] + [events[0]["id"]] * 3
        assert [event["correlatedBy"] for event in events] == [None] + ["inReplyTo"] * 3
        assert [event["activity"] for event in await service.events("since=0&type=Accept")] == [said[2]["id"]]
        # The Accept and the Offer that it quotes share the Offer's id, and still nothing is merged.
        assert events[2]["@graph"][0]["object"]["id"] == asked["id"]

        await service.restart()
        assert await service.events() == events


@pytest.mark.parametrize("kind", ["Reject", "TentativeReject"])
async def test_what_is_announced_after_a_rejection_is_logged_all_the_same(serve: Serve, kind: str) -> None:
    """C5.2: the evaluation may end otherwise, and a late Announce is an event of the same thread."""
    async with Hub() as certifier:
        service = await serve()
        us, reviewer = Party(id=f"{service.url}/", inbox=service.inbox), party(certifier, "Certifier")
        asked = offer(us, reviewer, ARTEFACT)
        rejected = answer(kind, asked, reviewer, summary="Not in our field.")
        late = announce(reviewer, us, ARTEFACT, inReplyTo=asked["id"])
        for document in (asked, rejected, late):
            assert (await service.take(document))["state"] == "PROCESSED"
        events = await service.events()
        assert [event["activity"] for event in events] == [asked["id"], rejected["id"], late["id"]]
        assert [event["causedBy"] for event in events] == [None] + [events[0]["id"]] * 2
        assert events[1]["@graph"][0]["summary"] == "Not in our field."


async def test_an_offer_that_is_withdrawn_leaves_both_in_the_log(serve: Serve) -> None:
    """C5.1: the log is append-only; an Undo is one more event about the same artefact."""
    async with Hub() as certifier:
        service = await serve()
        us, reviewer = Party(id=f"{service.url}/", inbox=service.inbox), party(certifier, "Certifier")
        asked = offer(us, reviewer, ARTEFACT)
        withdrawn = answer("Undo", asked, us)
        # The answer that names another Offer than it quotes would be ambiguous, and is refused.
        other = offer(us, reviewer, ARTEFACT)
        mixed = {**answer("Accept", asked, reviewer), "inReplyTo": other["id"]}
        for document in (asked, withdrawn):
            assert (await service.take(document))["state"] == "PROCESSED"
        assert (await service.post(mixed)).status == 400
        first, second = await service.events()
        assert (second["type"], second["artefact"]) == (["Undo", "LifecycleEvent"], ARTEFACT)
        assert second["causedBy"] == first["id"]
        await service.restart()
        assert await service.events() == [first, second]
