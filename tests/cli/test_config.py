import tomllib
from pathlib import Path

from .conftest import Run

SECRET = "s3cret-token"


def test_every_setting_is_shown_and_can_be_pasted_into_a_file(run: Run) -> None:
    ended = run("config", "show")
    assert ended.code == 0
    values = tomllib.loads(ended.out)
    assert values["server"]["port"] == 8080
    assert values["egress"]["ports"] == [80, 443]
    assert values["contexts"] == {}


def test_the_origin_of_each_value_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text('[server]\nport = 9000\n[identity]\nname = "Ours \u202e"\n')
    env = {"ORCHESTRATOR_INBOX_PROFILE": "strict"}
    shown = run("config", "show", "--origin", "--json", **env).json
    assert shown["server.port"] == {"value": 9000, "origin": "orchestrator.toml"}
    assert shown["inbox.profile"] == {"value": "strict", "origin": "ORCHESTRATOR_INBOX_PROFILE"}
    assert shown["server.host"]["origin"] == "default"
    text = run("config", "show", "--origin", **env).out
    assert "server.port = 9000  # orchestrator.toml\n" in text
    assert "\u202e" not in text
    assert tomllib.loads(text)["identity"]["name"] == "Ours \u202e"


def test_secrets_are_masked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    env = {
        "ORCHESTRATOR_INBOX_READ": "token",
        "ORCHESTRATOR_INBOX_READ_TOKEN_FILE": "token",
        "ORCHESTRATOR_DATABASE_URL": f"postgresql://us:{SECRET}@db.example/orchestrator",
    }
    for form in ((), ("--json",), ("--origin",)):
        ended = run("config", "show", *form, **env)
        assert ended.code == 0
        assert SECRET not in ended.out + ended.err
        assert "postgresql://us:********@db.example/orchestrator" in ended.out


def test_a_secret_of_the_wrong_kind_is_not_repeated(run: Run, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(f'[inbox]\nread_token = ["{SECRET}"]\n')
    ended = run("config", "show")
    assert (ended.code, ended.out) == (2, "")
    assert SECRET not in ended.err
