"""Every setting, documented where it is declared."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from orchestrator.core.enrichment import USUAL_LINKS, read_links
from orchestrator.core.source import Source, read_sources


def _setting(
    key: str,
    default: object,
    doc: str,
    *,
    secret: bool = False,
    choices: tuple[str, ...] = (),
    read: Callable[[object, str], object] | None = None,
) -> Any:  # noqa: ANN401  (the type is the field's own)
    # A factory, because before Python 3.12 dataclasses take a mapping proxy for something mutable.
    return field(
        default_factory=lambda: default,
        metadata={
            "key": key,
            "default": default,
            "doc": doc,
            "secret": secret,
            "choices": choices,
            "read": read,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that an operator can choose."""

    host: str = _setting("server.host", "127.0.0.1", "Address to listen on.")
    port: int = _setting("server.port", 8080, "Port to listen on; 0 takes a free one.")
    public_url: str = _setting(
        "server.public_url",
        "",
        "Base of every IRI that we mint, without a slash at the end, as others reach us. "
        "Default: http://HOST:PORT. Never taken from a request.",
    )
    identity_id: str = _setting(
        "identity.id", "", "IRI by which we are known. Default: the public URL with a slash."
    )
    identity_name: str = _setting("identity.name", "Orchestrator", "Our name, for people.")
    artefacts: tuple[str, ...] = _setting(
        "artefacts.prefixes",
        (),
        "IRI prefixes of the artefacts that are ours. None: whatever is posted here is ours, "
        "and nobody is asked "
        "whether it exists.",
    )
    inbox_policy: str = _setting(
        "inbox.policy",
        "",
        "Who may post: open (anyone). Must be set to listen on other addresses than loopback.",
        choices=("", "open"),
    )
    inbox_read: str = _setting(
        "inbox.read",
        "",
        "Who may list and read the inbox: public, or token. Must be set to listen on other "
        "addresses than loopback.",
        choices=("", "public", "token"),
    )
    inbox_read_token: str = _setting(
        "inbox.read_token", "", "The bearer token that reads a private inbox.", secret=True
    )
    inbox_profile: str = _setting(
        "inbox.profile",
        "lenient",
        "strict: COAR Notify 1.0.1 to the letter; lenient: what real senders are known to leave "
        "out is a warning.",
        choices=("strict", "lenient"),
    )
    inbox_body: int = _setting("inbox.body", 65_536, "Largest notification, in bytes.")
    inbox_body_timeout: float = _setting(
        "inbox.body_timeout", 10.0, "Seconds in which a body must have arrived."
    )
    database: str = _setting("database.url", "sqlite:///orchestrator.sqlite", "Where everything is kept.")
    writing: int = _setting(
        "database.waiting", 1_024, "Notifications that may wait to be written; more get 503."
    )
    workers: int = _setting(
        "screening.workers",
        2,
        "Processes that screen and match what is not plain; they start when the first document needs one.",
    )
    budget: float = _setting(
        "screening.budget", 2.0, "Seconds for one document; then it is refused as too costly."
    )
    waiting: int = _setting(
        "screening.waiting", 256, "Documents that may wait for such a process; more get 503."
    )
    contexts: Mapping[str, str] = _setting(
        "contexts", MappingProxyType({}), "JSON-LD contexts beside the bundled ones: URL → file."
    )
    policies: str = _setting(
        "policies.folder", "", "Folder of policy files. Default: no policies, everything is logged."
    )
    page_size: int = _setting(
        "log.page_size", 250, "Events on a page of the log. Never change it once the log is public."
    )
    followers: int = _setting(
        "log.followers",
        10_000,
        "Readers who may follow the log live at once; more get 503. Each takes a file descriptor.",
    )
    log_key: str = _setting(
        "log.key",
        "",
        "File of the key that signs the log's checkpoints (ed25519, PEM); made if the log has none yet. "
        "Default: beside the database, with the ending .key. Keep a copy apart from the database.",
    )
    listing_size: int = _setting("inbox.listing", 1_000, "Notifications on a page of the inbox listing.")
    allow_private: tuple[str, ...] = _setting(
        "egress.allow_private",
        (),
        "Networks (CIDR) and host names outside the public internet to which we may connect all the same, "
        "such as 127.0.0.0/8.",
    )
    egress_ports: tuple[int, ...] = _setting(
        "egress.ports", (80, 443), "Ports to which we connect on the public internet."
    )
    allow_http: bool = _setting(
        "egress.allow_http",
        False,  # noqa: FBT003  (the default of a setting)
        "Whether hubs on the public internet may be plain http.",
    )
    interval: float = _setting(
        "schedule.interval", 2.0, "Seconds between looks at the store when no commit wakes the orchestrator."
    )
    processing_lease: float = _setting(
        "schedule.processing_lease",
        60.0,
        "Seconds for which a notification that is being decided about is left to its process; what a "
        "killed process held waits so long.",
    )
    delivery_lease: float = _setting(
        "schedule.delivery_lease",
        45.0,
        "The same for a delivery. An attempt may take 15 seconds: a shorter lease can send twice.",
    )
    inboxes: tuple[str, ...] = _setting(
        "inbox.names",
        (),
        "Specialised inboxes beside the main one: a name such as reviews is the inbox /inbox/reviews/.",
    )
    sources: tuple[Source, ...] = _setting(
        "source",
        (),
        "Remote inboxes and event logs to poll: a table [[source]] for each, see below.",
        read=read_sources,
    )
    polled_at_once: int = _setting("polling.sources", 16, "Sources that are polled at once.")
    poll_per_host: int = _setting(
        "polling.per_host",
        4,
        "Requests to one host that polling makes at once, and sources of one host that are polled at once.",
    )
    poll_members: int = _setting(
        "polling.members", 100_000, "Members that are read of one remote inbox; one that lists more fails."
    )
    poll_listing: int = _setting(
        "polling.listing", 67_108_864, "Largest page of a remote inbox or log, in bytes."
    )
    poll_lease: float = _setting(
        "polling.lease",
        60.0,
        "Seconds for which a source that is being polled is left to its process, which renews it; what a "
        "killed process polled waits so long.",
    )
    channels: bool = _setting(
        "polling.channels",
        True,  # noqa: FBT003  (the default of a setting)
        "Whether to listen to the notification channels that Solid pods offer, and so poll at once.",
    )
    admin_token: str = _setting(
        "admin.token",
        "",
        "The bearer token of those who may see and change sources over HTTP. None: nobody may.",
        secret=True,
    )
    app_log: str = _setting("app.log", "", "The event log that the app follows.")
    app_artefacts: tuple[str, ...] = _setting(
        "app.artefacts", (), "IRI prefixes of the artefacts to which the app writes links."
    )
    app_links: Mapping[str, str] = _setting(
        "app.links",
        MappingProxyType(dict(USUAL_LINKS)),
        "What the app writes: pattern = relation of the artefact to what is announced.",
        read=read_links,
    )
    app_shapes: tuple[str, ...] = _setting(
        "app.shapes", (), "Files of shapes that an event's payload must have besides, to concern the app."
    )
    app_id: str = _setting(
        "app.id", "", "IRI by which the app is known. Default: none, and nobody is told of links."
    )
    app_inbox: str = _setting("app.inbox", "", "The app's own inbox, where it has one.")
    app_token_file: str = _setting(
        "app.token_file", "", "File with the bearer token that may write to the artefacts."
    )
    app_state: str = _setting(
        "app.state", "orchestrator-app.json", "File that keeps how far the app has come."
    )
    app_most: int = _setting(
        "app.most", 100, "Links of one relation that an artefact may have; more are not written."
    )

    @property
    def base(self) -> str:
        """The public URL, or what follows from host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def reading(self) -> Literal["public", "token"]:
        """Who may read the inbox."""
        return "token" if self.inbox_read == "token" else "public"


def declared() -> tuple[Field[Any], ...]:
    """Return the declarations of all settings."""
    return fields(Settings)
