"""The three notifications of the demo's round (COAR Notify 1.0.1), between servers that are really there."""

import uuid
from dataclasses import dataclass
from typing import Any

from orchestrator.cli.demo_peers import Page, Peer
from orchestrator.core.vocabulary import AS_CONTEXT, NOTIFY_CONTEXT

_CONTEXTS = [AS_CONTEXT, NOTIFY_CONTEXT]
_ARTEFACT = "preprints/1"
_TEXT = "preprints/1/text"
_REVIEW = "reviews/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request for a review, and what it leads to."""

    artefact: str
    """URL of the preprint; it advertises the orchestrator's inbox."""
    review: str
    offer: dict[str, Any]
    accept: dict[str, Any]
    announce: dict[str, Any]


def prepare(url: str, repository: Peer, certifier: Peer) -> Exchange:
    """Put up the pages of preprint and review, and write the notifications about them.

    `url` is the repository's orchestrator: its origin and inbox.
    """
    artefact, text, review = repository.url + _ARTEFACT, repository.url + _TEXT, certifier.url + _REVIEW
    inbox = f"{url}/inbox/"
    repository.pages["/" + _ARTEFACT] = Page(name="A preprint", inbox=inbox)
    repository.pages["/" + _TEXT] = Page(name="Text of a preprint", inbox=inbox)
    certifier.pages["/" + _REVIEW] = Page(name="Review of a preprint")
    us = {"id": f"{url}/", "type": "Service", "inbox": inbox}
    them = {"id": certifier.url, "type": "Service", "inbox": certifier.inbox}
    reviewers = {"id": f"{certifier.url}about", "type": "Organization", "name": certifier.name}
    certifier.pages["/about"] = Page(name=certifier.name)
    preprint = {
        "id": artefact,
        "type": ["Page", "sorg:AboutPage"],
        "ietf:cite-as": artefact,
        "ietf:item": {
            "id": text,
            "type": ["Article", "sorg:ScholarlyArticle"],
            "mediaType": "application/ld+json",
        },
    }
    offer = {
        "id": _fresh(),
        "type": ["Offer", "coar-notify:ReviewAction"],
        "actor": {"id": repository.url, "type": "Organization", "name": repository.name},
        "origin": us,
        "target": them,
        "object": preprint,
    }
    answer = {"actor": reviewers, "origin": them, "target": us, "inReplyTo": offer["id"]}
    announced = {"id": review, "type": ["Document", "sorg:Review"], "ietf:cite-as": review}
    return Exchange(
        artefact=artefact,
        review=review,
        offer={"@context": _CONTEXTS, **offer},
        accept={"@context": _CONTEXTS, "id": _fresh(), "type": "Accept", **answer, "object": offer},
        announce={
            "@context": _CONTEXTS,
            "id": _fresh(),
            "type": ["Announce", "coar-notify:ReviewAction"],
            **answer,
            "object": announced,
            "context": preprint,
        },
    )


def _fresh() -> str:
    return f"urn:uuid:{uuid.uuid4()}"
