"""Notifications that name themselves relatively, as documents in a pod do: `"@id": ""` is their own URL."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urldefrag, urljoin

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.jsonld import is_absolute
from orchestrator.core.strict_json import Limits, canonical, parse

_NAMES: Final[Sequence[str]] = ("id", "@id")


def resolve_own(body: bytes, url: str) -> bytes | None:
    """Return the JSON `body`, found at `url`, with its own relative id made absolute (RFC 3986, section 5).

    None where there is nothing to resolve: no JSON object, no id, or an absolute one.
    """
    try:
        document = parse(body, Limits(body=len(body)))
    except OrchestratorError:
        return None
    if not isinstance(document, dict):
        return None
    for name in _NAMES:
        identifier = document.get(name)
        if isinstance(identifier, str) and not identifier.startswith("_:") and not is_absolute(identifier):
            try:
                resolved = urljoin(urldefrag(url).url, identifier)
            except ValueError:
                return None
            return canonical({**document, name: resolved}) if is_absolute(resolved) else None
    return None
