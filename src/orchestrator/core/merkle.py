"""The Merkle tree of the log (RFC 6962, section 2.1), its proofs, and its tiles (C2SP tlog-tiles).

A leaf is always given as its hash. Sizes count leaves; indices begin with 0. Hashes are 32 bytes of SHA-256.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

TILE_WIDTH: Final = 256
"""Hashes in a full tile."""
EMPTY_ROOT: Final[bytes] = hashlib.sha256().digest()
"""Root of the tree without leaves."""
_TILE_HEIGHT: Final = 8
_HASH_BYTES: Final = 32
_MAX_LEVEL: Final = 63
_END: Final = 1 << 63
"""What a signed 64-bit integer, in which databases and other readers keep an index, no longer holds."""
_NUMBER: Final = r"((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
_TILE_PATH: Final = re.compile(rf"(0|[1-9][0-9]?)/{_NUMBER}")
_ENTRIES_PATH: Final = re.compile(rf"entries/{_NUMBER}")


class Subtree(NamedTuple):
    """A whole subtree of 256**level leaves: one hash of a tile at that level, which is 1 or more."""

    level: int
    index: int  # type: ignore[assignment]  # no tuple is searched here for where something is
    hash: bytes


class Node(NamedTuple):
    """The whole subtree of the leaves from `index << height` to below `(index + 1) << height`."""

    height: int
    index: int  # type: ignore[assignment]  # as in Subtree


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over the hashes of its two children (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree over these leaves; `EMPTY_ROOT` for none."""
    row = list(hashes)
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=False)
        # A last one without a neighbour rises as it is.
        row = [node_hash(left, right) for left, right in pairs] + row[len(row) & ~1 :]
    return row[0] if row else EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that must be kept of a tree in order to append to it; `Frontier(0, ())` is the empty tree.

    Raises `ValueError` unless there are as many hashes as the size has binary ones.
    """

    size: int
    hashes: tuple[bytes, ...]
    """Roots of the whole subtrees that the binary ones of `size` stand for, the largest first."""

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError(f"{len(self.hashes)} hashes are no frontier of {self.size} leaves")
        if any(len(one) != _HASH_BYTES for one in self.hashes):
            raise ValueError(f"a hash of a frontier has {_HASH_BYTES} bytes")

    def root(self) -> bytes:
        """Return the root of the tree."""
        return _joined(self.hashes) if self.hashes else EMPTY_ROOT

    def extend(self, leaves: Iterable[bytes]) -> tuple["Frontier", list[Subtree]]:
        """Append leaves, each in O(log size); return the new frontier and what became whole on the way.

        The subtrees come in the order in which their last leaves did, smaller before larger.
        """
        size, hashes, whole = self.size, list(self.hashes), list[Subtree]()
        for leaf in leaves:
            top, height = leaf, 0
            while size >> height & 1:
                top = node_hash(hashes.pop(), top)
                height += 1
                if height % _TILE_HEIGHT == 0:
                    whole.append(Subtree(height // _TILE_HEIGHT, size >> height, top))
            hashes.append(top)
            size += 1
        return Frontier(size, tuple(hashes)), whole

    def to_bytes(self) -> bytes:
        """Return the hashes one after another."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, raw: bytes) -> "Frontier":
        """Read what `to_bytes` wrote for a tree of `size` leaves. Raises `ValueError`."""
        return cls(size, tuple(raw[at : at + _HASH_BYTES] for at in range(0, len(raw), _HASH_BYTES)))


def nodes_of(start: int, end: int) -> tuple[Node, ...]:
    """Return the whole subtrees that a range of leaves is made of, from left to right."""
    nodes = []
    while start < end:
        height = (end - start).bit_length() - 1
        nodes.append(Node(height, start >> height))
        start += 1 << height
    return tuple(nodes)


def inclusion_nodes(index: int, size: int) -> list[tuple[Node, ...]]:
    """Return the audit path of a leaf in the tree of `size` (RFC 6962, section 2.1.1), from the leaf upwards.

    Each element is given by the whole subtrees that its hash is made of, from left to right: one, and more
    only on the incomplete right side. Raises `ValueError` for a leaf that the tree does not have.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = _middle(start, end)
        if index < middle:
            path.append(nodes_of(middle, end))
            end = middle
        else:
            path.append(nodes_of(start, middle))
            start = middle
    return path[::-1]


def consistency_nodes(first: int, second: int) -> list[tuple[Node, ...]]:
    """Return the proof that the tree of `second` continues that of `first` (RFC 6962, section 2.1.2).

    The elements are as in `inclusion_nodes`. The empty tree and the tree itself need no proof.
    Raises `ValueError` when `second` is the smaller.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves cannot continue one of {first}")
    if first in {0, second}:
        return []
    start, end, proof = 0, second, []
    while end != first:
        middle = _middle(start, end)
        if first <= middle:
            proof.append(nodes_of(middle, end))
            end = middle
        else:
            proof.append(nodes_of(start, middle))
            start = middle
    if start:  # or it is the first tree itself, whose root the reader has
        proof.append(nodes_of(start, end))
    return proof[::-1]


def tiles_of(elements: Iterable[tuple[Node, ...]]) -> set[tuple[int, int]]:
    """Return level and index of each tile that the hashes of these elements are made of."""
    return {_place(node)[:2] for element in elements for node in element}


def hash_of(element: tuple[Node, ...], tiles: Mapping[tuple[int, int], Sequence[bytes]]) -> bytes:
    """Return the hash of an element, out of tiles by level and index.

    Raises `ValueError` when a tile is missing or too short.
    """
    parts = []
    for node in element:
        level, index, start, count = _place(node)
        tile = tiles.get((level, index), ())
        end = start + count
        if len(tile) < end:
            raise ValueError(f"tile {tile_path(level, index)} has {len(tile)} hashes, but {end} are needed")
        parts.append(root_of(tile[start:end]))
    return _joined(parts)


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether `proof` shows that `leaf` is at `index` of the tree of `size` with this root.

    As RFC 9162, section 2.1.3.2, has it: shares only `node_hash` with what makes proofs. That size and root
    belong together is for a signature to show; trees of several sizes have proofs of one form.
    """
    if not 0 <= index < size or any(len(one) != _HASH_BYTES for one in (leaf, *proof)):
        return False
    at, last, top = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            top = node_hash(sibling, top)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            top = node_hash(top, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and top == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether `proof` shows that the second tree continues the first.

    As RFC 9162, section 2.1.4.2, has it; beyond it, every tree continues the empty one and itself, for which
    the proof is empty.
    """
    if not 0 <= first <= second or any(len(one) != _HASH_BYTES for one in proof):
        return False
    if first == 0 and first_root != EMPTY_ROOT:
        return False
    if first in {0, second}:
        return not proof and (first != second or first_root == second_root)
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return where a tile is found below `tile/` (C2SP tlog-tiles, "Merkle Tree"): `0/x001/x234/067.p/12`."""
    if not 0 <= level <= _MAX_LEVEL:
        raise ValueError(f"a tile's level is 0 to {_MAX_LEVEL}, not {level}")
    return f"{level}/{_number(index, width)}"


def read_tile_path(text: str) -> tuple[int, int, int]:
    """Return level, index and width. Raises `ValueError` unless `tile_path` would write the same."""
    found = _TILE_PATH.fullmatch(text)
    if not found or int(found[1]) > _MAX_LEVEL:
        raise ValueError(f"{text[:80]!r} is no tile: LEVEL/NUMBER as in 0/x001/067 or 0/x001/067.p/12")
    return int(found[1]), *_read_number(found[2], found[3])


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return where a tile's entries are found below `tile/` (C2SP tlog-tiles, "Log entries")."""
    return f"entries/{_number(index, width)}"


def read_entries_path(text: str) -> tuple[int, int]:
    """Return index and width. Raises `ValueError` unless `entries_path` would write the same."""
    found = _ENTRIES_PATH.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:80]!r} are no entries: entries/NUMBER as in entries/x001/067.p/12")
    return _read_number(found[1], found[2])


def _number(index: int, width: int) -> str:
    if not 0 <= index < _END:
        raise ValueError(f"a tile's index is 0 to {_END - 1}, not {index}")
    if not 1 <= width <= TILE_WIDTH:
        raise ValueError(f"a tile's width is 1 to {TILE_WIDTH}, not {width}")
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text if width == TILE_WIDTH else f"{text}.p/{width}"


def _read_number(digits: str, width: str | None) -> tuple[int, int]:
    index, wide = int(digits.replace("x", "").replace("/", "")), int(width or TILE_WIDTH)
    if digits.startswith("x000/") or index >= _END:
        raise ValueError(f"{digits} is not how a tile's index is written")
    if width and wide >= TILE_WIDTH:
        raise ValueError(f"a partial tile's width is 1 to {TILE_WIDTH - 1}, not {width}")
    return index, wide


def _middle(start: int, end: int) -> int:
    """Return where a range of two leaves or more is split: after the largest power of two that is less."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _place(node: Node) -> tuple[int, int, int, int]:
    """Return level and index of the tile under a node, and which of its hashes: the first, and how many."""
    level, above = divmod(node.height, _TILE_HEIGHT)
    index, start = divmod(node.index << above, TILE_WIDTH)
    return level, index, start, 1 << above


def _joined(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over whole subtrees, one or more, each smaller than the one on its left."""
    top = hashes[-1]
    for left in hashes[-2::-1]:
        top = node_hash(left, top)
    return top
