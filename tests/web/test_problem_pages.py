"""Every problem that can reach a client has a page, and every rule of screening a section in one."""

import ast
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core import errors
from orchestrator.core.document import examine
from orchestrator.core.strict_json import DEFAULT_LIMITS
from orchestrator.web import problems
from orchestrator.web.markdown import from_markdown

TOP = Path(__file__).resolve().parents[2]
CORE = TOP / "src/orchestrator/core"
PAGES = {path.stem: path.read_text("utf-8") for path in (TOP / "docs/problems").glob("*.md")}
KINDS = {kind.slug: kind for kind in problems.kinds() if kind.slug in problems.STATUSES}
# These stay inside, or are an internal error to strangers.
INSIDE: Final = {
    "sender-refused",
    "configuration-error",
    "peer-error",
    "address-refused",
    "peer-unreachable",
    "answer-refused",
    "inbox-not-found",
}
RULE: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def anchors(slug: str) -> set[str]:
    """Return the names of a page's sections."""
    return set(re.findall(r'^<a id="([a-z0-9-]+)"></a>$', PAGES[slug], re.MULTILINE))


def rules(module: str) -> set[str]:
    """Return the rules that a module of core names: where a finding is made, or a rule is set."""
    found: set[object] = set()
    for node in ast.walk(ast.parse((CORE / module).read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_finding", "_refuse"}:
            found |= {argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)}
        if isinstance(node, ast.BinOp) and getattr(node.left, "id", "") == "rule":
            found |= {node.right.value} if isinstance(node.right, ast.Constant) else set()
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript | ast.Name):
            value = node.value.elts[0] if isinstance(node.value, ast.Tuple) else node.value
            named = isinstance(node.targets[0], ast.Subscript) or node.targets[0].id == "rule"
            found |= {value.value} if named and isinstance(value, ast.Constant) else set()
    return {rule for rule in found if isinstance(rule, str) and RULE.fullmatch(rule)}


def test_every_problem_that_can_reach_a_client_has_a_page() -> None:
    assert set(PAGES) == set(problems.STATUSES)


def test_every_error_is_a_problem_with_a_status_or_stays_inside() -> None:
    # Other modules of core have errors of their own under slugs that are listed here too.
    declared = {kind.slug for kind in problems.kinds() if kind.__module__ == errors.__name__}
    assert declared == set(problems.STATUSES) | INSIDE


@pytest.mark.parametrize(
    ("slug", "modules"),
    [
        ("unreadable-bytes", ["strict_json.py"]),
        ("unacceptable-document", ["document.py", "screening.py"]),
    ],
)
def test_every_rule_has_a_section_and_every_section_a_rule(slug: str, modules: list[str]) -> None:
    named = set[str]().union(*(rules(module) for module in modules))
    assert len(named) >= 10
    assert anchors(slug) == named


def test_the_budget_of_screening_has_its_section() -> None:
    assert anchors("too-costly") == {"budget"}


@pytest.mark.parametrize("slug", sorted(PAGES))
def test_a_pages_example_is_an_answer_that_we_give(slug: str) -> None:
    example = PAGES[slug].partition("```http\n")[2].partition("```")[0]
    head, _, body = example.partition("\n\n")
    problem: dict[str, Any] = json.loads(body)
    assert head.startswith(f"HTTP/1.1 {problems.STATUSES[slug]} ")
    assert problem["status"] == problems.STATUSES[slug]
    assert problem["type"].endswith(f"/problems/{slug}")
    kind = next(kind for kind in problems.kinds() if kind.slug == slug and kind.__module__ == errors.__name__)
    assert problem["title"] == (kind.__doc__ or "").strip().partition("\n")[0]
    assert f"Status {problems.STATUSES[slug]}." in PAGES[slug]
    assert "## What you can do" in PAGES[slug]


def test_the_smallest_document_on_its_page_is_acceptable() -> None:
    text = PAGES["unacceptable-document"].partition("```json\n")[2].partition("```")[0]
    assert examine(json.loads(text), bundled_contexts(), DEFAULT_LIMITS).root["@id"]


def test_pages_become_html_that_shows_text_and_nothing_else() -> None:
    page = from_markdown(
        '# A `code` & <b>\n\ntext <script>alert(1)</script>\nmore\n\n<a id="x"></a>\n'
        '<a id="y" onclick="x"></a>\n\n```\n<img src=x>\n```\n- item\n'
    )
    assert page.splitlines() == [
        "<h1>A <code>code</code> &amp; &lt;b&gt;</h1>",
        "<p>text &lt;script&gt;alert(1)&lt;/script&gt; more</p>",
        '<a id="x"></a>',
        "<p>&lt;a id=&quot;y&quot; onclick=&quot;x&quot;&gt;&lt;/a&gt;</p>",
        "<pre>&lt;img src=x&gt;</pre>",
        "<p>- item</p>",
    ]


@pytest.mark.parametrize("slug", sorted(PAGES))
def test_no_markup_is_left_over_in_a_page_for_browsers(slug: str) -> None:
    page = from_markdown(PAGES[slug])
    assert "```" not in page
    assert not re.search(r"^#", page, re.MULTILINE)
