"""Triples, brought into what describes an artefact in a pod: read, changed with If-Match, read again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from orchestrator.core.errors import AnswerRefused
from orchestrator.core.patch import Change, written
from orchestrator.ports.editing import Editable, Editor

TRIES: Final = 3
"""Times that a document which others change meanwhile is read and written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What bringing triples into a document came to."""

    document: str
    """Where they stand: the artefact itself, or its description."""
    change: Change
    """What was written, or would be; empty when all was there."""


async def apply(
    artefact: str,
    wanted: Callable[[Editable], Change],
    *,
    editor: Editor,
    rehearses: bool = False,
    token: str | None = None,
    before: Callable[[Change], None] = lambda _: None,
) -> Applied | None:
    """Make the change that is `wanted` of the document as it is, if there is any; None if others always do.

    `before` is called with a change just before it is written; what `wanted` raises ends it. Raises
    `AnswerRefused` where the document cannot be changed safely, `NotFound`, or another `PeerError`.
    """
    for _ in range(TRIES):
        document = await editor.read(artefact, token=token)
        change = wanted(document)
        if not change or rehearses:
            return Applied(document=document.url, change=change)
        media_type = _usable(document, change)
        body = written(change, media_type)
        before(change)
        if await editor.patch(document, body, media_type, token=token):
            if wanted(await editor.read(artefact, token=token)):
                raise AnswerRefused(f"{document.url} took the change and does not show it.")
            return Applied(document=document.url, change=change)
    return None


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
