"""What makes an artefact advertise our inbox and its log, and how the change is written down."""

import itertools
from typing import Final

import pytest
from rdflib import Graph, URIRef
from rdflib.graph import QuotedGraph

from orchestrator.core import vocabulary as v
from orchestrator.core.errors import OrchestratorError
from orchestrator.core.patch import EVENT_LOG, FORMATS, Change, Triple, links, n3, sparql_update, written

ARTEFACT = "https://pod.example/papers/1"
INBOX = "https://orchestrator.example/inbox/"
LOG = "https://orchestrator.example/artefacts/abc/log"
OTHER = "https://pod.example/inbox/"
OURS = ((ARTEFACT, v.INBOX, INBOX), (ARTEFACT, EVENT_LOG, LOG))
THEIRS = (ARTEFACT, v.INBOX, OTHER)
ELSE = (ARTEFACT, v.RDF + "type", v.LDP + "Resource")
SOLID: Final = "http://www.w3.org/ns/solid/terms#"
CHANGES = [
    Change(inserts=OURS),
    Change(inserts=OURS[1:]),
    Change(deletes=(THEIRS,), inserts=OURS),
    Change(deletes=(THEIRS, (ARTEFACT, v.INBOX, "https://pod.example/a?b=c&d=%3E#é"))),
]


def graph_of(*triples: Triple) -> Graph:
    graph = Graph()
    for triple in triples:
        subject, predicate, target = map(URIRef, triple)
        graph.add((subject, predicate, target))
    return graph


def triples_of(graph: Graph) -> set[tuple[str, ...]]:
    return {tuple(map(str, triple)) for triple in graph}


def test_what_is_missing_is_put_in() -> None:
    assert links(ARTEFACT, [], inbox=INBOX, log=LOG) == (Change(inserts=OURS), ())
    assert EVENT_LOG == "http://www.w3.org/ns/solid/daen#eventLog"


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_there_is_not_written_again(number: int) -> None:
    change, others = links(ARTEFACT, [ELSE, OURS[number]], inbox=INBOX, log=LOG)
    assert (change, others) == (Change(inserts=(OURS[1 - number],)), ())


def test_where_all_is_there_nothing_is_changed() -> None:
    change, others = links(ARTEFACT, [*OURS, ELSE, *OURS], inbox=INBOX, log=LOG)
    assert (change, others) == (Change(), ())
    assert not change


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_one_whether_it_takes_out_or_puts_in(change: Change) -> None:
    assert change


def test_other_inboxes_of_the_artefact_are_named_and_left_alone() -> None:
    said = [(ARTEFACT, v.INBOX, "https://z.example/"), THEIRS, THEIRS, *OURS]
    change, others = links(ARTEFACT, said, inbox=INBOX, log=LOG)
    assert (change, others) == (Change(), (OTHER, "https://z.example/"))


@pytest.mark.parametrize(
    "said",
    [
        ("https://pod.example/papers/2", v.INBOX, INBOX),
        ("https://pod.example/papers/2", v.INBOX, OTHER),
        (ARTEFACT + "#me", v.INBOX, INBOX),
        (ARTEFACT, v.AS + "inbox", INBOX),
        (ARTEFACT, EVENT_LOG, INBOX),
        (INBOX, v.INBOX, ARTEFACT),
        ("_:b", v.INBOX, OTHER),
    ],
)
def test_what_is_said_of_something_else_changes_nothing(said: Triple) -> None:
    assert links(ARTEFACT, [said], inbox=INBOX, log=LOG) == (Change(inserts=OURS), ())


def test_logs_of_others_stay() -> None:
    """An artefact may have several; of inboxes, LDN senders take one."""
    other = (ARTEFACT, EVENT_LOG, "https://other.example/log")
    assert links(ARTEFACT, [other], inbox=INBOX, log=LOG) == (Change(inserts=OURS), ())


@pytest.mark.parametrize("change", CHANGES)
def test_an_n3_patch_says_what_goes_and_what_comes(change: Change) -> None:
    """Solid Protocol, section 5.3.1: one patch resource; deletions and insertions are formulae."""
    graph = Graph()
    graph.parse(data=n3(change), format="n3")
    [patch] = graph.subjects(URIRef(v.RDF + "type"), URIRef(SOLID + "InsertDeletePatch"))
    clauses = {str(predicate): target for predicate, target in graph.predicate_objects(patch)}
    assert set(clauses) == {
        v.RDF + "type",
        *([SOLID + "deletes"] if change.deletes else []),
        *([SOLID + "inserts"] if change.inserts else []),
    }
    for name, expected in (("deletes", change.deletes), ("inserts", change.inserts)):
        if expected:
            formula = clauses[SOLID + name]
            assert isinstance(formula, QuotedGraph)
            assert triples_of(formula) == set(expected)


@pytest.mark.parametrize("change", CHANGES)
def test_a_sparql_update_does_what_the_change_says(change: Change) -> None:
    """SPARQL 1.1 Update, section 3.1: what is put in again, and what is taken out though it is not there, is fine."""
    for before in ((ELSE,), (ELSE, THEIRS), (ELSE, *OURS), (ELSE, THEIRS, *OURS, *change.deletes)):
        graph = graph_of(*before)
        for _ in range(2):
            graph.update(sparql_update(change))
            assert triples_of(graph) == (set(before) - set(change.deletes)) | set(change.inserts)


def test_after_the_change_there_is_nothing_to_change() -> None:
    possible = (ELSE, THEIRS, *OURS)
    subsets = itertools.chain.from_iterable(itertools.combinations(possible, size) for size in range(5))
    for said in subsets:
        change, _ = links(ARTEFACT, said, inbox=INBOX, log=LOG)
        graph = graph_of(*said)
        if change:
            graph.update(sparql_update(change))
        after = [(str(s), str(p), str(o)) for s, p, o in graph]
        assert not links(ARTEFACT, after, inbox=INBOX, log=LOG)[0]
        assert set(said) <= set(after)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("media_type", FORMATS)
def test_a_change_is_written_in_the_format_that_is_asked_for(change: Change, media_type: str) -> None:
    body = written(change, media_type).decode("utf-8")
    assert body == {"text/n3": n3, "application/sparql-update": sparql_update}[media_type](change)


def test_n3_comes_first() -> None:
    """The Solid Protocol asks servers for it; SPARQL updates are what came before."""
    assert FORMATS == ("text/n3", "application/sparql-update")


def test_whoever_writes_a_document_cannot_write_into_our_change() -> None:
    """Turtle may hold `\\u003E` in an IRI: with --replace it would be written with the owner's token."""
    evil = "https://x.example/> . <urn:a> <urn:b> <urn:c"
    change = Change(deletes=((ARTEFACT, v.INBOX, evil),))
    try:
        text = n3(change)
    except OrchestratorError:
        return
    graph = Graph()
    graph.parse(data=text, format="n3")
    [formula] = graph.objects(None, URIRef(SOLID + "deletes"))
    assert isinstance(formula, QuotedGraph)
    assert len(formula) == 1
