"""Sources are read with every mistake named, and believe nobody whom they were not told to believe."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import ConfigurationError
from orchestrator.core.notification import Notification
from orchestrator.core.source import (
    EVERY,
    FOLLOWED,
    MAIN,
    SenderPolicy,
    Source,
    SourceKind,
    is_same_origin,
    is_web,
    members_of,
    patience,
    place_of,
    read_source,
    read_sources,
)

PLACE = "orchestrator.toml: source 3"
INBOX = "https://pod.example/inbox/"
REVIEW = "https://review.example/"
POD: dict[str, Any] = {"name": "pod", "inbox": INBOX}
HOUR = 3_600_000
DAY = 24 * HOUR


def test_a_name_and_an_inbox_are_enough() -> None:
    assert read_source(POD, PLACE) == Source(name="pod", kind=SourceKind.INBOX, url=INBOX)
    assert read_source(POD, PLACE).schedule == EVERY
    assert read_source(POD, PLACE).into == MAIN
    assert not read_source(POD, PLACE).is_vouched


def test_every_member_is_read() -> None:
    given_members = {
        "name": "pod-2",
        "artefact": "https://pod.example/profile#me",
        "schedule": "0 4 * * *",
        "policy": "authenticated",
        "senders": [REVIEW, "http://localhost:8080/"],
        "into": "reviews",
        "token_file": "/run/secrets/pod",
    }
    source = read_source(given_members, PLACE)
    assert source == Source(
        name="pod-2",
        kind=SourceKind.INBOX,
        url="https://pod.example/profile#me",
        is_discovered=True,
        schedule="0 4 * * *",
        policy=SenderPolicy.AUTHENTICATED,
        senders=(REVIEW, "http://localhost:8080/"),
        into="reviews",
        token_file="/run/secrets/pod",
    )
    assert source.is_vouched


def test_what_a_log_tells_is_kept_apart() -> None:
    source = read_source({"name": "log", "log": "https://other.example/log/"}, PLACE)
    assert (source.kind, source.is_discovered, source.into) == (SourceKind.LOG, False, FOLLOWED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "name must be of a-z"),
        ({"name": ""}, "name must be of a-z"),
        ({"name": "Pod"}, "name must be of a-z"),
        ({"name": "-pod"}, "name must be of a-z"),
        ({"name": "pod/1"}, "name must be of a-z"),
        ({"name": "pod\n"}, "name must be text"),
        ({"name": "p" * 65}, "at most 64"),
        ({"name": 7}, "name must be text"),
        ({"inbox": None}, "inbox must be an http or https URL"),
        ({"inbox": 7}, "inbox must be text"),
        ({"inbox": [INBOX]}, "inbox must be text"),
        ({"inbox": ""}, "inbox must be an http or https URL"),
        ({"inbox": "/inbox/"}, "inbox must be an http or https URL"),
        ({"inbox": "ftp://pod.example/"}, "inbox must be an http or https URL"),
        ({"inbox": "file:///etc/passwd"}, "inbox must be an http or https URL"),
        ({"inbox": "https:///inbox/"}, "inbox must be an http or https URL"),
        ({"inbox": "https://pod.example/in box"}, "inbox must be an http or https URL"),
        ({"inbox": "https://pod.example\\@evil.example/"}, "inbox must be an http or https URL"),
        ({"inbox": "https://pod.example:99999/"}, "inbox must be an http or https URL"),
        ({"inbox": "https://[pod/"}, "inbox must be an http or https URL"),
        ({"inbox": "https://pod.example/" + "x" * 2_048}, "inbox must be an http or https URL"),
        ({"inbox": "https://ada@pod.example/"}, "without a user"),
        ({"inbox": "https://ada:secret@pod.example/"}, "without a user"),
        ({"inbox": "https://@pod.example/"}, "without a user"),
        ({"log": "https://other.example/log/"}, "give one of inbox"),
        ({"artefact": "https://pod.example/1"}, "give one of inbox"),
        ({"artefact": None}, "give one of inbox"),
        ({"schedule": "often"}, "The schedule “often” cannot be read"),
        ({"schedule": "0s"}, "1 second to 366 days"),
        ({"schedule": 300}, "schedule must be text"),
        ({"policy": "closed"}, "policy must be one of open, registered, authenticated, not closed"),
        ({"policy": True}, "policy must be text"),
        ({"policy": "registered"}, "list in senders"),
        ({"policy": "authenticated", "senders": []}, "list in senders"),
        ({"senders": [REVIEW]}, "policy must be registered or authenticated"),
        ({"policy": "open", "senders": [REVIEW]}, "policy must be registered or authenticated"),
        ({"policy": "registered", "senders": REVIEW}, "senders must be a list"),
        ({"policy": "registered", "senders": {REVIEW: 1}}, "senders must be a list"),
        ({"policy": "registered", "senders": [REVIEW, "review.example"]}, "senders must be a list"),
        ({"policy": "registered", "senders": [REVIEW, None]}, "senders must be a list"),
        ({"policy": "registered", "senders": ["https://[review/"]}, "senders must be a list"),
        ({"policy": "registered", "senders": [REVIEW] * 1_001}, "senders must be a list"),
        ({"into": 7}, "into must be text"),
        ({"token_file": 7}, "token_file must be text"),
        ({"token_file": "/run/\0"}, "token_file must be text"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place_and_its_member(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_source({**POD, **changes}, PLACE)
    assert refused.value.message.startswith(PLACE)
    assert words in refused.value.message
    assert "secret" not in refused.value.message


def test_a_source_without_an_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"source 3 \(pod\): give one of inbox .* artefact .* log"):
        read_source({"name": "pod"}, PLACE)


@pytest.mark.parametrize("address", ["artefact", "log"])
def test_a_user_is_refused_in_every_kind_of_address(address: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\(pod\): {address} must .* without a user"):
        read_source({"name": "pod", address: "https://ada:secret@pod.example/"}, PLACE)


@pytest.mark.parametrize("into", [MAIN, "reviews", None])
def test_a_log_is_kept_nowhere_else(into: object) -> None:
    members = {"name": "other", "log": "https://other.example/log/", "into": into}
    with pytest.raises(ConfigurationError, match=r"source 3 \(other\): a log has no into"):
        read_source(members, PLACE)


@pytest.mark.parametrize("policy", ["registered", "authenticated"])
def test_a_thousand_senders_may_be_listed(policy: str) -> None:
    senders = [f"https://{number}.example/" for number in range(1_000)]
    assert len(read_source({**POD, "policy": policy, "senders": senders}, PLACE).senders) == 1_000


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("inbx", "inbox"),
        ("artifact", "artefact"),
        ("sender", "senders"),
        ("token-file", "token_file"),
        ("Schedule", "schedule"),
    ],
)
def test_a_misspelt_member_is_told_its_name(wrong: str, right: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_source({**POD, wrong: "x"}, PLACE)
    assert refused.value.message == f"{PLACE}: unknown member {wrong}; did you mean {right}?"


@pytest.mark.parametrize("wrong", ["colour", "", 7])
def test_a_member_like_no_other_is_told_none(wrong: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_source({**POD, wrong: "x"}, PLACE)
    assert refused.value.message == f"{PLACE}: unknown member {wrong}"


@pytest.mark.parametrize("given_value", [None, INBOX, 7, [POD]])
def test_a_source_is_a_table(given_value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{PLACE}: a source is a table"):
        read_source(given_value, PLACE)


def test_sources_are_read_in_order() -> None:
    second = {"name": "log", "log": "https://other.example/log/"}
    assert [source.name for source in read_sources([POD, second], "x.toml")] == ["pod", "log"]
    assert read_sources([], "x.toml") == ()


@pytest.mark.parametrize("given_value", [None, POD, "pod"])
def test_sources_that_are_no_list_are_told_how_to_be_written(given_value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.toml: .*\[\[source\]\]"):
        read_sources(given_value, "x.toml")


def test_the_number_of_a_source_says_where_the_mistake_is() -> None:
    with pytest.raises(ConfigurationError, match=r"x\.toml: source 2 \(b\): inbox must be"):
        read_sources([POD, {"name": "b", "inbox": "pod.example"}], "x.toml")


def test_two_sources_of_one_name_are_refused() -> None:
    twin = {"name": "pod", "log": "https://other.example/log/"}
    with pytest.raises(ConfigurationError, match=r"x\.toml: two sources are named pod"):
        read_sources([POD, {**POD, "name": "other"}, twin], "x.toml")


_urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["pod.example", "POD.example", "127.0.0.1", "[2001:db8::1]", "bücher.example"]),
    st.sampled_from(["", ":8443", ":80"]),
    st.sampled_from(["", "/", "/inbox/?page=1", "/a%2Fb", "/ü#me"]),
)
_trust: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"policy": st.just("open")}),
    st.fixed_dictionaries(
        {
            "policy": st.sampled_from(["registered", "authenticated"]),
            "senders": st.lists(_urls, min_size=1, max_size=4),
        }
    ),
)
_addresses = st.one_of(
    st.fixed_dictionaries({"log": _urls}),
    st.tuples(
        st.sampled_from(["inbox", "artefact"]),
        _urls,
        st.fixed_dictionaries({}, optional={"into": st.sampled_from(["inbox", "reviews"])}),
    ).map(lambda chosen: {chosen[0]: chosen[1], **chosen[2]}),
)
_rest = st.fixed_dictionaries(
    {"name": st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True)},
    optional={
        "schedule": st.sampled_from(["90s", " 5M ", "*/5 * * * *", "0 0 12 ? * MON", "@daily"]),
        "token_file": st.sampled_from(["/run/secrets/pod", "C:\\pod token", "ü"]),
    },
)


@given(_rest, _addresses, _trust)
def test_what_is_said_of_a_source_reads_back_as_that_source(
    rest: dict[str, object], address: dict[str, object], trust: dict[str, object]
) -> None:
    """And says everything: reading it and saying it again changes nothing."""
    source = read_source({**rest, **address, **trust}, PLACE)
    said = members_of(source)
    assert read_source(said, "the database") == source
    assert members_of(read_source(said, "the database")) == said


def notification(sender: str | None, identifier: str, *, is_actor: bool = False) -> Notification:
    return Notification(
        id=identifier,
        types=(),
        pattern=None,
        digest="",
        origin=None if is_actor else sender,
        actor=sender if is_actor else "https://somebody.example/",
    )


def registered(*senders: str, policy: SenderPolicy = SenderPolicy.REGISTERED) -> Source:
    return Source(name="pod", kind=SourceKind.INBOX, url=INBOX, policy=policy, senders=senders)


URN = "urn:uuid:0370c0fb-bb78-4a9b-87f5-bed307a509dd"


@pytest.mark.parametrize("policy", [SenderPolicy.REGISTERED, SenderPolicy.AUTHENTICATED])
@pytest.mark.parametrize(
    ("registered_url", "sender", "identifier"),
    [
        (REVIEW, REVIEW, URN),
        (REVIEW, "https://review.example/services/1#it", URN),
        (REVIEW, "https://review.example", "https://review.example/n/1"),
        (REVIEW, "https://REVIEW.Example/", "https://Review.EXAMPLE/n/1"),
        ("https://Review.Example/journal", REVIEW, URN),
        (REVIEW, "https://review.example:443/", "https://review.example:443/1"),
        ("https://review.example:443/", REVIEW, URN),
        ("http://review.example/", "http://review.example:80/", URN),
        (REVIEW, "https://review.example./", URN),
        ("http://localhost:8080/", "http://localhost:8080/a", "http://localhost:8080/b"),
        (REVIEW, REVIEW, "mailto:ada@evil.net"),
    ],
)
def test_who_has_the_host_of_a_registered_sender_may_write(
    registered_url: str, sender: str, identifier: str, policy: SenderPolicy
) -> None:
    source = registered("https://other.example/", registered_url, policy=policy)
    assert source.admits(notification(sender, identifier))


@pytest.mark.parametrize("policy", [SenderPolicy.REGISTERED, SenderPolicy.AUTHENTICATED])
@pytest.mark.parametrize(
    ("sender", "identifier"),
    [
        (None, URN),
        (None, "https://review.example/n/1"),
        (URN, "https://review.example/n/1"),
        ("mailto:ada@review.example", URN),
        ("review.example", URN),
        ("//review.example/", URN),
        ("https://evil.net/", URN),
        ("https://evil.net/", "https://review.example/n/1"),
        (REVIEW, "https://evil.net/n/1"),
        ("https://review.example.evil.net/", URN),
        ("https://review.example.evil.net/https://review.example/", URN),
        (REVIEW, "https://review.example.evil.net/1"),
        ("https://evilreview.example/", URN),
        ("https://evil.review.example/", URN),
        ("https://review.example@evil.net/", URN),
        ("https://review.example:443@evil.net/", URN),
        ("https://evil.net#@review.example/", URN),
        ("https://evil.net?@review.example/", URN),
        ("https://evil.net\\@review.example/", URN),
        ("https://review.example:8443/", URN),
        ("https://review.example:80/", URN),
        ("https://review.example:99999/", URN),
        ("https://review.example:x/", URN),
        ("https://[review.example/", URN),
        ("https:///review.example/", URN),
        ("https://rev\u0456ew.example/", URN),
        ("https://review.example ", URN),
        ("https://review.example\n/", URN),
    ],
)
def test_who_only_looks_like_a_registered_sender_may_not_write(
    sender: str | None, identifier: str, policy: SenderPolicy
) -> None:
    assert not registered(REVIEW, policy=policy).admits(notification(sender, identifier))


def test_the_actor_is_the_sender_where_there_is_no_origin() -> None:
    source = registered(REVIEW)
    assert source.admits(notification(REVIEW, URN, is_actor=True))
    assert not source.admits(notification("https://evil.net/", URN, is_actor=True))


def test_an_origin_elsewhere_is_not_excused_by_the_actor() -> None:
    both = Notification(
        id=URN, types=(), pattern=None, digest="", origin="https://evil.net/", actor="https://review.example/"
    )
    assert not registered(REVIEW).admits(both)


@pytest.mark.parametrize("sender", [None, "https://evil.net/", URN])
def test_an_open_source_admits_anybody(sender: str | None) -> None:
    source = read_source(POD, PLACE)
    assert source.admits(notification(sender, "https://somewhere.example/1"))


def test_who_keeps_a_log_may_answer_for_all_that_it_tells() -> None:
    """Unless some are named; and an inbox, where others write, never does."""
    members = {"name": "other", "log": "https://other.example/log/", "policy": "authenticated"}
    source = read_source(members, PLACE)
    assert source.is_vouched
    assert source.admits(notification("https://anybody.example/", URN))
    assert members_of(source).items() >= members.items()
    named = read_source({**members, "senders": [REVIEW]}, PLACE)
    assert not named.admits(notification("https://anybody.example/", URN))
    with pytest.raises(ConfigurationError, match="list in senders"):
        read_source({**members, "policy": "registered"}, PLACE)


_schedules = st.sampled_from(["1s", "5s", "7s", "30s", "60s", "5m", "1d", "366d", "0 4 * * *", "0 0 4 * * ?"])
_chances = st.floats(0, 1)


@pytest.mark.parametrize(
    ("schedule", "waits"),
    [
        ("1s", [5_000, 10_000, 20_000]),
        ("7s", [7_000, 14_000, 28_000]),
        ("60s", [60_000, 120_000, 240_000, 480_000, 960_000, 1_920_000, HOUR, HOUR]),
        ("5m", [60_000, 120_000]),
        ("30d", [60_000, 120_000]),
        ("0 4 * * *", [60_000, 120_000]),
    ],
)
def test_a_source_that_fails_is_left_alone_twice_as_long_each_time(schedule: str, waits: list[int]) -> None:
    assert [patience(schedule, each, chance=0) for each in range(1, len(waits) + 1)] == waits


@given(_schedules, st.integers(0, 10**9), _chances)
def test_no_source_is_left_alone_for_ever_or_not_at_all(schedule: str, failures: int, chance: float) -> None:
    assert 5_000 <= patience(schedule, failures, chance=chance) <= 1.2 * HOUR


@given(_schedules, st.integers(0, 100), _chances, st.one_of(st.none(), st.floats(0, 10**10)))
def test_patience_never_shrinks(schedule: str, failures: int, chance: float, asked: float | None) -> None:
    """With failures in a row, with chance, or because a server asks for some."""
    wait = patience(schedule, failures, chance=chance, asked=asked)
    assert wait <= patience(schedule, failures + 1, chance=chance, asked=asked)
    assert patience(schedule, failures, chance=0, asked=asked) <= wait
    assert patience(schedule, failures, chance=chance) <= wait


def test_chance_spreads_the_waits_by_a_fifth() -> None:
    waits = [patience("60s", 1, chance=chance) for chance in (0, 0.25, 0.5, 1)]
    assert waits == [60_000, 63_000, 66_000, 72_000]
    assert patience("60s", 99, chance=1) == 1.2 * HOUR
    assert all(before < after for before, after in pairwise(waits))


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (0, 60_000),
        (-5, 60_000),
        (59.9, 60_000),
        (60.25, 60_250),
        (7_200, 2 * HOUR),
        (86_400, DAY),
        (86_401, DAY),
        (10**10, DAY),
    ],
)
def test_what_a_server_asks_for_is_believed_up_to_a_day(asked: float, wait: int) -> None:
    assert patience("5m", 1, chance=0, asked=asked) == wait


def test_a_server_cannot_ask_to_be_asked_sooner() -> None:
    assert patience("5m", 20, chance=0.5, asked=1) == patience("5m", 20, chance=0.5)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://Pod.Example/inbox/", "pod.example"),
        ("https://pod.example:443/", "pod.example"),
        ("http://pod.example:80/", "pod.example"),
        ("http://pod.example:443/", "pod.example:443"),
        ("https://pod.example:80/", "pod.example:80"),
        ("https://pod.example:8443", "pod.example:8443"),
        ("HTTPS://pod.example:443/", "pod.example"),
        ("https://ada:secret@pod.example/", "pod.example"),
        ("https://pod.example:0/", "pod.example:0"),
        ("https://pod.example:99999/", ""),
        ("https://[pod/", ""),
        ("/inbox/", ""),
    ],
)
def test_a_place_is_a_host_and_a_port_that_is_not_the_usual_one(url: str, place: str) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    "other",
    [
        "https://pod.example",
        "https://pod.example/other?x#y",
        "https://pod.example:443/",
        "https://POD.example/",
        "HTTPS://pod.example/",
    ],
)
def test_one_origin_has_many_spellings(other: str) -> None:
    assert is_same_origin(INBOX, other)
    assert is_same_origin(other, INBOX)


@pytest.mark.parametrize(
    "other",
    [
        "http://pod.example/inbox/",
        "http://pod.example:443/inbox/",
        "https://pod.example:8443/inbox/",
        "https://www.pod.example/inbox/",
        "https://pod.example.evil.net/inbox/",
        "https://pod.example@evil.net/inbox/",
        "https://evil.net/https://pod.example/inbox/",
        "//pod.example/inbox/",
        "/inbox/",
        "https://pod.example:99999/inbox/",
    ],
)
def test_another_scheme_host_or_port_is_another_origin(other: str) -> None:
    assert not is_same_origin(INBOX, other)
    assert not is_same_origin(other, INBOX)


@pytest.mark.parametrize(
    "url",
    ["http://[x/", "http://\u2100/", "https://pod.example:port/", "http:///", "urn:x"],
)
def test_what_is_no_url_has_no_origin(url: str) -> None:
    """Two of them are not of one origin either: a token would be shown to somebody."""
    assert not is_same_origin(url, url)
    assert not is_web(url)


def test_what_cannot_be_written_down_is_no_url() -> None:
    assert not is_web("https://p/\ud800")


def test_an_address_in_brackets_is_another_place_than_one_with_a_port() -> None:
    assert not is_same_origin("https://[::1]:8080/", "https://[::1:8080]/")
    assert is_same_origin("https://[::1]:8080/a", "https://[::1]:8080/b")


def test_a_scheme_in_capitals_hides_no_host() -> None:
    """A registered sender must not claim an id on somebody else's host."""
    members = {"name": "pod", "inbox": "https://pod.example/", "policy": "registered"}
    source = read_source({**members, "senders": ["https://review.example/"]}, "here")
    assert not source.admits(notification("https://review.example/about", "HTTPS://evil.example/1"))


@pytest.mark.parametrize("member", ["schedule", "policy", "into", "token_file"])
def test_an_empty_member_is_not_taken_for_the_default(member: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{member} must not be empty"):
        read_source({"name": "pod", "inbox": "https://pod.example/", member: ""}, "here")


def test_a_pod_does_not_write_into_the_inbox_of_followed_logs() -> None:
    with pytest.raises(ConfigurationError, match="into names the inbox of followed logs"):
        read_source({"name": "pod", "inbox": "https://pod.example/", "into": "log"}, "here")
