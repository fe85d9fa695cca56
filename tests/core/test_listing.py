"""A listing means the same however it is written, and in whatever pieces it comes."""

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import AnswerRefused
from orchestrator.core.listing import Lines, Members, batches, unescaped, whole

CONTEXTS = bundled_contexts()
INBOX = "https://pod.example/inbox/"
MOST = 1_000
TYPE = v.RDF + "type"


def triple(subject: str, predicate: str, target: str) -> str:
    return f"<{subject}> <{predicate}> {target} ."


def contains(member: str, container: str = INBOX) -> str:
    return triple(container, v.CONTAINS, f"<{member}>")


def pieces(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Cut `body` at those places."""
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(places)]


def lines_of(*chunks: bytes, url: str = INBOX, most: int = MOST) -> Members:
    lines = Lines(url, most=most)
    for chunk in chunks:
        lines.feed(chunk)
    return lines.members()


def listed(*triples: str, url: str = INBOX, most: int = MOST) -> Members:
    return lines_of("\n".join((*triples, "")).encode(), url=url, most=most)


_names = st.one_of(
    st.sampled_from(["1", "2", "ü", "\U0001f4ec", "a%20b", "x/", "?page=1"]), st.integers(0, 50)
)
_members = st.builds("https://pod.example/inbox/{}".format, _names)
_subjects = st.one_of(st.just(INBOX), _members)
_values = st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02", "7", "70000", "", "ü", "x" * 70, "a b"])
_literals = st.builds('"{}"'.format, _values)
_statements = st.one_of(
    st.builds(contains, _members),
    st.builds(contains, _members),
    st.builds(triple, _members, st.sampled_from([v.MODIFIED]), _literals),
    st.builds(triple, _members, st.sampled_from([v.SIZE]), _literals),
    st.builds(
        triple, _subjects, st.just(TYPE), st.sampled_from([f"<{v.LDP}BasicContainer>", f"<{v.LDP}Resource>"])
    ),
    st.builds(
        triple,
        _subjects,
        st.just(v.DCTERMS + "title"),
        st.sampled_from(['"a"@en', '"say \\"hi\\" ."', '"\\n"']),
    ),
    st.sampled_from(["", "   ", "# https://pod.example/inbox/ contains nothing", "_:b <urn:p> _:c ."]),
)


def _single(statements: list[str]) -> list[str]:
    """Leave out a second value of one mark: which of the two counts, RDF does not say."""
    found: dict[str, str] = {}
    for statement in statements:
        key = statement.partition(' "')[0] if v.MODIFIED in statement or v.SIZE in statement else statement
        found.setdefault(key, statement)
    return list(found.values())


@given(
    st.lists(_statements, max_size=30).map(_single),
    st.lists(st.integers(0, 10_000), max_size=20),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n"]),
    st.booleans(),
)
def test_lines_in_pieces_of_any_size_say_what_a_parser_of_rdf_reads(
    statements: list[str], cuts: list[int], end: str, is_ended: bool
) -> None:
    """With cuts in the middle of lines, of characters, of ends of lines."""
    text = end.join([contains(INBOX + "first"), *statements]) + (end if is_ended else "")
    expected, _ = whole(text.encode(), v.TURTLE, INBOX, CONTEXTS, most=MOST)
    found = lines_of(*pieces(text.encode(), cuts))
    assert dict(found) == dict(expected)


def test_every_byte_may_come_alone() -> None:
    body = "\n".join(
        [contains(INBOX + "ü"), triple(INBOX + "ü", v.SIZE, '"7"'), contains(INBOX + "2")]
    ).encode()
    alone = lines_of(*(body[at : at + 1] for at in range(len(body))))
    assert dict(alone) == dict(lines_of(body))
    assert list(alone) == [INBOX + "ü", INBOX + "2"]


def test_members_keep_their_order_and_come_once() -> None:
    names = [INBOX + name for name in ("9", "1", "5", "1", "9")]
    assert list(listed(*map(contains, names))) == [INBOX + "9", INBOX + "1", INBOX + "5"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://pod.example/inbox/\\u00FC", "https://pod.example/inbox/ü"),
        ("https://pod.example/inbox/\\U0001F4EC", "https://pod.example/inbox/\U0001f4ec"),
        ("https://pod.example/inbox/\\u00e9\\u00E8x", "https://pod.example/inbox/éèx"),
        ("\\u0068ttps://pod.example/inbox/1", "https://pod.example/inbox/1"),
        ("https://pod.example/inbox/%5Cu00FC", "https://pod.example/inbox/%5Cu00FC"),
    ],
)
def test_escapes_in_the_url_of_a_member_are_read(written: str, meant: str) -> None:
    assert list(listed(contains(written))) == [meant]
    assert list(listed(contains(written))) == list(
        whole(contains(written).encode(), v.TURTLE, INBOX, CONTEXTS, most=MOST)[0]
    )


@pytest.mark.parametrize("escape", ["\\u0020", "\\u003E", "\\u0000", "\\u00", "\\x41", "\\"])
def test_an_escape_of_what_no_url_may_hold_makes_no_member(escape: str) -> None:
    found = listed(contains(f"{INBOX}{escape}"), contains(INBOX + "1"))
    assert list(found) == [INBOX + "1"]


@given(st.text(alphabet="\\uU0123456789abcdefFG<> é", max_size=40))
def test_whatever_is_escaped_is_read_without_trouble(text: str) -> None:
    assert "\\" in text or unescaped(text) == text
    assert len(unescaped(text)) <= len(text)


def test_a_mark_is_made_of_change_and_size_in_any_order() -> None:
    modified = triple(INBOX + "1", v.MODIFIED, f'"2026-01-01T00:00:00Z"^^<{v.XSD}dateTime>')
    size = triple(INBOX + "1", v.SIZE, f'"734"^^<{v.XSD}integer>')
    told = [
        listed(contains(INBOX + "1"), modified, size),
        listed(size, modified, contains(INBOX + "1")),
        listed(modified, contains(INBOX + "1"), size),
    ]
    assert [dict(members) for members in told] == [{INBOX + "1": "2026-01-01T00:00:00Z 734"}] * 3


def test_a_mark_changes_with_what_it_is_made_of() -> None:
    def mark(**marks: str) -> str:
        told = [
            triple(INBOX + "1", v.DCTERMS + name if name == "modified" else v.POSIX + name, f'"{value}"')
            for name, value in marks.items()
        ]
        return listed(contains(INBOX + "1"), *told)[INBOX + "1"]

    marks = [
        mark(),
        mark(modified="2026-01-01"),
        mark(modified="2026-01-02"),
        mark(size="1"),
        mark(size="2026-01-01"),
        mark(modified="2026-01-01", size="1"),
        mark(modified="2026-01-01", size="2"),
        mark(modified="2026-01-02", size="1"),
    ]
    assert len(set(marks)) == len(marks)


def test_a_mark_belongs_to_its_member_alone_and_is_short() -> None:
    found = listed(
        contains(INBOX + "1"),
        contains(INBOX + "2"),
        triple(INBOX, v.MODIFIED, '"2020-01-01"'),
        triple(INBOX + "2", v.SIZE, f'"{"9" * 10_000}"'),
        triple(INBOX + "2", v.MODIFIED, f"<{INBOX}1>"),
        triple(INBOX + "3", v.SIZE, '"3"'),
    )
    assert found[INBOX + "1"] == ""
    assert set(found) == {INBOX + "1", INBOX + "2"}
    assert 0 < len(found[INBOX + "2"]) < 100


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# " + contains(INBOX + "x"),
        "nonsense",
        "<" * 1_000,
        "\x00\xff",
        contains("1"),
        contains("mailto:ada@pod.example"),
        contains("urn:uuid:1"),
        contains("ftp://pod.example/1"),
        contains(INBOX + "x y"),
        contains(INBOX + "x").removesuffix(" ."),
        contains(INBOX + "x") + " <urn:graph>",
        triple(INBOX, v.CONTAINS, "_:b"),
        triple(INBOX, v.LDP + "member", f"<{INBOX}x>"),
        triple(INBOX, v.CONTAINS + "x", f"<{INBOX}x>"),
        triple(INBOX, TYPE, f"<{v.LDP}BasicContainer>"),
        triple(INBOX + "x", v.SIZE, '"7"'),
        '_:b <urn:p> "a literal with \\" and <urn:x> ." .',
    ],
)
def test_what_names_no_member_is_passed_over(line: str) -> None:
    assert dict(listed(contains(INBOX + "1"), line, contains(INBOX + "2"))) == {
        INBOX + "1": "",
        INBOX + "2": "",
    }


def test_bytes_that_are_no_text_hurt_their_own_line_only() -> None:
    body = contains(INBOX + "1").encode() + b"\n\xff\xfe\xc3\n" + contains(INBOX + "2").encode()
    assert list(lines_of(body)) == [INBOX + "1", INBOX + "2"]


@pytest.mark.parametrize("size", [100, 10_000])
def test_too_many_members_are_refused_while_they_come(size: int) -> None:
    body = "\n".join(contains(f"{INBOX}{number}") for number in range(101)).encode() + b"\n"
    with pytest.raises(AnswerRefused, match=f"{INBOX} lists more than 100 members"):
        lines_of(*pieces(body, range(0, len(body), size)), most=100)
    assert len(lines_of(body, most=101)) == 101


def test_marks_of_what_is_no_member_are_bounded_too() -> None:
    marked = (triple(f"{INBOX}{number}", v.SIZE, '"1"').encode() + b"\n" for number in range(30))
    with pytest.raises(AnswerRefused, match="more than 10 members"):
        lines_of(contains(INBOX + "1").encode() + b"\n", *marked, most=10)


def test_every_member_and_its_container_may_have_marks() -> None:
    marked = [triple(f"{INBOX}{number}", v.SIZE, '"1"') for number in ("", *range(10))]
    assert len(listed(*marked, *(contains(f"{INBOX}{number}") for number in range(10)), most=10)) == 10


def test_a_line_without_an_end_is_refused_before_it_is_all_there() -> None:
    lines = Lines(INBOX, most=MOST)
    lines.feed(contains(INBOX + "1").encode() + b"\n")
    for _ in range(4):
        lines.feed(b"x" * 16_384)
    with pytest.raises(AnswerRefused, match=f"{INBOX} is not N-Triples: a line has more than 65536 bytes"):
        lines.feed(b"x")


def test_a_long_line_is_read_over_and_those_around_it_are_not() -> None:
    body = "\n".join([contains(INBOX + "1"), "x" * 60_000, contains(INBOX + "2")]).encode()
    assert list(lines_of(*pieces(body, range(0, len(body), 16_384)))) == [INBOX + "1", INBOX + "2"]


@pytest.mark.parametrize(
    "spelling",
    [
        "http://pod.example/inbox/",
        "https://pod.example/inbox",
        "https://POD.example:443/inbox/",
        "https://pod/",
    ],
)
def test_a_container_may_spell_its_own_url_in_another_way(spelling: str) -> None:
    assert list(listed(contains(INBOX + "1", spelling), contains(INBOX + "2", spelling))) == [
        INBOX + "1",
        INBOX + "2",
    ]


def test_a_fragment_is_no_part_of_the_containers_url() -> None:
    assert list(listed(contains(INBOX + "1"), contains(INBOX + "x", INBOX + "#me"), url=INBOX + "#me")) == [
        INBOX + "1"
    ]


def test_members_of_a_container_inside_are_not_ours() -> None:
    inner = [contains(INBOX + "sub/x", INBOX + "sub/"), contains(INBOX + "sub/y", INBOX + "sub/")]
    assert list(listed(*inner, contains(INBOX + "sub/"))) == [INBOX + "sub/"]


def test_of_several_containers_none_is_guessed() -> None:
    strangers = [contains(INBOX + "a/1", INBOX + "a/"), contains(INBOX + "b/1", INBOX + "b/")]
    with pytest.raises(AnswerRefused, match="no listing"):
        listed(*strangers)


@pytest.mark.parametrize("kind", ["Container", "BasicContainer", "DirectContainer"])
def test_an_empty_container_is_a_listing(kind: str) -> None:
    assert dict(listed(triple(INBOX, TYPE, f"<{v.LDP}{kind}>"))) == {}
    assert dict(lines_of(triple(INBOX, TYPE, f"<{v.LDP}{kind}>").encode())) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>\n<body>Log in</body>\n</html>\n",
        '{"error": "not found"}',
        triple(INBOX, TYPE, f"<{v.LDP}Resource>"),
        triple(INBOX, TYPE, f"<{v.LDP}RDFSource>"),
        triple(INBOX, v.MODIFIED, '"2026-01-01"'),
        contains("mailto:ada@pod.example"),
    ],
)
def test_a_document_that_lists_nothing_is_refused(text: str) -> None:
    with pytest.raises(AnswerRefused, match=f"{INBOX} (is no listing|ended in the middle of a line)"):
        lines_of(text.encode())


def test_members_may_be_asked_for_twice() -> None:
    lines = Lines(INBOX, most=MOST)
    lines.feed(contains(INBOX + "1").encode())
    assert dict(lines.members()) == dict(lines.members()) == {INBOX + "1": ""}


JSON_LD = {
    "@context": {"ldp": v.LDP, "dcterms": v.DCTERMS, "posix": v.POSIX, "as": v.AS},
    "@graph": [
        {"@id": "", "ldp:contains": [{"@id": "2"}, {"@id": "1"}], "as:next": {"@id": "?page=2"}},
        {"@id": "1", "dcterms:modified": "2026-01-01", "posix:size": 734},
        {"@id": "2", "posix:size": {"@value": "7"}},
        {"@id": "3", "posix:size": 8},
    ],
}
TURTLE = f"""
@prefix ldp: <{v.LDP}> .
<> ldp:contains <2>, <1> ; <{v.AS}next> <?page=2> .
<1> <{v.DCTERMS}modified> "2026-01-01" ; <{v.POSIX}size> 734 .
<2> <{v.POSIX}size> "7" .
<3> <{v.POSIX}size> 8 .
"""
MARKED = {INBOX + "1": "2026-01-01 734", INBOX + "2": " 7"}


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (json.dumps(JSON_LD), "application/ld+json"),
        (json.dumps(JSON_LD), 'application/ld+json; profile="x"'),
        (json.dumps(JSON_LD), "application/json; charset=utf-8"),
        (json.dumps(JSON_LD), ""),
        (TURTLE, "text/turtle"),
        (TURTLE, "Text/Turtle;charset=UTF-8"),
    ],
)
def test_a_whole_listing_has_members_marks_and_a_next_page(body: str, media_type: str) -> None:
    members, following = whole(body.encode(), media_type, INBOX, CONTEXTS, most=2)
    assert dict(members) == MARKED
    assert following == (INBOX + "?page=2",)


def test_a_whole_listing_and_its_lines_have_the_same_marks() -> None:
    """Or a pod that now answers in the one way and now in the other would be read over and over."""
    lines = [
        contains(INBOX + "2"),
        contains(INBOX + "1"),
        triple(INBOX + "1", v.SIZE, f'"734"^^<{v.XSD}integer>'),
        triple(INBOX + "1", v.MODIFIED, '"2026-01-01"'),
        triple(INBOX + "2", v.SIZE, '"7"'),
    ]
    assert dict(listed(*lines)) == MARKED


@pytest.mark.parametrize(
    ("body", "following"),
    [
        ('{"@id": "", "contains": []}', ()),
        (
            '{"@id": "", "contains": "1", "http://www.w3.org/ns/hydra/core#next": {"@id": "/p2"}}',
            ("https://pod.example/p2",),
        ),
        ('{"@id": "", "contains": "1", "http://www.w3.org/ns/hydra/core#next": {"@id": "urn:p2"}}', ()),
    ],
)
def test_a_listing_goes_on_only_where_it_says_so(body: str, following: tuple[str, ...]) -> None:
    assert whole(body.encode(), v.JSON_LD, INBOX, CONTEXTS, most=MOST)[1] == following


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ('{"@id": "", "contains": ["1", "2", "3"]}', v.JSON_LD),
        (f"<> <{v.CONTAINS}> <1>, <2>, <3> .", v.TURTLE),
    ],
)
def test_a_whole_listing_of_too_many_members_is_refused(body: str, media_type: str) -> None:
    with pytest.raises(AnswerRefused, match=f"{INBOX} lists more than 2 members"):
        whole(body.encode(), media_type, INBOX, CONTEXTS, most=2)
    assert len(whole(body.encode(), media_type, INBOX, CONTEXTS, most=3)[0]) == 3


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("{}", v.JSON_LD),
        ('{"@context": "https://www.w3.org/ns/activitystreams", "type": "Note"}', v.JSON_LD),
        ("{", v.JSON_LD),
        ("<html></html>", "text/html"),
        ("<> a <urn:x> .", v.TURTLE),
        ("<> a", v.TURTLE),
        ("", v.TURTLE),
        ("\udcff", v.TURTLE),
        ("", ""),
    ],
)
def test_a_whole_document_that_is_no_listing_is_refused(body: str, media_type: str) -> None:
    with pytest.raises(AnswerRefused):
        whole(body.encode("utf-8", "surrogateescape"), media_type, INBOX, CONTEXTS, most=MOST)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ('{"@id": "", "contains": []}', v.JSON_LD),
        (f"<> a <{v.LDP}BasicContainer> .", v.TURTLE),
    ],
)
def test_a_whole_empty_container_is_a_listing(body: str, media_type: str) -> None:
    assert whole(body.encode(), media_type, INBOX, CONTEXTS, most=0) == ({}, ())


@given(st.integers(0, 50), st.integers(1, 12))
def test_batches_hold_every_member_once_and_in_order(number: int, size: int) -> None:
    members = {f"{INBOX}{each}": str(each) for each in range(number)}
    parts = list(batches(members, size))
    assert [item for part in parts for item in part.items()] == list(members.items())
    assert [len(part) for part in parts[:-1]] == [size] * (len(parts) - 1)
    assert all(parts)


@pytest.mark.parametrize(
    "line",
    [
        contains(INBOX + "x") + " # the last one",
        f"<{INBOX}><{v.CONTAINS}><{INBOX}x>.",
        f'<{INBOX}> <{v.CONTAINS}> "{INBOX}x" .',
        f"_:b <{v.CONTAINS}> <{INBOX}x> .",
        contains(INBOX + "x").replace("pod.example/inbox/>", "pod.example/inb\\u006Fx/>"),
    ],
)
def test_a_member_is_seen_however_its_triple_is_written(line: str) -> None:
    assert list(listed(line)) == [INBOX + "x"]


def test_lines_may_end_as_they_like() -> None:
    body = "\r".join((contains(INBOX + "1"), contains(INBOX + "2"), contains(INBOX + "3"))).encode()
    assert len(lines_of(body)) == 3


def test_a_mark_whose_subject_is_escaped_is_that_of_its_member() -> None:
    escaped = triple(INBOX + "\\u00FC", v.SIZE, '"7"')
    assert listed(contains(INBOX + "ü"), escaped) == {INBOX + "ü": " 7"}


def test_a_container_among_the_members_does_not_make_a_listing_empty() -> None:
    """Read as empty, the inbox would be silent for ever."""
    with pytest.raises(AnswerRefused):
        listed(triple(INBOX + "folder/", TYPE, f"<{v.LDP}Container>"))


@pytest.mark.parametrize(
    "member", ["https://p/\ud800", "http://[x/", "http:///x", "https://pod.example:port/"]
)
def test_what_cannot_be_written_down_or_asked_for_is_no_member(member: str) -> None:
    """One such member would end every pass over its inbox."""
    escaped = "".join(f"\\u{ord(each):04X}" if ord(each) > 126 else each for each in member)
    assert listed(contains(escaped), contains(INBOX + "x")) == {INBOX + "x": ""}


def test_a_member_that_is_told_twice_counts_once_and_the_last_line_counts_too() -> None:
    assert len(listed(*[contains(INBOX + "1")] * 5, most=2)) == 1
    with pytest.raises(AnswerRefused):
        lines_of("\n".join(contains(f"{INBOX}{number}") for number in range(3)).encode(), most=2)


def test_a_line_is_too_long_in_one_piece_too() -> None:
    with pytest.raises(AnswerRefused):
        lines_of(b"<" + b"x" * 70_000 + b">\n")


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "line",
    [
        '_:<a>"' * 10_000,
        '_:b<a>"<a>"' * 5_000,
        "<a>" * 20_000,
        '<a> <b> "' + "\\x" * 30_000,
        '<a> <b> "x"' + "@a" * 30_000,
        "<a> <b> <c> ." + " #" * 30_000,
    ],
)
def test_a_line_is_looked_through_once_whatever_is_in_it(line: str) -> None:
    """On the event loop: what takes longer than its length would keep everybody waiting."""
    lines = Lines(INBOX, most=MOST)
    lines.feed(line.encode()[:65_000] + b"\n" + contains(INBOX + "1").encode() + b"\n")
    assert list(lines.members()) == [INBOX + "1"]
