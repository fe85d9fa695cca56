from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Settings, environment_name, load, refuse_exposure
from orchestrator.core.errors import ConfigurationError


def refused(**given: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        load(**given)
    return error.value.message


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text('[server]\nport = 1\nhost = "127.0.0.2"\npublic_url = "https://pod.example"\n')
    environment = {"ORCHESTRATOR_SERVER_PORT": "2", "ORCHESTRATOR_SERVER_HOST": "127.0.0.3"}
    loaded = load(file=file, environment=environment, flags={"server.port": 3, "server.host": None})
    assert (loaded.settings.port, loaded.settings.host) == (3, "127.0.0.3")
    assert loaded.settings.public_url == "https://pod.example"
    assert loaded.settings.interval == Settings().interval
    origins = loaded.origins
    assert (origins["server.port"], origins["server.host"]) == ("flag", "ORCHESTRATOR_SERVER_HOST")
    assert (origins["server.public_url"], origins["schedule.interval"]) == (str(file), "default")


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text("[server]\nprot = 1\n")
    assert "did you mean server.port?" in refused(file=file)
    assert "did you mean ORCHESTRATOR_SERVER_PORT?" in refused(environment={"ORCHESTRATOR_SERVER_PROT": "1"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SERVER_PORT", "eighty", "must be an integer"),
        ("SERVER_PORT", "70000", "between 0 and 65535"),
        ("SCREENING_BUDGET", "nan", "number of seconds"),
        ("SCREENING_BUDGET", "inf", "number of seconds"),
        ("SCHEDULE_INTERVAL", "0", "more than 0"),
        ("EGRESS_ALLOW_HTTP", "maybe", "true or false"),
        ("EGRESS_ALLOW_PRIVATE", "127.0.0.1/99", "neither a network nor a host name"),
        ("INBOX_PROFILE", "loose", "must be one of strict, lenient"),
        ("INBOX_READ", "token", "set inbox.read_token"),
        ("SERVER_PUBLIC_URL", "pod.example", "must begin with https"),
        ("ARTEFACTS_PREFIXES", "https://pod.example", "slash after its host"),
        ("ARTEFACTS_PREFIXES", "https://user@pod.example/", "slash after its host"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_remedy(name: str, value: str, said: str) -> None:
    assert said in refused(environment={"ORCHESTRATOR_" + name: value})


def test_a_secret_is_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    name = environment_name("inbox.read_token")
    assert load(environment={name + "_FILE": str(secret)}).settings.inbox_read_token == "s3cret"
    assert "s3cret" not in refused(flags={"inbox.read_token": ["s3cret"]})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "pod.example"])
def test_other_addresses_than_loopback_wait_until_policy_and_reading_are_set(host: str) -> None:
    with pytest.raises(ConfigurationError, match="set inbox"):
        refuse_exposure(load(flags={"server.host": host}).settings)
    told = {"server.host": host, "inbox.policy": "open", "inbox.read": "public"}
    with pytest.raises(ConfigurationError, match=r"set server\.public_url"):
        refuse_exposure(load(flags=told).settings)
    told["server.public_url"] = "https://pod.example"
    refuse_exposure(load(flags=told).settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_needs_nothing_to_be_set(host: str) -> None:
    refuse_exposure(load(flags={"server.host": host}).settings)
