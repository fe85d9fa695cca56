"""Refusals: JSON straight from the findings; RDF only for those who ask for it, beside the event loop."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.finding import Finding
from orchestrator.core.screening import Screening
from orchestrator.web import violations
from orchestrator.web.violations import dump

Specimen = Callable[..., dict[str, Any]]
FINDING = Finding(
    rule="https://w3id.org/orchestrator/shapes/notification#target-inbox",
    message="Give `target` an `inbox`: “…”",
    pointer="/target",
    term="inbox",
    value={"deep": [1, None]},
)


class Refusing:
    """A screener that has as many findings as a test wants."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    async def screen(self, _body: bytes) -> Screening:
        return Screening(findings=self.findings, refusal="shape-violated", notification=None)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/problem+json, */*;q=0.1"])
async def test_a_refusal_in_json_makes_no_rdf(
    build: Any, specimen: Specimen, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    made: list[str] = []
    monkeypatch.setattr(violations, "report_graph", lambda *_, **__: made.append("graph"))
    monkeypatch.setattr(violations, "serialise", lambda *_: made.append("text"))
    async with build(screener=Refusing(*[FINDING] * 50)) as house:
        for path in ("/inbox/", "/inbox/?dry-run=true"):
            told = json.loads((await house.post(specimen(), path=path, Accept=accept))._body)
            assert len(told["violations"]) == 50
    assert made == []


@pytest.mark.parametrize("accept", ["text/turtle", "application/ld+json"])
async def test_the_report_graph_is_made_beside_the_event_loop(
    build: Any, specimen: Specimen, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    threads: list[threading.Thread] = []

    def report(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())

    monkeypatch.setattr(violations, "report_graph", report)
    monkeypatch.setattr(violations, "serialise", lambda _graph, media_type: media_type.encode())
    async with build(screener=Refusing(FINDING)) as house:
        answer = await house.post(specimen(), Accept=accept)
        assert (answer.status, answer._body) == (400, accept.encode())
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_finding_says_what_is_known_of_it_and_nothing_else(build: Any, specimen: Specimen) -> None:
    async with build(screener=Refusing(FINDING)) as house:
        told = json.loads((await house.post(specimen()))._body)["violations"]
    assert told == [
        {
            "pointer": "/target",
            "term": "inbox",
            "value": {"deep": [1, None]},
            "severity": "Violation",
            "rule": FINDING.rule,
            "message": FINDING.message,
        }
    ]


def test_json_for_people_has_a_line_for_each_member() -> None:
    members = {"type": "x", "status": 400, "detail": "“Grüße”\n"}
    text = dump(members).decode()
    assert json.loads(text) == members
    assert text.splitlines() == ['{"type": "x",', ' "status": 400,', ' "detail": "“Grüße”\\n"}']
