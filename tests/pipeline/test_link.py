"""Our links, written to an artefact: only what is missing, only when nobody else was there, and seen afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from rdflib import Graph, URIRef

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused, BadRequest, PeerUnreachable
from orchestrator.core.patch import EVENT_LOG, FORMATS, Change, Triple
from orchestrator.pipeline.link import Linked, link
from orchestrator.ports.editing import Editable, Editor

ARTEFACT = "https://pod.example/papers/1"
DOCUMENT = f"{ARTEFACT}.meta"
INBOX = "https://orchestrator.example/inbox/"
LOG = "https://orchestrator.example/artefacts/abc/log"
OTHER = "https://pod.example/inbox/"
OURS = ((ARTEFACT, v.INBOX, INBOX), (ARTEFACT, EVENT_LOG, LOG))
THEIRS = (ARTEFACT, v.INBOX, OTHER)
ELSE = (ARTEFACT, v.RDF + "type", v.LDP + "Resource")


@dataclass
class FakePod:
    """One document, changed by SPARQL updates; what it was asked stands in `asked`."""

    said: set[Triple] = field(default_factory=lambda: {ELSE})
    has_etag: bool = True
    takes: tuple[str, ...] = (v.SPARQL_UPDATE,)
    version: int = 1
    is_deaf: bool = False
    """Whether it accepts changes and makes none."""
    before_patch: Callable[[], Any] = lambda: None
    """What happens between a reading and the change that follows it."""
    asked: list[str] = field(default_factory=list)
    patches: list[tuple[bytes, str]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)

    async def read(self, url: str, *, token: str | None = None) -> Editable:
        assert url == ARTEFACT
        self.asked.append("read")
        self.tokens.add(token)
        return Editable(
            url=DOCUMENT,
            said=tuple(sorted(self.said)),
            etag=f'"{self.version}"' if self.has_etag else None,
            takes=self.takes,
        )

    async def patch(
        self, document: Editable, body: bytes, media_type: str, *, token: str | None = None
    ) -> bool:
        assert document.url == DOCUMENT
        self.asked.append("patch")
        self.tokens.add(token)
        self.before_patch()
        if self.has_etag and document.etag != f'"{self.version}"':
            return False
        self.patches.append((body, media_type))
        if media_type == v.SPARQL_UPDATE and not self.is_deaf:
            self.update(body)
        return True

    def update(self, body: bytes) -> None:
        graph = Graph()
        for subject, predicate, target in self.said:
            graph.add((URIRef(subject), URIRef(predicate), URIRef(target)))
        graph.update(body.decode())
        self.said = {(str(s), str(p), str(o)) for s, p, o in graph}
        self.version += 1

    def change(self, *triples: Triple) -> None:
        """Be changed by somebody else."""
        self.said |= set(triples)
        self.version += 1


async def linked(pod: FakePod, **options: Any) -> Linked:
    editor: Editor = pod
    return await link(ARTEFACT, inbox=INBOX, log=LOG, editor=editor, **options)


async def test_what_is_missing_is_written_once_and_seen() -> None:
    pod = FakePod()
    assert await linked(pod, token="secret") == Linked(document=DOCUMENT, change=Change(inserts=OURS))
    assert pod.said == {ELSE, *OURS}
    assert pod.asked == ["read", "patch", "read"]
    assert pod.tokens == {"secret"}


async def test_a_second_run_writes_nothing() -> None:
    pod = FakePod()
    await linked(pod)
    pod.asked.clear()
    assert await linked(pod) == Linked(document=DOCUMENT, change=Change())
    assert pod.asked == ["read"]
    assert pod.version == 2


@pytest.mark.parametrize("number", [0, 1])
async def test_only_the_link_that_is_missing_is_written(number: int) -> None:
    pod = FakePod(said={ELSE, OURS[number]})
    assert (await linked(pod)).change == Change(inserts=(OURS[1 - number],))
    [(body, _)] = pod.patches
    assert OURS[number][1].encode() not in body


@pytest.mark.parametrize("replaces", [False, True])
async def test_a_rehearsal_says_what_would_be_written_and_writes_nothing(replaces: bool) -> None:
    pod = FakePod(said={ELSE, *([THEIRS] if replaces else [])})
    expected = Change(deletes=(THEIRS,) if replaces else (), inserts=OURS)
    found = await linked(pod, rehearses=True, replaces=replaces)
    assert found == Linked(document=DOCUMENT, change=expected)
    assert pod.asked == ["read"]


@pytest.mark.parametrize("rehearses", [False, True])
@pytest.mark.parametrize("said", [(), OURS])
async def test_another_inbox_is_not_put_out_unless_that_is_asked_for(
    rehearses: bool, said: tuple[Triple, ...]
) -> None:
    pod = FakePod(said={THEIRS, *said})
    with pytest.raises(BadRequest, match=f"{OTHER}; --replace"):
        await linked(pod, rehearses=rehearses)
    assert pod.asked == ["read"]


async def test_other_inboxes_are_put_out_where_that_is_asked_for() -> None:
    more = (ARTEFACT, v.INBOX, "https://pod.example/another/")
    pod = FakePod(said={ELSE, THEIRS, more, OURS[0]})
    found = await linked(pod, replaces=True)
    assert set(found.change.deletes) == {THEIRS, more}
    assert found.change.inserts == OURS[1:]
    assert pod.said == {ELSE, *OURS}


@pytest.mark.parametrize("takes", [FORMATS, FORMATS[::-1], FORMATS[1:]])
async def test_the_first_format_of_a_document_is_taken(takes: tuple[str, ...]) -> None:
    pod = FakePod(takes=takes, is_deaf=True)
    with pytest.raises(AnswerRefused):
        await linked(pod)
    [(body, media_type)] = pod.patches
    assert media_type == takes[0]
    assert (b"InsertDeletePatch" in body) == (media_type == v.N3)


async def test_a_document_that_takes_no_changes_that_we_can_write_is_left_alone() -> None:
    pod = FakePod(takes=())
    with pytest.raises(AnswerRefused, match="Accept-Patch"):
        await linked(pod)
    assert pod.asked == ["read"]


async def test_without_an_etag_links_are_put_in() -> None:
    pod = FakePod(has_etag=False)
    await linked(pod)
    assert pod.said == {ELSE, *OURS}


async def test_without_an_etag_nothing_is_taken_out() -> None:
    pod = FakePod(has_etag=False, said={ELSE, THEIRS})
    with pytest.raises(AnswerRefused, match="has no ETag"):
        await linked(pod, replaces=True)
    assert pod.asked == ["read"]
    assert pod.said == {ELSE, THEIRS}


@pytest.mark.parametrize("times", [1, 2])
async def test_what_others_changed_meanwhile_is_read_again(times: int) -> None:
    pod = FakePod()
    left = [(ARTEFACT, v.AS + "tag", f"https://pod.example/{number}") for number in range(times)]
    changed = set(left)
    pod.before_patch = lambda: pod.change(left.pop()) if left else None
    assert (await linked(pod)).change == Change(inserts=OURS)
    assert pod.said == {ELSE, *changed, *OURS}
    assert pod.asked == [*["read", "patch"] * (times + 1), "read"]
    assert len(pod.patches) == 1


async def test_what_somebody_else_wrote_meanwhile_is_not_written_again() -> None:
    pod = FakePod()
    pod.before_patch = lambda: pod.change(*OURS)
    assert (await linked(pod)).change == Change()
    assert pod.asked == ["read", "patch", "read"]
    assert pod.patches == []


async def test_an_inbox_that_somebody_else_wrote_meanwhile_is_not_put_out() -> None:
    pod = FakePod()
    pod.before_patch = lambda: pod.change(THEIRS)
    with pytest.raises(BadRequest, match=OTHER):
        await linked(pod)
    assert pod.patches == []


async def test_after_three_times_it_gives_up() -> None:
    pod = FakePod()
    pod.before_patch = lambda: pod.change()
    with pytest.raises(AnswerRefused, match=f"{ARTEFACT} was changed by others each of 3 times"):
        await linked(pod)
    assert pod.asked == ["read", "patch"] * 3
    assert pod.said == {ELSE}


async def test_a_server_that_accepts_and_does_not_show_the_change_is_found_out() -> None:
    pod = FakePod(is_deaf=True)
    with pytest.raises(AnswerRefused, match=f"{DOCUMENT} took the change and does not show it"):
        await linked(pod)
    assert pod.asked == ["read", "patch", "read"]


async def test_trouble_of_the_server_is_told_as_it_is() -> None:
    def fail() -> None:
        raise PeerUnreachable("no answer")

    pod = FakePod(before_patch=fail)
    with pytest.raises(PeerUnreachable, match="no answer"):
        await linked(pod)
    assert pod.said == {ELSE}
