"""A document that names itself relatively is known by where it was found."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.relative import resolve_own
from orchestrator.core.strict_json import Json

URL = "https://pod.example/inbox/7?v=1"


@pytest.mark.parametrize("name", ["id", "@id"])
@pytest.mark.parametrize(
    ("relative", "absolute"),
    [
        ("", "https://pod.example/inbox/7?v=1"),
        ("#it", "https://pod.example/inbox/7?v=1#it"),
        ("?v=2", "https://pod.example/inbox/7?v=2"),
        ("8", "https://pod.example/inbox/8"),
        ("./8", "https://pod.example/inbox/8"),
        ("../n/8", "https://pod.example/n/8"),
        ("/n/8", "https://pod.example/n/8"),
        ("/ü", "https://pod.example/ü"),
        ("//other.example/8", "https://other.example/8"),
    ],
)
def test_a_relative_id_is_resolved_against_the_documents_url(name: str, relative: str, absolute: str) -> None:
    resolved = resolve_own(json.dumps({name: relative, "type": "Offer"}).encode(), URL)
    assert resolved is not None
    assert json.loads(resolved) == {name: absolute, "type": "Offer"}


def test_nothing_but_its_own_id_is_changed() -> None:
    document = {
        "@context": ["https://www.w3.org/ns/activitystreams", {"@base": "https://other.example/"}],
        "id": "",
        "object": {"id": "1", "@id": ""},
        "items": [{"id": "#x"}],
        "name": "Zoë",
        "number": 1.5,
        "none": None,
    }
    resolved = resolve_own(json.dumps(document).encode(), URL)
    assert resolved is not None
    assert json.loads(resolved) == {**document, "id": URL}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'[{"id": ""}]',
        b'"x"',
        b"{}",
        b'{"type": "Offer"}',
        b'{"id": 7}',
        b'{"id": null}',
        b'{"id": [""]}',
        b'{"object": {"id": ""}}',
        b'{"id": "", "id": ""}',
        b'{"id": "", "n": NaN}',
        b'{"id": "urn:uuid:0370c0fb-bb78-4a9b-87f5-bed307a509dd"}',
        b'{"id": "https://pod.example/inbox/7"}',
        b'{"id": "mailto:ada@pod.example"}',
        b'{"id": "no iri at all"}',
        b'{"id": "<script>"}',
        b'{"id": "//[x/"}',
    ],
)
def test_where_there_is_nothing_to_resolve_nothing_is_returned(body: bytes) -> None:
    assert resolve_own(body, URL) is None


def test_two_spellings_of_one_document_resolve_to_the_same_bytes() -> None:
    """Or a pod that writes the same content anew would seem to have changed it."""
    spellings = (b'{"id":"","b":1,"a":"\\u00e9"}', '{ "a": "é",\n "b": 1.0, "id": "" }'.encode())
    assert len({resolve_own(body, URL) for body in spellings}) == 1


_documents: st.SearchStrategy[Json] = st.dictionaries(
    st.sampled_from(["id", "@id", "type", "object"]),
    st.one_of(st.none(), st.integers(0, 9), st.sampled_from(["", "1", "#a", "https://a.example/", "a b"])),
)


@given(_documents)
def test_what_was_resolved_needs_no_more_resolving(document: Json) -> None:
    assert isinstance(document, dict)
    resolved = resolve_own(json.dumps({**document, "@id": "https://a.example/"}).encode(), URL)
    if resolved is not None:
        assert resolve_own(resolved, URL) is None


@given(st.binary(max_size=60))
def test_whatever_bytes_come_nothing_is_raised(body: bytes) -> None:
    resolved = resolve_own(body, URL)
    assert resolved is None or json.loads(resolved)
