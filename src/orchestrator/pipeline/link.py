"""Our links, written to an artefact in a pod, so that others find our inbox and its log. Twice is once."""

from dataclasses import dataclass, replace
from typing import Final

from orchestrator.core.errors import AnswerRefused, BadRequest
from orchestrator.core.patch import Change, links, written
from orchestrator.core.vocabulary import INBOX
from orchestrator.ports.editing import Editable, Editor

_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """What linking an artefact came to."""

    document: str
    """Where the links stand: the artefact itself, or its description."""
    change: Change
    """What was written, or would be; empty when all was there."""


async def link(
    artefact: str,
    *,
    inbox: str,
    log: str,
    editor: Editor,
    replaces: bool = False,
    rehearses: bool = False,
    token: str | None = None,
) -> Linked:
    """Have `artefact` advertise `inbox` and `log`: read, change only what is missing, read again.

    Another inbox is put out only when `replaces` allows it. Raises `BadRequest` where there is one,
    `AnswerRefused` where the document cannot be changed safely, or another `PeerError`.
    """
    for _ in range(_TRIES):
        document = await editor.read(artefact, token=token)
        change = _wanted(artefact, document, inbox=inbox, log=log, replaces=replaces)
        if not change or rehearses:
            return Linked(document=document.url, change=change)
        media_type = _usable(document, change)
        if await editor.patch(document, written(change, media_type), media_type, token=token):
            seen = await editor.read(artefact, token=token)
            if _wanted(artefact, seen, inbox=inbox, log=log, replaces=replaces):
                raise AnswerRefused(f"{document.url} took the change and does not show it.")
            return Linked(document=document.url, change=change)
    raise AnswerRefused(f"{artefact} was changed by others each of {_TRIES} times; try again.")


def _wanted(artefact: str, document: Editable, *, inbox: str, log: str, replaces: bool) -> Change:
    change, others = links(artefact, document.said, inbox=inbox, log=log)
    if not others:
        return change
    if not replaces:
        raise BadRequest(
            f"{artefact} advertises another inbox, {others[0]}; --replace puts ours in its place."
        )
    return replace(change, deletes=tuple((artefact, INBOX, other) for other in others))


def _usable(document: Editable, change: Change) -> str:
    """Return in what to write a change.

    Without an ETag (the descriptions of Community Solid Server have none) nothing is taken out: somebody may
    have changed it. To put triples in undoes nobody's change.
    """
    if document.etag is None and change.deletes:
        raise AnswerRefused(f"{document.url} has no ETag: to take links out could undo somebody's change.")
    if not document.takes:
        raise AnswerRefused(f"{document.url} takes neither N3 patches nor SPARQL updates (Accept-Patch).")
    return document.takes[0]
