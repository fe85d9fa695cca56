"""Our checkpoints and proofs in the eyes of metamorphic-log, which is no work of ours (Rust)."""

import base64
from collections.abc import Callable
from typing import Any

import metamorphic_log
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import merkle
from orchestrator.core.checkpoint import BadCheckpoint, Checkpoint, SignerKey, open_note, signed
from orchestrator.core.merkle import Frontier, Node

TOTAL = 66_000
LEAVES = [merkle.leaf_hash(b"%d" % index) for index in range(TOTAL)]
KEY = SignerKey.generate("pod.example/log", bytes(range(32)))
TRUSTED = [KEY.verifier.text()]
Tiles = dict[tuple[int, int], list[bytes]]

sizes = st.one_of(
    st.integers(1, 20), st.sampled_from([255, 256, 257, 65_535, 65_536, 65_537]), st.integers(1, TOTAL)
)


@pytest.fixture(scope="module")
def tiles() -> Tiles:
    tiles: Tiles = {}
    for index, leaf in enumerate(LEAVES):
        tiles.setdefault((0, index // 256), []).append(leaf)
    for level, index, top in Frontier(0, ()).extend(LEAVES)[1]:
        tiles.setdefault((level, index // 256), []).append(top)
    return tiles


def hashes(elements: list[tuple[Node, ...]], tiles: Tiles) -> list[bytes]:
    return [merkle.hash_of(element, tiles) for element in elements]


def root(size: int, tiles: Tiles) -> bytes:
    """Return a root out of tiles: of all but the last leaf, by its audit path, and that leaf."""
    top = LEAVES[size - 1]
    for left in hashes(merkle.inclusion_nodes(size - 1, size), tiles):
        top = merkle.node_hash(left, top)
    return top


def note(size: int, tiles: Tiles) -> str:
    return signed(Checkpoint(origin=KEY.name, size=size, root=root(size, tiles)), [KEY]).decode()


def is_good(verify: Callable[..., Any], *arguments: Any) -> bool:
    try:
        verify(*arguments)
    except metamorphic_log.VerifyError:
        return False
    return True


@given(size=sizes, share=st.floats(0, 1, exclude_max=True))
def test_our_checkpoints_and_inclusion_proofs_are_accepted(tiles: Tiles, size: int, share: float) -> None:
    index, ours = int(share * size), note(size, tiles)
    head = metamorphic_log.checkpoint_verify(ours, TRUSTED)
    assert (head.origin, head.size, head.root) == (KEY.name, size, root(size, tiles))
    proof = hashes(merkle.inclusion_nodes(index, size), tiles)
    metamorphic_log.checkpoint_verify_inclusion(ours, TRUSTED, index, LEAVES[index], proof)


@given(second=sizes, share=st.floats(0, 1))
def test_our_consistency_proofs_are_accepted(tiles: Tiles, second: int, share: float) -> None:
    first = max(int(share * second), 1)
    proof = hashes(merkle.consistency_nodes(first, second), tiles)
    notes = note(first, tiles), note(second, tiles)
    metamorphic_log.checkpoint_verify_consistency(*notes, TRUSTED, proof)


def test_the_roots_of_growing_trees_are_those_of_their_proofs(tiles: Tiles) -> None:
    frontier = Frontier(0, ())
    for size in range(1, 600):
        frontier, _ = frontier.extend(LEAVES[size - 1 : size])
        proof = hashes(merkle.inclusion_nodes(0, size), tiles)
        metamorphic_log.verify_inclusion(0, size, LEAVES[0], proof, frontier.root())


forgeries = st.lists(st.sampled_from(["drop", "double", "swap", "flip", "cut"]), max_size=2)


def forged(proof: list[bytes], forgery: list[str], at: int) -> list[bytes]:
    changed = list(proof)
    for how in forgery:
        if not changed:
            return [LEAVES[0]]
        at %= len(changed)
        if how == "drop":
            del changed[at]
        elif how == "double":
            changed.insert(at, changed[at])
        elif how == "swap":
            changed[0], changed[at] = changed[at], changed[0]
        elif how == "flip":
            changed[at] = changed[at][:-1] + bytes([changed[at][-1] ^ 1])
        else:
            changed[at] = changed[at][:-1]
    return changed


@given(
    size=sizes,
    share=st.floats(0, 1, exclude_max=True),
    forgery=forgeries,
    at=st.integers(0, 20),
    claim=st.integers(-2, 2),
)
def test_we_judge_audit_paths_alike(
    tiles: Tiles, size: int, share: float, forgery: list[str], at: int, claim: int
) -> None:
    index, top = int(share * size), root(size, tiles)
    proof = forged(hashes(merkle.inclusion_nodes(index, size), tiles), forgery, at)
    other, height = max(index + claim, 0), max(size + claim, 0)
    for one, whole in ((index, size), (other, size), (index, height), (other, height)):
        ours = merkle.verify_inclusion(LEAVES[index], one, whole, top, proof)
        assert ours == is_good(metamorphic_log.verify_inclusion, one, whole, LEAVES[index], proof, top)
        assert ours or forgery or (one, whole) != (index, size)


@given(
    second=sizes, share=st.floats(0, 1), forgery=forgeries, at=st.integers(0, 20), claim=st.integers(-2, 2)
)
def test_we_judge_consistency_alike(
    tiles: Tiles, second: int, share: float, forgery: list[str], at: int, claim: int
) -> None:
    first = max(int(share * second), 1)
    roots = root(first, tiles), root(second, tiles)
    proof = forged(hashes(merkle.consistency_nodes(first, second), tiles), forgery, at)
    early, late = max(first + claim, 1), max(second + claim, 1)
    for old, new in ((first, second), (early, second), (first, late), (early, late)):
        ours = merkle.verify_consistency(old, new, *roots, proof)
        assert ours == is_good(metamorphic_log.verify_consistency, old, new, proof, *roots)
        assert ours or forgery or (old, new) != (first, second)


def test_a_forged_head_is_refused_by_both(tiles: Tiles) -> None:
    ours = note(600, tiles)
    for at, before in enumerate(ours):
        changed = ours[:at] + ("B" if before == "A" else "A") + ours[at + 1 :]
        assert not is_good(metamorphic_log.checkpoint_verify, changed, TRUSTED)
        with pytest.raises(BadCheckpoint):
            open_note(changed.encode(), [KEY.verifier])


def test_a_history_that_was_rewritten_is_refused_by_both(tiles: Tiles) -> None:
    leaves = [merkle.leaf_hash(b"another"), *LEAVES[1:600]]
    rewritten = Checkpoint(origin=KEY.name, size=600, root=merkle.root_of(leaves))
    proof = hashes(merkle.consistency_nodes(257, 600), tiles)
    notes = note(257, tiles), signed(rewritten, [KEY]).decode()
    assert not is_good(metamorphic_log.checkpoint_verify_consistency, *notes, TRUSTED, proof)
    assert not merkle.verify_consistency(257, 600, root(257, tiles), rewritten.root, proof)


def signed_text(body: str) -> str:
    return f"{body}\n{KEY.sign(body)}"


BODIES = [
    *(f"origin\n{size}\n{{}}\n" for size in ("0", "1", "01", "+1", " 1", "1e3", str(2**63 - 1))),
    *(
        "origin\n1\n{}\nmore\n",
        "origin\n1\n{}\n\nmore\n",
        "\n1\n{}\n",
        "origin\n1\n{}=\n",
        "origin\n1\n {}\n",
    ),
    *("origin with spaces\n1\n{}\n", "origin\r\n1\n{}\n", "origin\n1\n", "\u00fcnicode\n1\n{}\n"),
]


@pytest.mark.parametrize("body", BODIES)
def test_we_read_the_same_checkpoints(body: str) -> None:
    text = signed_text(body.format(base64.b64encode(LEAVES[0]).decode()))
    try:
        head = open_note(text.encode(), [KEY.verifier])
    except BadCheckpoint:
        assert not is_good(metamorphic_log.checkpoint_verify, text, TRUSTED)
    else:
        found = metamorphic_log.checkpoint_verify(text, TRUSTED)
        assert (found.origin, found.size, found.root) == (head.origin, head.size, head.root)
