"""Puts everything together: the only module that names concrete classes, and the only one with a clock."""

import asyncio
import contextlib
import gc
import hashlib
import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from orchestrator.catalogue import Catalogue, PolicyFolder
from orchestrator.config import Settings, refuse_exposure
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.pod import Identity, Pod
from orchestrator.core.policy import published
from orchestrator.core.shapes.shape_set import Profile
from orchestrator.core.strict_json import Limits
from orchestrator.keys import signing_key
from orchestrator.ldn import Editor, EgressSettings, Peers, Remotes
from orchestrator.pipeline.collect import Collecting, CollectSettings
from orchestrator.pipeline.deliver import Delivering
from orchestrator.pipeline.existence import Existence
from orchestrator.pipeline.process import Processing
from orchestrator.scheduler import Polling, Timetable, TimetableSettings, next_time
from orchestrator.screener import DirectScreener, ListingReader, Rulebook, ScreenerSettings, ScreeningPool
from orchestrator.storage import Store
from orchestrator.web import CONNECTIONS, Live, Site, make_app, room, serve

_log = logging.getLogger(__name__)
_GARBAGE = 20_000
"""Objects between two looks for garbage."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the present, in ms since the epoch."""
        return time.time_ns() // 1_000_000  # the one place that reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running orchestrator."""

    url: str
    """Its public URL."""
    settings: Settings
    store: Store
    policies: PolicyFolder


def open_socket(settings: Settings) -> socket.socket:
    """Bind the server's socket before anything else is started, so that a taken port costs nothing."""
    refuse_exposure(settings)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=256)
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        reason = (error.strerror or str(error)).partition(" (while")[0]  # Python says the place again
        raise ConfigurationError(f"cannot listen on {place}: {reason}") from None


def pod_of(settings: Settings) -> Pod:
    """Return whose orchestrator these settings describe."""
    base = settings.base
    me = Identity(id=settings.identity_id or f"{base}/", name=settings.identity_name, inbox=f"{base}/inbox/")
    return Pod(public_url=base, me=me, artefacts=settings.artefacts)


def limits_of(settings: Settings) -> Limits:
    """Return the limits of screening."""
    return Limits(body=settings.inbox_body)


def rulebook_of(settings: Settings, catalogue: Catalogue) -> Rulebook:
    """Return what screening needs to know."""
    profile: Profile = "strict" if settings.inbox_profile == "strict" else "lenient"
    return Rulebook(
        contexts=catalogue.contexts, shapes=catalogue.shapes, profile=profile, limits=limits_of(settings)
    )


def screener_of(settings: Settings, catalogue: Catalogue) -> DirectScreener:
    """Return what screens; its processes start when one is needed, and `close` ends them."""
    wanted = ScreenerSettings(workers=settings.workers, budget=settings.budget, waiting=settings.waiting)
    rulebook = rulebook_of(settings, catalogue)
    return DirectScreener(rulebook, ScreeningPool(rulebook, wanted))


def catalogue_of(settings: Settings) -> Catalogue:
    """Read everything that maintainers edit, except policies."""
    return Catalogue.load({url: Path(path) for url, path in settings.contexts.items()})


async def open_store(settings: Settings) -> Store:
    """Open the database of a log that is there, bringing its schema up to date."""
    return await asyncio.to_thread(Store.open, settings.database)


@contextlib.asynccontextmanager
async def collecting(
    settings: Settings, *, catalogue: Catalogue, store: Store, screener: DirectScreener, peers: Peers
) -> AsyncIterator[tuple[Collecting, Remotes]]:
    """Make what reads sources, and what it reads them through."""
    clock = SystemClock()
    egress = replace(_egress(settings), per_host=settings.poll_per_host)
    listings = ListingReader(rulebook_of(settings, catalogue))
    try:
        async with Remotes(egress, clock.now) as remotes:
            yield (
                Collecting(
                    progress=store.progress,
                    peers=peers,
                    remotes=remotes,
                    listings=listings,
                    screener=screener,
                    ledger=store.ledger,
                    clock=clock,
                    next_time=next_time,
                    settings=CollectSettings(
                        members=settings.poll_members,
                        listing=settings.poll_listing,
                        body=settings.inbox_body,
                        lease=round(settings.poll_lease * 1_000),
                        per_host=settings.poll_per_host,
                    ),
                ),
                remotes,
            )
    finally:
        await listings.close()


@contextlib.asynccontextmanager
async def collector_of(settings: Settings, store: Store) -> AsyncIterator[Collecting]:
    """Make what reads sources by itself, without a service around it."""
    catalogue = catalogue_of(settings)
    screener = await asyncio.to_thread(screener_of, settings, catalogue)
    try:
        async with (
            Peers(_egress(settings), catalogue.contexts, SystemClock().now) as peers,
            collecting(settings, catalogue=catalogue, store=store, screener=screener, peers=peers) as made,
        ):
            yield made[0]
    finally:
        await screener.close()


def editor_of(settings: Settings) -> Editor:
    """Return what changes documents in pods."""
    return Editor(_egress(settings))


def policy_set_of(settings: Settings) -> str:
    """Return the id of the policies that would be in force."""
    return PolicyFolder(Path(settings.policies) if settings.policies else None).snapshot().id


def key_path(settings: Settings) -> Path:
    """Return the file of the key that signs the log. Raises `ConfigurationError` where none is named."""
    if settings.log_key:
        return Path(settings.log_key)
    scheme, _, file = settings.database.partition(":///")
    if not scheme.startswith("sqlite") or not file or file == ":memory:":
        raise ConfigurationError("Set log.key: the file of the key that signs the log's checkpoints.")
    return Path(file.partition("?")[0]).with_suffix(".key")


def owner() -> str:
    """Return a name for this process, which no other has."""
    return f"{os.getpid()}-{uuid.uuid4().hex[:8]}"


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    bound: socket.socket | None = None,
    *,
    catalogue: Catalogue | None = None,
    screener: DirectScreener | None = None,
) -> AsyncIterator[Running]:
    """Run the whole service: inbox, log, processing, deliveries. Leaving stops it in order.

    A `catalogue` that was read already, and a `screener` that runs already, can be lent; they stay as
    they are. Raises `ConfigurationError` before anything is started.
    """
    bound = bound or open_socket(settings)
    if not settings.port and not settings.public_url:
        settings = replace(settings, port=bound.getsockname()[1])
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(bound.close)
        catalogue = catalogue or catalogue_of(settings)
        policies = PolicyFolder(Path(settings.policies) if settings.policies else None)
        store = await asyncio.to_thread(
            Store.open,
            settings.database,
            public_url=settings.base,
            page_size=settings.page_size,
            waiting=settings.writing,
        )
        stack.push_async_callback(store.close)
        if screener is None:
            screener = await asyncio.to_thread(screener_of, settings, catalogue)
            stack.push_async_callback(screener.close)
        clock, pod = SystemClock(), pod_of(settings)
        signer = await signing_key(key_path(settings), pod.origin, store.tree, now=clock.now())
        peers = await stack.enter_async_context(Peers(_egress(settings), catalogue.contexts, clock.now))
        await store.sources.configure(settings.sources, now=clock.now())
        reading, remotes = await stack.enter_async_context(
            collecting(settings, catalogue=catalogue, store=store, screener=screener, peers=peers)
        )
        us = owner()
        timetable = Timetable(
            processing=Processing(
                pod=pod,
                ledger=store.ledger,
                reader=store.reader,
                screener=screener,
                policies=policies,
                existence=Existence(peers=peers, clock=clock),
                clock=clock,
            ),
            delivering=Delivering(
                pod=pod,
                reader=store.reader,
                outbox=store.outbox,
                peers=peers,
                clock=clock,
                published=partial(published, contexts=catalogue.contexts),
            ),
            ledger=store.ledger,
            outbox=store.outbox,
            clock=clock,
            reload=policies.reload,
            polling=Polling(
                collecting=reading,
                sources=store.sources,
                progress=store.progress,
                remotes=remotes,
                clock=clock,
                owner=us,
                at_once=settings.polled_at_once,
                per_host=settings.poll_per_host,
                lease=round(settings.poll_lease * 1_000),
                listens=settings.channels,
            ),
            settings=TimetableSettings(
                owner=us,
                interval=settings.interval,
                processing_lease=round(settings.processing_lease * 1_000),
                delivery_lease=round(settings.delivery_lease * 1_000),
            ),
        )
        store.listen(timetable.wake)

        async def ready() -> Mapping[str, object]:
            head, waiting = await store.reader.head(), await store.ledger.pending()
            silent = clock.now() - timetable.beat
            return {
                "ok": screener.works and silent < max(30_000, 5_000 * settings.interval),
                "database": True,
                "events": head.sequence,
                "waiting": waiting,
                "workerSilence": silent,
                "policySet": policies.snapshot().id,
            }

        site = Site(
            public_url=pod.public_url,
            identity=pod.me,
            inbox_read=settings.reading,
            read_tokens=_hashed(settings.inbox_read_token),
            admin_tokens=_hashed(settings.admin_token),
            artefacts=settings.artefacts,
            inboxes=settings.inboxes,
            limits=limits_of(settings),
            body_timeout=settings.inbox_body_timeout,
            screener=screener,
            ledger=store.ledger,
            reader=store.reader,
            sources=store.sources,
            tree=store.tree,
            signer=signer,
            clock=clock,
            shapes=catalogue.shapes,
            policies=lambda: policies.snapshot().files,
            problems=catalogue.problems,
            vocabularies=catalogue.vocabularies,
            contexts=catalogue.contexts,
            page_size=settings.page_size,
            listing_size=settings.listing_size,
            ready=ready,
            live=Live(
                followers=room(settings.followers, connections=CONNECTIONS), interval=settings.interval
            ),
            listen=store.listen,
        )
        await timetable.start()
        stack.push_async_callback(timetable.stop)
        await stack.enter_async_context(serve(make_app(site), bound))
        _log.info(
            "serving url=%s database=%s policies=%d",
            pod.public_url,
            _shown(settings),
            len(policies.snapshot().policies),
        )
        yield Running(url=pod.public_url, settings=settings, store=store, policies=policies)
        _log.info("stopping")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop's where that is installed (the extra `uvloop`), else None."""
    try:
        import uvloop  # noqa: PLC0415  (optional)
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


async def run_until_stopped(
    settings: Settings, bound: socket.socket | None = None, ready: Callable[[Running], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, when it can be asked."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with running(settings, bound) as service:
        _settle_down()
        if ready is not None:
            ready(service)
        await stop.wait()


def _settle_down() -> None:
    """Spare the garbage collector what stays: to look through it holds all up for 60 ms or more."""
    gc.collect()
    gc.freeze()
    # Requests leave few cycles behind, so that they may be looked for less often.
    gc.set_threshold(_GARBAGE, 20, 50)


def _egress(settings: Settings) -> EgressSettings:
    return EgressSettings(
        allow_private=settings.allow_private,
        ports=settings.egress_ports,
        require_https=not settings.allow_http,
    )


def _hashed(token: str) -> frozenset[str]:
    return frozenset({hashlib.sha256(token.encode()).hexdigest()} if token else ())


def _shown(settings: Settings) -> str:
    """Return the database without a password."""
    scheme, _, rest = settings.database.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
