"""Pages of other event logs: ours (`docs/reference/log.md`), and any LDES (TREE hypermedia, LDES 1.0).

What a page holds is turned into notifications: the activity of each member, projected as our own log
publishes it, under the two official contexts. So everything that follows treats it like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urldefrag, urljoin

from orchestrator.core import vocabulary as v
from orchestrator.core.container import expand_known, place_of_error
from orchestrator.core.errors import AnswerRefused, OrchestratorError, ScreeningRefused
from orchestrator.core.jsonld import Contexts, is_absolute, to_quads
from orchestrator.core.publication import payload_of, project
from orchestrator.core.published import parse_published
from orchestrator.core.rdf import NotTurtle, Quad, parse_quads
from orchestrator.core.strict_json import Json, canonical, parse

ACCEPT: Final = f"{v.N_QUADS}, {v.TRIG};q=0.9, {v.JSON_LD};q=0.8, {v.N_TRIPLES};q=0.7, {v.TURTLE};q=0.6"
ACCEPT_OURS: Final = v.JSON_LD
_OURS: Final = frozenset((v.DAEN + "ArtefactLifecycleEventLog", "daen:ArtefactLifecycleEventLog"))
_CONTEXTS: Final[list[Json]] = [v.AS_CONTEXT, v.NOTIFY_CONTEXT]
_TYPE: Final = v.RDF + "type"
_MEMBER: Final = v.TREE + "member"
_VIEW: Final = v.TREE + "view"
_NODE: Final = v.TREE + "node"
_TIMESTAMP_PATH: Final = v.LDES + "timestampPath"
_OBJECT: Final = v.AS + "object"
_IN_REPLY_TO: Final = v.AS + "inReplyTo"
_DEEPEST: Final = 16
_MOST_NODES: Final = 2_000
_MOST_ON_A_PAGE: Final = 100_000
_LONGEST_IRI: Final = 2_048
_LISTS: Final = ("@graph", "orderedItems", "items", "member")
_NEXT: Final = ("next", "as:next", "hydra:next")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A member of a log, as a notification."""

    iri: str
    """Of the event; names it for ever."""
    body: bytes | None
    """What it tells, as a notification; None when that cannot be told."""
    sequence: int | None = None
    """Its number, in a log of ours."""
    time: str = ""
    """What its timestamp says, where the stream names one."""
    problem: str | None = None
    """Why there is no body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPage:
    """What one page of a log says."""

    members: tuple[Told, ...]
    following: tuple[str, ...]
    """Pages that it leads to."""
    is_ours: bool = False
    """Whether the log has the form of ours, and can be asked for what comes after a number."""


def read_ours(body: bytes, url: str) -> StreamPage | None:
    """Read a page, or the root, of a log of our form; None where it is another. Raises `AnswerRefused`."""
    try:
        document = parse_published(body)
    except ScreeningRefused as error:
        raise AnswerRefused(f"{place_of_error(url)} is not JSON: {error.findings[0].message}") from None
    nodes = list(_nodes_of(document))
    events = sorted(_events(nodes), key=lambda told: told.sequence or 0)
    is_log = any(kind in _OURS for node in nodes for kind in _names(node.get("type", node.get("@type"))))
    if not events and not is_log and not _is_page_of_ours(nodes):
        return None
    return StreamPage(members=tuple(events), following=tuple(_following(nodes, url)), is_ours=True)


def read_stream(body: bytes, media_type: str, url: str, contexts: Contexts) -> StreamPage:
    """Read a page of an LDES, in whatever form of RDF. Raises `AnswerRefused`."""
    quads = _quads(body, media_type, url, contexts)
    members = dict.fromkeys(member for member in _named(quads, _MEMBER) if _is_name(member))
    following = _named(quads, _VIEW, _NODE)
    if not members and not following:
        is_node = any(target in {v.TREE + "Node", v.LDES + "EventStream"} for _, _, target, _ in quads)
        if not is_node:
            raise AnswerRefused(f"{place_of_error(url)} is no page of an event log: it has no tree:member.")
    paths = [target for _, predicate, target, _ in quads if predicate == _TIMESTAMP_PATH]
    path = paths[0] if paths and isinstance(paths[0], str) else None
    graphs: dict[str, list[Quad]] = {}
    for quad in quads:
        if quad[1] != _MEMBER:
            graphs.setdefault(quad[3], []).append(quad)
    page = _about(quad for quad in quads if quad[1] != _MEMBER)
    allowance = _Allowance(_MOST_ON_A_PAGE)
    found = [
        _told(
            member, graphs.get(member) or page, page.get(member, {}).get(path or "", {}), contexts, allowance
        )
        for member in members
    ]
    here = urldefrag(url).url
    pages = (urldefrag(link).url for link in following if is_absolute(link))
    return StreamPage(
        # Those of one time stay in the order of the page.
        members=tuple(sorted(found, key=lambda member: member.time)),
        following=tuple(dict.fromkeys(page for page in pages if page != here)),
    )


def _events(nodes: Iterable[Mapping[str, Json]]) -> Iterator[Told]:
    for node in nodes:
        sequence, iri, held = node.get("sequence"), node.get("id"), node.get("@graph")
        if isinstance(sequence, bool) or not isinstance(sequence, int) or "digest" not in node:
            continue
        if not isinstance(iri, str) or not _is_name(iri):
            continue
        payload = held[0] if isinstance(held, list) and len(held) == 1 else None
        if isinstance(payload, dict):
            yield _as_notification(payload, iri, sequence=sequence)
        else:
            yield Told(iri=iri, body=None, sequence=sequence, problem="its payload was erased")


def _nodes_of(document: Json) -> Iterator[dict[str, Json]]:
    """Yield the page itself and the nodes that it lists."""
    for root in document if isinstance(document, list) else [document]:
        if isinstance(root, dict):
            yield root
            for name in _LISTS:
                held = root.get(name)
                if isinstance(held, list) and "sequence" not in root:
                    yield from (node for node in held if isinstance(node, dict))


def _is_page_of_ours(nodes: Sequence[Mapping[str, Json]]) -> bool:
    """Whether this is a page without events: ours say that they are pages, and of which log."""
    kinds = [set(_names(node.get("type"))) for node in nodes]
    return any({"OrderedCollectionPage", "ldp:BasicContainer"} <= found for found in kinds)


def _names(value: Json) -> list[str]:
    return [name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)]


def _following(nodes: Iterable[Mapping[str, Json]], url: str) -> Iterator[str]:
    for node in nodes:
        if "sequence" in node:
            continue
        for name in _NEXT:
            link = node.get(name)
            link = link.get("id", link.get("@id")) if isinstance(link, dict) else link
            if isinstance(link, str):
                yield urljoin(url, link)


def _quads(body: bytes, media_type: str, url: str, contexts: Contexts) -> list[Quad]:
    kind = media_type.partition(";")[0].strip().lower()
    place = place_of_error(url)
    try:
        if kind == v.JSON or kind.endswith("+json"):
            expanded, _ = expand_known(parse_published(body), url, contexts)
            return list(_of_dataset(to_quads(expanded, contexts)))
        return parse_quads(body, kind, urldefrag(url).url)
    except ScreeningRefused as error:
        raise AnswerRefused(f"{place} is not JSON: {error.findings[0].message}") from None
    except NotTurtle as error:
        raise AnswerRefused(f"{place} is not {kind}: {error.message}") from None
    except OrchestratorError as error:
        raise AnswerRefused(f"{place}: {error.message}") from None


def _of_dataset(dataset: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Quad]:
    for name, triples in dataset.items():
        graph = "" if name == "@default" else name
        for triple in triples:
            target = triple["object"]
            value = target["value"]
            if target["type"] == "literal":
                value = (value, target.get("datatype"), target.get("language"))
            yield triple["subject"]["value"], triple["predicate"]["value"], value, graph


def _named(quads: Iterable[Quad], *predicates: str) -> list[str]:
    return [
        target for _, predicate, target, _ in quads if predicate in predicates and isinstance(target, str)
    ]


def _told(
    member: str,
    where: "Sequence[Quad] | _About",
    times: Iterable[Any],
    contexts: Contexts,
    allowance: "_Allowance",
) -> Told:
    """Return what a member tells: of the graph that it names, else of what hangs below it on the page."""
    time = next((value[0] for value in times if not isinstance(value, str)), "")
    try:
        about = where if isinstance(where, dict) else _about(where)
        root = member if _is_activity(about.get(member, {})) else None
        if root is None:
            within = _below(member, about, allowance) if about is where else list(about)
            root = _activity(about, within)
        if root is None:
            return Told(iri=member, body=None, time=time, problem="it holds no ActivityStreams 2 activity")
        payload = parse(payload_of(project(_Tree(about, allowance).node(root)), contexts))
    except (OrchestratorError, ValueError) as error:
        # What one member says is its own trouble: text that cannot be written down, too.
        said = error.message if isinstance(error, OrchestratorError) else "it cannot be written down"
        return Told(iri=member, body=None, time=time, problem=said)
    if not isinstance(payload, dict):
        return Told(iri=member, body=None, time=time, problem="nothing of it can be told")
    return _as_notification(payload, member, time=time)


def _as_notification(
    payload: dict[str, Json], iri: str, *, sequence: int | None = None, time: str = ""
) -> Told:
    """Return what `payload` tells under the two official contexts."""
    try:
        body = canonical({**payload, "@context": _CONTEXTS})
    except ValueError:
        return Told(iri=iri, body=None, sequence=sequence, time=time, problem="it cannot be written down")
    return Told(iri=iri, body=body, sequence=sequence, time=time)


def _is_name(iri: str) -> bool:
    """Whether an event can be known by `iri`: it is kept."""
    return len(iri) <= _LONGEST_IRI and iri.isprintable() and is_absolute(iri)


_About = dict[str, dict[str, dict[Any, None]]]


def _about(quads: Iterable[Quad]) -> _About:
    """Return what is said of each subject: property → values, each once and in order."""
    found: _About = {}
    for subject, predicate, target, _ in quads:
        found.setdefault(subject, {}).setdefault(predicate, {})[target] = None
    return found


def _is_activity(said: Mapping[str, Mapping[Any, None]]) -> bool:
    return any(isinstance(kind, str) and kind in v.ACTIVITY_TYPES for kind in said.get(_TYPE, ()))


def _activity(about: _About, within: Iterable[str]) -> str | None:
    """Return the one activity of `within` that none of the others names."""
    activities = [subject for subject in within if _is_activity(about[subject])]
    named = {value for subject in activities for value in _iris(about, subject) if value != subject}
    roots = [subject for subject in activities if subject not in named]
    return roots[0] if len(roots) == 1 else None


def _iris(about: _About, subject: str) -> Iterator[str]:
    for values in about[subject].values():
        yield from (value for value in values if isinstance(value, str))


def _below(root: str, about: _About, allowance: "_Allowance") -> list[str]:
    """Return what can be reached from `root`, as far as a notification may reach."""
    found: dict[str, None] = {}
    left = [root]
    while left and len(found) <= _MOST_NODES:
        subject = left.pop()
        if subject not in found and subject in about:
            allowance.spend()
            found[subject] = None
            left += _iris(about, subject)
    return list(found)


class _Allowance:
    """How many nodes are looked at for one page: its members may all lead to all others."""

    def __init__(self, nodes: int) -> None:
        self._left = nodes

    def spend(self) -> None:
        """Count one; raises `AnswerRefused` beyond what there is."""
        self._left -= 1
        if self._left < 0:
            raise AnswerRefused("its page says too much of too many at once")


class _Tree:
    """What is said of a subject as expanded nodes, one inside the other; each is told once."""

    def __init__(self, about: _About, page: "_Allowance") -> None:
        self._about = about
        self._page = page
        self._told: set[str] = set()
        self._left = _MOST_NODES

    def node(self, subject: str, depth: int = 0) -> dict[str, Any]:
        """Return `subject` with what is said of it and of those it names, its object before all others.

        Raises `AnswerRefused` for more nodes than a notification may have.
        """
        self._page.spend()
        self._left -= 1
        if self._left < 0:
            raise AnswerRefused(f"it says more than {_MOST_NODES} things")
        node: dict[str, Any] = {} if subject.startswith("_:") else {"@id": subject}
        if subject in self._told or depth >= _DEEPEST:
            return node
        self._told.add(subject)
        said = self._about.get(subject, {})
        for predicate in sorted(said, key=lambda name: name != _OBJECT):
            values = said[predicate]
            if predicate == _TYPE:
                node["@type"] = [value for value in values if isinstance(value, str)]
                continue
            # What is answered is named; whoever wants to know more of it says so in the object.
            is_named = predicate == _IN_REPLY_TO
            found = [self._value(value, depth, is_named=is_named) for value in values]
            node[predicate] = [value for value in found if value]
        return node

    def _value(self, value: Any, depth: int, *, is_named: bool) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, str):
            return _literal(value)
        return {"@id": value} if is_named else self.node(value, depth + 1)


def _literal(value: Any) -> dict[str, Any]:  # noqa: ANN401
    text, datatype, language = value
    if language:
        return {"@value": text, "@language": language}
    return {"@value": text} if datatype in {None, v.XSD + "string"} else {"@value": text, "@type": datatype}
