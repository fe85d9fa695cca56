"""Our links, written to an artefact in a pod, so that others find our inbox and its log. Twice is once."""

from dataclasses import replace

from orchestrator.core.errors import AnswerRefused, BadRequest
from orchestrator.core.patch import Change, links
from orchestrator.core.vocabulary import INBOX
from orchestrator.pipeline.apply import TRIES, Applied, apply
from orchestrator.ports.editing import Editable, Editor

Linked = Applied
"""What linking an artefact came to."""


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

    def wanted(document: Editable) -> Change:
        return _wanted(artefact, document, inbox=inbox, log=log, replaces=replaces)

    linked = await apply(artefact, wanted, editor=editor, rehearses=rehearses, token=token)
    if linked is None:
        raise AnswerRefused(f"{artefact} was changed by others each of {TRIES} times; try again.")
    return linked


def _wanted(artefact: str, document: Editable, *, inbox: str, log: str, replaces: bool) -> Change:
    change, others = links(artefact, document.said, inbox=inbox, log=log)
    if not others:
        return change
    if not replaces:
        raise BadRequest(
            f"{artefact} advertises another inbox, {others[0]}; --replace puts ours in its place."
        )
    return replace(change, deletes=tuple((artefact, INBOX, other) for other in others))
