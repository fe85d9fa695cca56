"""Seed C1a.1 to C1a.4: a real pod is polled, whatever lies in its inbox, and never changed."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from tests.acceptance.service import ROOT, until
from tests.pods.conftest import Serve
from tests.pods.solid import Pod
from tests.pods.steps import polled, read, review, source

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)
SOURCE = """
[[source]]
name = "pod"
{kind} = "{url}"
schedule = "1h"
"""


def fill(inbox: Path, resources: int) -> int:
    """Lay resources into an inbox: of ten, six valid ones, a repeat, and three that are junk.

    Returns how many ids are valid.
    """
    inbox.mkdir(parents=True)
    for number in range(resources):
        name = inbox / f"{number:05}"
        match number % 10:
            case 7:
                name.with_suffix(".jsonld").write_text('{"@context": "https://www.w3.org/ns/activi')
            case 8:
                name.with_suffix(".txt").write_text("Dear editor, where is my review?")
            case 9:
                name.with_suffix(".png").write_bytes(PNG)
            case 6:
                name.with_suffix(".jsonld").write_text(json.dumps(review(number - 6), indent=2))
            case _:
                name.with_suffix(".jsonld").write_text(json.dumps(review(number)))
    return resources * 6 // 10


def state_of(folder: Path) -> str:
    """Return what stands for every name, byte and time in a folder."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        found.update(f"{path.relative_to(folder)} {path.stat().st_mtime_ns}\n".encode())
        if path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()


@pytest.mark.timeout(300)
async def test_a_thousand_resources_are_read_once_whatever_they_are(pod: Pod, serve: Serve) -> None:
    """Killed in the middle, too: nothing twice, nothing missed, junk explained, the pod as it was."""
    valid = fill(pod.files / "inbox", 1_000)
    await pod.start()
    tags = {path: await pod.etag(path) for path in ("inbox/", "inbox/00000.jsonld", "inbox/00009.png")}
    before = state_of(pod.files / "inbox")
    asked = len(pod.requests())
    toml = SOURCE.format(kind="inbox", url=f"{pod.url}inbox/")
    service = await serve("service", toml, settings={"polling.channels": "false"})

    async def noted() -> int:
        return sum((await source(service, "pod"))["members"].values())

    await until(noted, lambda found: found >= 200, within=60)
    await service.kill()
    await service.start()
    after_kill = await until(noted)
    assert 200 <= after_kill < 1_000, "it was killed in the middle"
    found = await read(service, "pod", 1_000)
    assert found["members"] == {"KEPT": 700, "INVALID": 300, "IGNORED": 0, "GONE": 0, "RETRY": 0}

    events = await until(service.events, lambda events: len(events) >= valid, within=60)
    assert Counter(event["activity"] for event in events) == {
        review(number)["id"]: 1 for number in range(1_000) if number % 10 < 6
    }
    junk = (await source(service, "pod", "state=INVALID&limit=1000"))["latest"]
    reasons = Counter((Path(each["url"]).suffix, each["reason"]) for each in junk)
    assert set(reasons.values()) == {100}
    assert {suffix for suffix, _ in reasons} == {".jsonld", ".txt", ".png"}
    assert all(reason.startswith("unreadable-bytes: ") for _, reason in reasons)

    # Every member was asked for once, but for those that were under way when it was killed.
    members = Counter(path for _, path in pod.requests()[asked:] if path != "/inbox/")
    assert len(members) == 1_000
    assert sum(members.values()) <= 1_000 + 64 + 16

    # An unchanged pass is one request, whoever asks for it.
    for _ in range(3):
        so_far = len(pod.requests())
        await polled(service, "pod")
        assert pod.requests()[so_far:] == [("GET", "/inbox/")]

    assert {method for method, _ in pod.requests()} <= {"GET", "HEAD"}
    assert state_of(pod.files / "inbox") == before
    assert {path: await pod.etag(path) for path in tags} == tags
    await service.stop()


@pytest.mark.timeout(180)
async def test_what_is_added_is_picked_up_at_the_next_wake_up(pod: Pod, serve: Serve) -> None:
    """While polling, too; the pod's channel wakes us long before the schedule does."""
    fill(pod.files / "inbox", 120)
    (pod.files / "paper.ttl").write_text(
        "<> <http://www.w3.org/ns/ldp#inbox> <inbox/> ; a <http://schema.org/Article> ."
    )
    await pod.start()
    # Found by discovery, from an artefact (C1.1).
    service = await serve("service", SOURCE.format(kind="artefact", url=f"{pod.url}paper.ttl"))

    await until(lambda: source(service, "pod"), lambda found: found["state"] == "polling")
    await pod.put("inbox/while.jsonld", json.dumps(review(50_001)).encode(), "application/ld+json")
    found = await read(service, "pod", 121)
    assert found["channel"].startswith(f"{pod.url}.notifications/StreamingHTTPChannel2023/")
    await pod.put("inbox/after.jsonld", json.dumps(review(50_002)).encode(), "application/ld+json")
    await read(service, "pod", 122)
    ids = {event["activity"] for event in await until(service.events, lambda found: len(found) >= 74)}
    assert {review(50_001)["id"], review(50_002)["id"]} <= ids
    # What was junk and is mended is looked at again, when its container says that it has changed.
    await pod.put("inbox/00007.jsonld", json.dumps(review(50_003)).encode(), "application/ld+json")
    await pod.put("inbox/last.jsonld", json.dumps(review(50_004)).encode(), "application/ld+json")
    await read(service, "pod", 123)
    found = await until(lambda: source(service, "pod"), lambda found: found["members"]["INVALID"] == 35)
    assert {method for method, path in pod.requests() if "/inbox/" in path} == {"GET", "PUT"}
    await service.stop()


@pytest.mark.timeout(120)
async def test_our_links_are_written_to_artefacts_once(pod: Pod, serve: Serve) -> None:
    """With If-Match, after reading; a second run writes nothing, and nobody's own words are lost."""
    pod.files.mkdir(parents=True)
    (pod.files / "paper.ttl").write_text('<> <http://schema.org/name> "A paper" .')
    (pod.files / "scan.pdf").write_bytes(b"%PDF-1.7")
    (pod.files / "taken.ttl").write_text(
        "<> <http://www.w3.org/ns/ldp#inbox> <https://other.example/inbox/> ."
    )
    await pod.start()
    settings = {"server.public_url": "https://repository.example.org", "inbox.names": "reviews"}
    service = await serve("service", settings=settings, start=False)
    artefacts = [f"{pod.url}paper.ttl", f"{pod.url}scan.pdf"]

    code, out, err = await service.run("pod", "link", *artefacts, "--inbox", "reviews", "--json")
    assert code == 0, (out, err)
    assert [len(each["inserts"]) for each in json.loads(out)] == [2, 2]
    said = (pod.files / "paper.ttl").read_text()
    assert '"A paper"' in said
    assert "https://repository.example.org/inbox/reviews/" in said
    assert "https://repository.example.org/artefacts/" in said
    tag = await pod.etag("paper.ttl")

    code, out, err = await service.run("pod", "link", *artefacts, "--inbox", "reviews", "--json")
    assert code == 0, (out, err)
    assert [len(each["inserts"]) for each in json.loads(out)] == [0, 0]
    assert await pod.etag("paper.ttl") == tag
    assert [method for method, _ in pod.requests()].count("PATCH") == 2

    taken = f"{pod.url}taken.ttl"
    code, _, err = await service.run("pod", "link", taken, artefacts[0])
    assert code == 1
    assert "advertises another inbox, https://other.example/inbox/" in err
    assert "another inbox, https://repository.example.org/inbox/reviews/" in err
    code, _, err = await service.run("pod", "link", taken, "--replace")
    assert code == 0, err
    assert "other.example" not in (pod.files / "taken.ttl").read_text()
    code, _, err = await service.run("pod", "link", f"{pod.url}nothing.ttl")
    assert (code, "answered 404" in err) == (1, True)


def test_the_server_that_is_polled_is_the_one_that_is_pinned() -> None:
    wanted = json.loads((ROOT / "tests/pods/package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "tests/pods/package-lock.json").read_text())["packages"]
    assert locked["node_modules/@solid/community-server"]["version"] == wanted["@solid/community-server"]
