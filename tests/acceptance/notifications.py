"""What services say to each other in the scenarios: COAR Notify 1.0.1, each with an id of its own."""

import uuid
from typing import Any

from tests.acceptance.peers import Party

Notification = dict[str, Any]
_CONTEXTS = ["https://www.w3.org/ns/activitystreams", "https://coar-notify.net"]


def offer(asker: Party, asked: Party, artefact: str, action: str = "ReviewAction") -> Notification:
    """Return a request for a review (or what `action` says) of an artefact."""
    return {
        "@context": _CONTEXTS,
        "id": fresh(),
        "type": ["Offer", f"coar-notify:{action}"],
        "actor": asker.actor,
        "origin": asker.system,
        "target": asked.system,
        "object": page(artefact),
    }


def answer(kind: str, offered: Notification, author: Party, **more: object) -> Notification:
    """Return an Accept, a Reject, or another activity whose object is a whole Offer."""
    quoted = {name: value for name, value in offered.items() if name != "@context"}
    return {
        "@context": _CONTEXTS,
        "id": fresh(),
        "type": kind,
        "actor": author.actor,
        "origin": author.system,
        "target": offered["origin"] if offered["origin"] != author.system else offered["target"],
        "inReplyTo": offered["id"],
        "object": quoted,
        **more,
    }


def announce(
    author: Party, told: Party, artefact: str, *, action: str = "ReviewAction", **more: object
) -> Notification:
    """Return the announcement of a review (or what `action` says) of an artefact."""
    is_review = action == "ReviewAction"
    made = f"{author.id}{'reviews' if is_review else 'endorsements'}/{uuid.uuid4()}"
    return {
        "@context": _CONTEXTS,
        "id": fresh(),
        "type": ["Announce", f"coar-notify:{action}"],
        "actor": author.actor,
        "origin": author.system,
        "target": told.system,
        "object": {
            "id": made,
            "type": ["Document", "sorg:Review"] if is_review else ["Page", "sorg:WebPage"],
            "ietf:cite-as": made,
        },
        "context": page(artefact),
        **more,
    }


def page(artefact: str) -> dict[str, object]:
    """Return an artefact as notifications describe it."""
    return {
        "id": artefact,
        "type": ["Page", "sorg:AboutPage"],
        "ietf:cite-as": artefact,
        "ietf:item": {
            "id": f"{artefact}/text.pdf",
            "type": ["Article", "sorg:ScholarlyArticle"],
            "mediaType": "application/pdf",
        },
    }


def fresh() -> str:
    """Return an id that was never used."""
    return f"urn:uuid:{uuid.uuid4()}"


_PREFIXES = """
@prefix as:          <https://www.w3.org/ns/activitystreams#> .
@prefix coar-notify: <http://coar-notify.net/specification/vocabulary/> .
@prefix pol:         <https://w3id.org/orchestrator/policy#> .
@prefix rdf:         <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs:        <http://www.w3.org/2000/01/rdf-schema#> .
@prefix sh:          <http://www.w3.org/ns/shacl#> .
"""


def policy(*types: str, hubs: tuple[str, ...] = (), then: str = "", name: str = "p") -> str:
    """Return a policy file: when the activity has all `types`, announce it to `hubs`, or do what `then` says."""
    conditions = " ; ".join(f"sh:property [ sh:path rdf:type ; sh:hasValue {each} ]" for each in types)
    targets = " , ".join(f"<{hub}>" for hub in hubs)
    action = f"[ a pol:Announce ; pol:to {targets} ]" if hubs else f"[ a {then} ]"
    return (
        f'{_PREFIXES}\n<#{name}> a pol:Policy ; rdfs:label "A policy of a test"@en ;\n'
        f"    pol:when [ a sh:NodeShape ; {conditions} ] ;\n    pol:then {action} .\n"
    )
