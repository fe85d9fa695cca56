"""Scenario 9: one request for a review, answered by a review and later by an endorsement."""

from .conftest import Serve
from .notifications import announce, offer
from .peers import Hub, Party, notify, party

ARTEFACT = "https://pod.example.org/articles/9"


async def test_one_offer_has_two_outcomes_in_the_order_in_which_they_came(serve: Serve) -> None:
    """C9.1, C9.2, C9.3.

    "starts a review workflow and sends after a while an Announce"; "starts an endorsement workflow and
    sends an Announce": two events that follow from one Offer, told to the hub as two things.
    """
    async with Hub() as certifier, Hub() as hub:
        service = await serve()
        us, reviewer = Party(id=f"{service.url}/", inbox=service.inbox), party(certifier, "Certifier")
        asked = offer(us, reviewer, ARTEFACT)
        assert (await notify(certifier.url, asked)).status == 202
        await service.take(asked)
        reviewed = announce(reviewer, us, ARTEFACT, inReplyTo=asked["id"])
        await service.take(reviewed)
        # The service is stopped and started while the endorsement is being decided on.
        await service.restart()
        endorsed = announce(reviewer, us, ARTEFACT, action="EndorsementAction", inReplyTo=asked["id"])
        await service.take(endorsed)

        first, review, endorsement = await service.events()
        assert [each["activity"] for each in (first, review, endorsement)] == [
            asked["id"],
            reviewed["id"],
            endorsed["id"],
        ]
        assert review["causedBy"] == endorsement["causedBy"] == first["id"]
        assert review["correlatedBy"] == endorsement["correlatedBy"] == "inReplyTo"
        assert review["created"] < endorsement["created"]
        view = await service.get(f"/artefacts?url={ARTEFACT}")
        log = (await service.get(f"{view.location}/log")).json["orderedItems"]
        assert log == [first, review, endorsement]
        # An endorsement that answers the review's announcement follows from that.
        further = announce(reviewer, us, ARTEFACT, action="EndorsementAction", inReplyTo=reviewed["id"])
        await service.take(further)
        assert (await service.events())[-1]["causedBy"] == review["id"]
        assert hub.asked == []
