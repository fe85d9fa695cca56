"""Pages for people: HTML from the templates beside this module, which escape every value (threat T17).

No page needs a script. What strangers wrote is text, and an address of theirs is a link only where it
begins with `http://` or `https://`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestrator.core import vocabulary as v
from orchestrator.core.event import LifecycleEvent, short, stamp
from orchestrator.ports import Head
from orchestrator.web.representation import entity_tag
from orchestrator.web.site import Site

_FORMS: Final[Mapping[str, str]] = {
    v.JSON_LD: "JSON-LD",
    v.ACTIVITY_JSON: "ActivityStreams 2.0",
    v.N_QUADS: "N-Quads",
    v.TRIG: "TriG",
    v.TURTLE: "Turtle",
}
_STEPS: Final[Mapping[str, str]] = {
    "first": "First",
    "prev": "Previous",
    "next": "Next",
    "last": "Last",
    "collection": "Log",
}
_MEMBERS: Final[Mapping[str, str]] = {
    "id": "Event",
    "sequence": "Number",
    "type": "Types",
    "created": "Created",
    "received": "Received",
    "artefact": "Artefact",
    "activity": "Activity",
    "actor": "Actor",
    "origin": "Origin",
    "inReplyTo": "In reply to",
    "correlatedBy": "Correlated by",
    "causedBy": "Caused by",
    "policySet": "Policies in force",
    "digest": "SHA-256 of salt and notification",
}
"""The envelope's members in the order in which people read them."""
_TYPES: Final = (
    *("Offer", "Accept", "TentativeAccept", "Reject", "TentativeReject", "Announce", "Undo", "Flag"),
    *(f"coar-notify:{kind}Action" for kind in ("Review", "Endorsement", "Ingest", "Relationship")),
)
"""What the filter form suggests: the types of COAR Notify's patterns."""
_HERE: Final = Path(__file__).with_name("templates")


def _is_web_address(iri: str) -> bool:
    return iri.lower().startswith(("http://", "https://"))


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(_HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.tests["web_address"] = _is_web_address
_ENVIRONMENT.filters["form_name"] = lambda media_type: _FORMS.get(media_type, media_type)
_ENVIRONMENT.filters["member_name"] = lambda term: _MEMBERS.get(term, term)
_ENVIRONMENT.filters["step_name"] = lambda rel: _STEPS.get(rel, rel)
_TEMPLATES: Final = {name: _ENVIRONMENT.get_template(name) for name in _ENVIRONMENT.list_templates(["html"])}
EDITION: Final = entity_tag(*((_HERE / name).read_bytes() for name in sorted(_TEMPLATES)))
"""Changes with the templates: a part of the entity tag of every page that is not tagged by its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """An event in the table of a page."""

    sequence: int
    url: str
    created: str
    types: tuple[str, ...]
    activity: str
    artefact: str | None
    artefact_log: str | None
    origin: str | None


def log_root(site: Site, *, head: Head, first: str, last: str, forms: Mapping[str, str]) -> str:
    """Return the root of the log: what it is, how to search it, how to follow it.

    `first` and `last` are the URLs of the oldest and the newest page; `forms` maps the media types of the
    root's other forms to their URLs, here and below.
    """
    newest = stamp(head.created) if head.sequence else None
    ends = {"first": first, "last": last}
    values = {"count": head.sequence, "newest": newest, "types": _TYPES}
    return _render(site, "log_root.html", "Event log", forms, **ends, **values)


def log_page(
    site: Site,
    *,
    title: str,
    events: Sequence[LifecycleEvent],
    links: Mapping[str, str],
    forms: Mapping[str, str],
    filters: Mapping[str, str] | None = None,
    live: str | None = None,
) -> str:
    """Return a page of the log, a filtered read of it, or a part of an artefact's log.

    `events` come in log order. `links` maps link relations (first, prev, next, last) to URLs, in the order
    in which they are shown. `filters` are the parameters in force, which fill the filter form; without
    them there is no form. `live` is the URL of the stream that goes on where this page ends.
    """
    rows = [_row(site, event) for event in events]
    values = {"rows": rows, "links": links, "filters": filters, "live": live, "types": _TYPES}
    return _render(site, "log_page.html", title, forms, **values)


def event_page(
    site: Site, *, event: LifecycleEvent, links: Mapping[str, str], forms: Mapping[str, str]
) -> str:
    """Return one event: its envelope, and its notification unless that was erased."""
    return _render(
        site,
        "event.html",
        f"Event {event.sequence}",
        forms,
        links=links,
        members=_members(event),
        leaf=event.leaf.hex(),
        artefact_log=_log_of(site, event.artefact),
        payload=None if event.payload is None else _indented(event.payload),
    )


def artefact_page(site: Site, *, iri: str, inbox: str, log: str, forms: Mapping[str, str]) -> str:
    """Return what we know of an artefact: its log, and the inbox for notifications about it."""
    return _render(site, "artefact.html", "Artefact", forms, iri=iri, inbox=inbox, log=log)


def listing(site: Site, *, title: str, targets: Iterable[tuple[str, str]]) -> str:
    """Return a list of links of ours, each a URL and its text."""
    return _render(site, "listing.html", title, {}, targets=targets)


def article(site: Site, *, title: str, body: str) -> str:
    """Return a page of our own writing; `body` is HTML already, made by `markdown`."""
    return _render(site, "article.html", title, {}, body=body)


def _render(site: Site, template: str, title: str, forms: Mapping[str, str], **values: object) -> str:
    return _TEMPLATES[template].render(
        title=title,
        name=site.identity.name,
        site_url=site.public_url,
        # Stylesheet and form are asked of the host that served the page: its own origin, as the content
        # security policy wants it, by whichever name it was reached.
        base=urlsplit(site.public_url).path,
        forms=forms,
        **values,
    )


def _row(site: Site, event: LifecycleEvent) -> _Row:
    envelope: dict[str, Any] = json.loads(event.envelope)
    return _Row(
        sequence=event.sequence,
        url=event.iri,
        created=stamp(event.created),
        types=tuple(short(name) for name in event.types),
        activity=event.activity,
        artefact=event.artefact,
        artefact_log=_log_of(site, event.artefact),
        origin=envelope.get("origin"),
    )


def _log_of(site: Site, artefact: str | None) -> str | None:
    return None if artefact is None else site.url(f"/artefacts/log?url={quote(artefact, safe='')}")


def _members(event: LifecycleEvent) -> list[tuple[str, list[str]]]:
    """Return the envelope's members with their values, those that we have no name for last."""
    envelope: dict[str, Any] = json.loads(event.envelope)
    known = [term for term in _MEMBERS if envelope.get(term) is not None]
    unknown = [term for term in envelope if term not in _MEMBERS and envelope[term] is not None]
    return [(term, _values(envelope[term])) for term in (*known, *unknown)]


def _values(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _indented(payload: bytes) -> str:
    return json.dumps(json.loads(payload), ensure_ascii=False, indent=2)
