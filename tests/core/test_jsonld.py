"""What the direct path keeps between documents: to a bound, whatever strangers send."""

from typing import Any

import pytest

from orchestrator.contexts import bundled_contexts
from orchestrator.core import vocabulary as v
from orchestrator.core.jsonld import ActiveContext, Contexts, NotPlain, Reading

MEGABYTE = 1_000_000


def test_names_that_strangers_make_up_are_kept_to_a_bound() -> None:
    context = ActiveContext.of(v.AS_CONTEXT, bundled_contexts())
    for number in range(3_000):
        members: dict[str, Any] = {
            "type": f"T{number}" + "x" * 100,
            f"m{number}" + "x" * 100: 1,
            f"l{number}" + "x" * 1_900: 1,
        }
        Reading({"@context": v.AS_CONTEXT, "id": "urn:x", **members}, context)
    for table in (context.members, context.types):
        assert sum(map(len, table)) < MEGABYTE
    assert Reading({"@context": v.AS_CONTEXT, "name": "n"}, context).root == {
        v.AS + "name": [{"@value": "n"}]
    }


def test_combinations_of_many_known_contexts_are_kept_to_a_bound() -> None:
    known: dict[str, Any] = {
        f"https://context.example/{number}": {"@context": {f"t{number}": v.AS + "name"}}
        for number in range(90)
    }
    contexts = Contexts({**bundled_contexts().documents, **known})
    for url in known:
        assert ActiveContext.of([v.AS_CONTEXT, url], contexts).names == (v.AS_CONTEXT, url)
    assert 0 < len(contexts.compiled) <= 64


@pytest.mark.parametrize(
    "context", [None, {}, ["https://unknown.example/"], [v.AS_CONTEXT] * 2, [v.AS_CONTEXT, {}]]
)
def test_contexts_that_do_not_simply_name_known_ones_are_left_to_pyld(context: Any) -> None:
    contexts = bundled_contexts()
    with pytest.raises(NotPlain):
        ActiveContext.of(context, contexts)
