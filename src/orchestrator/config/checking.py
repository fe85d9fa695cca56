"""What is well-formed and still wrong."""

import ipaddress
import re
from typing import Final

from orchestrator.config.settings import Settings
from orchestrator.core.errors import ConfigurationError
from orchestrator.core.source import FOLLOWED, MAIN, is_same_origin, is_web

_PREFIX_OF_OURS: Final = re.compile(r"https?://[^/?#@\s]+/\S*")
_HOST: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?")
_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|\\^`]+")
_BASE: Final = re.compile(r"https?://[^\x00-\x20<>\"{}|\\^`?#@]+")
_INBOX_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_MANY: Final = 16 * 1024 * 1024
_A_DAY: Final = 86_400


def check(settings: Settings) -> None:
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
    _check_inboxes(settings)
    _check_numbers(settings)
    _check_app(settings)


def _check_inboxes(settings: Settings) -> None:
    for name in settings.inboxes:
        if not _INBOX_NAME.fullmatch(name) or name in {MAIN, FOLLOWED}:
            raise ConfigurationError(
                f"inbox.names: {name} must be of a-z, 0-9 and -, begin with a letter, have at most 31 "
                f"characters and be neither {MAIN} nor {FOLLOWED}"
            )
    for source in settings.sources:
        if source.into not in {MAIN, FOLLOWED, *settings.inboxes}:
            known = ", ".join((MAIN, *settings.inboxes))
            raise ConfigurationError(
                f"source {source.name}: into names no inbox of ours: {source.into}; there are: {known}"
            )


def _check_app(settings: Settings) -> None:
    prefixes = settings.app_artefacts
    for prefix in prefixes:
        if not _PREFIX_OF_OURS.fullmatch(prefix):
            raise ConfigurationError(
                f"app.artefacts: {prefix} must be an http(s) IRI with a slash after its host"
            )
    for key, url in (("log", settings.app_log), ("id", settings.app_id), ("inbox", settings.app_inbox)):
        if url and not is_web(url):
            raise ConfigurationError(f"app.{key}: {url} is not an http or https URL")
    if settings.app_token_file and not all(is_same_origin(prefix, prefixes[0]) for prefix in prefixes):
        raise ConfigurationError(
            "app.token_file: app.artefacts names several servers, and each would see the token; run an app "
            "for each"
        )


def _check_numbers(settings: Settings) -> None:
    for key, value, most in (
        ("screening.workers", settings.workers, 256),
        ("database.waiting", settings.writing, _MANY),
        ("screening.waiting", settings.waiting, _MANY),
        ("log.page_size", settings.page_size, 10_000),
        ("log.followers", settings.followers, _MANY),
        ("inbox.listing", settings.listing_size, 10_000),
        ("inbox.body", settings.inbox_body, _MANY),
        ("polling.sources", settings.polled_at_once, 256),
        ("polling.per_host", settings.poll_per_host, 64),
        ("polling.members", settings.poll_members, 1_000_000),
        ("polling.listing", settings.poll_listing, 1024 * 1024 * 1024),
        ("app.most", settings.app_most, 10_000),
    ):
        if not 1 <= value <= most:
            raise ConfigurationError(f"{key} must be between 1 and {most}")
    for key, seconds in (
        ("schedule.interval", settings.interval),
        ("schedule.processing_lease", settings.processing_lease),
        ("schedule.delivery_lease", settings.delivery_lease),
        ("screening.budget", settings.budget),
        ("inbox.body_timeout", settings.inbox_body_timeout),
        ("polling.lease", settings.poll_lease),
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
