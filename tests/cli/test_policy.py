from pathlib import Path

import pytest

from .conftest import ROOT, Run

PREFIXES = """@prefix as: <https://www.w3.org/ns/activitystreams#> .
@prefix pol: <https://w3id.org/orchestrator/policy#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
"""
VACUOUS = (
    PREFIXES
    + """
<#mine> a pol:Policy ; rdfs:label "Mine" ;
    pol:when [ a sh:NodeShape ; sh:property [ sh:path as:context ; sh:class pol:MyArtefact ] ] ;
    pol:then [ a pol:Log ] .
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    made.mkdir()
    return made


def test_the_policies_that_ship_are_clean(run: Run) -> None:
    ended = run("policy", "lint", "--strict", ROOT / "policies")
    assert (ended.code, ended.out, ended.err) == (0, "", "0 errors, 0 warnings\n")


def test_a_broken_policy_is_named_with_file_and_line(run: Run, folder: Path) -> None:
    file = folder / "broken.ttl"
    file.write_text(PREFIXES + "\n<#broken> a pol:Policy ;\n    pol:then [ a pol:Log \n")
    for place in (folder, file):
        ended = run("policy", "lint", place)
        assert ended.code == 1
        line = ended.out.splitlines()[0]
        assert line.startswith((f"{file}:7: error: ", f"{file}:8: error: "))
        assert ended.err == "1 error, 0 warnings\n"


def test_an_unknown_term_names_the_nearest_and_its_line(run: Run, folder: Path) -> None:
    action = "pol:then [ a pol:Announces ; pol:to <https://x.example/> ]"
    text = f'{PREFIXES}<#typo> a pol:Policy ; rdfs:label "Typo" ;\n    {action} .\n'
    (folder / "typo.ttl").write_text(text)
    ended = run("policy", "lint", "--json", folder)
    assert ended.code == 1
    assert {
        "file": str(folder / "typo.ttl"),
        "line": 6,
        "severity": "error",
        "text": "unknown term pol:Announces; did you mean pol:Announce?",
    } in ended.json


def test_warnings_end_with_0_unless_they_are_to_count(run: Run, folder: Path) -> None:
    (folder / "vacuous.ttl").write_text(VACUOUS)
    ended = run("policy", "lint", folder)
    assert ended.code == 0
    assert ": warning: Mine: sh:class on context holds when the property is absent" in ended.out
    assert ended.err == "0 errors, 1 warning\n"
    assert run("policy", "lint", "--strict", folder).code == 1


def test_errors_do_not_hide_warnings_and_one_file_does_not_hide_another(run: Run, folder: Path) -> None:
    (folder / "broken.ttl").write_text("<#broken> a .")
    (folder / "vacuous.ttl").write_text(VACUOUS)
    found = run("policy", "lint", "--json", folder).json
    assert {(Path(each["file"]).name, each["severity"]) for each in found} == {
        ("broken.ttl", "error"),
        ("vacuous.ttl", "warning"),
    }


def test_files_are_one_set_so_their_names_must_differ(run: Run, folder: Path, tmp_path: Path) -> None:
    for place in (folder, tmp_path):
        (place / "vacuous.ttl").write_text(VACUOUS)
    ended = run("policy", "lint", folder / "vacuous.ttl", tmp_path / "vacuous.ttl")
    assert ended.code == 2


def test_a_file_that_the_service_would_not_load_is_an_error(run: Run, folder: Path) -> None:
    (folder / "Not A Name.ttl").write_text(VACUOUS)
    ended = run("policy", "lint", folder)
    assert ended.code == 1
    assert "a-z, 0-9 and - only" in ended.out


def test_a_file_that_is_not_utf8_is_an_error(run: Run, folder: Path) -> None:
    (folder / "latin.ttl").write_bytes("# Übung\n".encode("latin-1"))
    for place in (folder, folder / "latin.ttl"):
        ended = run("policy", "lint", place)
        assert ended.code == 1
        assert "is not UTF-8" in ended.out


def test_an_empty_folder_is_a_warning(run: Run, folder: Path) -> None:
    ended = run("policy", "lint", folder)
    assert ended.code == 0
    assert "no *.ttl file is here" in ended.out


def test_a_place_that_does_not_exist_is_a_usage_error(run: Run) -> None:
    assert run("policy", "lint", "nowhere").code == 2
