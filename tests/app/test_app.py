"""Whole runs of the app against a log and a pod that do as they are told."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from rdflib import Graph
from tests.app.world import OTHER, REVIEWED, US, Runs, World, announcement, outcomes

from orchestrator.app import Told
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused, ConfigurationError, PeerUnreachable
from orchestrator.core.vocabulary import CITO

REVIEW = "https://reviews.example/1"


def refusing(method: str, path: str, *statuses: int) -> Any:
    """Return what answers the first requests of a kind with these statuses."""
    left = list(statuses)

    async def reply(request: web.Request) -> web.StreamResponse | None:
        if (request.method, request.path) == (method, path) and left:
            return web.Response(status=left.pop(0))
        return None

    return reply


async def test_a_review_that_is_announced_is_linked_and_told_of(world: World, runs: Runs) -> None:
    artefact = world.document("/papers/1")
    event = world.announce(artefact, REVIEW)
    told = await runs.once()
    assert outcomes(told) == ["linked", "reported"]
    assert world.links("/papers/1") == [REVIEW]
    assert world.documents["/papers/1"].version == 2
    [report] = world.told
    assert report["type"] == "Update"
    assert report["inReplyTo"] == event["activity"]
    assert report["object"] == {"id": artefact}
    assert report["result"] == [
        {"type": "Relationship", "subject": artefact, "relationship": REVIEWED, "object": REVIEW}
    ]
    assert told[1].activity == report["id"]
    assert told[1].location == f"{world.inbox}{report['id'][-12:]}"
    # Its own Update is an event now, and nothing comes of that.
    assert outcomes(await runs.once()) == ["skipped self"]
    assert outcomes(await runs.once()) == []
    assert len(world.told) == 1


async def test_a_run_without_the_state_writes_nothing_and_tells_nobody(world: World, runs: Runs) -> None:
    world.announce(world.document("/papers/1"), REVIEW)
    await runs.once()
    before = len(world.asked)
    assert outcomes(await runs.once(state="new.json")) == ["skipped self", "there"]
    assert {asked.partition(" ")[0] for asked in world.asked[before:]} == {"GET"}
    assert world.documents["/papers/1"].version == 2
    assert len(world.told) == 1


async def test_a_rehearsal_says_what_would_be_written_and_leaves_nothing_behind(
    world: World, runs: Runs
) -> None:
    artefact = world.document("/papers/1")
    world.announce(artefact, REVIEW)
    told = await runs.once(rehearses=True)
    assert outcomes(told) == ["missing"]
    assert told[0].links == ((artefact, REVIEWED, REVIEW),)
    assert {asked.partition(" ")[0] for asked in world.asked} == {"GET"}
    assert list(runs.folder.iterdir()) == []


async def test_without_a_name_it_links_and_tells_nobody(world: World, runs: Runs) -> None:
    world.announce(world.document("/papers/1"), REVIEW)
    assert outcomes(await runs.once(app_id="", app_inbox="")) == ["linked"]
    assert world.links("/papers/1") == [REVIEW]
    assert not [asked for asked in world.asked if "inbox" in asked]


async def test_a_link_that_somebody_else_wrote_is_not_told_of(world: World, runs: Runs) -> None:
    path = "/papers/1"
    artefact = world.document(path, f"<> <{REVIEWED}> <{REVIEW}> .")
    world.announce(artefact, REVIEW)
    assert outcomes(await runs.once()) == ["there"]
    assert (world.documents[path].version, world.told) == (1, [])


async def test_a_link_that_was_taken_out_is_not_put_in_again(world: World, runs: Runs) -> None:
    """Whoever owns the artefact has the last word."""
    world.announce(world.document("/papers/1"), REVIEW)
    await runs.once()
    world.document("/papers/1")
    await runs.once()
    assert world.links("/papers/1") == []


async def test_what_is_no_rdf_is_linked_in_its_description(world: World, runs: Runs) -> None:
    artefact = world.document(
        "/papers/1.pdf", media_type="application/pdf", links='<1.pdf.meta>; rel="describedby"'
    )
    world.document("/papers/1.pdf.meta")
    world.announce(artefact, REVIEW)
    told = await runs.once()
    assert told[0].document == f"{artefact}.meta"
    said = world.documents["/papers/1.pdf.meta"].graph.serialize(format="nt11")
    assert f"<{artefact}> <{REVIEWED}> <{REVIEW}> ." in said


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"origin": US}, "self"),
        ({"actor": US}, "self"),
        ({"artefact": None}, "elsewhere"),
        ({"artefact": "https://elsewhere.example/papers/1"}, "elsewhere"),
        ({"@graph": None}, "erased"),
        ({"@graph": []}, "malformed"),
        ({"@graph": [{}, {}]}, "malformed"),
        ({"@graph": ["text"]}, "malformed"),
        ({"activity": None}, "malformed"),
        ({"activity": "no IRI"}, "malformed"),
        ({"id": "javascript:alert(1)"}, "malformed"),
        ({"id": 1}, "malformed"),
    ],
)
async def test_an_event_that_does_not_concern_us_is_passed_over(
    more: dict[str, Any], reason: str, world: World, runs: Runs
) -> None:
    world.events.append({**world.announce(world.document("/papers/1")), **more})
    del world.events[0]
    assert outcomes(await runs.once()) == [f"skipped {reason}"]
    assert not [asked for asked in world.asked if "papers" in asked]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/papers/../private", "elsewhere"),
        ("/papers/%2e%2e/private", "elsewhere"),
        ("/papers/..%2Fprivate", "elsewhere"),
        ("/papers/x/..\\..\\private", "elsewhere"),
        ("/papers/1> <urn:a> <urn:b", "shape"),
        ("/papers/1 2", "shape"),
        ('/papers/1"', "shape"),
    ],
)
async def test_an_artefact_that_only_looks_like_ours_is_not_touched(
    path: str, reason: str, world: World, runs: Runs
) -> None:
    world.document("/private")
    world.announce(world.url(path))
    assert outcomes(await runs.once()) == [f"skipped {reason}"]
    assert {asked for asked in world.asked if "log" not in asked} == set()


HOSTILE = [
    ({"id": "_:review"}, "shape"),
    ({"id": "urn:uuid:5f0e"}, "unsafe"),
    ({"id": "ftp://reviews.example/1"}, "unsafe"),
    ({"id": "mailto:reviewer@reviews.example"}, "unsafe"),
    ({"id": "https://"}, "unsafe"),
    ({"id": "javascript:alert(1)"}, "shape"),
    ({"id": "data:text/html,hello"}, "shape"),
    ({"id": "https://reviews.example/<script>alert(1)</script>"}, "shape"),
    ({"id": "https://x.example/> . <urn:a> <urn:b> <urn:c"}, "shape"),
    ({"id": "https://x.example/\n"}, "shape"),
    ({"id": "https://x.example/`{|}^\\"}, "shape"),
    ({"id": "/reviews/1"}, "shape"),
    ({}, "shape"),
]


@pytest.mark.parametrize(("named", "reason"), HOSTILE)
async def test_what_cannot_be_written_safely_is_not_written(
    named: dict[str, str], reason: str, world: World, runs: Runs
) -> None:
    artefact = world.document("/papers/1")
    payload = announcement(artefact, REVIEW, 1)
    payload["object"] = {"type": ["Document", "sorg:Review"], **named}
    world.add(payload, artefact=artefact)
    assert outcomes(await runs.once()) == [f"skipped {reason}"]
    assert not [asked for asked in world.asked if "papers" in asked]


@pytest.mark.parametrize(
    "change",
    [
        {"context": {"id": "https://elsewhere.example/1", "type": "Page"}},
        {"object": {"id": "ARTEFACT", "type": ["Document", "sorg:Review"]}, "context": "https://x.example/"},
        {"object": {"id": "ARTEFACT", "type": ["Document", "sorg:Review"]}},
    ],
)
async def test_an_artefact_that_is_not_what_was_reviewed_is_left_alone(
    change: dict[str, Any], world: World, runs: Runs
) -> None:
    """A log says what an event is about; a journal's own review of another's article is an artefact, too."""
    artefact = world.document("/papers/1")
    payload = json.loads(
        json.dumps({**announcement(artefact, REVIEW, 1), **change}).replace("ARTEFACT", artefact)
    )
    world.add(payload, artefact=artefact)
    assert outcomes(await runs.once()) == ["skipped about"]
    assert world.documents["/papers/1"].version == 1


async def test_without_a_context_the_log_knows_from_the_thread(world: World, runs: Runs) -> None:
    artefact = world.document("/papers/1")
    payload = announcement(artefact, REVIEW, 1)
    del payload["context"]
    world.add(payload, artefact=artefact)
    assert outcomes(await runs.once()) == ["linked", "reported"]
    assert world.links("/papers/1") == [REVIEW]


@pytest.mark.parametrize(
    ("types", "reason"),
    [
        (["Announce", "coar-notify:EndorsementAction"], "pattern"),
        (["Announce", "https://elsewhere.example/Action"], "pattern"),
        (["Update"], "pattern"),
        (["Document"], "shape"),
    ],
)
async def test_only_patterns_that_are_wanted_are_linked(
    types: list[str], reason: str, world: World, runs: Runs
) -> None:
    artefact = world.document("/papers/1")
    world.add({**announcement(artefact, REVIEW, 1), "type": types}, artefact=artefact)
    assert outcomes(await runs.once()) == [f"skipped {reason}"]


async def test_a_pattern_is_linked_by_the_relation_that_was_asked_for(world: World, runs: Runs) -> None:
    artefact = world.document("/papers/1")
    types = ["Announce", "coar-notify:EndorsementAction"]
    world.add({**announcement(artefact, REVIEW, 1), "type": types}, artefact=artefact)
    links = {"announce-endorsement": f"{CITO}isAgreedWithBy"}
    told = await runs.once(app_links=links)
    assert told[0].links == [(artefact, f"{CITO}isAgreedWithBy", REVIEW)]


async def test_a_payload_without_the_shape_of_its_pattern_is_passed_over(world: World, runs: Runs) -> None:
    artefact = world.document("/papers/1")
    payload = announcement(artefact, REVIEW, 1)
    payload["object"]["type"] = "sorg:Review"
    world.add(payload, artefact=artefact)
    told = await runs.once()
    assert outcomes(told) == ["skipped shape"]
    assert "Activity Streams 2.0 object type" in (told[0].said or "")


SHAPE = """
@prefix as: <https://www.w3.org/ns/activitystreams#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
<#ours> a sh:NodeShape ; sh:property [ sh:path as:origin ; sh:hasValue <https://reviews.example/> ] .
"""


async def test_shapes_of_the_operators_own_decide_too(world: World, runs: Runs) -> None:
    file = runs.folder / "ours.ttl"
    file.write_text(SHAPE)
    for number, origin in enumerate(("https://reviews.example/", "https://others.example/")):
        artefact = world.document(f"/papers/{number}")
        payload = announcement(artefact, REVIEW, number + 1)
        payload["origin"]["id"] = origin
        world.add(payload, artefact=artefact)
    told = await runs.once(app_shapes=(str(file),))
    assert Counter(outcomes(told)) == {"linked": 1, "reported": 1, "skipped filter": 1}
    assert (len(world.links("/papers/0")), len(world.links("/papers/1"))) == (1, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<#a> a", "ours.ttl, line 1"),
        ("<urn:a> <urn:b> <urn:c> .", "ours.ttl"),
        (SHAPE.replace("sh:hasValue", "sh:hasValu"), "ours.ttl"),
        ("", "no node shape"),
        (None, "No such file"),
    ],
)
async def test_shapes_that_cannot_be_used_are_refused_at_the_start(
    text: str | None, said: str, world: World, runs: Runs
) -> None:
    file = runs.folder / "ours.ttl"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        await runs.once(app_shapes=(str(file),))
    assert world.asked == []


async def test_an_artefact_gets_only_so_many_links_whoever_wrote_them(world: World, runs: Runs) -> None:
    """A thousand reviews of one artefact, of which anybody can tell."""
    artefact = world.document(
        "/papers/1", f"<> <{REVIEWED}> <https://reviews.example/own> ; <{OTHER}> <urn:x> ."
    )
    for number in range(1_000):
        world.announce(artefact, f"https://reviews.example/{number}")
    world.publishes = False
    told = await runs.once(app_most=10)
    assert Counter(outcomes(told)) == {
        "linked": 9,
        "reported": 9,
        "skipped full": 991,
        "postponed behind": Counter(outcomes(told))["postponed behind"],
    }
    expected = [f"https://reviews.example/{name}" for name in ("own", *range(9))]
    assert world.links("/papers/1") == sorted(expected)


async def test_an_artefact_that_is_gone_is_passed_over(world: World, runs: Runs) -> None:
    world.announce(world.url("/papers/1"))
    told = await runs.once()
    assert outcomes(told) == ["skipped vanished"]
    assert outcomes(await runs.once()) == []


async def test_what_others_change_meanwhile_is_not_lost(world: World, runs: Runs) -> None:
    path = "/papers/1"
    artefact = world.document(path)
    world.announce(artefact, REVIEW)
    left = [1, 2]

    async def change(request: web.Request) -> None:
        if request.method == "PATCH" and left:
            document = world.documents[path]
            document.graph.update(f"INSERT DATA {{ <{artefact}> <{OTHER}> <urn:{left.pop()}> }}")
            document.version += 1

    world.before = change
    assert outcomes(await runs.once()) == ["linked", "reported"]
    assert world.asked.count(f"PATCH {path}") == 3
    assert world.links(path) == [REVIEW]
    assert len(list(world.documents[path].graph)) == 4


async def test_a_document_that_others_always_change_is_tried_again_later(world: World, runs: Runs) -> None:
    path = "/papers/1"
    world.announce(world.document(path), REVIEW)
    world.before = refusing("PATCH", path, 412, 412, 412)
    told = await runs.once()
    assert outcomes(told) == ["postponed failed"]
    assert "changed by others each of 3 times" in (told[0].said or "")
    assert outcomes(await runs.once()) == ["linked", "reported"]


async def test_a_change_that_was_refused_is_not_ours_when_somebody_else_makes_it_later(
    world: World, runs: Runs
) -> None:
    path = "/papers/1"
    artefact = world.document(path)
    world.announce(artefact, REVIEW)
    world.before = refusing("PATCH", path, 412, 412, 412)
    assert outcomes(await runs.once()) == ["postponed failed"]
    world.document(path, f"<> <{REVIEWED}> <{REVIEW}> .")
    assert outcomes(await runs.once()) == ["there"]
    assert world.told == []


async def test_whoever_wrote_the_link_meanwhile_is_not_us(world: World, runs: Runs) -> None:
    path = "/papers/1"
    artefact = world.document(path)
    world.announce(artefact, REVIEW)

    async def change(request: web.Request) -> None:
        document = world.documents[path]
        if request.method == "PATCH" and document.version == 1:
            document.graph.update(f"INSERT DATA {{ <{artefact}> <{REVIEWED}> <{REVIEW}> }}")
            document.version += 1

    world.before = change
    assert outcomes(await runs.once()) == ["there"]
    assert world.told == []


async def test_a_change_whose_answer_was_lost_is_told_of(world: World, runs: Runs) -> None:
    path = "/papers/1"
    world.announce(world.document(path), REVIEW)
    world.after = refusing("PATCH", path, 503)
    assert outcomes(await runs.once()) == ["postponed failed"]
    assert world.links(path) == [REVIEW]
    assert outcomes(await runs.once()) == ["linked", "reported"]
    assert world.documents[path].version == 2


@pytest.mark.parametrize("status", [401, 403, 409, 500, 503])
async def test_what_a_pod_refuses_is_tried_again_and_others_go_on(
    status: int, world: World, runs: Runs
) -> None:
    first, second = world.document("/papers/1"), world.document("/papers/2")
    world.announce(first, REVIEW)
    world.announce(second, REVIEW)
    world.before = refusing("PATCH", "/papers/1", status)
    told = await runs.once()
    assert "postponed failed" in outcomes(told)
    assert str(status) in (told[0].said or "")
    later = await runs.once()
    assert Counter(outcomes([*told, *later])) == {
        "postponed failed": 1,
        "linked": 2,
        "reported": 2,
        **({"skipped self": 1} if len(told) > 1 else {}),
    }
    assert (world.links("/papers/1"), world.links("/papers/2")) == ([REVIEW], [REVIEW])


async def test_a_dead_pod_stops_nobody_else_and_nothing_is_lost(world: World, runs: Runs) -> None:
    """The links of one artefact come in the order of the log, however many wait."""
    closed = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    dead = f"http://127.0.0.1:{closed.sockets[0].getsockname()[1]}/papers/"
    closed.close()
    await closed.wait_closed()
    world.publishes = False
    for number in range(130):
        world.announce(f"{dead}{number % 7}", f"https://reviews.example/{number}")
    for number in range(3):
        world.announce(world.document(f"/papers/{number}"), REVIEW)
    prefixes = (dead, f"{world.root}/papers/")
    told = await runs.once(app_artefacts=prefixes)
    counts = Counter(outcomes(told))
    assert counts == {"postponed failed": 1, "postponed behind": 30, "linked": 3, "reported": 3}
    assert len(runs.state.read_bytes()) < 100_000
    # It is there again, under another address only here.
    state = runs.state.read_text().replace(dead, f"{world.root}/papers/late-")
    place = dead.split("/")[2]
    runs.state.write_text(state.replace(place, world.root.split("/")[2]))
    for event in world.events:
        text = json.dumps(event).replace(dead, f"{world.root}/papers/late-")
        event.update(json.loads(text))
    for number in range(7):
        world.document(f"/papers/late-{number}")
    written: list[str] = []

    def note(told: Told) -> None:
        written.extend(thing for _, _, thing in told.links if told.outcome == "linked")

    async with runs.made(runs.settings, note) as made:
        await asyncio.wait_for(made.run(once=True), 60)
    assert len(written) == 130
    for number in range(7):
        of_one = [thing for thing in written if int(thing.rpartition("/")[2]) % 7 == number]
        assert of_one == [f"https://reviews.example/{n}" for n in range(number, 130, 7)]
    assert len(world.told) == 133


async def test_a_pod_that_hangs_keeps_nobody_waiting(world: World, runs: Runs) -> None:
    released = asyncio.Event()
    linked: list[str] = []

    async def hang(request: web.Request) -> None:
        if request.host.startswith("localhost"):
            await released.wait()

    def tell(told: Told) -> None:
        linked.append(told.outcome)
        if linked.count("reported") == 2:
            released.set()

    port = world.root.rpartition(":")[2]
    hanging = f"http://localhost:{port}/papers/"
    world.before = hang
    world.announce(f"{hanging}1", REVIEW)
    for number in (2, 3):
        world.announce(world.document(f"/papers/{number}"), REVIEW)
    settings: Any = {
        "app_artefacts": (hanging, f"{world.root}/papers/"),
        "allow_private": ("127.0.0.0/8", "::1", "localhost"),
    }
    async with runs.made(replace(runs.settings, **settings), tell) as made:
        await asyncio.wait_for(made.run(once=True), 10)
    assert linked[:4].count("reported") == 2


async def test_a_report_that_is_not_taken_is_sent_again_the_same(world: World, runs: Runs) -> None:
    world.announce(world.document("/papers/1"), REVIEW)
    bodies: list[bytes] = []

    async def busy(request: web.Request) -> web.StreamResponse | None:
        if request.method == "POST":
            bodies.append(await request.read())
            return web.Response(status=503) if len(bodies) <= 3 else None
        return None

    world.before = busy
    assert outcomes(await runs.once()) == ["linked", "postponed failed"]
    assert outcomes(await runs.once()) == ["reported"]
    assert len(set(bodies)) == 1
    assert world.documents["/papers/1"].version == 2


async def test_a_report_that_is_refused_is_not_sent_again(world: World, runs: Runs) -> None:
    world.announce(world.document("/papers/1"), REVIEW)
    world.before = refusing("POST", "/inbox/", 409)
    told = await runs.once()
    assert outcomes(told) == ["linked", "refused report"]
    assert "answered 409" in (told[1].said or "")
    assert outcomes(await runs.once()) == []


async def test_an_inbox_that_has_moved_is_found_again(world: World, runs: Runs) -> None:
    world.announce(world.document("/papers/1"), REVIEW)
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def move(request: web.Request) -> None:
        if request.method == "POST":
            world.inbox_path = "/moved/"

    world.before = move
    async with runs.made(runs.settings, lambda told: ended.put_nowait(told.outcome)) as made:
        running = asyncio.create_task(made.run())
        assert [await asyncio.wait_for(ended.get(), 30) for _ in range(3)] == [
            "linked",
            "postponed",
            "reported",
        ]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    [report] = world.told
    assert report["target"]["inbox"] == f"{world.root}/moved/"
    assert [asked for asked in world.asked if asked.startswith("POST")] == ["POST /inbox/", "POST /moved/"]


async def test_a_token_is_read_anew_for_each_attempt_and_shown_to_the_pod_only(
    world: World, runs: Runs
) -> None:
    token = runs.folder / "token"
    token.write_text("first")
    world.announce(world.document("/papers/1"), REVIEW)
    seen: dict[str, set[str | None]] = {}

    async def note(request: web.Request) -> None:
        seen.setdefault(request.path.split("/")[1], set()).add(request.headers.get("Authorization"))

    world.before = note
    await runs.once(app_token_file=str(token))
    assert seen == {"log": {None}, "inbox": {None}, "papers": {"Bearer first"}}
    token.unlink()
    with pytest.raises(ConfigurationError, match="token"):
        await runs.once(app_token_file=str(token))


async def test_a_log_that_was_reset_is_noticed(world: World, runs: Runs) -> None:
    world.announce(world.document("/papers/1"), REVIEW)
    await runs.once()
    world.events.clear()
    with pytest.raises(AnswerRefused, match="was reset or restored"):
        await runs.once()
    for _ in range(3):
        world.announce(world.document("/papers/2"), REVIEW, digest="another")
    with pytest.raises(AnswerRefused, match="was reset or restored"):
        await runs.once()
    world.told.clear()
    told = await runs.once(state="new.json")
    assert sorted(outcomes(told)) == ["linked", "reported", "there", "there"]


async def test_a_log_that_cannot_be_read_is_told(world: World, runs: Runs) -> None:
    world.before = refusing("GET", "/log", *[500] * 3)
    with pytest.raises(PeerUnreachable, match="answered 500"):
        await runs.once()


async def test_it_goes_on_following_when_the_log_was_away(world: World, runs: Runs) -> None:
    """Events that come while it runs, and after the log did not answer for a while."""
    artefact = world.document("/papers/1")
    world.announce(artefact, REVIEW)
    reported = asyncio.Event()

    def tell(told: Told) -> None:
        if told.outcome == "reported":
            reported.set()

    world.before = refusing("GET", "/log", *[500] * 4)
    async with runs.made(runs.settings, tell) as made:
        running = asyncio.create_task(made.run())
        await asyncio.wait_for(reported.wait(), 30)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert json.loads(runs.state.read_text())["pending"] == []
    assert world.links("/papers/1") == [REVIEW]


async def test_two_apps_on_one_log_do_not_answer_each_other(world: World, runs: Runs) -> None:
    for number in range(3):
        world.announce(world.document(f"/papers/{number}"), f"https://reviews.example/{number}")
    other: Any = {"app_id": "https://other.example/", "app_inbox": "", "state": "other.json"}
    await asyncio.gather(runs.once(), runs.once(**other))
    for _ in range(5):
        await runs.once()
        await runs.once(**other)
    before = len(world.events), [document.version for document in world.documents.values()], len(world.told)
    for _ in range(10):
        assert outcomes([*await runs.once(), *await runs.once(**other)]) == []
    after = len(world.events), [document.version for document in world.documents.values()], len(world.told)
    assert before == after
    assert after[1] == [2, 2, 2]
    assert 3 <= after[2] <= 6


async def test_an_answer_to_our_report_is_none_of_our_business(world: World, runs: Runs) -> None:
    """P38: an agent never sees what it caused, at any remove."""
    artefact = world.document("/papers/1")
    world.announce(artefact, REVIEW)
    await runs.once()
    ours = world.events[-1]
    answer = world.announce(artefact, "https://reviews.example/2", causedBy=ours["id"])
    world.announce(artefact, "https://reviews.example/3", causedBy=answer["id"])
    assert outcomes(await runs.once()) == ["skipped self"] * 3
    copied = {**announcement(artefact, "https://reviews.example/4", 9), "id": ours["activity"]}
    world.add(copied, artefact=artefact)
    assert outcomes(await runs.once()) == ["skipped self"]


async def test_what_a_document_says_already_stays_as_it_is(world: World, runs: Runs) -> None:
    text = f'<> <{v.RDFS}label> "Ein Aufsatz"@de ; <{OTHER}> [ <urn:p> 1.0 ] .'
    path = "/papers/1"
    artefact = world.document(path, text)
    world.announce(artefact, REVIEW)
    await runs.once()
    expected = Graph().parse(data=f"{text} <> <{REVIEWED}> <{REVIEW}> .", format="turtle", publicID=artefact)
    assert world.documents[path].graph.isomorphic(expected)
