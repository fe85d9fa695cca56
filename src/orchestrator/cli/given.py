"""Where a notification that a command is given comes from: a file, a URL, or standard input."""

import sys
from pathlib import Path
from typing import Final

import click

_MOST: Final = 16 * 1024 * 1024
"""Bytes; any inbox refuses less, and says so better."""
_TIMEOUT: Final = 15.0


def is_url(source: str) -> bool:
    """Whether `source` names something on the web."""
    return source.lower().startswith(("http://", "https://"))


def read_given(source: str) -> bytes:
    """Return the bytes of a file, of what a URL answers, or of standard input (`-`).

    Raises `click.UsageError` for a file that cannot be read, and `PeerError` for a URL.
    """
    if source == "-":
        return sys.stdin.buffer.read(_MOST)
    if is_url(source):
        return _fetched(source)
    try:
        with Path(source).open("rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise click.UsageError(f"{source}: {error.strerror or error}") from None


def _fetched(url: str) -> bytes:
    import http.client
    import urllib.error
    import urllib.request

    from orchestrator.core.errors import AnswerRefused, PeerUnreachable
    from orchestrator.core.vocabulary import ACTIVITY_JSON, JSON, JSON_LD

    headers = {
        "Accept": f"{JSON_LD}, {ACTIVITY_JSON}, {JSON};q=0.9, */*;q=0.1",
        "Accept-Encoding": "identity",
    }
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  (http or https: `is_url`)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            body: bytes = answer.read(_MOST)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500:  # noqa: PLR2004
            raise PeerUnreachable(f"{url} answered {error.code}.") from None
        raise AnswerRefused(f"{url} answered {error.code}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise PeerUnreachable(f"{url}: {reason}.") from None
    return body
