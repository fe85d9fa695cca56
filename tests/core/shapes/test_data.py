from orchestrator.core import vocabulary as v
from orchestrator.core.shapes.data import Data

STRING = v.XSD + "string"


def iri(value: str) -> dict[str, str]:
    return {"type": "blank node" if value.startswith("_:") else "IRI", "value": value}


def literal(value: str, language: str = "") -> dict[str, str]:
    plain = {"type": "literal", "value": value, "datatype": v.RDF + "langString" if language else STRING}
    return plain | {"language": language} if language else plain


def data(*triples: tuple[str, str, dict[str, str]]) -> Data:
    return Data.from_quads(
        {"@default": [{"subject": iri(s), "predicate": iri(p), "object": o} for s, p, o in triples]}
    )


def test_values_stand_in_the_order_of_the_document_each_once() -> None:
    found = data(
        ("urn:a", "urn:p", literal("b")), ("urn:a", "urn:p", iri("urn:b")), ("urn:a", "urn:p", literal("b"))
    )
    assert found.properties == {"urn:a": {"urn:p": [("b", STRING, ""), "urn:b"]}}
    assert len(found) == 2


def test_language_tags_that_differ_in_case_only_are_one() -> None:
    found = data(("urn:a", "urn:p", literal("b", "en-GB")), ("urn:a", "urn:p", literal("b", "EN-gb")))
    assert found.values("urn:a", "urn:p") == [("b", v.RDF + "langString", "en-gb")]


def test_an_iri_and_a_text_of_the_same_letters_are_two() -> None:
    assert len(data(("urn:a", "urn:p", iri("urn:b")), ("urn:a", "urn:p", literal("urn:b")))) == 2


def test_only_the_default_graph_is_read_unless_another_is_named() -> None:
    triple = {"subject": iri("urn:a"), "predicate": iri("urn:p"), "object": iri("urn:b")}
    assert len(Data.from_quads({"urn:g": [triple]})) == 0
    assert len(Data.from_quads({"urn:g": [triple]}, "urn:g")) == 1


def test_what_points_at_a_value_is_found_also_after_more_is_added() -> None:
    found = data(("urn:a", "urn:p", iri("urn:b")), ("urn:c", "urn:q", iri("urn:b")))
    assert found.subjects("urn:p", "urn:b") == ["urn:a"]
    found.add("urn:d", "urn:p", "urn:b")
    found.add("urn:d", "urn:p", "urn:b")
    assert found.subjects("urn:p", "urn:b") == ["urn:a", "urn:d"]
    assert found.subjects("urn:x", "urn:b") == ()


def test_a_literal_is_the_subject_of_nothing() -> None:
    assert data(("urn:a", "urn:p", literal("b"))).values(("b", STRING, ""), "urn:p") == ()


def test_blank_nodes_are_counted_by_what_names_them() -> None:
    found = data(
        ("_:a", "urn:p", iri("_:b")), ("urn:c", "urn:p", iri("_:b")), ("urn:c", "urn:p", literal("_:d"))
    )
    assert found.blank_nodes() == {"_:a": 0, "_:b": 2}
