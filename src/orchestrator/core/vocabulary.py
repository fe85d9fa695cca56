"""Namespaces, terms and media types: the only IRI strings in the code."""

from typing import Final

AS: Final = "https://www.w3.org/ns/activitystreams#"
LDP: Final = "http://www.w3.org/ns/ldp#"
NOTIFY: Final = "http://coar-notify.net/specification/vocabulary/"
IETF: Final = "http://www.iana.org/assignments/relation/"
SCHEMA: Final = "http://schema.org/"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS: Final = "http://www.w3.org/2000/01/rdf-schema#"
OWL: Final = "http://www.w3.org/2002/07/owl#"
SH: Final = "http://www.w3.org/ns/shacl#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
PROV: Final = "http://www.w3.org/ns/prov#"
DCTERMS: Final = "http://purl.org/dc/terms/"
POSIX: Final = "http://www.w3.org/ns/posix/stat#"
SOLID: Final = "http://www.w3.org/ns/solid/terms#"
TREE: Final = "https://w3id.org/tree#"
LDES: Final = "https://w3id.org/ldes#"
CITO: Final = "http://purl.org/spar/cito/"
DAEN: Final = "http://www.w3.org/ns/solid/daen#"
HYDRA: Final = "http://www.w3.org/ns/hydra/core#"
VCARD: Final = "http://www.w3.org/2006/vcard/ns#"
FOAF: Final = "http://xmlns.com/foaf/0.1/"
POLICY: Final = "https://w3id.org/orchestrator/policy#"
LOG: Final = "https://w3id.org/orchestrator/log#"
SHAPES: Final = "https://w3id.org/orchestrator/shapes/"
SHAPE_TERMS: Final = "https://w3id.org/orchestrator/shapes#"
PROBLEMS: Final = "https://w3id.org/orchestrator/problems/"

# The same terms under other namespaces, all rewritten to the first one that we know them by.
NAMESPACE_ALIASES: Final = {
    "https://purl.org/coar/notify_vocabulary/": NOTIFY,  # COAR Notify 0.9
    "http://purl.org/coar/notify_vocabulary/": NOTIFY,  # the draft of 2021, and Dataverse
    "https://coar-notify.net/specification/vocabulary/": NOTIFY,
    "https://schema.org/": SCHEMA,
}

AS_CONTEXT: Final = "https://www.w3.org/ns/activitystreams"
NOTIFY_CONTEXT: Final = "https://coar-notify.net"
LDP_CONTEXT: Final = "http://www.w3.org/ns/ldp"
# URLs by which senders name the bundled contexts (COAR's with a slash: every DSpace).
CONTEXT_ALIASES: Final = {
    AS_CONTEXT: AS_CONTEXT,
    "http://www.w3.org/ns/activitystreams": AS_CONTEXT,
    "https://www.w3.org/ns/activitystreams#": AS_CONTEXT,
    "http://www.w3.org/ns/activitystreams#": AS_CONTEXT,
    "https://www.w3.org/ns/activitystreams.jsonld": AS_CONTEXT,
    NOTIFY_CONTEXT: NOTIFY_CONTEXT,
    "https://coar-notify.net/": NOTIFY_CONTEXT,
    "http://coar-notify.net": NOTIFY_CONTEXT,
    "http://coar-notify.net/": NOTIFY_CONTEXT,
    "https://purl.org/coar/notify": NOTIFY_CONTEXT,
    "https://purl.org/coar/notify/": NOTIFY_CONTEXT,
    "http://purl.org/coar/notify": NOTIFY_CONTEXT,
    "http://purl.org/coar/notify/": NOTIFY_CONTEXT,
    LDP_CONTEXT: LDP_CONTEXT,
    "https://www.w3.org/ns/ldp": LDP_CONTEXT,
    LDP: LDP_CONTEXT,
}

# ActivityStreams 2.0 Vocabulary, section 2 (core) and 3.1 (activity types).
ACTIVITY_TYPES: Final = frozenset(
    AS + name
    for name in (
        "Activity",
        "IntransitiveActivity",
        "Accept",
        "Add",
        "Announce",
        "Arrive",
        "Block",
        "Create",
        "Delete",
        "Dislike",
        "Flag",
        "Follow",
        "Ignore",
        "Invite",
        "Join",
        "Leave",
        "Like",
        "Listen",
        "Move",
        "Offer",
        "Question",
        "Read",
        "Reject",
        "Remove",
        "TentativeAccept",
        "TentativeReject",
        "Travel",
        "Undo",
        "Update",
        "View",
    )
)

INBOX: Final = LDP + "inbox"
CONTAINS: Final = LDP + "contains"
CONSTRAINED_BY: Final = LDP + "constrainedBy"
CITE_AS: Final = IETF + "cite-as"
MODIFIED: Final = DCTERMS + "modified"
SIZE: Final = POSIX + "size"
UPDATES: Final = SOLID + "updatesViaStreamingHttp2023"

JSON_LD: Final = "application/ld+json"
ACTIVITY_JSON: Final = "application/activity+json"
JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
TURTLE: Final = "text/turtle"
N_TRIPLES: Final = "application/n-triples"
N_QUADS: Final = "application/n-quads"
TRIG: Final = "application/trig"
N3: Final = "text/n3"
SPARQL_UPDATE: Final = "application/sparql-update"
HTML: Final = "text/html"
AS_PROFILE: Final = f'{JSON_LD}; profile="{AS_CONTEXT}"'
