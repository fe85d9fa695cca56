"""A short form of `python -m tests.agreement.documents`, from a seed that is told."""

import random

from tests.agreement.documents import run


def test_whatever_the_direct_path_takes_it_reads_as_pyld_does() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    kinds = run(400, seed)
    # Otherwise nothing was compared: the direct path may leave everything to pyld.
    assert kinds["taken whole"] > 20
    assert kinds["left to pyld"] > 20
