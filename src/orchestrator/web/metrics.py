"""What those who watch count, in the words of Prometheus (the one door to prometheus_client)."""

from collections.abc import Iterator, Sequence

from aiohttp import web
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from orchestrator.ports.sources import MemberState, Status
from orchestrator.web.security import require_admin
from orchestrator.web.site import SITE
from orchestrator.web.tail import TAIL


async def show(request: web.Request) -> web.Response:
    """Answer with what is there now: events, what waits, and every source."""
    site = request.app[SITE]
    require_admin(request, site)
    head, waiting = await site.reader.head(), await site.ledger.pending()
    now = site.clock.now()
    statuses = await site.sources.statuses(now=now)
    registry = CollectorRegistry()
    counts = _counts(head.sequence, waiting, len(request.app[TAIL].followers))
    registry.register(_Now([*counts, *_of_sources(statuses, now)]))
    headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4, "Cache-Control": "no-store"}
    return web.Response(body=generate_latest(registry), headers=headers)


class _Now(Collector):
    """Metrics that were taken a moment ago."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _counts(events: int, waiting: int, followers: int) -> Iterator[Metric]:
    yield CounterMetricFamily("orchestrator_events", "Events in the log.", value=events)
    yield GaugeMetricFamily(
        "orchestrator_notifications_waiting", "Notifications that are not processed yet.", value=waiting
    )
    yield GaugeMetricFamily(
        "orchestrator_followers", "Readers who follow the log live in this process.", value=followers
    )


def _of_sources(statuses: Sequence[Status], now: int) -> Iterator[Metric]:
    by = ["source"]
    age = GaugeMetricFamily(
        "orchestrator_source_success_age_seconds",
        "Time since a source was last read to its end without trouble; missing until it once was.",
        labels=by,
    )
    failures = GaugeMetricFamily(
        "orchestrator_source_failures", "Passes over a source that failed since the last good one.", labels=by
    )
    paused = GaugeMetricFamily("orchestrator_source_paused", "1 when a source is paused.", labels=by)
    requests = CounterMetricFamily(
        "orchestrator_source_requests", "Requests that polling a source has made.", labels=by
    )
    members = GaugeMetricFamily(
        "orchestrator_source_members", "Members of a source that were seen, by state.", labels=[*by, "state"]
    )
    for status in statuses:
        name = status.source.name
        if status.succeeded is not None:
            age.add_metric([name], max(0, now - status.succeeded) / 1_000)
        failures.add_metric([name], status.failures)
        paused.add_metric([name], int(status.paused))
        requests.add_metric([name], status.requests)
        for state in MemberState:
            members.add_metric([name, state.value], status.members.get(state, 0))
    yield from (age, failures, paused, requests, members)
