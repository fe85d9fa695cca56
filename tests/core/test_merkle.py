"""The Merkle tree: published vectors, and RFC 6962 read to the letter as the oracle."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from orchestrator.core import merkle
from orchestrator.core.merkle import Frontier, Node, Subtree

TOTAL = 70_000
EMPTY = Frontier(0, ())

# The leaves, roots and proofs with which Certificate Transparency's implementations are tested.
ENTRIES = [
    bytes.fromhex(one)
    for one in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        bytes(range(0x60, 0x70)).hex(),
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAF_1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
LEAF_2 = "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7"
LEAF_3 = "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7"
LEAF_4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
PAIR_1 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
PAIR_2 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
PAIR_3 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
RIGHT_OF_7 = "837dbb152e9b079010717e84e865da4ebc0fa198a806d59d31bf15accef22d0e"
RIGHT_OF_8 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
PATHS = [
    (0, 1, []),
    (0, 8, [LEAF_1, PAIR_1, RIGHT_OF_8]),
    (5, 8, [LEAF_4, PAIR_3, ROOTS[4]]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], PAIR_1, LEAF_4]),
]
PROOFS = [
    (1, 1, []),
    (1, 8, [LEAF_1, PAIR_1, RIGHT_OF_8]),
    (6, 8, [PAIR_2, PAIR_3, ROOTS[4]]),
    (2, 5, [PAIR_1, LEAF_4]),
    (3, 7, [LEAF_2, LEAF_3, ROOTS[2], RIGHT_OF_7]),
]
NOT_NUMBERS = [
    *("", "0", "00", "0000", "x000/001", "x000/x001/000", "x001", "001/002", "x001/x002", "X001/000"),
    *("\u0660\u0660\u0660", "-01", "000/", "000\n", "/000", "000.p", "000.p/", "000.p/0", "000.p/01"),
    *("000.p/256", "000.p/999", "000.p/12\n", "000.p/1/", "000p/1", "000.P/1"),
    *("x009/x223/x372/x036/x854/x775/808", "x001/x000/x000/x000/x000/x000/x000/000"),
]

sizes = st.one_of(
    st.integers(1, 20), st.sampled_from([255, 256, 257, 511, 65_535, 65_536, TOTAL]), st.integers(1, TOTAL)
)


# RFC 6962, section 2.1, as it is written, over leaves that are the numbers from 0.


@functools.cache
def mth(start: int, end: int) -> bytes:
    if start == end:
        return hashlib.sha256().digest()
    if end - start == 1:
        return hashlib.sha256(b"\x00" + b"%d" % start).digest()
    k = split(start, end)
    return hashlib.sha256(b"\x01" + mth(start, k) + mth(k, end)).digest()


def split(start: int, end: int) -> int:
    k = 1
    while k * 2 < end - start:
        k *= 2
    return start + k


def path(m: int, start: int, end: int) -> list[bytes]:
    if end - start == 1:
        return []
    k = split(start, end)
    return [*path(m, start, k), mth(k, end)] if m < k else [*path(m, k, end), mth(start, k)]


def subproof(m: int, start: int, end: int, *, whole: bool) -> list[bytes]:
    if m == end:
        return [] if whole else [mth(start, end)]
    k = split(start, end)
    if m <= k:
        return [*subproof(m, start, k, whole=whole), mth(k, end)]
    return [*subproof(m, k, end, whole=False), mth(start, k)]


def proof_of(first: int, second: int) -> list[bytes]:
    return subproof(first, 0, second, whole=True)


def tiles_over(leaves: Sequence[bytes]) -> dict[tuple[int, int], list[bytes]]:
    """Keep a tree as its readers see it: by tiles, out of what `extend` says became whole."""
    tiles: dict[tuple[int, int], list[bytes]] = {}
    for index, leaf in enumerate(leaves):
        tiles.setdefault((0, index // 256), []).append(leaf)
    for subtree in EMPTY.extend(leaves)[1]:
        tile = tiles.setdefault((subtree.level, subtree.index // 256), [])
        assert len(tile) == subtree.index % 256
        tile.append(subtree.hash)
    return tiles


def out_of(elements: list[tuple[Node, ...]], tiles: Mapping[tuple[int, int], Sequence[bytes]]) -> list[bytes]:
    needed = {place: tiles[place] for place in merkle.tiles_of(elements)}
    return [merkle.hash_of(element, needed) for element in elements]


@functools.cache
def leaves() -> list[bytes]:
    return [mth(index, index + 1) for index in range(TOTAL)]


@functools.cache
def tiles() -> dict[tuple[int, int], list[bytes]]:
    return tiles_over(leaves())


def hexes(hashes: list[bytes]) -> list[str]:
    return [one.hex() for one in hashes]


def test_the_roots_are_the_published_ones() -> None:
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES]
    for size, root in enumerate(ROOTS):
        assert merkle.root_of(hashes[:size]).hex() == root
        assert EMPTY.extend(hashes[:size])[0].root().hex() == root
    assert merkle.EMPTY_ROOT.hex() == ROOTS[0]


@pytest.mark.parametrize(("index", "size", "expected"), PATHS)
def test_the_audit_paths_are_the_published_ones(index: int, size: int, expected: list[str]) -> None:
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES]
    found = out_of(merkle.inclusion_nodes(index, size), tiles_over(hashes))
    assert hexes(found) == expected
    assert merkle.verify_inclusion(hashes[index], index, size, bytes.fromhex(ROOTS[size]), found)


@pytest.mark.parametrize(("first", "second", "expected"), PROOFS)
def test_the_consistency_proofs_are_the_published_ones(first: int, second: int, expected: list[str]) -> None:
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES]
    found = out_of(merkle.consistency_nodes(first, second), tiles_over(hashes))
    assert hexes(found) == expected
    roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])
    assert merkle.verify_consistency(first, second, *roots, found)


def test_the_nodes_are_those_of_the_example_in_rfc_6962() -> None:
    # Section 2.1.3: a to d, f and j are leaves, g to i pairs, k is their four, l = (i, j).
    c, d, b, f = ((Node(0, index),) for index in (2, 3, 1, 5))
    g, h, i, j, k = (Node(1, 1),), (Node(1, 1),), (Node(1, 2),), (Node(0, 6),), (Node(2, 0),)
    low, right = (Node(1, 0),), (Node(1, 2), Node(0, 6))
    assert merkle.inclusion_nodes(0, 7) == [b, h, right]
    assert merkle.inclusion_nodes(3, 7) == [c, low, right]
    assert merkle.inclusion_nodes(4, 7) == [f, j, k]
    assert merkle.inclusion_nodes(6, 7) == [i, k]
    assert merkle.consistency_nodes(3, 7) == [c, d, low, right]
    assert merkle.consistency_nodes(4, 7) == [right]
    assert merkle.consistency_nodes(6, 7) == [i, j, k]
    assert g == h


@given(st.lists(st.integers(0, 700), max_size=4))
def test_a_tree_that_grows_in_steps_has_the_root_that_the_definition_gives(steps: list[int]) -> None:
    frontier = EMPTY
    for step in steps:
        start = frontier.size
        frontier, _ = frontier.extend(mth(index, index + 1) for index in range(start, start + step))
        assert frontier.size == start + step
        assert frontier.root() == mth(0, frontier.size)
        assert Frontier.from_bytes(frontier.size, frontier.to_bytes()) == frontier


def test_what_becomes_whole_beyond_65536_leaves_is_told_once_in_order_and_right() -> None:
    frontier, told = EMPTY, list[Subtree]()
    for start, end in pairwise([0, 1, 255, 256, 257, 65_535, 65_536, 65_537, TOTAL]):
        frontier, whole = frontier.extend(leaves()[start:end])
        told += whole
        assert frontier.root() == mth(0, end)
    expected = [Subtree(1, index, mth(index * 256, index * 256 + 256)) for index in range(TOTAL // 256)]
    expected.insert(256, Subtree(2, 0, mth(0, 65_536)))
    assert told == expected


def test_one_leaf_makes_subtrees_of_several_levels_whole() -> None:
    hashes = tuple(bytes([index]) * 32 for index in range(24))
    grown, whole = Frontier(256**3 - 1, hashes).extend([bytes(32)])
    assert [(subtree.level, subtree.index) for subtree in whole] == [(1, 256**2 - 1), (2, 255), (3, 0)]
    assert grown.hashes == (whole[-1].hash,)
    assert grown.size == 256**3


def test_a_tree_of_70000_has_the_tiles_that_tlog_tiles_counts() -> None:
    widths: dict[int, list[int]] = {}
    for (level, _), hashes in sorted(tiles().items()):
        widths.setdefault(level, []).append(len(hashes))
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_frontier_with_too_many_hashes_or_too_few_is_refused(size: int) -> None:
    for count in {0, 1, 2, 3} - {size.bit_count()}:
        with pytest.raises(ValueError, match="no frontier"):
            Frontier(size, (bytes(32),) * count)
        with pytest.raises(ValueError, match="no frontier"):
            Frontier.from_bytes(size, bytes(32) * count)


def test_a_frontier_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no frontier"):
        Frontier(-1, (bytes(32),))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier.from_bytes(1, bytes(31))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier(3, (bytes(33), bytes(31)))


@given(size=sizes, share=st.floats(0, 1, exclude_max=True))
@example(size=TOTAL, share=0)
@example(size=TOTAL, share=0.999_999)
@example(size=65_537, share=0.999_999)
def test_every_audit_path_out_of_tiles_is_the_defined_one_and_verifies(size: int, share: float) -> None:
    index = int(share * size)
    proof = out_of(merkle.inclusion_nodes(index, size), tiles())
    assert proof == path(index, 0, size)
    assert merkle.verify_inclusion(leaves()[index], index, size, mth(0, size), proof)


@given(second=sizes, share=st.floats(0, 1))
@example(second=TOTAL, share=65_536 / TOTAL)
@example(second=65_537, share=1 / 65_537)
def test_every_consistency_proof_out_of_tiles_is_the_defined_one_and_verifies(
    second: int, share: float
) -> None:
    first = max(int(share * second), 1)
    proof = out_of(merkle.consistency_nodes(first, second), tiles())
    assert proof == proof_of(first, second)
    assert merkle.verify_consistency(first, second, mth(0, first), mth(0, second), proof)


def test_in_small_trees_no_proof_is_good_for_anything_but_what_it_proves() -> None:
    for size in range(1, 20):
        root = mth(0, size)
        for index in range(size):
            proof = path(index, 0, size)
            good = [
                at
                for at in range(-1, size + 2)
                if merkle.verify_inclusion(leaves()[index], at, size, root, proof)
            ]
            assert good == [index]
        for first in range(1, size):
            proof, old = proof_of(first, size), mth(0, first)
            good = [at for at in range(-1, size + 2) if merkle.verify_consistency(at, size, old, root, proof)]
            assert good == [first]


def test_a_proof_of_another_length_than_the_tree_has_proves_nothing() -> None:
    trees = [(index, size) for size in range(1, 12) for index in range(size)]
    for index, size in trees:
        proof, root = path(index, 0, size), mth(0, size)
        for other, height in trees:
            if len(path(other, 0, height)) != len(proof):
                assert not merkle.verify_inclusion(leaves()[index], other, height, root, proof)


def test_a_tree_that_dropped_a_leaf_is_no_continuation() -> None:
    for size in range(2, 20):
        forged = merkle.root_of(leaves()[1 : size + 1])
        for first in range(1, size):
            proof = proof_of(first, size)
            assert not merkle.verify_consistency(first, size, mth(0, first), forged, proof)
            assert not merkle.verify_consistency(first, size, mth(1, first + 1), mth(0, size), proof)


def mutations(proof: list[bytes], at: int, bit: int) -> list[list[bytes]]:
    """Return what a forger would try: another hash, one too few, one too many, another order or division."""
    changed = [[*proof, mth(0, 1)], [mth(0, 1), *proof], [*proof, *proof[-1:]] if proof else [b""]]
    if proof:
        at %= len(proof)
        flipped = bytearray(proof[at])
        flipped[bit // 8] ^= 1 << bit % 8
        changed += [
            [*proof[:at], bytes(flipped), *proof[at + 1 :]],
            [*proof[:at], *proof[at + 1 :]],
            [*proof[:at], proof[at][:31], *proof[at + 1 :]],
            [*proof[:at], proof[at] + b"\x00", *proof[at + 1 :]],
        ]
    if len(proof) > 1:
        changed.append(proof[::-1])
    return changed


@given(size=sizes, share=st.floats(0, 1, exclude_max=True), at=st.integers(0, 20), bit=st.integers(0, 255))
def test_a_changed_audit_path_leaf_root_or_size_proves_nothing(
    size: int, share: float, at: int, bit: int
) -> None:
    index = int(share * size)
    proof, leaf, root = path(index, 0, size), leaves()[index], mth(0, size)
    for changed in mutations(proof, at, bit):
        assert not merkle.verify_inclusion(leaf, index, size, root, changed)
    assert not merkle.verify_inclusion(mth(1, 3), index, size, root, proof)
    assert not merkle.verify_inclusion(leaf, index, size, mth(1, 3), proof)
    for other in (size * 2, size // 2, index):
        assert other == size or not merkle.verify_inclusion(leaf, index, other, root, proof)
        assert other == size or not merkle.verify_inclusion(
            leaf, index, other, mth(0, min(other, TOTAL)), proof
        )


@given(second=sizes, share=st.floats(0, 1), at=st.integers(0, 20), bit=st.integers(0, 255))
def test_a_changed_consistency_proof_root_or_size_proves_nothing(
    second: int, share: float, at: int, bit: int
) -> None:
    first = max(int(share * second), 1)
    assume(first < second)
    proof, roots = proof_of(first, second), (mth(0, first), mth(0, second))
    for changed in mutations(proof, at, bit):
        assert not merkle.verify_consistency(first, second, *roots, changed)
    assert not merkle.verify_consistency(first, second, mth(1, 3), roots[1], proof)
    assert not merkle.verify_consistency(first, second, roots[0], mth(1, 3), proof)
    assert not merkle.verify_consistency(second, first, *roots[::-1], proof)
    assert not merkle.verify_consistency(first, second, *roots, [])
    assert not merkle.verify_consistency(first, second * 2, *roots, proof)
    assert not merkle.verify_consistency(first, first, *roots, proof)


def test_hashes_divided_elsewhere_are_no_proof_though_they_hash_alike() -> None:
    left, right = leaves()[:2]
    joined = left + right
    assert merkle.node_hash(joined[:31], joined[31:]) == mth(0, 2)
    assert not merkle.verify_inclusion(joined[:31], 0, 2, mth(0, 2), [joined[31:]])
    assert not merkle.verify_consistency(1, 2, joined[:31], mth(0, 2), [joined[31:]])


def test_an_empty_tree_has_no_leaves_and_every_tree_continues_it() -> None:
    assert merkle.consistency_nodes(0, 5) == merkle.consistency_nodes(0, 0) == []
    assert merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, mth(0, 5), [])
    assert merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert not merkle.verify_consistency(0, 5, mth(0, 1), mth(0, 5), [])
    assert not merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, mth(0, 5), [mth(0, 1)])
    assert not merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, mth(0, 1), [])
    assert not merkle.verify_inclusion(mth(0, 1), 0, 0, merkle.EMPTY_ROOT, [])


def test_a_tree_continues_itself_with_the_same_root_only() -> None:
    assert merkle.verify_consistency(5, 5, mth(0, 5), mth(0, 5), [])
    assert not merkle.verify_consistency(5, 5, mth(0, 5), mth(1, 6), [])
    assert not merkle.verify_consistency(5, 5, mth(0, 5), mth(0, 5), [mth(0, 5)])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_there_is_no_path_to_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        merkle.inclusion_nodes(index, size)


@pytest.mark.parametrize(("first", "second"), [(6, 5), (-1, 5)])
def test_a_smaller_tree_continues_none(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="cannot continue"):
        merkle.consistency_nodes(first, second)


def test_a_tile_that_is_missing_or_short_is_named() -> None:
    element = merkle.inclusion_nodes(0, 600)[-1]
    with pytest.raises(ValueError, match="tile 0/002 has 68 hashes, but 80 are needed"):
        merkle.hash_of(element, {(0, 2): leaves()[512:580]})
    with pytest.raises(ValueError, match="tile 0/002 has 0 hashes, but 64 are needed"):
        merkle.hash_of(element, {})


def test_paths_are_written_as_in_the_specification() -> None:
    assert merkle.tile_path(0, 1_234_067) == "0/x001/x234/067"
    assert merkle.tile_path(63, 5, 255) == "63/005.p/255"
    assert merkle.entries_path(1_067, 12) == "entries/x001/067.p/12"
    assert merkle.entries_path(1_000_000) == "entries/x001/x000/000"


@given(level=st.integers(0, 63), index=st.integers(0, 2**63 - 1), width=st.integers(1, 256))
def test_what_is_written_is_read_again(level: int, index: int, width: int) -> None:
    assert merkle.read_tile_path(merkle.tile_path(level, index, width)) == (level, index, width)
    assert merkle.read_entries_path(merkle.entries_path(index, width)) == (index, width)


@given(st.from_regex(r"(entries|[0-9]{1,2})(/x?[0-9]{2,4}){1,3}(\.p/[0-9]{1,3})?", fullmatch=True))
def test_no_tile_is_found_at_two_addresses(text: str) -> None:
    for read, write in (
        (merkle.read_tile_path, merkle.tile_path),
        (merkle.read_entries_path, merkle.entries_path),
    ):
        try:
            found = read(text)
        except ValueError:
            continue
        assert write(*found) == text


@pytest.mark.parametrize("number", NOT_NUMBERS)
def test_every_other_spelling_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"no tile|tile's"):
        merkle.read_tile_path(f"0/{number}")
    with pytest.raises(ValueError, match=r"no entries|tile's"):
        merkle.read_entries_path(f"entries/{number}")


@pytest.mark.parametrize(
    "text", ["64/000", "00/000", "-1/000", "+1/000", "/000", "100/000", "entries/000", "000"]
)
def test_a_level_is_0_to_63(text: str) -> None:
    with pytest.raises(ValueError, match="no tile"):
        merkle.read_tile_path(text)


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2**63, 1), (0, 0, 0), (0, 0, 257)]
)
def test_a_tile_that_cannot_be_has_no_path(level: int, index: int, width: int) -> None:
    with pytest.raises(ValueError, match="a tile's"):
        merkle.tile_path(level, index, width)
