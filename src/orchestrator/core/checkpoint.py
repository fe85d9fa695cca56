"""Signed checkpoints of the log (C2SP tlog-checkpoint and signed-note): the one door to cryptography."""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from orchestrator.core.errors import ConfigurationError, OrchestratorError

MAX_NOTE: Final = 65_536
"""Bytes of a note at most."""
_MOST_SIGNATURES: Final = 100
_BYTES: Final = 32
_ID_BYTES: Final = 4
_ED25519: Final = b"\x01"
"""Type of the signature (C2SP signed-note, "Signature types")."""
_LARGEST: Final = (1 << 63) - 1
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\ud800-\udfff]")
"""What no line of a note has: control characters, and what UTF-8 cannot write."""
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")
_ESSENTIAL: Final = 3
"""Lines that every checkpoint has: origin, size, root."""


class BadCheckpoint(OrchestratorError):
    """The text is not a checkpoint that can be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log says about itself: how many leaves it has, and their root. Raises `ValueError`."""

    origin: str
    """Which log it is: its name, usually the name of its key too."""
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or _CONTROL.search(self.origin):
            raise ValueError("an origin is one line of text")
        if not 0 <= self.size <= _LARGEST or len(self.root) != _BYTES:
            raise ValueError(f"a checkpoint has a size of 0 to {_LARGEST} and a root of {_BYTES} bytes")

    def body(self) -> str:
        """Return the text that is signed (C2SP tlog-checkpoint, "Note text")."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """The public half of a log's ed25519 key, and its name. Raises `ConfigurationError`."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise ConfigurationError("A key's name has one character or more, without spaces and '+'.")
        if len(self.public) != _BYTES:
            raise ConfigurationError(f"An ed25519 public key has {_BYTES} bytes, not {len(self.public)}.")

    @property
    def key_id(self) -> bytes:
        """Four bytes that, with the name, tell which key signed (C2SP signed-note, "Signatures")."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def text(self) -> str:
        """Return the key as it is handed to readers: `name+id+key`."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read what `text` writes. Raises `ConfigurationError`."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _unbase64(encoded)
        if not _KEY_ID.fullmatch(key_id) or not raw:
            raise ConfigurationError("A log's key is written NAME+ID+KEY: eight hex digits, then base64.")
        if raw[:1] != _ED25519:
            raise ConfigurationError(f"Keys of type 0x{raw[0]:02x} are not read here; ed25519 is 0x01.")
        key = cls(name=name, public=raw[1:])
        if key.key_id.hex() != key_id:
            raise ConfigurationError(
                f"The id of this key is {key.key_id.hex()}, not {key_id}: copy it again, name and all."
            )
        return key

    def has_signed(self, body: str, signature: bytes) -> bool:
        """Return whether `signature` is this key's over `body` (RFC 8032)."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, body.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerKey:
    """A log's ed25519 key and its name. Raises `ConfigurationError`."""

    name: str
    private: bytes = field(repr=False)
    """The seed, 32 bytes."""

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise ConfigurationError("A key's name has one character or more, without spaces and '+'.")
        if len(self.private) != _BYTES:
            raise ConfigurationError(f"The seed of an ed25519 key has {_BYTES} bytes.")

    @property
    def verifier(self) -> VerifierKey:
        """The half that everybody may know."""
        return VerifierKey(name=self.name, public=self._key().public_key().public_bytes_raw())

    def sign(self, body: str) -> str:
        """Return the line, newline included, that signs `body` (C2SP signed-note, "Signatures")."""
        signature = self._key().sign(body.encode())
        return f"— {self.name} {_base64(self.verifier.key_id + signature)}\n"

    def to_pem(self) -> bytes:
        """Return the key as PKCS #8 in PEM (RFC 8410), not encrypted."""
        return self._key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @classmethod
    def from_pem(cls, name: str, pem: bytes) -> "SignerKey":
        """Read what `to_pem` or `openssl genpkey -algorithm ed25519` wrote. Raises `ConfigurationError`."""
        try:
            key = load_pem_private_key(pem, password=None)
        except TypeError:
            raise ConfigurationError("The log's key is encrypted: store it without a password.") from None
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigurationError("The log's key cannot be read: it is a PEM file (PKCS #8).") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError("The log's key is not an ed25519 key: make one of that kind.")
        return cls(name=name, private=key.private_bytes_raw())

    @classmethod
    def generate(cls, name: str, seed: bytes) -> "SignerKey":
        """Return the key that 32 random bytes make."""
        return cls(name=name, private=seed)

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.private)


class _Signature(NamedTuple):
    name: str
    key_id: bytes
    signature: bytes


def signed(checkpoint: Checkpoint, signers: Sequence[SignerKey]) -> bytes:
    """Return the whole note: the checkpoint and a line for each signer, at least one."""
    if not signers:
        raise ValueError("a note has at least one signature")
    body = checkpoint.body()
    return "".join([body, "\n", *(signer.sign(body) for signer in signers)]).encode()


def open_note(note: bytes, keys: Sequence[VerifierKey]) -> Checkpoint:
    """Return the checkpoint in a note that one of `keys` has signed; its origin is for the caller to compare.

    Signatures by other keys are ignored (C2SP signed-note, "Signatures"). Raises `BadCheckpoint`; also when
    one of several signatures by `keys` is wrong.
    """
    body, signatures = _parts(note)
    known = {(key.name, key.key_id): key for key in keys}
    believed = False
    for found in signatures:
        key = known.get((found.name, found.key_id))
        if key and not key.has_signed(body, found.signature):
            raise BadCheckpoint(
                f"The signature by {found.name[:80]} does not match the checkpoint: it was changed on the"
                " way, or the key is not the log's. Get both again."
            )
        believed = believed or key is not None
    if not believed:
        names = ", ".join(f"{found.name[:80]} ({found.key_id.hex()})" for found in signatures[:3])
        raise BadCheckpoint(
            f"None of the keys that you trust has signed the checkpoint; its signatures are by {names}."
            " Compare the name and id of the log's key with yours."
        )
    return _checkpoint(body)


def parse_note(note: bytes) -> Checkpoint:
    """Return the checkpoint in a note without looking at its signatures: anybody may have written it.

    Raises `BadCheckpoint` where `open_note` would for its form.
    """
    return _checkpoint(_parts(note)[0])


def _parts(note: bytes) -> tuple[str, list[_Signature]]:
    """Return the signed text and the signatures of a note (C2SP signed-note, "Format")."""
    if len(note) > MAX_NOTE:
        raise BadCheckpoint(f"A checkpoint has at most {MAX_NOTE} bytes; this one has {len(note)}.")
    try:
        text = note.decode()
    except UnicodeDecodeError:
        raise BadCheckpoint("The checkpoint is not UTF-8: ask the log for its bytes again.") from None
    if _CONTROL.search(text.replace("\n", "")):
        raise BadCheckpoint("The checkpoint has control characters; only newlines end its lines.")
    body, blank, signatures = text.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise BadCheckpoint("A checkpoint is text, an empty line, then lines of signatures; this is not.")
    if signatures.count("\n") > _MOST_SIGNATURES:
        raise BadCheckpoint(f"The checkpoint has more than {_MOST_SIGNATURES} signatures.")
    return body + "\n", list(_signatures(signatures))


def _signatures(text: str) -> Iterator[_Signature]:
    for line in text[:-1].split("\n"):
        dash, name, encoded = [*line.split(" "), "", "", ""][:3]
        raw = _unbase64(encoded)
        if line != f"{dash} {name} {encoded}" or dash != "—" or not _is_name(name) or not raw:
            raise BadCheckpoint(f"{line[:80]!r} is not a signature: '— NAME BASE64' is.")
        if len(raw) <= _ID_BYTES:
            raise BadCheckpoint(f"The signature by {name[:80]} is too short: its key's id is all there is.")
        yield _Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def _checkpoint(body: str) -> Checkpoint:
    """Read the signed text (C2SP tlog-checkpoint, "Note text"); lines after the root are not for us."""
    lines = body[:-1].split("\n")
    if len(lines) < _ESSENTIAL or "" in lines:
        raise BadCheckpoint("A checkpoint begins with origin, size and root, and has no empty lines.")
    origin, size, encoded = lines[:_ESSENTIAL]
    if not _SIZE.fullmatch(size) or int(size) > _LARGEST:
        raise BadCheckpoint(f"{size[:80]!r} is not a size: decimal digits up to {_LARGEST}, no leading zero.")
    root = _unbase64(encoded)
    if root is None or len(root) != _BYTES:
        raise BadCheckpoint(f"{encoded[:80]!r} is not a root: {_BYTES} bytes in base64.")
    return Checkpoint(origin=origin, size=int(size), root=root)


def _is_name(text: str) -> bool:
    """Return whether a key can be named so (C2SP signed-note, "Format")."""
    return bool(text) and "+" not in text and not _CONTROL.search(text) and not any(map(str.isspace, text))


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unbase64(text: str) -> bytes | None:
    """Return what `text` encodes (RFC 4648, section 4), None unless it is the one way to write it."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if _base64(raw) == text else None
