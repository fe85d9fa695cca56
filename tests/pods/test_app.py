"""Use case 1.b on a real pod and a real log: the app links, tells of it once, and nothing goes round."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rdflib import Graph, URIRef
from tests.acceptance.notifications import policy
from tests.acceptance.peers import Hub
from tests.acceptance.service import Service, environment, until, until_true
from tests.pods.conftest import Serve
from tests.pods.solid import Pod
from tests.pods.steps import REVIEW, read

from orchestrator.core.enrichment import enriched
from orchestrator.core.patch import Change, Triple
from orchestrator.core.vocabulary import CITO
from orchestrator.ldn import Editor, EgressSettings
from orchestrator.pipeline.apply import apply
from orchestrator.ports.editing import Editable

REVIEWED = f"{CITO}isReviewedBy"
US = "https://app.example/"
PRIVATE = {"egress.allow_private": "127.0.0.0/8,localhost"}


def announce(artefact: str, number: int, **more: object) -> dict[str, Any]:
    """Return the announcement of a review of `artefact`; each number is a review of its own."""
    review = f"https://meridian-reviews.example.org/reviews/{number}"
    made = {
        **REVIEW,
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        "object": {**REVIEW["object"], "id": review},
        "context": {"id": artefact, "type": ["Page", "sorg:AboutPage"]},
        **more,
    }
    del made["inReplyTo"]
    return made


def paper(pod: Pod, name: str, text: str = '<> <http://schema.org/name> "A paper" .') -> str:
    """Have an artefact in the pod; return its URL."""
    file = pod.files / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return pod.url + name


def links(pod: Pod, name: str) -> list[str]:
    """Return what an artefact says that it is reviewed by."""
    url = pod.url + name.removesuffix(".meta")
    graph = Graph().parse(data=(pod.files / name).read_text(), format="turtle", publicID=url)
    return sorted(map(str, graph.objects(URIRef(url), URIRef(REVIEWED))))


@dataclass(kw_only=True)
class App:
    """The command, as a process of its own."""

    folder: Path
    log: str
    prefix: str
    id: str = US
    name: str = "app"
    lines: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def words(self) -> list[str]:
        given = {"log": self.log, "artefacts": self.prefix, "state": str(self.state)}
        given |= {"id": self.id, "inbox": f"{self.id}inbox/"}
        options = [word for name, value in given.items() for word in (f"--{name}", value)]
        return [sys.executable, "-W", "error", "-m", "orchestrator", "app", "run", *options, "--json"]

    async def once(self, *more: str) -> list[dict[str, Any]]:
        """Run until the log ends; return what was told."""
        process = await asyncio.create_subprocess_exec(
            *self.words,
            "--once",
            *more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=environment(PRIVATE),
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, (out, err)
        return [json.loads(line) for line in out.decode().splitlines()]

    def begin(self) -> None:
        """Start it, to follow for ever."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.words, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, env=environment(PRIVATE)
            )

    async def end(self, name: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self.process is not None
        self.process.send_signal(name)
        process = self.process
        await until_true(lambda: process.poll() is not None)
        return process.returncode

    def told(self) -> list[dict[str, Any]]:
        """Return what the following app has told so far."""
        lines = (self.folder / f"{self.name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def writes(pod: Pod) -> int:
    """Return how many requests have changed the pod."""
    return sum(method not in {"GET", "HEAD"} for method, _ in pod.requests())


async def told_of(service: Service, number: int) -> list[dict[str, Any]]:
    """Wait until so many Updates are in the log; return them."""

    async def updates() -> list[dict[str, Any]]:
        return [event for event in await service.events() if "Update" in event["type"]]

    return await until(updates, lambda found: len(found) >= number)


@pytest.mark.timeout(240)
async def test_a_review_becomes_a_link_and_an_event_once(pod: Pod, serve: Serve, tmp_path: Path) -> None:
    """The artefact itself where it is RDF, its description where it is not; a second run changes nothing."""
    artefacts = [paper(pod, "papers/1.ttl"), paper(pod, "papers/scan.pdf", "%PDF-1.7")]
    await pod.start()
    service = await serve("service", settings={"artefacts.prefixes": pod.url})
    app = App(folder=tmp_path, log=service.log, prefix=f"{pod.url}papers/")
    for number, artefact in enumerate(artefacts, 1):
        await service.take(announce(artefact, number))

    rehearsed = await app.once("--dry-run")
    assert [each["outcome"] for each in rehearsed] == ["missing", "missing"]
    assert (writes(pod), app.state.exists()) == (0, False)

    told = await app.once()
    assert Counter(each["outcome"] for each in told) == {"linked": 2, "reported": 2}
    assert links(pod, "papers/1.ttl") == ["https://meridian-reviews.example.org/reviews/1"]
    assert '"A paper"' in (pod.files / "papers/1.ttl").read_text()
    assert links(pod, "papers/scan.pdf.meta") == ["https://meridian-reviews.example.org/reviews/2"]
    for report in (each["location"] for each in told if "location" in each):
        code, out, err = await service.run("check", report, "--profile", "strict", "--json")
        assert (code, json.loads(out)["violations"]) == (0, []), err
    updates = await told_of(service, 2)
    assert [event["artefact"] for event in updates] == artefacts
    assert [event["causedBy"] for event in updates] == [f"{service.log}/e/{number}" for number in (1, 2)]
    assert {event["origin"] for event in updates} == {US}
    [payload] = updates[0]["@graph"]
    assert payload["result"]["object"] == "https://meridian-reviews.example.org/reviews/1"

    tags = [await pod.etag("papers/1.ttl"), (pod.files / "papers/scan.pdf.meta").stat().st_mtime_ns]
    written = writes(pod)
    assert [each["reason"] for each in await app.once()] == ["self", "self"]
    assert await app.once() == []
    app.state.unlink()
    assert [each["outcome"] for each in await app.once()] == ["skipped", "skipped", "there", "there"]
    assert [await pod.etag("papers/1.ttl"), (pod.files / "papers/scan.pdf.meta").stat().st_mtime_ns] == tags
    assert writes(pod) == written
    assert len(await service.events()) == 4
    await service.stop()


@pytest.mark.timeout(240)
async def test_nothing_goes_round(pod: Pod, serve: Serve, tmp_path: Path) -> None:
    """A-C1, P38: two apps and an orchestrator that tells others; after ten more rounds all is as it was."""
    artefact = paper(pod, "papers/1.ttl")
    (pod.files / "inbox").mkdir()
    await pod.start()
    source = f'[[source]]\nname = "pod"\ninbox = "{pod.url}inbox/"\nschedule = "1s"\n'
    async with Hub() as hub:
        policies = {
            "updates.ttl": policy("as:Update", hubs=(hub.url,), name="updates"),
            "reviews.ttl": policy("as:Announce", hubs=(hub.url,), name="reviews"),
        }
        service = await serve("service", source, settings={"artefacts.prefixes": pod.url}, policies=policies)
        apps = [
            App(folder=tmp_path, log=service.log, prefix=pod.url, id=hub.url, name="one"),
            App(folder=tmp_path, log=service.log, prefix=pod.url, id="https://other.example/", name="two"),
        ]
        for app in apps:
            app.begin()
        assert (await service.post(announce(artefact, 1))).status == 201
        await told_of(service, 1)
        # One that comes by way of the pod, while both are running.
        body = json.dumps(announce(artefact, 2)).encode()
        await pod.put("inbox/2.jsonld", body, "application/ld+json")
        await read(service, "pod", 1)

        async def both() -> int:
            return len({event["inReplyTo"] for event in await told_of(service, 2)})

        await until(both, lambda found: found == 2)
        await until_true(lambda: all(json.loads(app.state.read_text())["sequence"] >= 4 for app in apps))

        async def seen() -> tuple[object, ...]:
            told = [json.loads(app.state.read_text())["sequence"] for app in apps]
            return (
                len(await service.events()),
                await pod.etag("papers/1.ttl"),
                writes(pod),
                told,
                len(hub.posts),
            )

        async def settled() -> tuple[object, ...] | None:
            found = await seen()
            events, told = found[0], found[3]
            assert isinstance(told, list)
            return found if all(each == events for each in told) else None

        before = await until(settled)
        assert before is not None
        for number in range(10):
            # Each round has something for everybody to look at, which concerns nobody.
            told = announce("https://elsewhere.example/1", 100 + number)
            await service.post({**told, "target": {**told["target"], "inbox": service.inbox}})
            for app in apps:
                assert app.process is not None
                assert app.process.poll() is None
        await until(seen, lambda found: found[3] == [before[0] + 10] * 2)  # type: ignore[operator]
        events, tag, written, _, _ = await seen()
        assert (events, tag, written) == (before[0] + 10, before[1], before[2])  # type: ignore[operator]
        assert links(pod, "papers/1.ttl") == [
            f"https://meridian-reviews.example.org/reviews/{number}" for number in (1, 2)
        ]
        outcomes = Counter(each["outcome"] for app in apps for each in app.told())
        assert outcomes["linked"] == outcomes["reported"] == len(await told_of(service, 2))
        assert [await app.end(signal.SIGTERM) for app in apps] == [0, 0]
        # What the first app has caused is told to others, never to itself.
        kinds = [(post.document["type"], post.document["actor"]["id"]) for post in hub.posts]
        assert ("Update", hub.url) not in kinds
        await service.stop()


class Racing(Editor):
    """An editor beside whom somebody else works."""

    def __init__(self, settings: EgressSettings, pod: Pod, name: str, times: int) -> None:
        super().__init__(settings)
        self._left = [*range(times)]
        self._url = pod.url + name
        self.refused = 0

    async def patch(
        self, document: Editable, body: bytes, media_type: str, *, token: str | None = None
    ) -> bool:
        if self._left:
            await asyncio.to_thread(
                insert, self._url, f"<{self._url}> <urn:other> <urn:{self._left.pop()}> ."
            )
        done = await super().patch(document, body, media_type, token=token)
        self.refused += not done
        return done


def insert(url: str, triple: str) -> None:
    """Put a triple into a document, as its owner does."""
    body = f"INSERT DATA {{ {triple} }}".encode()
    headers = {"Content-Type": "application/sparql-update"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PATCH")) as answer:
        assert answer.status in {200, 204, 205}


@pytest.mark.timeout(240)
async def test_what_its_owner_changes_between_our_reading_and_our_writing_stays(pod: Pod) -> None:
    """The server answers 412; the third time we leave it for later."""
    names = {times: f"papers/{times}.ttl" for times in (1, 2, 3)}
    artefacts = {times: paper(pod, name) for times, name in names.items()}
    await pod.start()
    settings = EgressSettings(allow_private=("127.0.0.0/8", "localhost"))
    for times, name in names.items():
        artefact = artefacts[times]
        link: Triple = (artefact, REVIEWED, "https://reviews.example/1")

        def wanted(document: Editable, link: Triple = link) -> Change:
            return enriched(document.said, [link], most=10)

        async with Racing(settings, pod, name, times) as editor:
            applied = await apply(artefact, wanted, editor=editor)
            assert (applied is None, editor.refused) == (times == 3, times)
        text = (pod.files / name).read_text()
        graph = Graph().parse(data=text, format="turtle", publicID=artefact)
        assert len(list(graph.objects(URIRef(artefact), URIRef("urn:other")))) == times
        assert links(pod, name) == ([] if times == 3 else ["https://reviews.example/1"])
        assert '"A paper"' in text


@pytest.mark.timeout(360)
async def test_killed_at_any_moment_each_link_is_written_once_and_told_of_once(
    pod: Pod, serve: Serve, tmp_path: Path
) -> None:
    """Twelve kills over twenty artefacts, which somebody else changes meanwhile."""
    names = [f"papers/{number}.ttl" for number in range(20)]
    artefacts = [paper(pod, name) for name in names]
    await pod.start()
    service = await serve("service", settings={"artefacts.prefixes": pod.url})
    for number, artefact in enumerate(artefacts):
        await service.take(announce(artefact, number))
    app = App(folder=tmp_path, log=service.log, prefix=pod.url)
    chance = random.Random(1)
    kills = 0
    for number in range(12):
        app.begin()
        process, before = app.process, len(pod.requests())
        assert process is not None
        wanted = before + 1 + number % 6
        await until_true(lambda wanted=wanted: len(pod.requests()) >= wanted or not waits(app), within=30)  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.03))
        if number < 5:
            url = artefacts[-1 - number]
            await asyncio.to_thread(insert, url, f"<{url}> <urn:other> <urn:{number}> .")
        process.kill()
        await until_true(lambda process=process: process.poll() is not None)  # type: ignore[misc]
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 10
    await app.once()
    updates = await told_of(service, 20)
    events = await service.events()
    assert Counter(event["activity"] for event in updates).most_common(1)[0][1] == 1
    assert Counter(event["inReplyTo"] for event in updates) == {announce("", n)["id"]: 1 for n in range(20)}
    assert len(events) == 40
    for number, name in enumerate(names):
        assert links(pod, name) == [f"https://meridian-reviews.example.org/reviews/{number}"]
        assert (pod.files / name).read_text().count("isReviewedBy") == 1
    others = sum((pod.files / name).read_text().count("urn:other") for name in names)
    assert others == 5
    assert sum(method == "PATCH" for method, _ in pod.requests()) >= 25
    # All is told, so that nothing is left to do.
    assert {each["reason"] for each in await app.once()} <= {"self"}
    state = json.loads(app.state.read_text())
    assert (state["pending"], state["sequence"]) == ([], 40)
    await service.stop()


def waits(app: App) -> bool:
    """Whether an app has not come to the end of all that it had to do."""
    if not app.state.exists():
        return True
    state: Mapping[str, Any] = json.loads(app.state.read_text())
    return bool(state["pending"]) or state["sequence"] < 20
