"""Policy files for benchmarks."""

from pathlib import Path
from typing import Final

_PREFIXES: Final = """\
@prefix as: <https://www.w3.org/ns/activitystreams#> .
@prefix coar-notify: <http://coar-notify.net/specification/vocabulary/> .
@prefix pol: <https://w3id.org/orchestrator/policy#> .
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh: <http://www.w3.org/ns/shacl#> .
"""
_TYPES: Final = (
    "coar-notify:ReviewAction",
    "coar-notify:EndorsementAction",
    "coar-notify:IngestAction",
    "coar-notify:RelationshipAction",
    "as:Reject",
)


def five(folder: Path, hub: str | None) -> Path:
    """Write five policies; those of the first two types announce to `hub`, where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, kind in enumerate(_TYPES):
        then = f"[ a pol:Announce ; pol:to <{hub}> ]" if hub and number < 2 else "[ a pol:Log ]"
        (folder / f"policy-{number}.ttl").write_text(_policy(f"sh:hasValue {kind}", then))
    return folder


def many(number: int) -> dict[str, str]:
    """Return so many policies, each about another sender, with the same condition beside it."""
    return {
        f"policy-{which}.ttl": _policy(
            "sh:hasValue as:Announce",
            "[ a pol:Log ]",
            f"sh:property [ sh:path as:origin ; sh:hasValue <https://sender-{which}.example/> ] ;",
        )
        for which in range(number)
    }


def _policy(types: str, then: str, more: str = "") -> str:
    return (
        f'{_PREFIXES}<#it> a pol:Policy ; rdfs:label "it" ;\n'
        f"  pol:when [ a sh:NodeShape ; {more} sh:property [ sh:path rdf:type ; {types} ] ] ;\n"
        f"  pol:then {then} .\n"
    )
