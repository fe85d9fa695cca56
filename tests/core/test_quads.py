"""RDF datasets as text: what is written is what two independent readers read, in the order given."""

import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agreement.datasets import canonical, parsed

from orchestrator.core import quads
from orchestrator.core import vocabulary as v
from orchestrator.core.quads import Quad

S: Final = "https://x.example/s"
P: Final = "https://x.example/p"
G: Final = "https://x.example/log/e/1"
STRING: Final = v.XSD + "string"
TAGGED: Final = v.RDF + "langString"
WRITTEN: Final[dict[str, Callable[[list[Quad]], str]]] = {
    v.N_QUADS: quads.n_quads,
    v.TRIG: quads.trig,
    v.TURTLE: quads.turtle,
}
NASTY: Final = (
    *map(chr, range(0x20)),
    *("\x7f", "\x80", "\x85", "\x9f", "\xa0", "\xad", "\u2028", "\u2029", "\ufeff", "\ufffe", "\uffff"),
    *("\U0001f409", "\U000e0001", "\U0010ffff", "e\u0301", "\u202e"),
    *('"', "'", '"""', "'''", "\\", "\\\\", "\\u0041", "\\n", "\\", 'end"', "end\\"),
    *("", " ", "\r\n", "a\n.\nb", "<x>", "^^", "@en", "_:b", "{ }", "# no comment", "\t.\n<s> <p> <o> ."),
)
IRIS: Final = (
    *("https://x.example/a'b", "https://x.example/a(b),c;d", "https://x.example/%zz", "urn:x:%3C%3E"),
    *("https://x.example/~$&*+,;=!@:[]", "https://x.example/\u00e9\u4e2d\U0001f409", "tag:x,2026:a"),
    *("https://x.example/\u200b\u202e\ufffe", "HTTP://X.example/", "a:b", "x-1.+:y", "doi:10.5555/(a)"),
    *("https://x.example/?a=b&c#d#e", "https://x.example/a.b.", "https://x.example/-", "ni:///sha-256;x"),
)
UNWRITABLE: Final = (
    "",
    "1a",
    "a.b",
    "a.",
    ".a",
    "-a",
    "a/b",
    "a#b",
    "a:b",
    "é",
    "aé",
    "a%20",
    "a'b",
    "a(b)",
    "_",
)
"""Local names that Turtle would have escaped, or forbids, or that need thought."""
CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
texts = st.one_of(st.sampled_from(NASTY), st.text(st.characters(codec="utf-8"), max_size=20))
iris = st.one_of(
    st.sampled_from(IRIS),
    st.sampled_from(UNWRITABLE).map(lambda name: v.AS + name),
    st.sampled_from([v.AS + "object", v.RDF + "type", v.RDF + "nil", v.XSD + "date", v.SCHEMA + "a-b_1"]),
)
blanks = st.sampled_from(["_:e1n0", "_:e1p0", "_:pb0", "_:e11pb0"])
literals = st.one_of(
    st.tuples(texts, st.just(STRING), st.just("")),
    st.tuples(texts, st.just(TAGGED), st.sampled_from(["en", "de-ch-1996", "zh-hant", "x-a"])),
    st.tuples(texts, st.one_of(iris, st.just(v.XSD + "dateTime")), st.just("")),
)
some_quads = st.lists(
    st.tuples(st.one_of(iris, blanks), iris, st.one_of(iris, blanks, literals), st.sampled_from(["", G])),
    max_size=8,
)


@settings(max_examples=100)
@given(some_quads)
def test_others_read_what_was_written(given_quads: list[Quad]) -> None:
    default = [quad for quad in given_quads if not quad[3]]
    for media_type, write in WRITTEN.items():
        expected = default if media_type == v.TURTLE else given_quads
        assert canonical(parsed(write(given_quads), media_type)) == canonical(expected), media_type


@pytest.mark.parametrize("media_type", WRITTEN)
def test_every_character_comes_through(media_type: str) -> None:
    said: list[Quad] = [(S, f"{P}{place}", (text, STRING, ""), "") for place, text in enumerate(NASTY)]
    said += [(S, f"{P}{place}", (text, TAGGED, "en"), "") for place, text in enumerate(NASTY)]
    # Tagged by its datatype, and with no language: nonsense, but what the sender said.
    said.append((S, f"{P}tagged", ("x", TAGGED, ""), ""))
    written = WRITTEN[media_type](said)
    assert set(parsed(written, media_type)) == set(said)
    assert not CONTROL.search(written)


@pytest.mark.parametrize("media_type", WRITTEN)
def test_every_iri_comes_through_wherever_it_stands(media_type: str) -> None:
    names = (*IRIS, *(namespace + name for namespace in (v.AS, v.SCHEMA) for name in UNWRITABLE))
    said: list[Quad] = [
        *((S, P, name, "") for name in names),
        *((name, P, S, "") for name in names),
        *((S, name, S, "") for name in names),
        *((S, P, ("x", name, ""), "") for name in names),
    ]
    assert set(parsed(WRITTEN[media_type](said), media_type)) == set(said)


@settings(max_examples=50)
@given(some_quads)
def test_n_quads_are_a_line_each_without_control_characters(given_quads: list[Quad]) -> None:
    text = quads.n_quads(given_quads)
    assert text.count("\n") == len(given_quads)
    assert not CONTROL.search(text)
    assert all(line.endswith(" .") for line in text.split("\n")[:-1])


@settings(max_examples=50)
@given(some_quads)
def test_n_quads_keep_the_order_given(given_quads: list[Quad]) -> None:
    lines = quads.n_quads(given_quads).split("\n")
    assert lines == [*(quads.n_quads([quad]).rstrip("\n") for quad in given_quads), ""]


def test_a_statement_is_written_as_people_expect() -> None:
    said: list[Quad] = [
        (G, v.RDF + "type", v.LOG + "LifecycleEvent", ""),
        (G, v.RDF + "type", v.AS + "Announce", ""),
        (G, v.LOG + "sequence", ("1", v.XSD + "integer", ""), ""),
        ("urn:x:1", v.AS + "name", ('say "hi"\n', TAGGED, "en"), G),
        ("urn:x:1", v.AS + "tag", "_:e1p0", G),
        ("urn:x:2", v.AS + "name", ("", STRING, ""), ""),
    ]
    assert quads.n_quads(said).split("\n") == [
        f"<{G}> <{v.RDF}type> <{v.LOG}LifecycleEvent> .",
        f"<{G}> <{v.RDF}type> <{v.AS}Announce> .",
        f'<{G}> <{v.LOG}sequence> "1"^^<{v.XSD}integer> .',
        f'<urn:x:1> <{v.AS}name> "say \\"hi\\"\\n"@en <{G}> .',
        f"<urn:x:1> <{v.AS}tag> _:e1p0 <{G}> .",
        f'<urn:x:2> <{v.AS}name> "" .',
        "",
    ]
    envelope = f'<{G}> a log:LifecycleEvent, as:Announce ;\n    log:sequence "1"^^xsd:integer .\n'
    payload = f'<{G}> {{\n<urn:x:1> as:name "say \\"hi\\"\\n"@en ;\n    as:tag _:e1p0 .\n}}\n'
    rest = '<urn:x:2> as:name "" .\n'
    assert _below_prefixes(quads.trig(said)) == envelope + payload + rest
    assert _below_prefixes(quads.turtle(said)) == envelope + rest


def _below_prefixes(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("@prefix "))


@pytest.mark.parametrize("name", UNWRITABLE)
def test_a_name_that_needs_thought_is_written_in_full(name: str) -> None:
    text = quads.turtle([(v.AS + name, P, S, "")])
    assert f"\n<{v.AS}{name}> " in text


def test_a_name_is_shortened_where_it_stands_as_a_datatype_too() -> None:
    text = quads.turtle([(S, v.AS + "published", ("2026-01-01T00:00:00.120Z", v.XSD + "dateTime", ""), "")])
    assert text.endswith(f'\n<{S}> as:published "2026-01-01T00:00:00.120Z"^^xsd:dateTime .\n')


def test_trig_writes_a_graph_wherever_its_statements_stand() -> None:
    other = "https://x.example/log/e/2"
    said: list[Quad] = [(S, P, S, graph) for graph in ("", G, "", other, G)]
    text = _below_prefixes(quads.trig(said))
    assert re.findall(r"^<([^>]*)> \{", text, flags=re.MULTILINE) == [G, other, G]
    assert set(parsed(quads.trig(said), v.TRIG)) == set(said)


def test_turtle_begins_with_its_remark_and_holds_the_default_graph_only() -> None:
    text = quads.turtle([(S, P, S, ""), (S, P, G, G)], "Envelopes only")
    assert text.startswith("# Envelopes only\n@prefix ")
    assert parsed(text, v.TURTLE) == [(S, P, S, "")]
    assert not quads.turtle([]).startswith("#")


@pytest.mark.parametrize("media_type", WRITTEN)
def test_nothing_is_an_empty_document(media_type: str) -> None:
    assert parsed(WRITTEN[media_type]([]), media_type) == []


def test_blank_nodes_get_labels_of_the_given_kind() -> None:
    dataset: dict[str, list[dict[str, Any]]] = {
        "@default": [
            {
                "subject": {"type": "blank node", "value": "_:b0"},
                "predicate": {"type": "IRI", "value": P},
                "object": {"type": "blank node", "value": "_:b1"},
            },
            {
                "subject": {"type": "IRI", "value": S},
                "predicate": {"type": "IRI", "value": P},
                "object": {"type": "literal", "value": "_:b0", "datatype": TAGGED, "language": "en"},
            },
        ],
        G: [],
    }
    expected = [("_:pb0", P, "_:pb1", ""), (S, P, ("_:b0", TAGGED, "en"), "")]
    assert list(quads.from_dataset(dataset, blank="p")) == expected
    properties: dict[str, dict[str, list[Any]]] = {"_:0": {P: ["_:1", ("_:0", STRING, ""), S]}}
    assert list(quads.from_properties(properties, graph=G, blank="e7p")) == [
        ("_:e7p0", P, "_:e7p1", G),
        ("_:e7p0", P, ("_:0", STRING, ""), G),
        ("_:e7p0", P, S, G),
    ]
