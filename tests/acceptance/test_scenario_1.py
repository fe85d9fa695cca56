"""Scenario 1: a certification service announces a review and an endorsement to the pod's inbox."""

import hashlib
import json
import time
from datetime import datetime
from typing import Any

from orchestrator.contexts import bundled_contexts
from orchestrator.core.screening import Rules, screen
from orchestrator.core.shapes.shape_set import ShapeSet

from .conftest import Serve
from .notifications import announce, fresh, policy
from .peers import Host, Hub, Party, discover, notify, party
from .service import ROOT, Answer, Service, until

ARTEFACT = "https://pod.example.org/articles/1"
CERTIFIER = Party(
    id="https://certifier.example.org/", inbox="https://certifier.example.org/inbox/", name="Certifier"
)


def us(service: Service) -> Party:
    return Party(id=f"{service.url}/", inbox=service.inbox)


def review(service: Service, artefact: str = ARTEFACT, **more: Any) -> dict[str, Any]:
    return announce(CERTIFIER, us(service), artefact, **more)


def endorsement(service: Service, artefact: str = ARTEFACT, **more: Any) -> dict[str, Any]:
    return announce(CERTIFIER, us(service), artefact, action="EndorsementAction", **more)


def milliseconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp() * 1_000


async def snapshot(service: Service) -> list[bytes]:
    """Return what a reader gets: inbox, log, its page, and each event."""
    events = await service.events()
    places = ["/inbox/", "/log", "/log?page=1", *(event["id"] for event in events)]
    return [(await service.get(place)).body for place in places]


# The certification service's side


async def test_a_service_finds_the_inbox_from_the_artefact_and_what_it_announces_is_in_the_log(
    serve: Serve,
) -> None:
    """C1.1, C1.2, C1.3, C1.6, C1a.1, C1a.5.

    "the certification service knows or discovers the location of the Scholarly inbox"; "sends … an
    Announce AS2 notification to the (Scholarly) Inbox"; "starts an endorsement workflow and sends …".
    """
    async with Host() as pod, Hub() as certifier:
        service = await serve()
        pod.inbox = service.inbox
        artefact = pod.put("articles/1")
        author = party(certifier, "Certifier")
        told = us(service)
        reviewed = announce(author, told, artefact)
        endorsed = announce(author, told, artefact, action="EndorsementAction")

        for number, document in enumerate((reviewed, endorsed), 1):
            answer = await notify(artefact, document)
            assert answer.status == 201
            assert answer.location.startswith(service.inbox)
            assert await service.settled(answer.location) == {
                "notification": answer.location,
                "state": "PROCESSED",
                "reason": "logged",
                "event": f"{service.log}/e/{number}",
                "pattern": ("announce-review", "announce-endorsement")[number - 1],
                "violations": [],
            }
        first, second = await service.events()
        assert [first["activity"], second["activity"]] == [reviewed["id"], endorsed["id"]]
        assert first["artefact"] == second["artefact"] == artefact
        assert first["origin"] == certifier.url
        assert [first["@graph"][0]["object"]["id"], second["@graph"][0]["object"]["id"]] == [
            reviewed["object"]["id"],
            endorsed["object"]["id"],
        ]
        listing = (await service.get("/inbox/")).json["contains"]
        assert [(await service.get(member)).json for member in listing] == [reviewed, endorsed]

        # Once the log knows the artefact, our page about it leads to the same inbox.
        about = await service.get(f"/artefacts?url={artefact}")
        assert about.status == 303
        assert await discover(about.location) == await discover(f"{service.url}/") == service.inbox

        before = await snapshot(service)
        await service.restart()
        assert await snapshot(service) == before


async def test_an_unknown_shape_is_refused_with_a_reason_and_leaves_nothing(serve: Serve) -> None:
    """C1.5: "return HTTP 4** codes when an unknown notification shape was submitted to the inbox"."""
    service = await serve()
    no_artefact = {name: value for name, value in review(service).items() if name != "object"}
    refused = await service.post(no_artefact)
    assert refused.status == 400
    assert refused.headers["Content-Type"].startswith("application/problem+json")
    assert refused.json["type"] == f"{service.url}/problems/shape-violated"
    [violation] = [each for each in refused.json["violations"] if each["severity"] == "Violation"]
    assert (violation["pointer"], violation["term"]) == ("", "object")
    assert 'rel="http://www.w3.org/ns/ldp#constrainedBy"' in refused.headers["Link"]

    strange = {**review(service), "type": ["Holler", "coar-notify:ReviewAction"]}
    assert (await service.post(strange)).status == 400
    assert (await service.post(b"Hello!")).status == 400
    assert (await service.post(review(service), Content_Type="text/plain")).status == 415

    accepted = review(service)
    assert (await service.take(accepted))["event"] == f"{service.log}/e/1"
    assert len((await service.get("/inbox/")).json["contains"]) == 1
    assert [event["activity"] for event in await service.events()] == [accepted["id"]]


# 1.a: the orchestrator's side


async def test_a_notification_about_an_artefact_that_is_gone_is_ignored_with_the_reason(serve: Serve) -> None:
    """C1a.2, C1a.4.

    "MAY filter out notifications about resources that don't exist (anymore) in the data pod"; "MAY only
    have read permission": nothing but HEAD and GET is asked of the pod.
    """
    async with Host() as pod:
        there, vanished, deleted = pod.put("there"), pod.put("vanished", 404), pod.put("deleted", 410)
        broken = pod.put("broken", 500)
        service = await serve({"artefacts.prefixes": pod.url})
        reports = [
            await service.take(review(service, artefact)) for artefact in (there, vanished, deleted, broken)
        ]
        assert [(report["state"], report["reason"]) for report in reports] == [
            ("PROCESSED", "logged"),
            ("IGNORED", "vanished"),
            ("IGNORED", "vanished"),
            ("PROCESSED", "logged"),  # a pod that cannot say is no reason to lose an event
        ]
        assert [event["artefact"] for event in await service.events()] == [there, broken]
        assert {asked.path for asked in pod.asked} == {"/there", "/vanished", "/deleted", "/broken"}
        assert {asked.method for asked in pod.asked} <= {"HEAD", "GET"}
        await service.restart()
        assert [event["artefact"] for event in await service.events()] == [there, broken]
        assert (await service.report(reports[1]["notification"])) == reports[1]


async def test_posted_again_and_killed_in_between_it_is_still_one_event(serve: Serve) -> None:
    """C1a.3: "The orchestrator SHALL processes each notification only once"."""
    service = await serve()
    document = review(service)
    first = await service.post(document)
    assert first.status == 201
    await service.kill()
    await service.start()
    again = await service.post(document)
    assert (again.status, again.location) == (201, first.location)
    await service.settled(first.location)

    # Whatever would process it again has looked by the time that a later notification is through.
    later = []
    for _ in range(3):
        assert (await service.post(json.dumps(document, indent=2).encode())).location == first.location
        later.append(review(service))
        await service.take(later[-1])
    await service.kill()
    await service.start()
    assert (await service.post(document)).location == first.location
    later.append(review(service))
    await service.take(later[-1])

    altered = await service.post({**document, "object": later[0]["object"]})
    assert altered.status == 409
    assert [event["activity"] for event in await service.events()] == [
        document["id"],
        *(each["id"] for each in later),
    ]
    assert (await service.get(first.location)).json == document
    assert len((await service.get("/inbox/")).json["contains"]) == 1 + len(later)


async def test_processing_changes_nothing_in_the_inbox(serve: Serve) -> None:
    """C1a.4: "multiple applications plus the maintainer MAY want to act on incoming notifications"."""
    service = await serve(policies={"park.ttl": policy("coar-notify:EndorsementAction", then="pol:Ignore")})
    body = json.dumps(review(service), indent=4).encode()
    logged = await service.post(body)
    ignored = await service.post(endorsement(service))
    assert [(await service.settled(each.location))["state"] for each in (logged, ignored)] == [
        "PROCESSED",
        "IGNORED",
    ]
    listing = await service.get("/inbox/")
    assert listing.json["contains"] == [logged.location, ignored.location]
    assert (await service.get(logged.location)).body == body
    for method in ("DELETE", "PATCH", "PUT"):
        assert (await service.get(logged.location, method)).status == 405
    await service.restart()
    assert (await service.get("/inbox/")).body == listing.body
    assert (await service.get(logged.location)).body == body


async def test_an_event_is_our_own_processed_version_of_the_notification(serve: Serve) -> None:
    """C1a.5, C1a.6, C1a.7.

    "MAY store a processed version"; "The stored notification @id MUST be unique in all event logs of the
    data pod"; "The event update time SHALL be the time of writing the event log resource".
    """
    service = await serve()
    posted = time.time_ns() // 1_000_000
    sent = [
        review(service, published="2020-02-02T02:02:02Z", updated="2020-02-02T02:02:02Z"),
        review(service, "https://pod.example.org/articles/2"),
        endorsement(service),
    ]
    reports = [await service.take(document) for document in sent]
    events = await service.events()
    seen = time.time_ns() // 1_000_000
    assert [event["activity"] for event in events] == [document["id"] for document in sent]

    identifiers = [event["id"] for event in events]
    assert identifiers == [report["event"] for report in reports]
    assert len(set(identifiers) | {document["id"] for document in sent}) == 2 * len(sent)
    # The artefacts' logs are views of the same events, under the same ids.
    for artefact in (ARTEFACT, "https://pod.example.org/articles/2"):
        about = await service.get(f"/artefacts?url={artefact}")
        view = (await service.get(f"{about.location}/log")).json["orderedItems"]
        assert [event["id"] for event in view] == [
            event["id"] for event in events if event["artefact"] == artefact
        ]

    created = [milliseconds(event["created"]) for event in events]
    assert created == sorted(set(created))
    # The log's time may lead the clock by a little, never lag behind what it tells of.
    assert posted <= created[0] <= created[-1] <= seen + 250
    for event in events:
        assert posted <= milliseconds(event["received"]) <= milliseconds(event["created"])
    assert events[0]["@graph"][0]["published"] == "2020-02-02T02:02:02Z"

    for report, event in zip(reports, events, strict=True):
        answer = await service.get(report["event"])
        assert {name: value for name, value in answer.json.items() if name != "@context"} == event
        [payload] = event["@graph"]
        assert answer.body.count(canonical(payload)) == 1
        assert event["digest"] == hashlib.sha256(event["salt"].encode() + canonical(payload)).hexdigest()


def canonical(payload: object) -> bytes:
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


async def test_the_log_is_readable_by_anybody_even_when_the_inbox_is_not(serve: Serve) -> None:
    """C1a.8: "The artefact lifecycle event log SHALL be public readable"."""
    secret = "a-token-that-nobody-may-see"
    service = await serve({"inbox.read": "token", "inbox.read_token": secret})
    document = review(service)
    document["actor"] = {"id": "mailto:ada@example.org", "type": "Person", "name": "Ada Example"}
    location = (await service.post(document)).location
    assert (await service.get("/inbox/")).status == (await service.get(location)).status == 401
    allowed = {"Authorization": f"Bearer {secret}"}

    async def settled() -> Answer:
        return await service.get(f"{location}/report", Accept="application/json", **allowed)

    await until(settled, lambda answer: answer.json["state"] == "PROCESSED")
    for place in ("/log", "/log?page=1", "/log?since=0", "/log/e/1"):
        answer = await service.get(place, Origin="https://app.example")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert b"ada@example.org" not in answer.body
        assert secret.encode() not in answer.body
    assert (await service.events())[0]["actor"] is None
    root = await service.get("/", "HEAD")
    assert f'<{service.log}>; rel="http://www.w3.org/ns/solid/daen#eventLog"' in root.headers["Link"]


async def test_by_default_what_nobody_asked_for_is_logged_and_a_policy_can_park_it(serve: Serve) -> None:
    """C1.2, C8.2 and pitfall P6, both ways: logged by default; parked until the maintainer accepts."""
    service = await serve()
    assert (await service.take(review(service)))["state"] == "PROCESSED"

    service.policies.mkdir()
    text = (ROOT / "policies" / "require-acceptance.ttl").read_text()
    (service.policies / "require-acceptance.ttl").write_text(text)
    await service.restart()
    unsolicited = await service.take(review(service))
    assert (unsolicited["state"], unsolicited["reason"]) == ("PARKED", "acceptance required")
    assert unsolicited["event"] is None
    [first] = await service.events()
    answer = await service.take(review(service, inReplyTo=first["activity"]))
    assert answer["event"] == f"{service.log}/e/2"
    dismissed = await service.take(review(service))
    await service.restart()
    for parked in (unsolicited, dismissed):
        assert (await service.report(parked["notification"]))["state"] == "PARKED"
    assert [event["sequence"] for event in await service.events()] == [1, 2]

    assert (await service.run("inbox", "accept", unsolicited["notification"]))[0] == 0
    assert (await service.run("inbox", "dismiss", dismissed["notification"]))[0] == 0

    async def accepted() -> dict[str, Any]:
        return await service.report(unsolicited["notification"])

    assert (await until(accepted, lambda report: report["state"] == "PROCESSED"))["event"] == (
        f"{service.log}/e/3"
    )
    assert (await service.report(dismissed["notification"]))["reason"] == "policy"


# 1.b and 1.c: those who read the log


async def test_an_app_reads_the_log_from_its_cursor_and_gets_only_what_is_new_and_wanted(
    serve: Serve,
) -> None:
    """C1b, C1c.

    "The App list new events events not yet processed"; "MAY filter the event log for shapes"; "MAY filter
    out self-referencing notifications"; "The Maintainer opens the (Scholarly) Dashboard and list new
    events".
    """
    service = await serve()
    for document in (review(service), endorsement(service), review(service)):
        await service.take(document)
    cursor = (await service.events())[-1]["sequence"]
    assert await service.events(f"since={cursor}") == []

    app = Party(id="https://app.example.org/", inbox="https://app.example.org/inbox/", name="App")
    news = [
        endorsement(service),
        review(service),
        announce(app, us(service), ARTEFACT),
        review(service, "https://pod.example.org/articles/2"),
    ]
    for document in news:
        await service.take(document)
    new = await service.events(f"since={cursor}")
    assert [event["activity"] for event in new] == [document["id"] for document in news]
    one_by_one = await service.events(f"since={cursor}&limit=1")
    assert one_by_one == new

    reviews = await service.events(f"since={cursor}&type=coar-notify:ReviewAction")
    assert [event["activity"] for event in reviews] == [document["id"] for document in news[1:]]
    of_one = await service.events(f"since={cursor}&artefact={ARTEFACT}&type=coar-notify:ReviewAction")
    assert [event["activity"] for event in of_one] == [news[1]["id"], news[2]["id"]]
    others = [event for event in new if event["actor"] != app.actor["id"]]
    own = await service.events(f"since={cursor}&actor={app.actor['id']}")
    assert [event["activity"] for event in own] == [news[2]["id"]]
    assert [*others[:2], *own, *others[2:]] == new

    await service.restart()
    assert await service.events(f"since={cursor}") == new
    assert await service.events(f"since={new[-1]['sequence']}") == []


# 1.d: service hubs


async def test_of_three_hubs_the_two_whose_policies_match_are_told_exactly_once(serve: Serve) -> None:
    """C1d: "matches the notification to a set of policies and notifies relevant services"."""
    async with (
        Hub() as one,
        Hub(advertise="body") as two,
        Hub(advertise="turtle") as three,
        Hub() as certifier,
    ):
        review_types = ("as:Announce", "coar-notify:ReviewAction")
        service = await serve(
            policies={
                "one.ttl": policy(*review_types, hubs=(one.url,), name="one"),
                "two.ttl": policy(*review_types, hubs=(two.url, one.url, certifier.url), name="two"),
                "three.ttl": policy("coar-notify:EndorsementAction", hubs=(three.url,), name="three"),
            }
        )
        document = announce(party(certifier), us(service), ARTEFACT)
        report = await service.take(document)
        told = await service.delivered(2)
        assert {(each.target, each.state.value) for each in told} == {
            (one.url, "DELIVERED"),
            (two.url, "DELIVERED"),
        }
        assert {len(each.policies) for each in told if each.target == one.url} == {2}
        for hub in (one, two):
            [post] = hub.posts
            said = post.document
            assert said["id"] == next(each.id for each in told if each.target == hub.url)
            assert said["id"] not in {document["id"], report["event"]}
            assert said["origin"] == us(service).system
            assert said["target"] == party(hub).system
            assert said["object"]["id"] == document["object"]["id"]
            assert said["context"]["id"] == ARTEFACT
            assert "inReplyTo" not in said
            assert post.headers["Content-Type"] == (
                'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
            )
            verdict = screen(post.body, Rules(contexts=bundled_contexts(), shapes=shapes(), profile="strict"))
            assert (verdict.accepted, verdict.findings) == (True, ())
        # Never to the service that caused it, and never to the hub whose policy does not match.
        assert certifier.asked == three.asked == []

        # The same again, and the same under a new id: a hub is told of a topic once.
        await service.restart()
        assert (await service.post(document)).location == report["notification"]
        await service.take({**document, "id": fresh()})
        await service.take(endorsement(service))
        await service.delivered(3)
        assert [len(hub.posts) for hub in (one, two, three, certifier)] == [1, 1, 1, 0]


def shapes() -> ShapeSet:
    return ShapeSet({path.stem: path.read_text() for path in sorted((ROOT / "shapes").glob("*.ttl"))})


async def test_a_hub_that_fails_is_tried_again_or_given_up_and_no_other_is_affected(serve: Serve) -> None:
    """C1d, C2.2: 2xx is success; 5xx is tried again; 4xx and redirects are given up with a reason."""
    async with (
        Hub() as well,
        Hub(503) as busy,
        Hub(410) as gone,
        Hub() as elsewhere,
        Hub((307, {"Location": elsewhere.inbox})) as moved,
        Hub(400) as strict,
        Hub("hang") as silent,
    ):
        hubs = (well, busy, gone, moved, strict, silent)
        service = await serve(
            policies={"all.ttl": policy("as:Announce", hubs=tuple(hub.url for hub in hubs))}
        )
        await service.take(review(service))

        async def others() -> dict[str, str]:
            return {
                each.target: each.state.value
                for each in await service.deliveries()
                if each.target not in (busy.url, silent.url)
            }

        # Those that answer are done with while one still hangs.
        await until(
            others,
            lambda found: (
                found == {well.url: "DELIVERED", gone.url: "DEAD", moved.url: "DEAD", strict.url: "DEAD"}
            ),
        )
        assert len(silent.posts) == 1
        assert silent.answers == []
        silent.release.set()

        done = {each.target: each for each in await service.delivered(len(hubs))}
        assert (done[busy.url].state, done[busy.url].attempts) == ("DELIVERED", 2)
        assert busy.answers == [503, 202]
        assert len({post.body for post in busy.posts}) == 1
        assert (done[silent.url].state, silent.answers) == ("DELIVERED", [202])
        assert [len(hub.posts) for hub in (well, gone, moved, strict)] == [1, 1, 1, 1]
        assert elsewhere.asked == []
        assert [(done[hub.url].status, done[hub.url].reason) for hub in (gone, moved, strict)] == [
            (410, "the hub is gone (410)"),
            (307, "refused with 307"),
            (400, "refused with 400"),
        ]

        # The operator has spoken with the hub: the same notification, the same bytes.
        code, out, _ = await service.run("delivery", "retry", "--json", done[gone.url].id)
        assert (code, json.loads(out)["state"]) == (0, "RETRYING")
        done = {each.target: each for each in await service.delivered(len(hubs))}
        assert done[gone.url].state == "DELIVERED"
        assert gone.answers == [410, 202]
        assert len({post.body for post in gone.posts}) == 1

        await service.restart()
        assert {each.target: each for each in await service.deliveries()} == done
        assert sum(len(hub.posts) for hub in hubs) == 8


async def test_an_edited_policy_decides_about_the_next_event_and_changes_nothing_that_was(
    serve: Serve,
) -> None:
    """C1d: "a policy to update a range of Service Hubs", which its maintainer edits while we run."""
    async with Hub() as old, Hub() as new:
        service = await serve(policies={"hubs.ttl": policy("as:Announce", hubs=(old.url,))})
        await service.take(review(service))
        before = await service.delivered(1)
        (service.policies / "hubs.ttl").write_text(policy("as:Announce", hubs=(new.url,)))

        async def in_force() -> bool:
            return new.url.encode() in (await service.get("/policies/hubs")).body

        await until(in_force)
        await service.take(review(service))
        after = await service.delivered(2)
        assert {each.target: each.event for each in after} == {old.url: 1, new.url: 2}
        assert [each for each in after if each.event == 1] == before
        first, second = await service.events()
        assert first["policySet"] != second["policySet"]

        # A broken edit keeps what was in force.
        service.expected.add("policies_refused")
        (service.policies / "hubs.ttl").write_text("<#hubs> a pol:Policy .")

        async def refused() -> bool:
            return any(line["action"] == "policies_refused" for line in service.told())

        await until(refused)
        await service.take(review(service))
        await service.delivered(3)
        third = (await service.events())[2]
        assert third["policySet"] == second["policySet"]
        assert (len(old.posts), len(new.posts)) == (1, 2)
