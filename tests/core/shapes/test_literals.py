"""Whatever a stranger writes into a literal, every component has an answer, and soon."""

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import Literal, URIRef, list_items, parse_turtle
from orchestrator.core.shapes.literals import in_range, is_of, literal_of, precedes, term_of

DATATYPES = [
    *(
        v.XSD + name
        for name in (
            "string", "integer", "int", "byte", "decimal", "double", "float", "boolean", "date", "dateTime", "dateTimeStamp", "time", "duration",
            "dayTimeDuration", "yearMonthDuration", "gYear", "gYearMonth", "gMonthDay", "anyURI", "hexBinary", "base64Binary", "unsignedLong",
        )
    ),
    v.RDF + "langString", v.RDF + "JSON", "urn:x:datatype",
]  # fmt: skip
ODD = [
    "", " ", "x", "1", "-1", "1e999999999", "9" * 16_384, "0x1f", "NaN", "INF", "-INF", "1_000", "१", "true", "TRUE", "maybe", "2031-01-01",
    "-2031-01-01", "2031-13-01", "99999-01-01", "2031-01-01Z", "2031-01-01T00:00:00", "2031-01-01T24:00:00Z", "2031-01-01T00:00:00+99:00",
    "00:00:00", "P1Y", "P" + "9" * 400 + "Y", "-P1Y2M3DT4H5M6S", "PT", "--01-01", "2031-02", "ff", "f", "=", "{}", "[", "https://[", "\ud83d\ude00",
]  # fmt: skip
texts = (
    st.sampled_from(ODD)
    | st.text(max_size=12)
    | st.from_regex(r"[-+]?[0-9]{0,5}[-:.eTPYZ]?[0-9]{0,5}", fullmatch=True)
)
terms = st.tuples(texts, st.sampled_from(DATATYPES), st.just(""))
bounds = [Literal(3), Literal("b"), *(Literal(text, datatype=URIRef(v.XSD + name)) for text, name in (("2031-06-01", "date"), ("2031-06-01T00:00:00Z", "dateTime"), ("P1Y", "duration"), ("true", "boolean")))]  # fmt: skip


@settings(max_examples=400)
@given(terms, terms)
def test_every_comparison_ends_with_an_answer(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert is_of(one, other[1]) in {True, False}
    assert precedes(one, other, or_equals=True) >= precedes(one, other, or_equals=False)
    for bound in bounds:
        found = [in_range(one, bound, at.__eq__) for at in (-1, 0, 1)]
        assert sum(found) <= 1


def test_a_term_of_a_file_and_one_of_a_document_are_the_same() -> None:
    graph = parse_turtle('<urn:a> <urn:p> ( "x" "x"@en-GB 1 1.5 <urn:x> ) .')
    [head] = graph.objects(URIRef("urn:a"))
    assert [term_of(node) for node in list_items(graph, head)] == [
        ("x", v.XSD + "string", ""), ("x", v.RDF + "langString", "en-gb"), ("1", v.XSD + "integer", ""), ("1.5", v.XSD + "decimal", ""), "urn:x",
    ]  # fmt: skip


def test_a_literal_keeps_the_form_in_which_it_came() -> None:
    for term in (
        ("01", v.XSD + "integer", ""),
        ("x", v.XSD + "string", ""),
        ("x", v.RDF + "langString", "en"),
    ):
        assert term_of(literal_of(term)) == term
