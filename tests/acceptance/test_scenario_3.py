"""Scenario 3: a certification service announces review and endorsement to an awareness service; we stay idle."""

from .conftest import Serve
from .notifications import announce, policy
from .peers import Hub, Party, notify, party


async def test_the_orchestrator_stays_idle_while_others_talk_to_each_other(serve: Serve) -> None:
    """C3.1, C3.2, C3.3: "Pod doesn't receive a notification": "The Orchestrator stays idle".

    A stray copy that is for somebody else, about what is not ours, is ignored and says so.
    """
    async with Hub() as certifier, Hub() as awareness, Hub() as hub:
        service = await serve(
            {"artefacts.prefixes": "https://pod.example.org/"},
            {"all.ttl": policy("as:Announce", hubs=(hub.url,))},
        )
        author, aggregator = party(certifier, "Certifier"), party(awareness, "Aggregator")
        elsewhere = "https://preprints.example.net/articles/1"
        reviewed = announce(author, aggregator, elsewhere)
        endorsed = announce(author, aggregator, elsewhere, action="EndorsementAction")
        for document in (reviewed, endorsed):
            assert (await notify(awareness.url, document)).status == 202
        assert [post.document for post in awareness.posts] == [reviewed, endorsed]

        stray = await service.take(reviewed)
        assert (stray["state"], stray["reason"], stray["event"]) == ("IGNORED", "not_addressed", None)
        assert await service.events() == []
        assert await service.deliveries() == []

        # What is about us, or to us, is the first event: nothing came before it.
        us = Party(id=f"{service.url}/", inbox=service.inbox)
        ours = announce(author, aggregator, "https://pod.example.org/articles/1")
        to_us = announce(author, us, elsewhere)
        for number, document in enumerate((ours, to_us), 1):
            assert (await service.take(document))["event"] == f"{service.log}/e/{number}"
        await service.delivered(2)
        told = {post.document["object"]["id"] for post in hub.posts}
        assert told == {ours["object"]["id"], to_us["object"]["id"]}

        await service.restart()
        assert (await service.post(reviewed)).location == stray["notification"]
        assert await service.report(stray["notification"]) == stray
        assert [event["activity"] for event in await service.events()] == [ours["id"], to_us["id"]]
        assert [asked.method for asked in certifier.asked] == []
