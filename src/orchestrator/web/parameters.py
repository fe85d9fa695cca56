"""Query parameters: read completely or refused by name, never guessed."""

from collections.abc import Collection, Mapping
from typing import Final

from aiohttp import web

from orchestrator.core.errors import BadRequest
from orchestrator.core.event import CONTEXT
from orchestrator.core.jsonld import is_absolute
from orchestrator.core.pointers import Terms

LARGEST: Final = 10**18 - 1
"""Sequences and keys stay below what a database's integers hold."""
_MAX_IRI: Final = 2_048
_SHOWN: Final = 80


def read(request: web.BaseRequest, allowed: Collection[str]) -> dict[str, str]:
    """Return the query's parameters, each given once and each in `allowed`. Raises `BadRequest`."""
    query = request.query
    for name in dict.fromkeys(query):
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise BadRequest(f"Unknown parameter “{name[:_SHOWN]}”; this resource knows: {known}.")
        if len(query.getall(name)) > 1:
            raise BadRequest(f"Give the parameter “{name}” once.")
    return {name: query[name] for name in query}


def integer(given: Mapping[str, str], name: str, *, low: int, high: int, default: int) -> int:
    """Return the parameter `name` as an integer within bounds. Raises `BadRequest`."""
    text = given.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST)) and low <= int(text) <= high:
        return int(text)
    raise BadRequest(f"The parameter “{name}” must be an integer from {low} to {high}.")


def iri(given: Mapping[str, str], name: str) -> str | None:
    """Return the parameter `name` as an absolute IRI; None where it is not given. Raises `BadRequest`."""
    text = given.get(name)
    if text is None:
        return None
    if not is_absolute(text) or len(text) > _MAX_IRI or not text.isprintable():
        raise BadRequest(f"The parameter “{name}” must be an absolute IRI of at most {_MAX_IRI} characters.")
    return text


def activity_type(given: Mapping[str, str], name: str) -> str | None:
    """Return the IRI of the type that the parameter `name` gives as the log's pages write types.

    `Announce`, `coar-notify:ReviewAction` and a whole IRI are understood. Raises `BadRequest`.
    """
    text = given.get(name)
    if text is None:
        return None
    terms = Terms()
    terms.add(CONTEXT)
    full = terms.iri(text) if text.isprintable() and len(text) <= _MAX_IRI else ""
    if not text or text.startswith("@") or not is_absolute(full):
        raise BadRequest(f"The parameter “{name}” must be Announce, coar-notify:ReviewAction, or an IRI.")
    return full


def flag(request: web.BaseRequest, name: str) -> bool:
    """Return the query's parameter `name` as true or false; false where it is not given.

    Others are passed over: an inbox's URL may carry a query of its own. Raises `BadRequest`.
    """
    if not request.query_string:
        return False
    values = request.query.getall(name, ["false"])
    if values not in (["true"], ["false"]):
        raise BadRequest(f"The parameter “{name}” must be true or false.")
    return values == ["true"]
