"""A short form of `python -m tests.agreement.documents`, from a seed that is told."""

import random

import pytest
from tests.agreement.documents import Document, compare, run

from orchestrator.core import vocabulary as v


def test_whatever_the_direct_path_takes_it_reads_as_pyld_does() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    kinds = run(400, seed)
    # Otherwise nothing was compared: the direct path may leave everything to pyld.
    assert kinds["taken whole"] > 20
    assert kinds["left to pyld"] > 20


@pytest.mark.parametrize(
    ("members", "read_by"),
    [
        ({"orderedItems": {"@value": None}}, "taken whole"),
        ({"orderedItems": [{"@value": None}]}, "taken, payload left to pyld"),
        ({"sorg:name": "", "https://schema.org/name": "A", "http://schema.org/name": ""}, "left to pyld"),
        ({"sorg:name": "b", "http://schema.org/name": "a"}, "taken whole"),
        ({"@id": "urn:uuid:2"}, "left to pyld"),
    ],
)
def test_what_searches_have_found(members: Document, read_by: str) -> None:
    base = {"@context": [v.AS_CONTEXT, v.NOTIFY_CONTEXT], "id": "urn:uuid:1", "type": "Announce"}
    assert compare({**base, **members}) == read_by
