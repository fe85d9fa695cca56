"""Scenario 7: a review service announces review and endorsement to an aggregator; we stay idle."""

import json

from .conftest import Serve
from .notifications import announce
from .peers import Hub, Party, notify, party

PUBLIC = ("/log", "/log?page=1", "/log?since=0")


async def test_nothing_happens_here_when_a_service_tells_another(serve: Serve) -> None:
    """C7.1, C3.3: "sends an Announce AS2 notification to an Awareness Service"; "stays idle"."""
    async with Hub() as reviewer, Hub() as awareness:
        service = await serve({"artefacts.prefixes": "https://pod.example.org/"})
        before = [(await service.get(place)).body for place in (*PUBLIC, "/inbox/")]
        author, aggregator = party(reviewer, "Reviewers"), party(awareness, "Aggregator")
        artefact = "https://preprints.example.net/articles/7"
        for action in ("ReviewAction", "EndorsementAction"):
            document = announce(author, aggregator, artefact, action=action)
            assert (await notify(awareness.url, document)).status == 202
        assert len(awareness.posts) == 2
        assert [(await service.get(place)).body for place in (*PUBLIC, "/inbox/")] == before

        # Ours by neither target nor artefact nor thread, however it is written.
        strays = [
            announce(author, aggregator, artefact),
            announce(author, aggregator, artefact, inReplyTo="urn:uuid:7e7d5c2e-51b8-4b1a-8d0c-0c1f2d3e4f5a"),
            announce(author, aggregator, "https://pod.example.org.evil.example/articles/7"),
        ]
        for stray in strays:
            report = await service.take(stray)
            assert (report["state"], report["reason"]) == ("IGNORED", "not_addressed")
        assert [(await service.get(place)).body for place in PUBLIC] == before[:-1]

        us = Party(id=f"{service.url}/", inbox=service.inbox)
        assert (await service.take(announce(author, us, artefact)))["event"] == f"{service.log}/e/1"
        await service.restart()
        root = json.loads((await service.get("/log")).body)
        assert root["totalItems"] == 1
        assert await service.deliveries() == []
