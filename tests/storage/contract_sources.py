"""Sources that are declared, claimed, read and noted, and where notifications were found."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from tests.storage.contract_ledger import rows_of
from tests.storage.examples import LEASE, NOW, arrival, claim, draft, outcome, record

from orchestrator.core.errors import BadRequest, LeaseLost, NotFound
from orchestrator.core.source import SenderPolicy, Source, SourceKind
from orchestrator.ports import Lease, Provenance
from orchestrator.ports.sources import Ended, Found, Member, MemberState, Pass, Status
from orchestrator.storage import Store, schema

POD = "https://pod.example/inbox/"
LATER = NOW + 300_000
"""When the schedule says to poll again."""
FROM_POD = Provenance(source="pod", via=POD + "1", trust="verified")


def source(name: str = "pod", url: str = POD, **others: Any) -> Source:
    """Return a source."""
    return Source(name=name, kind=SourceKind.INBOX, url=url, **others)


async def add(store: Store, *names: str, now: int = NOW) -> None:
    """Let an operator add sources."""
    for name in names:
        await store.sources.add(source(name), who="ada", now=now)


async def take(
    store: Store, *, now: int = NOW, owner: str = "us", limit: int = 100, name: str | None = None
) -> Sequence[Pass]:
    """Claim what is due, or one that is named."""
    return await store.progress.claim(owner, limit=limit, now=now, lease=LEASE, name=name)


async def take_one(store: Store, name: str = "pod", *, now: int = NOW, owner: str = "us") -> Lease:
    """Claim the source of that name."""
    (taken,) = await take(store, now=now, owner=owner, name=name)
    return taken.lease


def ended(reason: str | None = None, *, next_at: int = LATER, requests: int = 1, **progress: object) -> Ended:
    """Return how a pass ended."""
    return Ended(progress=progress, next_at=next_at, requests=requests, reason=reason)


async def read(store: Store, name: str = "pod", *, now: int = NOW, reason: str | None = None) -> None:
    """Make a whole pass."""
    lease = await take_one(store, name, now=now)
    await store.progress.finish(lease, ended(reason, etag=f"of {name}"), now=now)


async def status(store: Store, name: str = "pod") -> Status:
    """Return what is known of a source."""
    (found,) = await store.sources.statuses(name)
    return found


def found(
    number: int | str = 1,
    state: MemberState = MemberState.KEPT,
    *,
    mark: str = "",
    reason: str | None = None,
    retry_at: int | None = None,
) -> Found:
    """Return what became of a member."""
    token = f"token {number}" if state is MemberState.KEPT else None
    return Found(url=f"{POD}{number}", mark=mark, state=state, reason=reason, token=token, retry_at=retry_at)


def told(store: Store) -> list[tuple[Any, ...]]:
    """Return what the journal tells of sources."""
    rows = rows_of(store, schema.journal)
    return [(row["what"], row["who"], row["at"], json.loads(row["note"])["source"]) for row in rows]


class SourceContract:
    """Behaviours of `Sources` and `Progress`, and of provenance."""

    async def test_a_configured_source_is_due_at_once(self, store: Store) -> None:
        """It is new, and nothing is known of it."""
        declared = source(policy=SenderPolicy.REGISTERED, senders=("https://review.example/",))
        await store.sources.configure([declared], now=NOW)
        assert await store.sources.statuses() == [
            Status(
                source=declared,
                declared_by="configuration",
                paused=False,
                next_at=NOW,
                requests=0,
                failures=0,
                reason=None,
                attempted=None,
                succeeded=None,
                is_polled=False,
            )
        ]
        assert (await status(store)).state == "new"
        (taken,) = await take(store)
        assert (taken.source, taken.progress, taken.failures) == (declared, {}, 0)
        assert told(store) == [("source added", "configuration", NOW, "pod")]

    async def test_sources_are_sorted_by_name(self, store: Store) -> None:
        """Whoever declared them, and whenever."""
        await add(store, "m", "b")
        await store.sources.configure([source("z"), source("a")], now=NOW)
        assert [each.source.name for each in await store.sources.statuses()] == ["a", "b", "m", "z"]

    async def test_the_same_configuration_changes_nothing(self, store: Store) -> None:
        """A restart polls nobody sooner."""
        await store.sources.configure([source("a"), source("b")], now=NOW)
        await read(store, "a")
        before = rows_of(store, schema.source), rows_of(store, schema.journal)
        await store.sources.configure([source("b"), source("a")], now=NOW + 1_000)
        assert (rows_of(store, schema.source), rows_of(store, schema.journal)) == before

    async def test_a_change_of_one_source_touches_no_other(self, store: Store) -> None:
        """The changed one is due at once; its failures are what they were."""
        await store.sources.configure([source("a"), source("b"), source("c")], now=NOW)
        for name in "abc":
            await read(store, name, reason="it is down" if name == "b" else None)
        before = {row["name"]: row for row in rows_of(store, schema.source)}
        changed = source("b", schedule="1h")
        await store.sources.configure([source("a"), changed, source("c")], now=NOW + 1_000)
        after = {row["name"]: row for row in rows_of(store, schema.source)}
        assert [name for name in "abc" if after[name] != before[name]] == ["b"]
        known = await status(store, "b")
        assert (known.source, known.next_at, known.failures) == (changed, NOW + 1_000, 1)
        assert told(store)[3:] == [("source changed", "configuration", NOW + 1_000, "b")]

    async def test_another_url_is_read_from_its_beginning(self, store: Store) -> None:
        """An ETag of the old one says nothing of the new."""
        await store.sources.configure([source()], now=NOW)
        await read(store)
        await store.sources.configure([source(url="https://moved.example/inbox/")], now=NOW + 1)
        assert (await status(store)).progress == {}
        (taken,) = await take(store, now=NOW + 1)
        assert (taken.source.url, taken.progress) == ("https://moved.example/inbox/", {})

    @pytest.mark.parametrize(
        "change",
        [
            {"schedule": "1h"},
            {"into": "reviews"},
            {"token_file": "/run/secrets/pod"},
            {"policy": SenderPolicy.AUTHENTICATED, "senders": ("https://review.example/",)},
        ],
    )
    async def test_whatever_else_changes_how_far_it_was_read_stays(
        self, store: Store, change: dict[str, Any]
    ) -> None:
        """And it is polled at once with what is said now."""
        await store.sources.configure([source()], now=NOW)
        await read(store)
        await store.sources.configure([source(**change)], now=NOW + 1)
        (taken,) = await take(store, now=NOW + 1)
        assert (taken.source, taken.progress) == (source(**change), {"etag": "of pod"})

    async def test_what_the_configuration_no_longer_has_is_forgotten(self, store: Store) -> None:
        """With its members, which would come back as new."""
        await store.sources.configure([source("a"), source("b")], now=NOW)
        for name in "ab":
            lease = await take_one(store, name)
            await store.progress.note(lease, [found()], now=NOW)
        await store.sources.configure([source("b")], now=NOW + 1)
        assert [each.source.name for each in await store.sources.statuses()] == ["b"]
        assert [row["source"] for row in rows_of(store, schema.member)] == ["b"]
        assert told(store)[-1] == ("source removed", "configuration", NOW + 1, "a")
        await store.sources.configure([source("a"), source("b")], now=NOW + 2)
        assert await store.progress.wanted("a", {POD + "1": ""}) == [POD + "1"]

    async def test_what_an_operator_added_is_not_the_configurations(self, store: Store) -> None:
        """It survives every configuration, an empty one too."""
        await add(store, "ours")
        await read(store, "ours")
        before = rows_of(store, schema.source)
        await store.sources.configure([source("theirs")], now=NOW + 1)
        await store.sources.configure([], now=NOW + 2)
        assert rows_of(store, schema.source) == before
        assert (await status(store, "ours")).declared_by == "operator"

    async def test_a_configuration_may_take_over_what_an_operator_added(self, store: Store) -> None:
        """From then on it is the configuration's, and read as far as it was."""
        await add(store, "pod")
        await read(store)
        await store.sources.configure([source()], now=NOW + 1)
        known = await status(store)
        assert (known.declared_by, known.progress) == ("configuration", {"etag": "of pod"})
        with pytest.raises(BadRequest):
            await store.sources.remove("pod", who="ada", now=NOW + 2)

    async def test_a_pause_outlives_a_configuration(self, store: Store) -> None:
        """An operator has his reasons."""
        await store.sources.configure([source()], now=NOW)
        await store.sources.pause("pod", paused=True, who="ada", now=NOW)
        await store.sources.configure([source(schedule="1h")], now=NOW + 1)
        assert (await status(store)).paused

    async def test_an_operator_adds_a_source_that_is_due_at_once(self, store: Store) -> None:
        """The journal tells who, and what."""
        await add(store, "pod")
        known = await status(store)
        assert (known.source, known.declared_by, known.next_at) == (source(), "operator", NOW)
        assert [taken.source.name for taken in await take(store)] == ["pod"]
        assert told(store) == [("source added", "ada", NOW, "pod")]
        assert POD in rows_of(store, schema.journal)[0]["note"]

    @pytest.mark.parametrize("is_configured", [True, False])
    async def test_there_are_no_two_sources_of_one_name(self, store: Store, *, is_configured: bool) -> None:
        """The first stays as it is."""
        if is_configured:
            await store.sources.configure([source()], now=NOW)
        else:
            await add(store, "pod")
        before = rows_of(store, schema.source), rows_of(store, schema.journal)
        with pytest.raises(BadRequest, match="pod"):
            await store.sources.add(source(url="https://b.example/"), who="bob", now=NOW + 1)
        assert (rows_of(store, schema.source), rows_of(store, schema.journal)) == before

    async def test_a_removed_source_is_forgotten_with_its_members(self, store: Store) -> None:
        """What it brought stays, and where that was found."""
        await add(store, "pod", "other")
        receipt = await store.ledger.keep(dataclasses.replace(arrival(), provenance=FROM_POD))
        for name in ("pod", "other"):
            await store.progress.note(await take_one(store, name), [found()], now=NOW)
        await store.sources.remove("pod", who="ada", now=NOW + 1)
        assert [each.source.name for each in await store.sources.statuses()] == ["other"]
        assert [row["source"] for row in rows_of(store, schema.member)] == ["other"]
        kept = await store.reader.notification("inbox", receipt.token)
        assert kept is not None
        assert kept.provenance == FROM_POD
        assert told(store)[-1] == ("source removed", "ada", NOW + 1, "pod")

    async def test_a_pass_over_a_removed_source_changes_nothing(self, store: Store) -> None:
        """Its lease went with it."""
        await add(store, "pod")
        lease = await take_one(store)
        await store.sources.remove("pod", who="ada", now=NOW)
        with pytest.raises(LeaseLost):
            await store.progress.note(lease, [found()], now=NOW)
        with pytest.raises(LeaseLost):
            await store.progress.finish(lease, ended(), now=NOW)
        assert rows_of(store, schema.member) == []

    async def test_a_configured_source_is_removed_in_the_configuration(self, store: Store) -> None:
        """Or it would come back with the next start."""
        await store.sources.configure([source()], now=NOW)
        with pytest.raises(BadRequest, match="configuration declares pod"):
            await store.sources.remove("pod", who="ada", now=NOW)
        assert (await status(store)).source == source()

    async def test_of_an_unknown_source_it_is_said_that_there_is_none(self, store: Store) -> None:
        """By its name; and nothing is journalled."""
        await add(store, "pod")
        with pytest.raises(NotFound, match="nobody"):
            await store.sources.remove("nobody", who="ada", now=NOW)
        for paused in (True, False):
            with pytest.raises(NotFound, match="nobody"):
                await store.sources.pause("nobody", paused=paused, who="ada", now=NOW)
        for patient in (True, False):
            with pytest.raises(NotFound, match="nobody"):
                await store.sources.hurry("nobody", now=NOW, patient=patient)
        with pytest.raises(NotFound, match="nobody"):
            await store.sources.statuses("nobody")
        assert await take(store, name="nobody") == []
        assert await store.sources.members("nobody") == []
        assert len(told(store)) == 1

    async def test_a_paused_source_is_polled_by_name_only(self, store: Store) -> None:
        """By those who ask for it, until it goes on."""
        await add(store, "pod", "other")
        await store.sources.pause("pod", paused=True, who="ada", now=NOW + 1)
        assert (await status(store)).state == "paused"
        assert [taken.source.name for taken in await take(store, now=NOW + 10**9)] == ["other"]
        (asked,) = await take(store, name="pod")
        assert asked.source.name == "pod"
        await store.progress.finish(asked.lease, ended(), now=NOW)
        await store.sources.pause("pod", paused=False, who="bob", now=NOW + 2)
        assert [taken.source.name for taken in await take(store, now=LATER)] == ["pod"]
        assert told(store)[2:] == [
            ("source paused", "ada", NOW + 1, "pod"),
            ("source resumed", "bob", NOW + 2, "pod"),
        ]

    async def test_due_sources_are_claimed_longest_due_first(self, store: Store) -> None:
        """And none before its time, but by name."""
        await add(store, "c", now=NOW + 10)
        await add(store, "b", "a", now=NOW + 20)
        await add(store, "later", now=NOW + 30)
        assert await take(store, now=NOW + 9) == []
        first = await take(store, now=NOW + 20, limit=2)
        rest = await take(store, now=NOW + 20)
        assert [each.source.name for each in (*first, *rest)] == ["c", "a", "b"]
        assert [each.source.name for each in await take(store, now=NOW, name="later")] == ["later"]

    async def test_a_source_is_read_by_one_at_a_time(self, store: Store) -> None:
        """Who has claimed it holds it while the lease lives, whoever asks and however."""
        await add(store, "pod")
        (taken,) = await take(store)
        lease = taken.lease
        assert lease == Lease(key="pod", owner="us", fence=lease.fence, until=NOW + LEASE)
        assert (await status(store)).is_polled
        await store.sources.hurry("pod", now=NOW + 1)
        for owner in ("us", "them"):
            assert await take(store, now=NOW + LEASE - 1, owner=owner) == []
            assert await take(store, now=NOW + LEASE - 1, owner=owner, name="pod") == []
        await store.progress.finish(taken.lease, ended(), now=NOW + 2)
        assert not (await status(store)).is_polled
        assert len(await take(store, now=NOW + 2)) == 1

    @pytest.mark.parametrize("owner", ["us", "them"])
    @pytest.mark.parametrize("name", ["pod", None])
    async def test_a_source_passes_on_when_its_lease_runs_out_and_the_late_one_changes_nothing(
        self, store: Store, owner: str, name: str | None
    ) -> None:
        """Even where both are of one process."""
        await add(store, "pod")
        late = await take_one(store)
        (later,) = await take(store, now=NOW + LEASE, owner=owner, name=name)
        assert later.lease.fence > late.fence
        tables = (schema.source, schema.member, schema.journal)
        before = [rows_of(store, table) for table in tables]
        with pytest.raises(LeaseLost):
            await store.progress.note(late, [found(1, MemberState.INVALID)], now=NOW + LEASE)
        with pytest.raises(LeaseLost):
            await store.progress.renew(late, until=NOW + 10 * LEASE)
        with pytest.raises(LeaseLost):
            await store.progress.finish(late, ended(), now=NOW + LEASE)
        assert [rows_of(store, table) for table in tables] == before
        await store.progress.note(later.lease, [found()], now=NOW + LEASE)
        await store.progress.finish(later.lease, ended(), now=NOW + LEASE)
        assert (await status(store)).members == {MemberState.KEPT: 1}

    async def test_who_renews_holds_on(self, store: Store) -> None:
        """For as long as was said, and not beyond."""
        await add(store, "pod")
        lease = await take_one(store)
        await store.progress.renew(lease, until=NOW + 3 * LEASE)
        assert await take(store, now=NOW + 3 * LEASE - 1, owner="them") == []
        assert len(await take(store, now=NOW + 3 * LEASE, owner="them")) == 1

    async def test_a_pass_ends_once(self, store: Store) -> None:
        """What comes after its end is too late."""
        await add(store, "pod")
        lease = await take_one(store)
        await store.progress.finish(lease, ended(), now=NOW)
        before = rows_of(store, schema.source)
        with pytest.raises(LeaseLost):
            await store.progress.finish(lease, ended("again"), now=NOW + 1)
        with pytest.raises(LeaseLost):
            await store.progress.note(lease, [found()], now=NOW + 1)
        with pytest.raises(LeaseLost):
            await store.progress.renew(lease, until=NOW + LEASE)
        assert rows_of(store, schema.source) == before

    async def test_failures_are_counted_until_a_pass_ends_well(self, store: Store) -> None:
        """When it last ended well is not forgotten."""
        await add(store, "pod")
        said = []
        for number, reason in enumerate([None, "it is down", "it is still down", None, "down again"]):
            (taken,) = await take(store, now=NOW + number, name="pod")
            done = ended(reason, next_at=LATER + number, requests=number, etag=f"{number}")
            await store.progress.finish(taken.lease, done, now=NOW + number)
            known = await status(store)
            assert (known.attempted, known.next_at) == (NOW + number, LATER + number)
            assert known.progress == {"etag": f"{number}"}
            said.append((taken.failures, known.failures, known.reason, known.succeeded, known.state))
        assert said == [
            (0, 0, None, NOW, "well"),
            (0, 1, "it is down", NOW, "failing"),
            (1, 2, "it is still down", NOW, "failing"),
            (2, 0, None, NOW + 3, "well"),
            (0, 1, "down again", NOW + 3, "failing"),
        ]
        assert (await status(store)).requests == 0 + 1 + 2 + 3 + 4

    async def test_progress_comes_back_as_it_was_left(self, store: Store) -> None:
        """Whatever JSON it is."""
        await add(store, "pod")
        left: dict[str, Any] = {"pages": [[POD, '"ü"'], [POD + "?2", None]], "listed": NOW, "channel": None}
        await store.progress.finish(await take_one(store), ended(**left), now=NOW)
        (again,) = await take(store, now=LATER)
        assert again.progress == left

    async def test_a_source_in_a_hurry_is_due_at_once(self, store: Store) -> None:
        """And after that, at its time."""
        await add(store, "pod", "other")
        await read(store)
        await read(store, "other")
        await store.sources.hurry("pod", now=NOW + 5)
        assert [(each.source.name, each.next_at) for each in await store.sources.statuses()] == [
            ("other", LATER),
            ("pod", NOW + 5),
        ]
        lease = await take_one(store, now=NOW + 5)
        await store.progress.finish(lease, ended(), now=NOW + 6)
        assert (await status(store)).next_at == LATER

    async def test_a_hurry_while_it_is_read_means_once_more_after_a_good_pass(self, store: Store) -> None:
        """What was asked for may have come after we looked; once is enough."""
        await add(store, "pod")
        lease = await take_one(store)
        await store.sources.hurry("pod", now=NOW + 1)
        await store.progress.finish(lease, ended(), now=NOW + 2)
        assert (await status(store)).next_at == NOW + 2
        (again,) = await take(store, now=NOW + 2)
        await store.progress.finish(again.lease, ended(), now=NOW + 3)
        assert (await status(store)).next_at == LATER

    async def test_a_hurry_while_it_is_read_is_nothing_after_a_failure(self, store: Store) -> None:
        """Somebody who hurries could keep us knocking at a door that stays shut."""
        await add(store, "pod")
        lease = await take_one(store)
        await store.sources.hurry("pod", now=NOW + 1)
        await store.progress.finish(lease, ended("it is down"), now=NOW + 2)
        assert (await status(store)).next_at == LATER
        lease = await take_one(store, now=LATER)
        await store.progress.finish(lease, ended(next_at=LATER + 7), now=LATER)
        assert (await status(store)).next_at == LATER + 7

    async def test_who_hurries_patiently_leaves_a_failing_source_alone(self, store: Store) -> None:
        """One that does well is due; one that fails waits for its time, or for somebody impatient."""
        await add(store, "well", "failing")
        await read(store, "well")
        await read(store, "failing", reason="it is down")
        for name in ("well", "failing"):
            await store.sources.hurry(name, now=NOW + 5, patient=True)
        assert (await status(store, "well")).next_at == NOW + 5
        assert (await status(store, "failing")).next_at == LATER
        await store.sources.hurry("failing", now=NOW + 6)
        assert (await status(store, "failing")).next_at == NOW + 6

    async def test_wanted_are_new_members_and_changed_ones_in_order(self, store: Store) -> None:
        """Whatever became of them, while their mark is the same they are known."""
        await add(store, "pod", "other")
        lease = await take_one(store)
        states = [*MemberState]
        await store.progress.note(
            lease,
            [
                found(state, state, mark="a", retry_at=NOW if state is MemberState.RETRY else None)
                for state in states
            ],
            now=NOW,
        )
        listed = {POD + "new": "", **{POD + state: "a" for state in states}, POD + "newer": "x"}
        assert await store.progress.wanted("pod", listed) == [POD + "new", POD + "newer"]
        changed = {**listed, POD + "KEPT": "b", POD + "INVALID": "", POD + "GONE": "a "}
        assert await store.progress.wanted("pod", dict(reversed(changed.items()))) == [
            POD + name for name in ("newer", "GONE", "INVALID", "KEPT", "new")
        ]
        assert await store.progress.wanted("other", listed) == list(listed)
        assert await store.progress.wanted("pod", {}) == []

    async def test_very_many_members_may_be_asked_for(self, store: Store) -> None:
        """More than a statement of the database takes parameters."""
        await add(store, "pod")
        lease = await take_one(store)
        listed = {f"{POD}{number}": f"mark {number}" for number in range(40_000)}
        known = [found(number, mark=f"mark {number}") for number in range(0, 40_000, 2)]
        await store.progress.note(lease, known, now=NOW)
        wanted = await store.progress.wanted("pod", listed | {POD + "4": "changed"})
        expected = [f"{POD}{number}" for number in range(40_000) if number % 2 or number == 4]
        assert wanted == expected

    async def test_overdue_are_those_whose_time_has_come(self, store: Store) -> None:
        """Longest due first, of that source, and only while they are to be tried again."""
        await add(store, "pod", "other")
        lease = await take_one(store)
        due = {3: NOW + 5, 1: NOW + 7, 2: NOW + 6, 4: NOW + 8}
        tried = [found(number, MemberState.RETRY, retry_at=at) for number, at in due.items()]
        await store.progress.note(lease, [*tried, found(5), found(6, MemberState.GONE)], now=NOW)

        async def overdue(now: int, limit: int = 10) -> list[str]:
            members = await store.progress.overdue("pod", now=now, limit=limit)
            assert {member.state for member in members} <= {MemberState.RETRY}
            return [member.url.removeprefix(POD) for member in members]

        assert await overdue(NOW + 4) == []
        assert await overdue(NOW + 7) == ["3", "2", "1"]
        assert await overdue(NOW + 7, limit=2) == ["3", "2"]
        assert await store.progress.overdue("other", now=NOW + 10**6, limit=10) == []
        await store.progress.note(lease, [found(3), found(2, MemberState.GONE, reason="404")], now=NOW + 7)
        assert await overdue(NOW + 10**6) == ["1", "4"]

    async def test_a_member_that_is_noted_again_has_one_attempt_more(self, store: Store) -> None:
        """Of the rest, what was noted last holds."""
        await add(store, "pod")
        lease = await take_one(store)
        for number in range(3):
            again = found(
                1, MemberState.RETRY, mark=f"{number}", reason=f"try {number}", retry_at=LATER + number
            )
            await store.progress.note(lease, [again, found(2)] if number == 0 else [again], now=NOW + number)
        (member,) = await store.progress.overdue("pod", now=LATER + 2, limit=10)
        assert member == Member(
            url=POD + "1",
            mark="2",
            state=MemberState.RETRY,
            reason="try 2",
            token=None,
            attempts=3,
            seen=NOW + 2,
            retry_at=LATER + 2,
        )
        await store.progress.note(lease, [found(1, mark="3")], now=NOW + 9)
        newest, other = await store.sources.members("pod")
        assert newest == dataclasses.replace(
            member,
            mark="3",
            state=MemberState.KEPT,
            reason=None,
            token="token 1",
            attempts=4,
            seen=NOW + 9,
            retry_at=None,
        )
        assert (other.url, other.attempts) == (POD + "2", 1)

    async def test_members_of_the_same_url_in_two_sources_are_two(self, store: Store) -> None:
        """Each source is read for itself."""
        await add(store, "a", "b")
        for name in "ab":
            await store.progress.note(await take_one(store, name), [found(mark=name)], now=NOW)
        assert [(await store.sources.members(name))[0].mark for name in "ab"] == ["a", "b"]
        assert [(await store.sources.members(name))[0].attempts for name in "ab"] == [1, 1]

    async def test_junk_and_what_was_ignored_is_journalled(self, store: Store) -> None:
        """And nothing else of what became of members."""
        await add(store, "pod")
        before = len(rows_of(store, schema.journal))
        noted = [
            found(1),
            found(2, MemberState.INVALID, reason="an image"),
            found(3, MemberState.GONE, reason="404"),
            found(4, MemberState.IGNORED, reason="a stranger"),
            found(5, MemberState.RETRY, reason="503", retry_at=LATER),
        ]
        await store.progress.note(await take_one(store), noted, now=NOW + 7)
        entries = rows_of(store, schema.journal)[before:]
        assert {(entry["what"], entry["who"], entry["at"]) for entry in entries} == {
            ("member not taken", "us", NOW + 7)
        }
        assert [json.loads(entry["note"]) for entry in entries] == [
            {"source": "pod", "member": POD + "2", "state": "INVALID", "reason": "an image"},
            {"source": "pod", "member": POD + "4", "state": "IGNORED", "reason": "a stranger"},
        ]

    async def test_nothing_to_note_is_noted_by_a_holder_only(self, store: Store) -> None:
        """An empty list is no way around the lease."""
        await add(store, "pod")
        lease = await take_one(store)
        await store.progress.note(lease, [], now=NOW)
        await take(store, now=NOW + LEASE)
        with pytest.raises(LeaseLost):
            await store.progress.note(lease, [], now=NOW + LEASE)

    async def test_members_are_counted_by_state(self, store: Store) -> None:
        """For each source, whether one or all are asked for."""
        await add(store, "a", "b", "c")
        states = [MemberState.KEPT, MemberState.KEPT, MemberState.INVALID, MemberState.GONE]
        lease = await take_one(store, "a")
        await store.progress.note(lease, [found(n, state) for n, state in enumerate(states)], now=NOW)
        await store.progress.note(await take_one(store, "b"), [found(9, MemberState.IGNORED)], now=NOW)
        expected: list[dict[MemberState, int]] = [
            {MemberState.KEPT: 2, MemberState.INVALID: 1, MemberState.GONE: 1},
            {MemberState.IGNORED: 1},
            {},
        ]
        assert [each.members for each in await store.sources.statuses()] == expected
        assert [(await status(store, name)).members for name in "abc"] == expected
        await store.progress.note(lease, [found(2)], now=NOW)
        assert (await status(store, "a")).members == {MemberState.KEPT: 3, MemberState.GONE: 1}

    async def test_members_are_listed_newest_first(self, store: Store) -> None:
        """All, or those of one state, and no more than asked for."""
        await add(store, "pod", "other")
        await store.progress.note(await take_one(store, "other"), [found(9)], now=NOW + 99)
        lease = await take_one(store)
        for number in (2, 1, 4, 3):
            state = MemberState.INVALID if number > 2 else MemberState.KEPT
            await store.progress.note(lease, [found(number, state)], now=NOW + number)

        async def urls(**asked: Any) -> list[str]:
            return [each.url.removeprefix(POD) for each in await store.sources.members("pod", **asked)]

        assert await urls() == ["4", "3", "2", "1"]
        assert await urls(limit=3) == ["4", "3", "2"]
        assert await urls(state=MemberState.KEPT) == ["2", "1"]
        assert await urls(state=MemberState.INVALID, limit=1) == ["4"]
        assert await urls(state=MemberState.RETRY) == []

    async def test_due_tells_when_the_next_source_can_be_claimed(self, store: Store) -> None:
        """None that is paused; one that is read when its lease runs out, for its reader may be dead."""
        assert await store.progress.due() is None
        await add(store, "pod", now=NOW + 3)
        await add(store, "other", now=NOW + 9)
        assert await store.progress.due() == NOW + 3
        await store.sources.pause("pod", paused=True, who="ada", now=NOW)
        assert await store.progress.due() == NOW + 9
        lease = await take_one(store, "other", now=NOW + 9)
        assert await store.progress.due() == NOW + 9 + LEASE
        await store.sources.hurry("other", now=NOW + 10)
        assert await store.progress.due() == NOW + 9 + LEASE
        await store.progress.renew(lease, until=NOW + 2 * LEASE)
        assert await store.progress.due() == NOW + 2 * LEASE
        await store.progress.finish(lease, ended("it is down"), now=NOW + 10)
        assert await store.progress.due() == LATER
        await store.sources.pause("pod", paused=False, who="ada", now=NOW)
        assert await store.progress.due() == NOW + 3
        for name in ("pod", "other"):
            await store.sources.pause(name, paused=True, who="ada", now=NOW)
        assert await store.progress.due() is None

    async def test_one_that_is_read_before_its_time_is_due_at_its_time(self, store: Store) -> None:
        """Somebody asked for it by name, and its lease is long over then."""
        await add(store, "pod", now=NOW + 10 * LEASE)
        await take_one(store)
        assert await store.progress.due() == NOW + 10 * LEASE

    async def test_due_and_claim_agree(self, store: Store) -> None:
        """A claim at the time that `due` tells finds something, and none a millisecond before it."""
        await add(store, "a", now=NOW + 50)
        await add(store, "b", now=NOW + 20)
        await add(store, "c", now=NOW)
        await store.sources.pause("b", paused=True, who="ada", now=NOW)
        claimed = []
        for _ in range(4):
            at = await store.progress.due()
            assert at is not None
            assert await take(store, now=at - 1) == []
            (taken,) = await take(store, now=at)
            claimed.append((taken.source.name, at - NOW))
        assert claimed == [("c", 0), ("a", 50), ("c", LEASE), ("a", LEASE + 50)]

    async def test_where_a_notification_was_found_goes_with_it(self, store: Store) -> None:
        """To those who take it from memory, who claim it and who read it."""
        receipt = await store.ledger.keep(dataclasses.replace(arrival(), provenance=FROM_POD))
        (fresh,) = store.ledger.fresh("us", limit=9)
        assert fresh.provenance == FROM_POD
        (claimed,) = await claim(store)
        assert claimed.provenance == FROM_POD
        (listed,) = await store.reader.listing("inbox")
        read_back = await store.reader.notification("inbox", receipt.token)
        assert read_back is not None
        assert listed.provenance == read_back.provenance == FROM_POD
        assert await record(store, claimed, outcome(draft(claimed.notification)), now=NOW) is not None

    async def test_what_was_posted_was_found_nowhere(self, store: Store) -> None:
        """Beside others that were."""
        unknown = Provenance(source="other", via="https://other.example/1")
        wheres = [None, FROM_POD, None, unknown]
        arrivals = [
            dataclasses.replace(arrival(number), provenance=where) for number, where in enumerate(wheres)
        ]
        tokens = [(await store.ledger.keep(each)).token for each in arrivals]
        assert [each.provenance for each in store.ledger.fresh("us", limit=9)] == wheres
        assert [each.provenance for each in await claim(store)] == wheres
        assert [each.provenance for each in await store.reader.listing("inbox")] == wheres
        for token, where in zip(tokens, wheres, strict=True):
            stored = await store.reader.notification("inbox", token)
            assert stored is not None
            assert stored.provenance == where

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (FROM_POD, Provenance(source="other", via="https://other.example/1")),
            (FROM_POD, None),
            (None, FROM_POD),
        ],
    )
    async def test_the_same_content_from_elsewhere_was_found_where_it_was_found_first(
        self, store: Store, first: Provenance | None, second: Provenance | None
    ) -> None:
        """A later finder vouches for nothing that somebody else has posted."""
        receipt = await store.ledger.keep(dataclasses.replace(arrival(), provenance=first))
        again = await store.ledger.keep(dataclasses.replace(arrival(), provenance=second))
        assert (again.token, again.fresh) == (receipt.token, False)
        (claimed,) = await claim(store)
        assert claimed.provenance == first
        assert len(rows_of(store, schema.provenance)) == (first is not None)

    async def test_who_read_a_source_that_was_forgotten_changes_nothing_of_the_one_that_came_back(
        self, store: Store
    ) -> None:
        """The same process, under the same name: only the fence tells."""
        await add(store, "pod")
        late = await take_one(store)
        await store.sources.remove("pod", who="ada", now=NOW + 1)
        await add(store, "pod", now=NOW + 2)
        await take_one(store, now=NOW + 3)
        with pytest.raises(LeaseLost):
            await store.progress.finish(late, ended(), now=NOW + 4)

    async def test_a_change_of_the_configuration_ends_the_pass_that_is_under_way(self, store: Store) -> None:
        """It read what the source was before; what it remembers is of no use."""
        await store.sources.configure([source()], now=NOW)
        late = await take_one(store)
        await store.sources.configure([source(url=POD + "other/")], now=NOW + 1)
        with pytest.raises(LeaseLost):
            await store.progress.finish(late, ended(etag="old"), now=NOW + 2)
        (taken,) = await take(store, now=NOW + 1)
        assert (taken.source.url, taken.progress) == (POD + "other/", {})

    async def test_a_lease_that_ran_out_polls_no_more(self, store: Store) -> None:
        """Nobody says so when a process dies."""
        await add(store, "pod")
        await take_one(store)
        for now, is_polled in ((NOW + LEASE - 1, True), (NOW + LEASE, False)):
            (found,) = await store.sources.statuses("pod", now=now)
            assert found.is_polled is is_polled

    async def test_a_source_that_cannot_be_read_keeps_no_other_from_being_polled(self, store: Store) -> None:
        """Another version of the program may have written it."""
        await add(store, "a", "b", "c")
        with store.engine.begin() as connection:
            change = sa.update(schema.source).where(schema.source.c.name == "b")
            connection.execute(change.values(declared='{"name": "b", "pigeon": true}'))
        assert [each.source.name for each in await take(store)] == ["a", "c"]
        assert [each.source.name for each in await store.sources.statuses()] == ["a", "c"]
        (row,) = [each for each in rows_of(store, schema.source) if each["name"] == "b"]
        assert row["owner"] is None

    async def test_a_source_with_many_members_is_forgotten_part_by_part(self, store: Store) -> None:
        """Whoever posts meanwhile waits for one part of it."""
        await add(store, "pod")
        lease = await take_one(store)
        kept = [Found(url=f"{POD}{number}", mark="", state=MemberState.KEPT) for number in range(12_000)]
        await store.progress.note(lease, kept, now=NOW)
        before = store.counters.commits
        await store.sources.remove("pod", who="ada", now=NOW)
        assert store.counters.commits - before >= 4
        assert rows_of(store, schema.member) == []
        with pytest.raises(LeaseLost):
            await store.progress.note(lease, kept[:1], now=NOW)

    async def test_a_reason_that_no_database_can_hold_is_kept_without_what_it_cannot(
        self, store: Store
    ) -> None:
        await add(store, "pod")
        lease = await take_one(store)
        junk = Found(url=POD + "1", mark="", state=MemberState.INVALID, reason="a\ud800b\0c")
        await store.progress.note(lease, [junk], now=NOW)
        await store.progress.finish(lease, ended("x\ud800\0"), now=NOW)
        assert (await status(store)).reason == "x?"
        (found,) = await store.sources.members("pod")
        assert found.reason == "a?bc"
