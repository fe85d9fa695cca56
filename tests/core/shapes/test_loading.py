"""Shapes that could not be compiled as they are meant are refused with file and line."""

import pytest

from orchestrator.catalogue import packaged, read_folder
from orchestrator.core import vocabulary as v
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.shapes.shape_set import ShapeSet

HEAD = f"""@prefix rule: <{v.SHAPES}x#> .
@prefix shp: <{v.SHAPE_TERMS}> .
@prefix as: <{v.AS}> .
@prefix rdf: <{v.RDF}> .
@prefix rdfs: <{v.RDFS}> .
@prefix sh: <{v.SH}> .
"""
LINE = HEAD.count("\n") + 1


def refused(body: str, slug: str = "x") -> list[str]:
    with pytest.raises(ConfigurationError) as error:
        ShapeSet({slug: HEAD + body})
    return error.value.message.splitlines()


def rule(*lines: str) -> str:
    return (
        "rule:x a sh:NodeShape ; sh:property rule:one .\nrule:one sh:path as:object ;\n"
        + " ;\n".join(lines)
        + " ."
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sh:nodeKind as:IRI", "sh:nodeKind must be one of sh:IRI"),
        ("sh:targetObjectOf as:actor ; sh:minCount 1", "sh:targetObjectOf has no place here"),
        ("sh:targetClass as:Offer ; sh:minCount 1", "sh:targetClass has no place here"),
        ("sh:minCount: 1", "unknown term sh:minCount:; did you mean sh:minCount?"),
        ("sh:mincount 1", "did you mean sh:minCount?"),
        ("sh:deactivated true ; sh:minCount 1", "sh:deactivated is not supported"),
        ('sh:pattern "(a+)+$"', "nests quantifiers"),
        ('sh:pattern "a" ; sh:flags "s"', "pySHACL does not heed the flags s and x"),
        ("sh:severity sh:Grave ; sh:minCount 1", "sh:severity must be one of"),
        ("sh:minCount 1 , 2", "several sh:minCount"),
        ("sh:node rule:nowhere", "is no shape in this file"),
        ("as:summary 1 ; sh:minCount 1", "is no constraint"),
        ("shp:warns rule:one ; sh:minCount 1", "is no constraint"),
    ],
)  # fmt: skip
def test_a_constraint_that_means_nothing_or_is_not_compiled_is_refused(line: str, said: str) -> None:
    [message] = refused(rule('sh:message "Mend it."', line))
    assert said in message
    assert message.startswith(f"shapes/x.ttl:{LINE + 3}: error: ")


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (rule("sh:minCount 1") + "\nrule:two sh:path as:actor ; sh:minCount 1 .", 3, "no node shape with a name uses <#two>"),
        (rule("sh:minCount 1") + "\n\n<urn:x> as:object 1 .", 4, "no node shape with a name uses <urn:x>"),
        (rule("sh:minCount 1") + "\nrule:p a shp:Profile ;\nrdfs:label 'P' ; as:object 1 .", 4, "has no meaning in a profile"),
        ("rule:x a sh:NodeShape ;\nshp:types ( as:Offer 1 ) ; sh:nodeKind sh:IRI .", 1, "shp:types must be a list of IRIs"),
        ("rule:x a sh:NodeShape ;\nshp:types as:Offer ; sh:nodeKind sh:IRI .", 1, "shp:types must be a list of IRIs"),
        ("rule:x a sh:NodeShape , as:Offer ; sh:nodeKind sh:IRI .", 0, "not a <https://www.w3.org/ns/activitystreams#Offer>"),
    ],
)  # fmt: skip
def test_what_no_shape_would_heed_is_refused(body: str, line: int, said: str) -> None:
    messages = refused(body)
    assert any(f"shapes/x.ttl:{LINE + line}: error: " in one and said in one for one in messages), messages


def test_a_list_of_a_rule_must_be_a_list_too() -> None:
    [message] = refused(rule("sh:minCount 1", "shp:at as:object"))
    assert "shp:at must be a list of IRIs" in message


def test_rules_that_run_code_are_refused_wherever_they_stand() -> None:
    messages = refused(rule("sh:minCount 1") + '\n<urn:x> sh:sparql [ sh:select "" ] .')
    assert any("only SHACL Core is run" in message for message in messages)


def test_every_error_of_every_file_is_told_together() -> None:
    with pytest.raises(ConfigurationError) as error:
        ShapeSet(
            {
                "x": HEAD + rule("sh:mincount 1"),
                "y": HEAD + "rule:y a",
                "z": (HEAD + rule("sh:nodeKind as:IRI")).replace("/x#", "/z#"),
            }
        )
    said = error.value.message
    assert all(f"shapes/{slug}.ttl" in said for slug in "xyz")


def test_the_shapes_that_come_with_the_package_are_sound_and_none_takes_long() -> None:
    shapes = ShapeSet(read_folder(packaged("shapes"), ".ttl"))
    assert all(shapes.compiled(pattern).bounded for pattern in (None, *shapes.patterns))
