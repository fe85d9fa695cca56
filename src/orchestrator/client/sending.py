"""The sender's side (W3C LDN, section 3.1), and the dry run."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import urljoin, urlsplit, urlunsplit

from orchestrator.client import reading
from orchestrator.client.exchange import Exchange, Fetched, shown
from orchestrator.client.values import Checked, Sent
from orchestrator.core import vocabulary as v
from orchestrator.core.container import expand_known
from orchestrator.core.errors import AnswerRefused, InboxNotFound, PeerUnreachable, ScreeningRefused
from orchestrator.core.finding import Finding, Severity
from orchestrator.core.jsonld import Contexts
from orchestrator.core.strict_json import Json, Limits, parse

_DETAIL: Final = 1_000
_LIMITS: Final = Limits(body=1_048_576, nodes=100_000, string=262_144, array=10_000)
_HEADERS: Final = {"Content-Type": v.AS_PROFILE, "Accept": f"{v.JSON_LD}, {v.PROBLEM_JSON}, */*;q=0.1"}


async def send(
    exchange: Exchange,
    contexts: Contexts,
    notification: bytes | Mapping[str, Any],
    to: str | None,
    inbox: str | None,
) -> Sent:
    """See `Client.send`."""
    body = bytes_of(notification)
    if inbox is None:
        inbox = await inbox_of(exchange, contexts, body, to)
    answer = await exchange.post(inbox, body, _HEADERS, attempts=exchange.attempts if _has_id(body) else 1)
    location = answer.headers.get("location")
    return Sent(
        inbox=inbox,
        status=answer.status,
        location=urljoin(inbox, location) if location else None,
        detail=_printable(answer),
    )


async def inbox_of(exchange: Exchange, contexts: Contexts, body: bytes, to: str | None) -> str:
    """Return the inbox that a notification goes to; see `Client.inbox_of`."""
    inbox = None
    if to is None:
        inbox, to = _target(parse(body, _LIMITS), contexts)
    return inbox or await reading.discover(exchange, contexts, cast("str", to))


async def check(exchange: Exchange, inbox: str, notification: bytes | Mapping[str, Any]) -> Checked:
    """See `Client.check`."""
    scheme, place, path, query, _ = urlsplit(inbox)
    url = urlunsplit((scheme, place, path, f"{query}&dry-run=true" if query else "dry-run=true", ""))
    headers = {**_HEADERS, "Accept": f"{v.JSON}, {v.PROBLEM_JSON}"}
    answer = await exchange.post(url, bytes_of(notification), headers, attempts=exchange.attempts)
    if answer.status >= 500:  # noqa: PLR2004
        raise PeerUnreachable(f"{shown(inbox)} answered {answer.status}.")
    if answer.ok and answer.status != 200:  # noqa: PLR2004
        raise AnswerRefused(
            f"{shown(inbox)} knows no dry run; it answered {answer.status} and has kept the notification."
        )
    report = _object(answer)
    if answer.ok and isinstance(report.get("accepted"), bool):
        return Checked(
            accepted=bool(report["accepted"]), pattern=_text(report, "pattern"), findings=_findings(report)
        )
    if not answer.ok and answer.media_type == v.PROBLEM_JSON:
        return Checked(accepted=False, pattern=_text(report, "pattern"), findings=_findings(report))
    raise AnswerRefused(
        f"{shown(inbox)} answered {answer.status} without a report: {_printable(answer)[:200]}"
    )


def bytes_of(notification: bytes | Mapping[str, Any]) -> bytes:
    """Return what is sent."""
    if isinstance(notification, bytes):
        return notification
    return json.dumps(dict(notification), ensure_ascii=False, allow_nan=False).encode()


def _has_id(body: bytes) -> bool:
    try:
        document = parse(body, _LIMITS)
    except ScreeningRefused:
        return False
    return isinstance(document, dict) and any(isinstance(document.get(name), str) for name in ("id", "@id"))


def _target(document: Json, contexts: Contexts) -> tuple[str | None, str | None]:
    """Return the inbox of the notification's target, else the target's id; raises `InboxNotFound`."""
    expanded, _ = expand_known(document, "", contexts)
    for node in expanded:
        for target in node.get(v.AS + "target", ()):
            for end in (*target.get(v.INBOX, ()), *target.get(v.AS + "inbox", ())):
                if "@id" in end:
                    return str(end["@id"]), None
            if "@id" in target:
                return None, str(target["@id"])
    raise InboxNotFound("The notification names no target; say where it should go (to=…).")


def _object(answer: Fetched) -> dict[str, Json]:
    try:
        document = parse(answer.body, _LIMITS)
    except ScreeningRefused:
        return {}
    return document if isinstance(document, dict) else {}


def _findings(report: dict[str, Json]) -> tuple[Finding, ...]:
    """Return the report's violations; a problem without any is one finding itself (RFC 9457)."""
    violations = report.get("violations")
    if isinstance(violations, list) and violations:
        return tuple(_finding(item) for item in violations if isinstance(item, dict))
    said = _text(report, "detail") or _text(report, "title")
    if said is None:
        return ()
    return (Finding(rule=_text(report, "type") or "about:blank", message=said, pointer=""),)


def _finding(item: dict[str, Json]) -> Finding:
    severity = item.get("severity")
    return Finding(
        rule=_text(item, "rule") or "",
        message=_text(item, "message") or "",
        pointer=_text(item, "pointer") or "",
        term=_text(item, "term"),
        path=_text(item, "path"),
        value=item.get("value"),
        severity=cast("Severity", severity) if severity in ("Warning", "Info") else "Violation",
        spec=_text(item, "spec"),
    )


def _text(item: dict[str, Json], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _printable(answer: Fetched) -> str:
    text = answer.body[: 4 * _DETAIL].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text)[:_DETAIL].strip()
