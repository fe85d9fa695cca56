"""Documentation is part of the change: what exists is documented, and what is documented exists."""

import re
from pathlib import Path

import pytest

from orchestrator.config import declared, environment_name, load

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])


def anchors(text: str) -> set[str]:
    return set(re.findall(r'<a id="([^"]+)"', text)) | {
        re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|mailto:)([^)]+)\)", page.read_text()):
        path, _, fragment = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} → {target}"
        if fragment and there.suffix == ".md":
            assert fragment in anchors(there.read_text()), f"{page.name} → {target}"


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs/reference/settings.md").read_text().partition("\n## Sources")[0]
    documented = dict(re.findall(r"^\| `([^`]+)` \| (.*?) \|", text, flags=re.MULTILINE))
    assert set(documented) == {str(item.metadata["key"]) for item in declared()}
    for item in declared():
        if isinstance(item.default, int | float | bool) or (isinstance(item.default, str) and item.default):
            shown = str(item.default).lower() if isinstance(item.default, bool) else str(item.default)
            assert documented[item.metadata["key"]] == f"`{shown}`"


def test_the_settings_file_that_is_shown_can_be_read(tmp_path: Path) -> None:
    text = (ROOT / "docs/reference/settings.md").read_text()
    [example] = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    file = tmp_path / "orchestrator.toml"
    file.write_text(example)
    environment = {environment_name("inbox.read_token"): "secret"}
    assert load(file=file, environment=environment).settings.inbox_policy == "open"


def test_the_first_command_of_the_readme_stands_on_its_first_screen() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert any(line.startswith("pip install") for line in lines[:25])


def test_every_decision_is_listed() -> None:
    listed = set(re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md")}


def test_every_example_of_turtle_in_the_pages_is_turtle() -> None:
    from orchestrator.core.rdf import parse_turtle  # noqa: PLC0415

    for page in PAGES:
        for text in re.findall(r"```turtle\n(.*?)```", page.read_text(), flags=re.DOTALL):
            assert len(parse_turtle(text, "https://example.org/"))


def test_the_policy_that_is_shown_is_one_that_loads() -> None:
    from orchestrator.core.policy import PolicySet  # noqa: PLC0415

    [text] = re.findall(
        r"```turtle\n(.*?)```", (ROOT / "docs/reference/policies.md").read_text(), flags=re.DOTALL
    )
    assert PolicySet({"shown.ttl": text}).remarks == ()
