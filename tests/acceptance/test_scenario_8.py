"""Scenario 8: a review service announces, unasked, a review and an endorsement to the repository."""

from .conftest import Serve
from .notifications import announce, fresh
from .peers import Host, Hub, Party, notify, party


async def test_an_announcement_that_nobody_asked_for_is_an_event_that_follows_from_none(serve: Serve) -> None:
    """C8.1, C8.2.

    "sends an Announce AS2 notification to (Scholarly) Inbox of the Data Pod"; "functionally equivalent to
    Scenario 1". With `inReplyTo` or without, it answers nothing that we know of.
    """
    async with Host() as pod, Hub() as reviewer:
        service = await serve({"artefacts.prefixes": pod.url})
        pod.inbox = service.inbox
        artefact = pod.put("articles/8")
        us, author = Party(id=f"{service.url}/", inbox=service.inbox), party(reviewer, "Reviewers")
        unknown = fresh()
        said = [
            announce(author, us, artefact),
            announce(author, us, artefact, action="EndorsementAction"),
            announce(author, us, artefact, inReplyTo=unknown),
        ]
        for document in said:
            answer = await notify(artefact, document)
            assert answer.status == 201
            assert (await service.settled(answer.location))["reason"] == "logged"
        events = await service.events()
        assert [event["activity"] for event in events] == [document["id"] for document in said]
        assert [(event["correlatedBy"], event["causedBy"]) for event in events] == [(None, None)] * 3
        assert [event["inReplyTo"] for event in events] == [None, None, unknown]
        assert {event["artefact"] for event in events} == {artefact}
        await service.restart()
        assert await service.events() == events
