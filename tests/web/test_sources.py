"""Sources and figures over HTTP: for whoever shows the admin's token, and for nobody else."""

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.source import MAIN, read_source
from orchestrator.ports.sources import Ended, Found, MemberState

BASE = "https://orchestrator.example"
TOKEN = "correct-horse"
BEARER = f"Bearer {TOKEN}"
ADMIN = {"admin_tokens": frozenset({hashlib.sha256(TOKEN.encode()).hexdigest(), "0" * 64})}
POD = {"name": "pod", "inbox": "https://pod.example/inbox/"}
ROUTES = [
    ("GET", "/sources/"),
    ("HEAD", "/sources/"),
    ("POST", "/sources/"),
    ("GET", "/sources/pod"),
    ("HEAD", "/sources/pod"),
    ("DELETE", "/sources/pod"),
    ("POST", "/sources/pod/poll"),
    ("POST", "/sources/pod/pause"),
    ("POST", "/sources/pod/resume"),
    ("GET", "/sources/nobody"),
    ("DELETE", "/sources/nobody"),
    ("GET", "/metrics"),
    ("HEAD", "/metrics"),
]


@pytest.fixture
async def admin(build: Any) -> AsyncIterator[Any]:
    """A served site that has an admin."""
    async with build(**ADMIN, inboxes=("reviews",)) as served:
        yield served


async def ask(house: Any, path: str, method: str = "GET") -> Any:
    return await house.ask(path, method, Authorization=BEARER)


async def add(house: Any, given: object = None, **headers: str) -> Any:
    named = {"Content-Type": "application/json", "Authorization": BEARER, **headers}
    return await house.post(POD if given is None else given, path="/sources/", **named)


def document(answer: Any) -> Any:
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    return json.loads(answer._body)


def detail(answer: Any, status: int = 400) -> str:
    """Return what a refusal says, once it has been seen to be the problem that it should be."""
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    problem = json.loads(answer._body)
    assert problem["status"] == status
    return str(problem["detail"])


async def pass_over(house: Any, found: Sequence[Found] = (), *, reason: str | None = None) -> None:
    """Let a pass over the source be recorded, as the poller does."""
    now = house.site.clock.now()
    progress = house.store.progress
    [claimed] = await progress.claim("test", limit=1, now=now, lease=60_000, name="pod")
    await progress.note(claimed.lease, found, now=now)
    ended = Ended(progress={}, next_at=now + 300_000, requests=1 + len(found), reason=reason)
    await progress.finish(claimed.lease, ended, now=now)


def member(number: int, state: MemberState, **more: Any) -> Found:
    return Found(url=f"https://pod.example/inbox/{number}", mark="", state=state, **more)


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    ("authorization", "named"),
    [
        (None, False),
        ("Bearer wrong", True),
        ("Bearer", True),
        (TOKEN, True),
        (f"Basic {TOKEN}", True),
        (f"Bearer {TOKEN} {TOKEN}", True),
    ],
)
async def test_without_the_admins_token_nothing_is_shown_or_changed(
    admin: Any, method: str, path: str, authorization: str | None, *, named: bool
) -> None:
    assert (await add(admin)).status == 201
    [before] = await admin.store.sources.statuses("pod")
    headers = {"Authorization": authorization} if authorization else {}
    answer = await admin.ask(path, method, **headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert ("invalid_token" in answer.headers["WWW-Authenticate"]) is named
    assert b"pod.example" not in answer._body
    assert list(await admin.store.sources.statuses()) == [before]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("token", ["", TOKEN, "0" * 64, hashlib.sha256(b"").hexdigest()])
async def test_where_no_token_is_set_there_is_no_admin(
    house: Any, method: str, path: str, token: str
) -> None:
    answer = await house.ask(path, method, Authorization=f"Bearer {token}")
    assert answer.status == 401


async def test_the_token_that_reads_the_inbox_is_not_the_admins(build: Any) -> None:
    reader = frozenset({hashlib.sha256(b"reader").hexdigest()})
    async with build(**ADMIN, inbox_read="token", read_tokens=reader) as house:
        for path, status in (("/inbox/", 200), ("/sources/", 401), ("/metrics", 401)):
            assert (await house.ask(path, Authorization="Bearer reader")).status == status
        assert (await ask(house, "/sources/")).status == 200
        assert (await ask(house, "/inbox/")).status == 401


async def test_a_source_is_added_shown_and_listed(admin: Any) -> None:
    assert document(await ask(admin, "/sources/")) == {"sources": []}
    answer = await add(admin)
    assert answer.status == 201
    assert answer.headers["Location"] == f"{BASE}/sources/pod"
    added = document(answer)
    assert added == {
        "id": f"{BASE}/sources/pod",
        "name": "pod",
        "inbox": "https://pod.example/inbox/",
        "schedule": "5m",
        "policy": "open",
        "into": "inbox",
        "declaredBy": "operator",
        "state": "new",
        "reason": None,
        "failures": 0,
        "requests": 0,
        "attempted": None,
        "succeeded": None,
        "next": added["next"],
        "reads": "https://pod.example/inbox/",
        "channel": None,
        "members": {"KEPT": 0, "IGNORED": 0, "INVALID": 0, "GONE": 0, "RETRY": 0},
    }
    shown = await ask(admin, answer.headers["Location"].removeprefix(BASE))
    assert shown.status == 200
    assert document(shown) == {**added, "latest": []}
    assert document(await ask(admin, "/sources/")) == {"sources": [added]}
    [status] = await admin.store.sources.statuses("pod")
    assert status.next_at <= admin.site.clock.now()


@pytest.mark.parametrize(
    "given",
    [
        {"name": "a", "artefact": "https://pod.example/papers/1", "into": "reviews"},
        {"name": "a", "log": "https://institute.example/log", "schedule": "0 * * * *"},
        {
            "name": "a",
            "inbox": "https://pod.example/inbox/",
            "policy": "authenticated",
            "senders": ["https://reviews.example/", "https://endorse.example/"],
        },
    ],
)
async def test_every_member_of_a_source_is_taken_and_told_again(admin: Any, given: dict[str, Any]) -> None:
    answer = await add(admin, given)
    assert answer.status == 201
    said = document(answer)
    assert {name: said[name] for name in given} == given
    [status] = await admin.store.sources.statuses("a")
    assert status.source == read_source(given, "here")


async def test_a_name_is_given_once(admin: Any) -> None:
    await add(admin)
    answer = await add(admin, {**POD, "inbox": "https://other.example/"})
    assert "There is a source named pod already" in detail(answer)
    [status] = await admin.store.sources.statuses()
    assert status.source.url == POD["inbox"]


async def test_a_source_with_a_token_file_is_refused_over_http_and_the_reason_told(admin: Any) -> None:
    """It would read any file of the server, and show it to any other."""
    answer = await add(admin, {**POD, "token_file": "/etc/hostname"})
    said = detail(answer)
    assert "token_file" in said
    assert "orchestrator source add" in said
    assert await admin.store.sources.statuses() == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**POD, "intoo": "reviews"}, ("unknown member intoo", "did you mean into?")),
        ({**POD, "shape": "round"}, ("unknown member shape",)),
        ({**POD, "into": "nowhere"}, ("into names no inbox of ours: nowhere",)),
        # What followed logs tell is kept there, and it is no inbox that anybody is served.
        ({**POD, "into": "log"}, ("into names the inbox of followed logs: log",)),
        ({"name": "pod"}, ("give one of inbox", "artefact")),
        ({**POD, "log": "https://a.example/log"}, ("give one of inbox",)),
        ({**POD, "name": "No Name"}, ("name must be of a-z",)),
        ({**POD, "name": 7}, ("name must be text",)),
        ({**POD, "inbox": "ftp://pod.example/"}, ("inbox must be an http or https URL",)),
        ({**POD, "inbox": "https://me:secret@pod.example/"}, ("without a user",)),
        ({**POD, "schedule": "often"}, ("often", "cannot be read")),
        ({**POD, "policy": "closed"}, ("policy must be one of open",)),
        ({**POD, "policy": "registered"}, ("list in senders",)),
        ({**POD, "senders": ["https://a.example/"]}, ("policy must be registered",)),
        ({**POD, "policy": "registered", "senders": "https://a.example/"}, ("senders must be a list",)),
        ([POD], ("a source is a table",)),
        (None, ("a source is a table",)),
        (b"", ("is not JSON",)),
        (b"{", ("is not JSON",)),
        (b'{"name": "a", "name": "b"}', ("is not JSON", "name")),
        (b'\xff\xfe{"name": "a"}', ("is not JSON",)),
        (b"[" * 5_000, ("is not JSON",)),
    ],
)
async def test_what_is_no_source_is_a_400_that_says_what_to_change(
    admin: Any, given: object, words: tuple[str, ...]
) -> None:
    said = detail(await add(admin, b"null" if given is None else given))
    for word in words:
        assert word in said
    assert await admin.store.sources.statuses() == []


async def test_other_media_types_and_coded_or_large_bodies_are_refused(admin: Any) -> None:
    for media_type in ("text/plain", "application/toml", "application/x-www-form-urlencoded"):
        assert media_type in detail(await add(admin, **{"Content-Type": media_type}), 415)
    body = json.dumps(POD).encode()
    detail(await add(admin, body + b" " * admin.site.limits.body), 413)
    assert await admin.store.sources.statuses() == []


async def test_a_source_is_paused_resumed_and_polled_at_once(admin: Any) -> None:
    await add(admin)
    await pass_over(admin)
    [rests] = await admin.store.sources.statuses("pod")
    assert rests.next_at > admin.site.clock.now()

    paused = await ask(admin, "/sources/pod/pause", "POST")
    assert paused.status == 202
    assert (document(paused)["state"], document(paused)["next"]) == ("paused", None)
    assert await admin.store.progress.due() is None

    resumed = await ask(admin, "/sources/pod/resume", "POST")
    assert resumed.status == 202
    assert document(resumed)["state"] == "well"
    assert await admin.store.progress.due() == rests.next_at

    polled = await ask(admin, "/sources/pod/poll", "POST")
    assert polled.status == 202
    [due] = await admin.store.sources.statuses("pod")
    assert due.next_at <= admin.site.clock.now()
    assert document(polled)["id"] == f"{BASE}/sources/pod"


async def test_a_source_is_removed_and_then_there_is_none(admin: Any) -> None:
    await add(admin)
    await pass_over(admin, [member(1, MemberState.KEPT, token="a" * 32, is_new=True)])
    removed = await ask(admin, "/sources/pod", "DELETE")
    assert (removed.status, removed._body) == (204, b"")
    assert await admin.store.sources.statuses() == []
    for method, path in ROUTES:
        if path.startswith("/sources/pod"):
            assert (await ask(admin, path, method)).status == 404, (method, path)
    assert (await add(admin)).status == 201
    [again] = await admin.store.sources.statuses("pod")
    assert (again.requests, again.members) == (0, {})


async def test_what_the_configuration_declares_cannot_be_removed_but_paused(admin: Any) -> None:
    declared = read_source(POD, "here")
    await admin.store.sources.configure([declared], now=admin.site.clock.now())
    answer = await ask(admin, "/sources/pod", "DELETE")
    assert "The configuration declares pod" in detail(answer)
    [status] = await admin.store.sources.statuses()
    assert status.source == declared
    paused = await ask(admin, "/sources/pod/pause", "POST")
    assert (document(paused)["state"], document(paused)["declaredBy"]) == ("paused", "configuration")


async def test_the_latest_members_are_shown_by_state_and_number(admin: Any) -> None:
    await add(admin)
    await pass_over(admin, [member(1, MemberState.KEPT, token="a" * 32, is_new=True)])
    await pass_over(admin, [member(2, MemberState.INVALID, reason="unreadable-bytes: no JSON")])
    await pass_over(admin, [member(3, MemberState.GONE, reason="answered 404")])

    async def latest(query: str = "") -> list[str]:
        members = document(await ask(admin, f"/sources/pod{query}"))["latest"]
        return [found["url"].rpartition("/")[2] for found in members]

    assert await latest() == ["3", "2", "1"]
    assert await latest("?limit=2") == ["3", "2"]
    assert await latest("?limit=0") == []
    assert await latest("?state=INVALID") == ["2"]
    assert await latest("?state=kept&limit=9") == ["1"]
    assert await latest("?state=RETRY") == []
    shown = document(await ask(admin, "/sources/pod?state=INVALID"))
    assert shown["latest"][0]["reason"] == "unreadable-bytes: no JSON"
    assert shown["members"] == {"KEPT": 1, "IGNORED": 0, "INVALID": 1, "GONE": 1, "RETRY": 0}
    # Listings of sources do not carry their members.
    [listed] = document(await ask(admin, "/sources/"))["sources"]
    assert "latest" not in listed


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/sources/pod?state=LOST", "state"),
        ("/sources/pod?limit=x", "limit"),
        ("/sources/pod?limit=1001", "limit"),
        ("/sources/pod?limit=-1", "limit"),
        ("/sources/pod?page=1", "page"),
        ("/sources/?state=KEPT", "state"),
    ],
)
async def test_a_parameter_that_cannot_be_read_is_named(admin: Any, path: str, word: str) -> None:
    await add(admin)
    assert word in detail(await ask(admin, path))


async def test_a_source_that_fails_says_why(admin: Any) -> None:
    await add(admin)
    await pass_over(admin, reason="https://pod.example/inbox/ answered 500.")
    shown = document(await ask(admin, "/sources/pod"))
    assert (shown["state"], shown["failures"]) == ("failing", 1)
    assert shown["reason"] == "https://pod.example/inbox/ answered 500."
    assert (shown["succeeded"], shown["requests"]) == (None, 1)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/sources/", "GET, HEAD, OPTIONS, POST"),
        ("/sources/pod", "DELETE, GET, HEAD, OPTIONS"),
        ("/sources/pod/poll", "OPTIONS, POST"),
        ("/sources/pod/pause", "OPTIONS, POST"),
        ("/sources/pod/resume", "OPTIONS, POST"),
        ("/metrics", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_says_the_methods_and_others_are_405(admin: Any, path: str, allow: str) -> None:
    answer = await admin.ask(path, "OPTIONS")
    assert answer.status == 204
    assert answer.headers["Allow"] == answer.headers["Access-Control-Allow-Methods"] == allow
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(allow.split(", ")):
        refused = await ask(admin, path, method)
        assert (refused.status, refused.headers["Allow"]) == (405, allow), method


async def test_head_has_the_headers_of_get_and_no_body(admin: Any) -> None:
    await add(admin)
    for path in ("/sources/", "/sources/pod", "/sources/nobody", "/sources/pod?limit=x", "/metrics"):
        got = await ask(admin, path)
        headed = await ask(admin, path, "HEAD")
        assert (headed.status, headed._body) == (got.status, b""), path
        assert headed.content_type == got.content_type


@pytest.mark.parametrize(
    "path", ["/sources", "/sources/Pod", "/sources/pod/", "/sources/pod/stop", "/sources/-a"]
)
async def test_there_is_nothing_beside_the_documented_addresses(admin: Any, path: str) -> None:
    await add(admin)
    for method in ("GET", "POST", "DELETE"):
        assert (await ask(admin, path, method)).status == 404, method


async def metrics(house: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of `/metrics` by name and values of labels."""
    answer = await ask(house, "/metrics")
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer._body.decode()):
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) <= {"source", "state"}
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


async def test_the_metrics_are_those_that_are_documented(admin: Any, specimen: Any) -> None:
    await add(admin)
    await add(admin, {"name": "other", "log": "https://institute.example/log"})
    await ask(admin, "/sources/other/pause", "POST")
    await admin.publish(specimen())
    await admin.post(specimen())
    junk = [member(number, MemberState.INVALID, reason="junk") for number in (1, 2)]
    kept = member(3, MemberState.KEPT, token="a" * 32, is_new=True)
    await pass_over(admin, [*junk, kept])
    await pass_over(admin, reason="no answer")
    [status] = await admin.store.sources.statuses("pod")
    found = await metrics(admin)

    age = found["orchestrator_source_success_age_seconds"]
    assert set(age) == {("pod",)}  # the other was never read
    assert status.succeeded is not None
    assert 0 < age["pod",] <= (admin.site.clock.now() - status.succeeded) / 1_000
    assert found["orchestrator_source_failures"] == {("pod",): 1, ("other",): 0}
    assert found["orchestrator_source_paused"] == {("pod",): 0, ("other",): 1}
    assert found["orchestrator_source_requests_total"] == {("pod",): 5, ("other",): 0}
    assert found["orchestrator_source_members"] == {
        (name, state.value): {("pod", "INVALID"): 2, ("pod", "KEPT"): 1}.get((name, state.value), 0)
        for name in ("pod", "other")
        for state in MemberState
    }
    assert found["orchestrator_events_total"] == {(): 1}
    assert found["orchestrator_notifications_waiting"] == {(): 1}
    assert {name for name in found if name.startswith("orchestrator_source_")} == {
        "orchestrator_source_success_age_seconds",
        "orchestrator_source_failures",
        "orchestrator_source_members",
        "orchestrator_source_requests_total",
        "orchestrator_source_paused",
    }


async def test_without_sources_the_metrics_are_those_of_the_whole(admin: Any) -> None:
    assert await metrics(admin) == {
        "orchestrator_events_total": {(): 0},
        "orchestrator_followers": {(): 0},
        "orchestrator_notifications_waiting": {(): 0},
    }


async def test_what_a_source_brings_stays_when_it_is_removed(admin: Any, specimen: Any) -> None:
    await add(admin)
    location = (await admin.post(specimen())).headers["Location"]
    token = location.rpartition("/")[2]
    await pass_over(admin, [member(1, MemberState.KEPT, token=token, is_new=True)])
    assert (await ask(admin, "/sources/pod", "DELETE")).status == 204
    assert (await admin.store.reader.notification(MAIN, token)) is not None
