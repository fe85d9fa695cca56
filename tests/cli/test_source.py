"""source: remote inboxes that are polled, with a real database and a real inbox on the loopback interface."""

import asyncio
import json
import threading
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.core.source import read_source
from orchestrator.storage import Store

from .conftest import FIXTURES, Run

BASE = "https://orchestrator.example"
N_TRIPLES, JSON_LD = "application/n-triples", "application/ld+json"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NOW = 1_900_000_000_000
COMMANDS = ("show", "poll", "pause", "resume", "remove")
_T = TypeVar("_T")


def notification(slug: str) -> bytes:
    document = json.loads((FIXTURES / slug / "valid.json").read_text("utf-8"))
    return json.dumps({**document, "id": f"urn:uuid:{uuid.uuid4()}"}).encode()


@dataclass
class Pod:
    """An inbox that answers GET with what is in it, and remembers what it was asked."""

    form: str = N_TRIPLES
    members: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Name → media type and body."""
    asked: list[str] = field(default_factory=list)
    shown: list[str | None] = field(default_factory=list)
    """Tokens that were shown, one for each request."""
    token: str | None = None
    """The token that it asks for."""
    server: ThreadingHTTPServer | None = None

    @property
    def origin(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def inbox(self) -> str:
        return f"{self.origin}/inbox/"

    def url(self, name: str) -> str:
        return self.inbox + name

    def listing(self) -> bytes:
        urls = [self.url(name) for name in self.members]
        if self.form == JSON_LD:
            said = {"@context": "http://www.w3.org/ns/ldp", "@id": self.inbox, "contains": urls}
            return json.dumps(said).encode()
        lines = [f"<{self.inbox}> <http://www.w3.org/ns/ldp#contains> <{url}> ." for url in urls]
        kind = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://www.w3.org/ns/ldp#BasicContainer>"
        return "\n".join([f"<{self.inbox}> {kind} .", *lines, ""]).encode()

    def answer(
        self, path: str, authorization: str | None, etag: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        self.shown.append(authorization)
        if self.token is not None and authorization != f"Bearer {self.token}":
            return 401, {}, b""
        if path == "/paper":
            return 200, {"Link": '</inbox/>; rel="http://www.w3.org/ns/ldp#inbox"'}, b""
        if path == "/inbox/":
            ours = f'"{len(self.members)}"'
            if etag == ours:
                return 304, {"ETag": ours}, b""
            return 200, {"ETag": ours, "Content-Type": self.form}, self.listing()
        found = self.members.get(path.removeprefix("/inbox/"))
        return (404, {}, b"") if found is None else (200, {"Content-Type": found[0]}, found[1])

    def stop(self) -> None:
        assert self.server is not None
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(params=[N_TRIPLES, JSON_LD])
def pod(request: pytest.FixtureRequest) -> Iterator[Pod]:
    """An inbox with two notifications, broken JSON and an image."""
    made = Pod(form=request.param)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = made.answer(
                self.path, self.headers.get("Authorization"), self.headers.get("If-None-Match")
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    made.members = {
        "review": (JSON_LD, notification("announce-review")),
        "accept": ("application/json", notification("accept")),
        "broken": (JSON_LD, b'{"id": '),
        "image": ("image/png", PNG),
    }
    server = made.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.stop()
    thread.join()


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database that a service has made, and settings beside it which the commands find by themselves."""
    url = f"sqlite:///{tmp_path}/orchestrator.sqlite"
    (tmp_path / "orchestrator.toml").write_text(
        f'[server]\npublic_url = "{BASE}"\n'
        f'[database]\nurl = "{url}"\n'
        '[inbox]\nnames = ["reviews"]\n'
        '[egress]\nallow_private = ["127.0.0.0/8"]\n'
    )
    asyncio.run(Store.open(url, public_url=BASE).close())
    return url


def stored(database: str, work: Callable[[Store], Awaitable[_T]]) -> _T:
    """Do something with the database, as another process would."""

    async def go() -> _T:
        store = await asyncio.to_thread(Store.open, database)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(go())


def added(run: Run, pod: Pod, *more: str | Path) -> None:
    ended = run("source", "add", "pod", "--inbox", pod.inbox, *more)
    assert (ended.code, ended.out) == (0, "")


def test_a_source_is_added_listed_and_shown(run: Run, database: str) -> None:
    none = run("source", "list")
    assert (none.code, none.out) == (0, "")
    assert "There is no source" in none.err
    assert run("source", "list", "--json").json == []

    url = "https://pod.example/inbox/"
    ended = run("source", "add", "pod", "--inbox", url, "--schedule", "0 * * * *", "--into", "reviews")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "Added: pod is polled at once, and then 0 * * * *.\n"
    words = ["--policy", "registered", "--sender", "https://a.example/", "--sender", "https://b.example/"]
    assert run("source", "add", "paper", "--artefact", "https://pod.example/1", *words).code == 0
    assert run("source", "add", "institute", "--log", "https://institute.example/log").code == 0

    listed = run("source", "list", "--json")
    assert listed.code == 0
    assert [each["name"] for each in listed.json] == ["institute", "paper", "pod"]
    institute, paper, pod = listed.json
    assert (pod["inbox"], pod["schedule"], pod["into"]) == (url, "0 * * * *", "reviews")
    assert (pod["state"], pod["declaredBy"], pod["policy"]) == ("new", "operator", "open")
    assert (paper["artefact"], paper["schedule"]) == ("https://pod.example/1", "5m")
    assert (paper["policy"], paper["senders"]) == ("registered", ["https://a.example/", "https://b.example/"])
    assert institute["log"] == "https://institute.example/log"
    assert "into" not in institute

    lines = run("source", "list").out.splitlines()
    assert [line.split()[:2] for line in lines] == [["institute", "new"], ["paper", "new"], ["pod", "new"]]
    assert all("never" in line for line in lines)
    shown = run("source", "show", "paper", "--json").json
    assert shown == {**paper, "latest": []}
    text = run("source", "show", "paper").out
    assert "https://a.example/, https://b.example/" in text
    assert "members KEPT" in text


def test_a_poll_keeps_what_is_a_notification_and_explains_the_rest(run: Run, database: str, pod: Pod) -> None:
    added(run, pod)
    ended = run("source", "poll", "pod", "--json")
    assert ended.code == 0
    assert ended.json == {
        "source": "pod",
        "requests": 5,
        "reason": None,
        "members": 4,
        "kept": 2,
        "known": 0,
        "ignored": 0,
        "invalid": 2,
        "gone": 0,
        "retry": 0,
    }
    assert pod.asked[0] == "/inbox/"
    assert sorted(pod.asked[1:]) == sorted(f"/inbox/{name}" for name in pod.members)

    shown = run("source", "show", "pod", "--json").json
    assert shown["members"] == {"KEPT": 2, "IGNORED": 0, "INVALID": 2, "GONE": 0, "RETRY": 0}
    assert (shown["state"], shown["requests"], shown["reads"]) == ("well", 5, pod.inbox)
    found = {member["url"].removeprefix(pod.inbox): member for member in shown["latest"]}
    assert set(found) == set(pod.members)
    for name in ("broken", "image"):
        assert found[name]["state"] == "INVALID"
        assert found[name]["reason"].startswith("unreadable-bytes: ")
        assert found[name]["notification"] is None
    invalid = run("source", "show", "pod", "--state", "invalid", "--json").json["latest"]
    assert {member["url"] for member in invalid} == {pod.url("broken"), pod.url("image")}
    assert len(run("source", "show", "pod", "--limit", "1", "--json").json["latest"]) == 1
    text = run("source", "show", "pod").out
    for name, member in found.items():
        assert pod.url(name) in text
        assert (member["reason"] or member["notification"])[:40] in text


def test_when_nothing_has_changed_a_poll_is_one_request(run: Run, database: str, pod: Pod) -> None:
    added(run, pod)
    assert run("source", "poll", "pod").code == 0
    pod.asked.clear()
    ended = run("source", "poll", "pod")
    assert ended.code == 0
    assert dict(line.split() for line in ended.out.splitlines()) == {
        "requests": "1",
        **dict.fromkeys(("members", "kept", "known", "ignored", "invalid", "gone", "retry"), "0"),
    }
    assert pod.asked == ["/inbox/"]
    pod.members["new"] = (JSON_LD, notification("reject"))
    third = run("source", "poll", "pod", "--json").json
    assert (third["requests"], third["members"], third["kept"]) == (2, 1, 1)


def test_what_was_found_is_in_the_inbox_with_where_it_was_found(run: Run, database: str, pod: Pod) -> None:
    added(run, pod, "--into", "reviews")
    assert run("source", "poll", "pod").code == 0
    assert run("inbox", "list", "--json").json == []
    found = run("inbox", "list", "--inbox", "reviews", "--json").json
    assert {each["source"] for each in found} == {"pod"}
    by_pattern = {each["pattern"]: each for each in found}
    assert {pattern: each["via"] for pattern, each in by_pattern.items()} == {
        "announce-review": pod.url("review"),
        "accept": pod.url("accept"),
    }
    accept = by_pattern["accept"]
    assert accept["url"] == f"{BASE}/inbox/reviews/{accept['token']}"
    assert (accept["mediaType"], accept["state"]) == ("application/json", "RECEIVED")

    shown = run("inbox", "show", accept["url"], "--inbox", "reviews", "--json").json
    assert (shown["source"], shown["via"]) == ("pod", pod.url("accept"))
    assert shown["body"].encode() == pod.members["accept"][1]
    text = run("inbox", "show", accept["token"], "--inbox", "reviews").out
    assert pod.url("accept") in text
    # It is in this inbox, and in no other.
    assert run("inbox", "show", accept["token"]).code == 1
    assert len(run("inbox", "list", "--inbox", "reviews").out.splitlines()) == 2


def test_a_source_that_is_found_by_its_artefact_is_read(run: Run, database: str, pod: Pod) -> None:
    assert run("source", "add", "paper", "--artefact", f"{pod.origin}/paper").code == 0
    polled = run("source", "poll", "paper", "--json")
    assert (polled.code, polled.json["kept"]) == (0, 2)
    assert run("source", "show", "paper", "--json").json["reads"] == pod.inbox


def test_when_the_server_is_gone_a_poll_ends_with_3_and_the_list_says_why(run: Run, database: str) -> None:
    # Nobody can listen on this port.
    assert run("source", "add", "pod", "--inbox", "http://127.0.0.1:1/inbox/").code == 0
    ended = run("source", "poll", "pod", "--json")
    assert ended.code == 3
    assert "connection refused" in ended.json["reason"]
    assert ended.err.splitlines()[-1] == f"orchestrator: {ended.json['reason']}"
    assert run("source", "poll", "pod").code == 3
    [listed] = run("source", "list", "--json").json
    assert (listed["state"], listed["failures"], listed["reason"]) == ("failing", 2, ended.json["reason"])
    assert listed["succeeded"] is None
    assert "connection refused" in run("source", "list").out


def test_a_paused_source_is_let_alone_but_can_be_polled_by_hand(run: Run, database: str, pod: Pod) -> None:
    added(run, pod)
    paused = run("source", "pause", "pod")
    assert (paused.code, paused.out, paused.err) == (0, "", "Paused: pod.\n")
    assert run("source", "list", "--json").json[0]["state"] == "paused"
    assert stored(database, lambda store: store.progress.due()) is None
    assert run("source", "poll", "pod", "--json").json["kept"] == 2
    assert run("source", "list", "--json").json[0]["state"] == "paused"
    resumed = run("source", "resume", "pod")
    assert (resumed.code, resumed.out, resumed.err) == (0, "", "Resumed: pod.\n")
    assert run("source", "list", "--json").json[0]["state"] == "well"
    assert stored(database, lambda store: store.progress.due()) is not None


def test_a_removed_source_is_forgotten_and_what_it_brought_stays(run: Run, database: str, pod: Pod) -> None:
    added(run, pod)
    assert run("source", "poll", "pod").code == 0
    removed = run("source", "remove", "pod")
    assert (removed.code, removed.out, removed.err) == (0, "", "Removed: pod.\n")
    assert run("source", "list", "--json").json == []
    assert len(run("inbox", "list", "--json").json) == 2
    # It knows nothing of its members any more, and the inbox knows them all.
    added(run, pod)
    again = run("source", "poll", "pod", "--json").json
    assert (again["members"], again["kept"], again["known"], again["invalid"]) == (4, 0, 2, 2)


def test_a_token_is_read_at_every_poll_and_only_its_file_is_kept(
    run: Run, database: str, pod: Pod, tmp_path: Path
) -> None:
    file = tmp_path / "pod.token"
    pod.token = "first-secret"
    file.write_text("first-secret\n")
    added(run, pod, "--token-file", "pod.token")
    assert run("source", "show", "pod", "--json").json["token_file"] == str(file)
    assert run("source", "poll", "pod", "--json").json["kept"] == 2
    assert set(pod.shown) == {"Bearer first-secret"}
    pod.token = "second-secret"
    refused = run("source", "poll", "pod", "--json")
    assert (refused.code, "401" in refused.json["reason"]) == (3, True)
    file.write_text("second-secret")
    assert run("source", "poll", "pod").code == 0
    file.unlink()
    asked = len(pod.asked)
    missing = run("source", "poll", "pod", "--json")
    assert (missing.code, missing.json["requests"]) == (3, 0)
    assert str(file) in missing.json["reason"]
    assert len(pod.asked) == asked
    said = run("source", "show", "pod").out + run("source", "list", "--json").out
    assert "secret" not in said
    for part in tmp_path.glob("orchestrator.sqlite*"):
        assert b"-secret" not in part.read_bytes()


def test_a_source_that_is_being_read_is_not_read_twice(run: Run, database: str, pod: Pod) -> None:
    added(run, pod)

    async def take(store: Store) -> None:
        # Until long after this test.
        [_] = await store.progress.claim("other", limit=1, now=NOW, lease=1_000_000_000_000, name="pod")

    stored(database, take)
    assert run("source", "list", "--json").json[0]["state"] == "polling"
    ended = run("source", "poll", "pod")
    assert (ended.code, ended.out) == (1, "")
    assert "being polled already" in ended.err
    assert pod.asked == []


def test_a_source_of_the_configuration_is_removed_there(run: Run, database: str) -> None:
    declared = read_source({"name": "pod", "inbox": "https://pod.example/inbox/"}, "here")
    stored(database, lambda store: store.sources.configure([declared], now=NOW))
    ended = run("source", "remove", "pod")
    assert (ended.code, ended.out) == (1, "")
    assert "The configuration declares pod" in ended.err
    assert run("source", "pause", "pod").code == 0
    [listed] = run("source", "list", "--json").json
    assert (listed["state"], listed["declaredBy"]) == ("paused", "configuration")


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_name_ends_with_1(run: Run, database: str, command: str) -> None:
    ended = run("source", command, "nobody")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "orchestrator: There is no source named nobody.\n"


def test_a_name_is_given_once(run: Run, database: str) -> None:
    words = ("source", "add", "pod", "--inbox", "https://pod.example/inbox/")
    assert run(*words).code == 0
    ended = run(*words)
    assert ended.code == 1
    assert "There is a source named pod already" in ended.err


INBOX = ["--inbox", "https://pod.example/inbox/"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pod", "--inbox", "pod.example/inbox"], "inbox must be an http or https URL"),
        (["pod", "--inbox", "ftp://pod.example/"], "inbox must be an http or https URL"),
        (["pod", "--inbox", "https://me:secret@pod.example/"], "without a user"),
        (["pod"], "give one of inbox"),
        (["pod", *INBOX, "--log", "https://a.example/log"], "give one of inbox"),
        (["Pod", *INBOX], "name must be of a-z"),
        (["pod", *INBOX, "--schedule", "often"], "cannot be read"),
        (["pod", *INBOX, "--policy", "registered"], "list in senders"),
        (["pod", *INBOX, "--policy", "closed"], "closed"),
        (["pod", *INBOX, "--sender", "https://a.example/"], "policy must be registered"),
        (["pod", *INBOX, "--policy", "registered", "--sender", "nobody"], "senders must be"),
        (["pod", *INBOX, "--into", "nowhere"], "names no inbox"),
        (["pod", "--log", "https://a.example/log", "--into", "reviews"], "a log has no into"),
        (["pod", *INBOX, "--into", "log"], "into names the inbox of followed logs"),
        (["pod", *INBOX, "--color", "red"], "--color"),
        ([*INBOX], "NAME"),
    ],
)
def test_what_is_no_source_is_a_usage_error_that_says_why(
    run: Run, database: str, words: list[str], said: str
) -> None:
    ended = run("source", "add", *words)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert run("source", "list", "--json").json == []


def test_wrong_states_and_numbers_are_usage_errors(run: Run, database: str) -> None:
    assert run("source", "show", "pod", "--state", "LOST").code == 2
    assert run("source", "show", "pod", "--limit", "0").code == 2


def test_no_command_makes_a_database(run: Run, tmp_path: Path) -> None:
    for words in (["add", "pod", *INBOX], ["list"], *([command, "pod"] for command in COMMANDS)):
        ended = run("source", *words)
        assert ended.code == 2, words
        assert "there is no database orchestrator.sqlite yet" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_poll_is_a_process_with_data_on_stdout_and_an_exit_code(
    spawn: Run, database: str, pod: Pod
) -> None:
    assert spawn("source", "add", "pod", "--inbox", pod.inbox).code == 0
    polled = spawn("source", "poll", "pod", "--json")
    assert (polled.code, polled.err, polled.json["kept"]) == (0, "", 2)
    pod.stop()
    ended = spawn("source", "poll", "pod")
    assert ended.code == 3
    assert "connection refused" in ended.err
    assert spawn("source", "list", "--json").json[0]["failures"] == 1
