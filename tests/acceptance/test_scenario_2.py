"""Scenario 2: the maintainer asks for a review from the dashboard, by an Offer to the certification service.

What this version has of it is what comes into the pod's inbox: the carbon copy of the Offer, and the answers.
"""

from .conftest import Serve
from .notifications import announce, offer
from .peers import Hub, Party, notify, party
from .service import ROOT, Service

ARTEFACT = "https://pod.example.org/articles/1"


def pod(service: Service) -> Party:
    return Party(id=f"{service.url}/", inbox=service.inbox, name="Pod")


async def test_an_offer_and_what_follows_from_it_are_one_thread_in_the_log(serve: Serve) -> None:
    """C2.1, C2.3, C2.4, C2.6, C2a.4.

    "The Dashboard MAY send a carbon copy of the Offer to the (Scholarly) Inbox"; "The Offer MUST contain
    the location of the (Scholarly) Inbox": the certification service answers there and nowhere else.
    """
    async with Hub() as certifier:
        service = await serve()
        maintainer, reviewer = pod(service), party(certifier, "Certifier")
        asked = offer(maintainer, reviewer, ARTEFACT)
        assert (await notify(certifier.url, asked)).status == 202
        assert (await service.take(asked))["event"] == f"{service.log}/e/1"

        [received] = certifier.posts
        inbox = received.document["origin"]["inbox"]
        assert inbox == service.inbox
        reviewed = announce(reviewer, maintainer, ARTEFACT, inReplyTo=asked["id"])
        endorsed = announce(reviewer, maintainer, ARTEFACT, action="EndorsementAction", inReplyTo=asked["id"])
        for document in (reviewed, endorsed):
            assert (await service.take(document))["state"] == "PROCESSED"

        first, *answers = await service.events()
        assert (first["correlatedBy"], first["causedBy"], first["inReplyTo"]) == (None, None, None)
        assert first["artefact"] == ARTEFACT
        assert [event["activity"] for event in answers] == [reviewed["id"], endorsed["id"]]
        for event in answers:
            assert event["inReplyTo"] == asked["id"]
            assert event["correlatedBy"] == "inReplyTo"
            assert event["causedBy"] == first["id"]
            assert event["artefact"] == ARTEFACT
        found = await service.events(f"since=0&in-reply-to={asked['id']}")
        assert found == answers

        await service.restart()
        assert await service.events() == [first, *answers]
        late = announce(reviewer, maintainer, ARTEFACT, inReplyTo=asked["id"])
        await service.take(late)
        assert (await service.events())[-1]["causedBy"] == first["id"]


async def test_an_offer_that_says_no_inbox_is_refused(serve: Serve) -> None:
    """C2.3: "The Offer MUST contain the location of the (Scholarly) Inbox at the Data Pod"."""
    service = await serve()
    reviewer = Party(id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/")
    asked = offer(pod(service), reviewer, ARTEFACT)
    without = {**asked, "origin": {"id": f"{service.url}/", "type": "Service"}}
    refused = await service.post(without)
    assert refused.status == 400
    assert ("/origin", "inbox") in [
        (each["pointer"], each["term"])
        for each in refused.json["violations"]
        if each["severity"] == "Violation"
    ]
    assert (await service.take(asked))["event"] == f"{service.log}/e/1"


async def test_a_policy_can_keep_offers_out_of_the_log(serve: Serve) -> None:
    """C2a.3.

    "MAY ignore Offer notifications if they are found in the inbox"; "It MAY be a policy of the maintainer
    not to add local Offer requests to the event log".
    """
    text = (ROOT / "policies" / "ignore-offers.ttl").read_text()
    service = await serve(policies={"ignore-offers.ttl": text})
    reviewer = Party(id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/")
    asked = offer(pod(service), reviewer, ARTEFACT)
    ignored = await service.take(asked)
    assert (ignored["state"], ignored["reason"], ignored["event"]) == ("IGNORED", "policy", None)
    assert await service.events() == []

    reviewed = announce(reviewer, pod(service), ARTEFACT, inReplyTo=asked["id"])
    await service.take(reviewed)
    [event] = await service.events()
    assert (event["activity"], event["inReplyTo"]) == (reviewed["id"], asked["id"])
    assert (await service.get(ignored["notification"])).json == asked
    await service.restart()
    assert await service.events() == [event]
    assert await service.report(ignored["notification"]) == ignored


async def test_service_hubs_are_told_of_the_answer_but_not_the_one_who_gave_it(serve: Serve) -> None:
    """C2a.5: "discovers the Announce"; "matches the notification to a set of policies and notifies relevant
    services"."""
    async with Hub() as certifier, Hub() as hub:
        text = (ROOT / "policies" / "announce-reviews.ttl").read_text()
        service = await serve(
            policies={
                "hub.ttl": text.replace("https://hub.example/", hub.url),
                "certifier.ttl": text.replace("https://hub.example/", certifier.url),
            }
        )
        reviewer = party(certifier, "Certifier")
        asked = offer(pod(service), reviewer, ARTEFACT)
        await service.take(asked)
        reviewed = announce(reviewer, pod(service), ARTEFACT, inReplyTo=asked["id"])
        await service.take(reviewed)
        [told] = await service.delivered(1)
        assert (told.target, told.state, told.event) == (hub.url, "DELIVERED", 2)
        [post] = hub.posts
        assert post.document["object"]["id"] == reviewed["object"]["id"]
        assert certifier.asked == []
