"""Signed checkpoints: notes published by others, ours, and everything that must not be believed."""

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.checkpoint import (
    MAX_NOTE,
    BadCheckpoint,
    Checkpoint,
    SignerKey,
    VerifierKey,
    open_note,
    parse_note,
    signed,
)
from orchestrator.core.errors import ConfigurationError

# The checksum database of Go, as its key in cmd/go and its checkpoint of 2024-09-23 have it.
GO_KEY = VerifierKey.parse("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
GO_NOTE = """\
go.sum database tree
30055305
mXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM=

— sum.golang.org Az3grpgEild5qw7+5dtV13Kf1C2Xurm8q4fhdxvcsDHnqNTaxL2AFjBY+2TyGKevucFcAAlWFJJYle3EJlDCrQ+y3A8=
"""
# C2SP tlog-checkpoint, its first example.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
# RFC 8410, section 10.3, and the public half of the same key in section 10.1.
RFC_8410 = b"""\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
RFC_8410_PUBLIC = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"

OURS = SignerKey.generate("pod.example/log", bytes(range(32)))
OTHER = SignerKey.generate("witness.example", bytes(32))
ROOT = base64.b64encode(bytes(32)).decode()
HEAD = Checkpoint(origin="pod.example/log", size=7, root=hashlib.sha256(b"root").digest())
NAMES = ["", "a b", "a+b", "a\n", "a\u00a0b", "\u2003", "a\u2028b", "a\u0085b", "a\x00", "\ud800"]


def note_of(body: str, *signers: SignerKey) -> bytes:
    """Sign any text, as a log that does not know its own format would."""
    return "".join([body, "\n", *(signer.sign(body) for signer in signers or [OURS])]).encode()


def test_a_checkpoint_of_the_go_checksum_database_is_opened() -> None:
    found = open_note(GO_NOTE.encode(), [GO_KEY])
    assert (found.origin, found.size) == ("go.sum database tree", 30_055_305)
    assert base64.b64encode(found.root).decode() == "mXfgRcJ0bG0j3CPdKwgGWtUzBUbX67saZGRmFuJGGsM="
    assert GO_NOTE.startswith(found.body() + "\n")


def test_a_checkpoint_with_any_byte_changed_is_not_believed() -> None:
    note = GO_NOTE.encode()
    for at in range(len(note)):
        for bit in (1, 32):
            with pytest.raises(BadCheckpoint):
                open_note(note[:at] + bytes([note[at] ^ bit]) + note[at + 1 :], [GO_KEY])


def test_a_checkpoint_that_breaks_off_is_not_believed() -> None:
    note = GO_NOTE.encode()
    for at in range(len(note)):
        with pytest.raises(BadCheckpoint):
            open_note(note[:at], [GO_KEY])


def test_the_example_of_the_specification_is_read_but_not_believed() -> None:
    found = parse_note(EXAMPLE.encode())
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20_852_163)
    with pytest.raises(BadCheckpoint, match=r"None of the keys that you trust .*sofa \(033de0ae\)"):
        open_note(EXAMPLE.encode(), [GO_KEY])


def test_the_note_of_go_is_signed_with_the_same_bytes() -> None:
    # golang.org/x/mod/sumdb/note: PRIVATE+KEY+PeterNeumann+c74f20a3+…
    seed = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
    )
    line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    signer = SignerKey.generate("PeterNeumann", seed)
    assert signer.sign(text) == line + "\n"
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert signer.verifier == key
    signature = base64.b64decode(line.rpartition(" ")[2])[4:]
    assert key.has_signed(text, signature)
    assert not key.has_signed(text + "\n", signature)
    with pytest.raises(BadCheckpoint, match="begins with origin"):
        open_note(f"{text}\n{line}\n".encode(), [key])


def test_the_example_of_signed_note_verifies() -> None:
    key = VerifierKey.parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    raw = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    signature = base64.b64decode(raw)
    assert signature[:4] == key.key_id == bytes.fromhex("530d903a")
    assert key.has_signed("This is an example message.\n", signature[4:])


@given(
    origin=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    seed=st.binary(min_size=32, max_size=32),
)
def test_what_is_signed_is_opened_again(origin: str, size: int, root: bytes, seed: bytes) -> None:
    head, signer = Checkpoint(origin=origin, size=size, root=root), SignerKey.generate("log.example", seed)
    note = signed(head, [signer])
    assert open_note(note, [signer.verifier]) == parse_note(note) == head


def test_one_of_several_keys_is_enough() -> None:
    note = signed(HEAD, [OTHER, OURS])
    assert open_note(note, [OURS.verifier]) == HEAD
    assert open_note(note, [GO_KEY, OTHER.verifier]) == HEAD
    assert open_note(note, [OURS.verifier, OTHER.verifier]) == HEAD


def test_a_bad_signature_by_an_unknown_key_is_ignored_and_by_a_known_one_refused() -> None:
    mine, theirs = OURS.sign(HEAD.body()), OTHER.sign(HEAD.body() + "not this\n")
    note = f"{HEAD.body()}\n{mine}{theirs}".encode()
    assert open_note(note, [OURS.verifier]) == HEAD
    with pytest.raises(BadCheckpoint, match=r"by witness\.example does not match"):
        open_note(note, [OURS.verifier, OTHER.verifier])


def test_a_signature_that_repeats_a_good_one_badly_is_refused() -> None:
    mine, forged = OURS.sign(HEAD.body()), OURS.sign(HEAD.body() + "not this\n")
    with pytest.raises(BadCheckpoint, match="does not match"):
        open_note(f"{HEAD.body()}\n{mine}{forged}".encode(), [OURS.verifier])


def test_a_key_of_the_same_name_or_the_same_bytes_is_another_key() -> None:
    note = signed(HEAD, [OURS])
    for stranger in (
        SignerKey.generate(OURS.name, bytes(32)),
        SignerKey.generate("other.example", OURS.private),
    ):
        with pytest.raises(BadCheckpoint, match="None of the keys"):
            open_note(note, [stranger.verifier])
    with pytest.raises(BadCheckpoint, match="None of the keys"):
        open_note(note, [])


def test_a_signature_of_another_type_by_our_name_is_ignored() -> None:
    cosignature = base64.b64encode(b"\x01\x02\x03\x04" + bytes(72)).decode()
    note = signed(HEAD, [OURS]) + f"— {OURS.name} {cosignature}\n".encode()
    assert open_note(note, [OURS.verifier]) == HEAD


def test_lines_after_the_root_are_signed_and_not_ours_to_read() -> None:
    note = note_of(HEAD.body() + "Timestamp: 1\n— not a signature\n")
    assert open_note(note, [OURS.verifier]) == HEAD
    with pytest.raises(BadCheckpoint, match="does not match"):
        open_note(note.replace(b"Timestamp: 1", b"Timestamp: 2"), [OURS.verifier])


@pytest.mark.parametrize("count", [16, 100, 101])
def test_a_hundred_signatures_are_read_and_no_more(count: int) -> None:
    note = signed(HEAD, [OURS, *[OTHER] * (count - 1)])
    if count <= 100:
        assert open_note(note, [OURS.verifier, OTHER.verifier]) == HEAD
    else:
        with pytest.raises(BadCheckpoint, match="more than 100 signatures"):
            open_note(note, [OURS.verifier])


def test_a_note_is_64_kib_at_most() -> None:
    room = MAX_NOTE - len(note_of(HEAD.body() + "\n"))
    assert open_note(note_of(HEAD.body() + "x" * room + "\n"), [OURS.verifier]) == HEAD
    with pytest.raises(BadCheckpoint, match=f"at most {MAX_NOTE} bytes; this one has {MAX_NOTE + 1}"):
        open_note(note_of(HEAD.body() + "x" * (room + 1) + "\n"), [OURS.verifier])


@pytest.mark.parametrize(
    "size", ["", "01", "00", "+1", "-1", " 1", "1 ", "1e3", "1_0", "0x1", "\u0663", str(2**63)]
)
def test_a_size_is_written_in_one_way(size: str) -> None:
    with pytest.raises(BadCheckpoint, match=r"is not a size|no empty lines"):
        open_note(note_of(f"origin\n{size}\n{ROOT}\n"), [OURS.verifier])


@pytest.mark.parametrize(
    "root",
    [
        ROOT[:-1],
        ROOT + "=",
        ROOT[:-2] + "B=",
        " " + ROOT,
        ROOT.replace("A", "-"),
        "AAAA",
        "A" * 44,
        "x",
        "\u00e9",
    ],
)
def test_a_root_is_written_in_one_way(root: str) -> None:
    with pytest.raises(BadCheckpoint, match="is not a root"):
        open_note(note_of(f"origin\n1\n{root}\n"), [OURS.verifier])


@pytest.mark.parametrize(
    "body", ["", "origin\n", "origin\n1\n", f"\n1\n{ROOT}\n", f"origin\n1\n{ROOT}\n\nmore\n"]
)
def test_a_checkpoint_has_three_lines_and_none_is_empty(body: str) -> None:
    with pytest.raises(BadCheckpoint, match=r"begins with origin|an empty line"):
        open_note(note_of(body), [OURS.verifier])


@pytest.mark.parametrize(
    "line",
    [
        "- pod.example/log {}",
        "—pod.example/log {}",
        "—  pod.example/log {}",
        "— pod.example/log  {}",
        "— pod.example/log {} ",
        "— pod.example/log {} more",
        "— pod.example/log",
        "— pod.example/log ",
        "— pod.example/log ====",
        "— pod.example/log x{}",
        "— pod.example+log {}",
        "— pod.example\u00a0log {}",
        "—  {}",
        "",
        "{}",
    ],
)
def test_a_signature_is_written_in_one_way(line: str) -> None:
    good = OURS.sign(HEAD.body()).rpartition(" ")[2].strip()
    note = signed(HEAD, [OURS]) + f"{line.format(good)}\n".encode()
    with pytest.raises(BadCheckpoint, match=r"is not a signature|an empty line"):
        open_note(note, [OURS.verifier])


def test_a_signature_that_is_only_an_id_is_refused() -> None:
    encoded = base64.b64encode(OURS.verifier.key_id).decode()
    with pytest.raises(BadCheckpoint, match="too short"):
        open_note(f"{HEAD.body()}\n— {OURS.name} {encoded}\n".encode(), [OURS.verifier])


@pytest.mark.parametrize("control", ["\x00", "\t", "\r", "\x1b", "\x1f"])
def test_control_characters_are_refused(control: str) -> None:
    with pytest.raises(BadCheckpoint, match="control characters"):
        open_note(note_of(f"origin{control}\n1\n{ROOT}\n"), [OURS.verifier])


def test_a_note_is_utf_8() -> None:
    with pytest.raises(BadCheckpoint, match="not UTF-8"):
        open_note(b"\xff" + signed(HEAD, [OURS]), [OURS.verifier])


@given(st.binary())
def test_no_bytes_do_more_than_be_refused(junk: bytes) -> None:
    for note in (junk, junk + b"\n\n" + junk, signed(HEAD, [OURS])[: len(junk)] + junk):
        with pytest.raises(BadCheckpoint):
            open_note(note, [OURS.verifier])


def test_what_is_wrong_is_quoted_in_part() -> None:
    with pytest.raises(BadCheckpoint) as refused:
        open_note(note_of(f"origin\n{'9' * 60_000}\n{ROOT}\n"), [OURS.verifier])
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "change",
    [
        *({"origin": origin} for origin in ("", "a\nb", "a\r", "\ud800")),
        *({"size": size} for size in (-1, 2**63)),
        *({"root": bytes(count)} for count in (0, 31, 33)),
    ],
)
def test_a_checkpoint_that_could_not_be_read_is_not_made(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"an origin is|a checkpoint has"):
        replace(HEAD, **change)  # type: ignore[arg-type]


def test_a_checkpoint_without_signature_is_not_written() -> None:
    with pytest.raises(ValueError, match="at least one"):
        signed(HEAD, [])


@pytest.mark.parametrize("name", NAMES)
def test_a_key_has_a_name_that_its_signatures_can_carry(name: str) -> None:
    with pytest.raises(ConfigurationError, match="A key's name"):
        VerifierKey(name=name, public=bytes(32))
    with pytest.raises(ConfigurationError, match="A key's name"):
        SignerKey.generate(name, bytes(32))


def test_a_key_has_32_bytes() -> None:
    for count in (0, 31, 33, 64):
        with pytest.raises(ConfigurationError, match="32 bytes"):
            VerifierKey(name="a", public=bytes(count))
        with pytest.raises(ConfigurationError, match="32 bytes"):
            SignerKey.generate("a", bytes(count))


def test_a_key_is_read_as_it_is_written() -> None:
    assert GO_KEY.text() == "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert VerifierKey.parse(OURS.verifier.text()) == OURS.verifier


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "NAME"),
        ("sum.golang.org", "NAME"),
        ("sum.golang.org+033de0ae", "NAME"),
        ("sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "NAME"),
        ("sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "NAME"),
        ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8 ", "NAME"),
        (
            "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
            "id of this key is 033de0ae",
        ),
        ("sum.golang.com+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "copy it again"),
        ("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8O", "32 bytes, not 29"),
        ("+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", "key's name"),
        ("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2", "type 0x04"),
    ],
)
def test_a_key_that_was_copied_badly_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        VerifierKey.parse(text)


def test_a_public_key_that_is_none_believes_nothing() -> None:
    for public in (bytes(32), b"\x02" + bytes(31), b"\xff" * 32):
        assert not VerifierKey(name="a", public=public).has_signed("text\n", b"\x01" * 64)
    assert not OURS.verifier.has_signed("text\n", b"")


def test_a_private_key_is_not_shown() -> None:
    shown = repr(OURS) + str(OURS) + repr([OURS.verifier])
    assert "private" not in shown
    assert repr(OURS.private)[2:-1] not in shown


def test_the_private_key_of_rfc_8410_is_read() -> None:
    key = SignerKey.from_pem("a", RFC_8410)
    assert key.verifier.public.hex() == RFC_8410_PUBLIC
    assert key.to_pem() == RFC_8410


def test_a_private_key_is_read_as_it_is_written() -> None:
    assert SignerKey.from_pem(OURS.name, OURS.to_pem()) == OURS


def test_a_private_key_that_cannot_be_used_is_refused() -> None:
    key, other = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    form = Encoding.PEM, PrivateFormat.PKCS8
    for pem, reason in (
        (b"", "cannot be read"),
        (b"not a key", "cannot be read"),
        (RFC_8410.replace(b"MC4C", b"MC5C"), "cannot be read"),
        (key.private_bytes(*form, BestAvailableEncryption(b"x")), "is encrypted"),
        (other.private_bytes(*form, NoEncryption()), "not an ed25519 key"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            SignerKey.from_pem("a", pem)
