"""Scenario 4: an endorsement that the author began at the journal; as scenario 1, without a review."""

from .conftest import Serve
from .notifications import announce
from .peers import Host, Hub, Party, notify, party
from .service import ROOT


async def test_an_endorsement_without_a_review_is_logged_and_told_like_any_announcement(
    serve: Serve,
) -> None:
    """C4.1: "starts a endorsement workflow and sends after a while an Announce AS2 notification to the
    (Scholarly) Inbox"; "equivalent to Scenario 1".
    """
    async with Host() as pod, Hub() as journal, Hub() as hub:
        text = (ROOT / "policies" / "announce-reviews.ttl").read_text()
        service = await serve(
            {"artefacts.prefixes": pod.url}, {"hub.ttl": text.replace("https://hub.example/", hub.url)}
        )
        pod.inbox = service.inbox
        artefact = pod.put("articles/1")
        us = Party(id=f"{service.url}/", inbox=service.inbox)
        endorsed = announce(party(journal, "Journal"), us, artefact, action="EndorsementAction")
        answer = await notify(artefact, endorsed)
        assert answer.status == 201
        report = await service.settled(answer.location)
        assert (report["pattern"], report["state"]) == ("announce-endorsement", "PROCESSED")

        [event] = await service.events()
        assert set(event["type"]) == {"Announce", "coar-notify:EndorsementAction", "LifecycleEvent"}
        assert (event["artefact"], event["correlatedBy"], event["causedBy"]) == (artefact, None, None)
        [told] = await service.delivered(1)
        assert (told.target, told.state) == (hub.url, "DELIVERED")
        assert hub.posts[0].document["type"] == ["Announce", "coar-notify:EndorsementAction"]

        pod.put("articles/2", 404)
        gone = announce(party(journal), us, f"{pod.url}articles/2", action="EndorsementAction")
        assert (await service.take(gone))["reason"] == "vanished"

        await service.restart()
        assert await service.events() == [event]
        assert await service.deliveries() == [told]
        assert (await notify(artefact, endorsed)).location == answer.location
