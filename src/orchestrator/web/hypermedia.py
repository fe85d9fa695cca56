"""What the log's root, indexes and pages say of themselves, for every kind of reader.

LDES 1.0 and TREE (relations on the time of writing), ActivityStreams 2.0 (collections and their pages),
LDP (basic containers), Solid's daen (`next`, `hydra:next`). Decision 0013 tells why the index is by count.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orchestrator.core.event import stamp
from orchestrator.web.site import Site

PATH: Final = "/log"
FAN: Final = 256
"""Pages to which one index leads."""
_PAGE_TYPES: Final = ["OrderedCollectionPage", "ldp:BasicContainer", "tree:Node"]
_STREAM_TYPES: Final = ["OrderedCollection", "daen:ArtefactLifecycleEventLog", "ldes:EventStream"]
_TIME: Final = "prov:generatedAtTime"
_SHAPE: Final = "/ns/log#LifecycleEventShape"
Members = dict[str, Any]


def page_url(site: Site, number: int) -> str:
    """Return the URL of page N."""
    return f"{site.url(PATH)}?page={number}"


def index_url(site: Site, number: int) -> str:
    """Return the URL of index K, which leads to pages (K-1)·256+1 to K·256."""
    return f"{site.url(PATH)}?index={number}"


def last_page(site: Site, sequence: int) -> int:
    """Return the page that is open when the log ends with `sequence`.

    It may be full and is open all the same: it has yet to say what comes next.
    """
    return max(1, -(-sequence // site.page_size))


def indexes(pages: int) -> int:
    """Return how many indexes stand between the root and its `pages`: the root names 256 to 511 itself."""
    return max(0, pages // FAN - 1)


def stream(site: Site, url: str = "") -> Members:
    """Return what every description of a stream says; the log's own without `url`."""
    return {
        "id": url or site.url(PATH),
        "type": _STREAM_TYPES,
        "timestampPath": _TIME,
        "shape": site.url(_SHAPE),
    }


def root(site: Site, sequence: int, times: Mapping[int, int]) -> Members:
    """Return the root of a log that ends with `sequence`: its view leads to all pages.

    `times` has when the first event of each page was written that `root_pages` names.
    """
    last = last_page(site, sequence)
    grouped = indexes(last)
    nodes = [(index_url(site, number), (number - 1) * FAN + 1) for number in range(1, grouped + 1)]
    nodes += [(page_url(site, number), number) for number in range(grouped * FAN + 1, last + 1)]
    said = stream(site)
    return {
        **said,
        "type": [*said["type"], "tree:Node"],
        "view": site.url(PATH),
        "inbox": site.url("/inbox/"),
        "totalItems": sequence,
        "first": page_url(site, 1),
        "last": page_url(site, last),
        # Readers of daen logs go from `next` to `next`, and begin here.
        "next": page_url(site, 1),
        "hydra:next": page_url(site, 1),
        "relation": _relations(nodes, times, None),
    }


def index_pages(number: int) -> range:
    """Return the pages to which index `number` leads, and the one after them, which must be there."""
    return range((number - 1) * FAN + 1, number * FAN + 2)


def root_pages(last: int) -> list[int]:
    """Return the pages whose first times the root of a log with `last` pages tells."""
    grouped = indexes(last)
    return [
        *range(1, grouped * FAN + 1, FAN),
        *range(grouped * FAN + 1, last + 1),
    ]


def index(site: Site, number: int, times: Mapping[int, int]) -> Members:
    """Return index `number`, whose pages are all closed: it never changes.

    `times` has the first times of its pages, and of the page after them.
    """
    *pages, following = index_pages(number)
    nodes = [(page_url(site, page), page) for page in pages]
    url = index_url(site, number)
    return {
        "id": url,
        "type": "tree:Node",
        "relation": _relations(nodes, times, times[following]),
        "@included": [{**stream(site), "view": url}],
    }


def page(site: Site, number: int, iris: Sequence[str], *, is_last: bool) -> Members:
    """Return what a page says of itself; a closed one must not change, so not where the log ends now.

    It has no relations: the root leads to every page, and clients that find one twice read it twice.
    """
    url = page_url(site, number)
    next_url = None if is_last else page_url(site, number + 1)
    return {
        "id": url,
        "type": _PAGE_TYPES,
        "partOf": site.url(PATH),
        "first": page_url(site, 1),
        "prev": page_url(site, number - 1) if number > 1 else None,
        "next": next_url,
        "hydra:next": next_url,
        "@included": [{**stream(site), "view": url, "member": iris}],
    }


def filtered(site: Site, url: str, following: str | None) -> Members:
    """Return what a filtered read says of itself: no part of the stream, for it leaves events out."""
    return {
        "id": url,
        "type": ["OrderedCollectionPage", "ldp:BasicContainer"],
        "partOf": site.url(PATH),
        "next": following,
        "hydra:next": following,
    }


def view(site: Site, url: str, *, log: str, iris: Sequence[str], onward: tuple[str, int] | None) -> Members:
    """Return a page of the artefact's log `log`, or its root, which is its first page too.

    `onward` is the page that follows, and when its first event was written.
    """
    said = {**stream(site, log), "view": url, "member": iris}
    links: Members = {}
    if onward is not None:
        next_url, time = onward
        relations = [_relation("GreaterThanOrEqualTo", time, next_url)]
        links = {"next": next_url, "hydra:next": next_url, "relation": relations}
    if url == log:
        types = [*said["type"], *_PAGE_TYPES]
        return {**said, "type": types, "partOf": site.url(PATH), "inbox": site.url("/inbox/"), **links}
    return {"id": url, "type": _PAGE_TYPES, "partOf": log, **links, "@included": [said]}


def _relations(
    nodes: Sequence[tuple[str, int]], times: Mapping[int, int], end: int | None
) -> list[dict[str, str]]:
    """Return how `nodes`, each with its first page, divide the time: from its first event to the next's."""
    found = []
    firsts: Iterable[int | None] = [*(times.get(page) for _, page in nodes[1:]), end]
    for (url, page_number), following in zip(nodes, firsts, strict=True):
        if page_number in times:
            found.append(_relation("GreaterThanOrEqualTo", times[page_number], url))
        if following is not None:
            found.append(_relation("LessThan", following, url))
    return found


def _relation(kind: str, time: int, node: str) -> dict[str, str]:
    return {"type": f"tree:{kind}Relation", "path": _TIME, "value": stamp(time), "node": node}
