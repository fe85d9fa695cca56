import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestrator.cli.demo_peers import Peer, served

from .conftest import FIXTURES, Run, Served


@pytest.fixture
def peer() -> Iterator[Peer]:
    with served(["Peer"]) as (peer,):
        yield peer


def test_a_specimen_is_sent_to_a_discovered_inbox_and_read_there(run: Run, peer: Peer) -> None:
    sent = run("send", "--pattern", "announce-review", "--to", peer.url, "--json")
    assert sent.code == 0
    assert sent.json["accepted"] is True
    assert (sent.json["inbox"], sent.json["status"]) == (peer.inbox, 201)
    assert sent.json["location"] == peer.member(0)
    read = run("read", peer.url)
    assert (read.code, read.err) == (0, "")
    (line,) = read.out.splitlines()
    assert json.loads(line) == {
        "url": peer.member(0),
        "mediaType": "application/ld+json",
        "notification": peer.kept[0],
        "problem": None,
    }


def test_a_specimen_has_a_fresh_id_each_time(run: Run, peer: Peer) -> None:
    for _ in range(2):
        assert run("send", "--pattern", "accept", "--to", peer.url).code == 0
    ids = {kept["id"] for kept in peer.kept}
    assert len(ids) == 2
    assert all(identifier.startswith("urn:uuid:") for identifier in ids)


def test_a_file_goes_out_byte_for_byte_to_its_own_target(run: Run, peer: Peer) -> None:
    notification = json.loads((FIXTURES / "accept" / "valid.json").read_text())
    notification["target"] = {"id": peer.url, "type": "Service", "inbox": peer.inbox}
    ended = run("send", "-", given=json.dumps(notification))
    assert ended.code == 0
    assert ended.out == f"{peer.inbox}: accepted with 201\n  kept at {peer.member(0)}\n"
    assert peer.kept == [notification]


def test_a_dry_run_prints_the_request_and_sends_nothing(run: Run, peer: Peer) -> None:
    ended = run("send", "--pattern", "request-review", "--to", peer.url, "--dry-run")
    assert ended.code == 0
    head, _, body = ended.out.partition("\n\n")
    assert head.splitlines()[:2] == [
        f"POST {peer.inbox}",
        'Content-Type: application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
    ]
    assert json.loads(body)["type"] == ["Offer", "coar-notify:ReviewAction"]
    assert peer.posts == 0


def test_a_dry_run_without_a_place_takes_the_target_of_the_notification(run: Run) -> None:
    ended = run("send", "--pattern", "request-review", "--dry-run", "--json")
    assert ended.code == 0
    assert ended.json["inbox"] == json.loads(ended.json["body"])["target"]["inbox"]


def test_a_refusal_ends_with_1_and_repeats_what_the_inbox_said(run: Run, service: Served) -> None:
    ended = run("send", "-", "--to", service.urls["profile"], given='{"id": "urn:uuid:1"}')
    assert ended.code == 1
    assert "refused with 400" in ended.out
    assert "unacceptable-document" in ended.out


def test_an_unknown_pattern_names_the_nearest(run: Run) -> None:
    ended = run("send", "--pattern", "announce-reviews", "--dry-run")
    assert ended.code == 2
    assert "did you mean announce-review?" in ended.err


def test_a_specimen_needs_to_be_told_where_to_go(run: Run) -> None:
    assert run("send", "--pattern", "accept").code == 2
    assert run("send").code == 2


def test_an_address_that_is_none_is_a_usage_error(run: Run) -> None:
    ended = run("send", "--pattern", "accept", "--to", "ftp://example.org/")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1


def test_a_server_that_does_not_answer_is_unreachable(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    for words in (["read", url], ["log", "read", url]):
        ended = run(*words)
        assert (ended.code, ended.out) == (3, "")
        assert len(ended.err.splitlines()) == 1


class _Pod(BaseHTTPRequestHandler):
    """An inbox in a pod that stores anything."""

    def do_GET(self) -> None:
        base = f"http://{self.headers['Host']}/inbox/"
        listing = {
            "@id": base,
            "http://www.w3.org/ns/ldp#contains": [{"@id": f"{base}{n}"} for n in (1, 2, 3)],
        }
        known = {
            "/inbox/": ("application/ld+json", json.dumps(listing).encode()),
            "/inbox/1": ("image/png", b"\x89PNG"),
            "/inbox/2": ("application/ld+json", b'{"id": "urn:uuid:2"}'),
        }
        kind, body = known.get(self.path, ("", b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pod() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pod)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/inbox/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_junk_in_an_inbox_is_reported_and_the_rest_is_read(run: Run, pod: str) -> None:
    ended = run("read", pod, "--json")
    assert ended.code == 0
    png, good, missing = ended.json
    assert good["notification"] == {"id": "urn:uuid:2"}
    assert png["notification"] is None
    assert "image/png" in png["problem"]
    assert "404" in missing["problem"]
    assert [line.split(": ")[0] for line in ended.err.splitlines()] == [pod + "1", pod + "3"]
