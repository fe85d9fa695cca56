"""Settings: flag > environment > TOML file > default, each documented where it is declared.

A key `section.name` is `name` under `[section]` in the file and `ORCHESTRATOR_SECTION_NAME` in the
environment; a secret may also be given as `…_FILE`, the path of a file that holds it. An unknown key is
an error that names the nearest one.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from orchestrator.core.errors import ConfigurationError

_PREFIX: Final = "ORCHESTRATOR_"
_PREFIX_OF_OURS: Final = re.compile(r"https?://[^/?#@\s]+/\S*")
_HOST: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?")
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`]+")
_BASE: Final = re.compile(r"https?://[^\x00-\x20<>\"{}|\\^`?#@]+")
_MANY: Final = 16 * 1024 * 1024
_A_DAY: Final = 86_400
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _setting(
    key: str, default: object, doc: str, *, secret: bool = False, choices: tuple[str, ...] = ()
) -> Any:  # noqa: ANN401  (the type is the field's own)
    # A factory, because before Python 3.12 dataclasses take a mapping proxy for something mutable.
    return field(
        default_factory=lambda: default,
        metadata={"key": key, "default": default, "doc": doc, "secret": secret, "choices": choices},
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Key → `default`, the file's path, the environment variable, or `flag`."""


def declared() -> tuple[Field[Any], ...]:
    """Return the declarations of all settings."""
    return fields(Settings)


def environment_name(key: str) -> str:
    """Return the environment variable of a key."""
    return _PREFIX + key.replace(".", "_").upper()


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Loaded:
    """Read the settings. `flags` are by key. Raises `ConfigurationError` with place and remedy."""
    values: dict[str, Any] = {}
    origins = {str(item.metadata["key"]): "default" for item in declared()}
    sources = [
        (_from_file(file), {}),
        _from_environment(environment or {}),
        ({key: value for key, value in (flags or {}).items() if value is not None}, {}),
    ]
    names = {str(item.metadata["key"]): item for item in declared()}
    for number, (found, where) in enumerate(sources):
        for key, raw in found.items():
            if key not in names:
                raise ConfigurationError(
                    f"{_label(number, file, key, where)}: unknown setting {key}{_hint(key, names)}"
                )
            label = _label(number, file, key, where)
            values[names[key].name] = _convert(names[key], raw, label)
            origins[key] = label
    settings = Settings(**values)
    _check(settings)
    return Loaded(settings=settings, origins=origins)


def _label(number: int, file: Path | None, key: str, where: Mapping[str, str]) -> str:
    return (str(file), where.get(key, environment_name(key)), "flag")[number]


def _hint(key: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _from_file(file: Path | None) -> dict[str, object]:
    if file is None:
        return {}
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{file} does not exist") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file}: {error}") from None
    found: dict[str, object] = {}
    for section, members in document.items():
        if section == "contexts" or not isinstance(members, dict):
            found[section] = members
            continue
        found.update({f"{section}.{name}": value for name, value in members.items()})
    return found


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str]]:
    names = {environment_name(str(item.metadata["key"])): item for item in declared()}
    found: dict[str, object] = {}
    where: dict[str, str] = {}
    for name, value in environment.items():
        if not name.startswith(_PREFIX):
            continue
        item = names.get(name)
        text = value
        if item is None and name.endswith("_FILE"):
            item = names.get(name.removesuffix("_FILE"))
            if item is not None and item.metadata["secret"]:
                try:
                    text = Path(value).read_text(encoding="utf-8").strip()
                except OSError as error:
                    raise ConfigurationError(f"{name}: {error}") from None
            else:
                item = None
        if item is None:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
            raise ConfigurationError(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
        found[str(item.metadata["key"])] = text
        where[str(item.metadata["key"])] = name
    return found, where


def _convert(item: Field[Any], raw: object, label: str) -> object:
    """Return `raw` as the type of the setting's default; text comes from the environment and flags."""
    default, key = item.metadata["default"], item.metadata["key"]
    wrong = ConfigurationError(f"{label}: {key} must be {_kind(default)}, not {raw!r}")
    if item.metadata["secret"]:
        wrong = ConfigurationError(f"{label}: {key} must be {_kind(default)}")
    try:
        value = _as_kind_of(default, raw)
    except (TypeError, ValueError, KeyError):
        raise wrong from None
    if item.metadata["choices"] and value not in item.metadata["choices"]:
        choices = ", ".join(choice for choice in item.metadata["choices"] if choice)
        raise ConfigurationError(f"{label}: {key} must be one of {choices}, not {raw!r}")
    return value


def _as_kind_of(default: object, raw: object) -> object:
    if isinstance(default, bool):
        return raw if isinstance(raw, bool) else _TRUTH[str(raw).lower()]
    if isinstance(default, int | float):
        if isinstance(raw, bool) or (isinstance(default, int) and isinstance(raw, float)):
            raise TypeError
        return type(default)(cast("Any", raw))
    if isinstance(default, tuple):
        items = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(items, list | tuple):
            raise TypeError
        kind = type(default[0]) if default else str
        return tuple(kind(str(part).strip()) for part in items if str(part).strip())
    if isinstance(default, Mapping):
        if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
            raise TypeError
        return MappingProxyType(dict(raw))
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _kind(default: object) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, int):
        return "an integer"
    if isinstance(default, float):
        return "a number"
    if isinstance(default, tuple):
        return "a list"
    return "a table of URL = file" if isinstance(default, Mapping) else "text"


def _check(settings: Settings) -> None:
    """Refuse what is well-formed and still wrong."""
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise ConfigurationError("server.public_url must begin with https:// or http://")
    if settings.public_url and not _BASE.fullmatch(settings.public_url):
        raise ConfigurationError(
            "server.public_url must be a URL without user, query and fragment: https://repository.example.org"
        )
    if settings.identity_id and not _IRI.fullmatch(settings.identity_id):
        raise ConfigurationError(f"identity.id: {settings.identity_id} is not an absolute IRI")
    if settings.inbox_read == "token" and not settings.inbox_read_token:
        raise ConfigurationError(
            "inbox.read is token: set inbox.read_token (or ORCHESTRATOR_INBOX_READ_TOKEN_FILE)"
        )
    for prefix in settings.artefacts:
        if not _PREFIX_OF_OURS.fullmatch(prefix):
            # https://pod.example would be a prefix of https://pod.example.evil.net/ too.
            raise ConfigurationError(
                f"artefacts.prefixes: {prefix} must be an http(s) IRI with a slash after its host"
            )
    for place in settings.allow_private:
        if not _is_network(place) and not _HOST.fullmatch(place):
            raise ConfigurationError(f"egress.allow_private: {place} is neither a network nor a host name")
    if not 0 <= settings.port < 65_536:  # noqa: PLR2004
        raise ConfigurationError("server.port must be between 0 and 65535")
    _check_numbers(settings)


def _check_numbers(settings: Settings) -> None:
    for key, value, most in (
        ("screening.workers", settings.workers, 256),
        ("database.waiting", settings.writing, _MANY),
        ("screening.waiting", settings.waiting, _MANY),
        ("log.page_size", settings.page_size, 10_000),
        ("inbox.listing", settings.listing_size, 10_000),
        ("inbox.body", settings.inbox_body, _MANY),
    ):
        if not 1 <= value <= most:
            raise ConfigurationError(f"{key} must be between 1 and {most}")
    for key, seconds in (
        ("schedule.interval", settings.interval),
        ("schedule.processing_lease", settings.processing_lease),
        ("schedule.delivery_lease", settings.delivery_lease),
        ("screening.budget", settings.budget),
        ("inbox.body_timeout", settings.inbox_body_timeout),
    ):
        if not 0 < seconds <= _A_DAY:
            raise ConfigurationError(f"{key} must be a number of seconds, more than 0 and at most {_A_DAY}")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def refuse_exposure(settings: Settings) -> None:
    """Raise `ConfigurationError` when others could connect and nobody has said who may do what."""
    needed = {
        "inbox.policy": settings.inbox_policy,
        "inbox.read": settings.inbox_read,
        # An event's name begins with it, for ever.
        "server.public_url": settings.public_url,
    }
    missing = [key for key, value in needed.items() if not value]
    if settings.on_loopback or not missing:
        return
    raise ConfigurationError(
        f"{settings.host} is not a loopback address: set {', '.join(missing)} before others can connect"
    )
