"""Compiled shapes against pySHACL over generated pairs: python -m tests.agreement.shapes --pairs 2000 --seed 1"""

import argparse
import logging
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random, SystemRandom
from typing import Any
from unittest import mock

from pyshacl.errors import ReportableRuntimeError
from tests.agreement.generated import ROOT, Pair, pair
from tests.agreement.oracle import ours, theirs

from orchestrator.core import vocabulary as v
from orchestrator.core.rdf import serialise
from orchestrator.core.shapes import compiler
from orchestrator.core.shapes.compiler import Compiler
from orchestrator.core.shapes.data import Data
from orchestrator.core.shapes.model import SetCheck, ValueCheck
from orchestrator.core.shapes.terms import KINDS

NOT_COMPONENTS = {
    "path", "flags", "ignoredProperties", "qualifiedValueShape", "qualifiedValueShapesDisjoint", "severity", "property",
    *(name for name, kind in KINDS.items() if kind == "note"),
}  # fmt: skip
COMPONENTS = {
    f"{v.SH}{name[0].upper()}{name[1:]}ConstraintComponent" for name in KINDS if name not in NOT_COMPONENTS
}
Tally = Counter[tuple[str, bool]]
"""How often a component held (True) and did not."""


@contextmanager
def counted() -> Iterator[Tally]:
    """Count what every compiled component says while it is asked."""
    tally: Tally = Counter()
    of_value, of_set = ValueCheck, SetCheck

    def value_check(component: str, reason: str, test: Any) -> Any:
        def counting(data: Data, value: Any) -> bool:
            held = test(data, value)
            tally[component, held] += 1
            return bool(held)

        return of_value(component, reason, counting)

    def set_check(component: str, reason: str, faults: Any, *when: bool) -> Any:
        def counting(data: Data, focus: Any, values: Any) -> Any:
            found = faults(data, focus, values)
            tally[component, not found] += 1
            return found

        return of_set(component, reason, counting, *when)

    with mock.patch.multiple(compiler, ValueCheck=value_check, SetCheck=set_check):
        yield tally


def compare(pair: Pair) -> bool:
    """Raise if the two engines disagree about `pair`; return whether pySHACL could judge it at all."""
    data = Data.from_quads(pair.dataset)
    compiled = Compiler(pair.shapes).compile(pair.tops)
    found = ours(data, compiled, ROOT)
    assert compiled.conforms(data, ROOT) == (not found), "check and conforms disagree"
    try:
        expected = theirs(pair.dataset, pair.shapes, pair.tops, ROOT)
    except (ReportableRuntimeError, ArithmeticError):  # of blank nodes under sh:lessThan, of NaN
        return False
    except TypeError as error:  # of literals that rdflib cannot put in an order
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if "pyshacl" not in frame.f_code.co_filename:
            raise
        return False
    assert found == expected, explain(pair, found, expected)
    return True


def explain(pair: Pair, found: set[Any], expected: set[Any]) -> str:
    shapes = serialise(pair.shapes, v.TURTLE).decode()
    facts = "\n".join(map(str, Data.from_quads(pair.dataset).triples()))
    return f"{shapes}\n{facts}\nonly ours: {found - expected}\nonly pySHACL's: {expected - found}"


def agree(count: int, seed: int) -> tuple[int, int, Tally]:
    """Compare `count` pairs. Raises on the first difference.

    Returns how many, how many more pySHACL failed on, and what the components said.
    """
    compared = failed = 0
    with counted() as tally, warnings.catch_warnings(action="ignore"):  # rdflib's, of odd booleans
        while compared < count:
            if compare(pair(Random(f"{seed}/{compared + failed}"))):
                compared += 1
            else:
                failed += 1
    return compared, failed, tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # pySHACL and rdflib tell of every literal that is not well-typed
    seed = options.seed if options.seed is not None else SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    compared, failed, tally = agree(options.pairs, seed)
    for component in sorted(COMPONENTS):
        name = component.removeprefix(v.SH)
        print(f"{name:45} held {tally[component, True]:7} failed {tally[component, False]:7}")
    silent = [(name, held) for name in COMPONENTS for held in (True, False) if not tally[name, held]]
    print(f"{compared} pairs ({failed} more on which pySHACL fails), 0 disagreements")
    if silent:
        print(f"never seen: {sorted(silent)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
