"""minisign's format: what others signed verifies, what was changed does not, and nothing that is read is a crash."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendgate.minisign import FILE_BYTES_MAX, PublicKey, Signature, signer
from spendgate.minisign_secret import KeyFile, Lock, SecretKey

# Of the crate minisign-verify's own tests: minisign's author's key, and his signatures of the four bytes `test`.
THEIRS = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
PREHASHED = (
    b"untrusted comment: signature from minisign secret key\n"
    b"RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n"
    b"trusted comment: timestamp:1633700835\tfile:test\tprehashed\n"
    b"wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n"
)
LEGACY = (
    b"untrusted comment: signature from minisign secret key\n"
    b"RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n"
    b"trusted comment: timestamp:1555779966\tfile:test\n"
    b"QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n"
)
KEY = SecretKey.new(bytes(range(40)))
OTHER = SecretKey.new(bytes(range(1, 41)))
POLICY = b"version: 1\nrevision: 7\nowner: platform-ai@acme.example\n"
COMMENT = "spendgate policy\trevision:7"
SMALL = {"ops": 32_768, "memory": 1_048_576}
"""A lock that opens in a millisecond."""
minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="needs minisign (Debian: minisign)")


@pytest.mark.parametrize("signature", [PREHASHED, LEGACY], ids=["prehashed", "legacy"])
def test_a_published_signature_verifies(signature: bytes) -> None:
    """Both kinds, by the key as minisign prints it; and the same file written again is the same, byte for byte."""
    found = Signature.parse(signature)

    PublicKey.parse(THEIRS).verify(b"test", found)

    assert found.file() == signature
    with pytest.raises(ValueError, match="is not what the key E7620F1842B4E81F signed"):
        PublicKey.parse(THEIRS).verify(b"Test", found)


def test_what_is_signed_verifies() -> None:
    """By the key's own public half, also read back from its file; by no other key, whatever id that one takes."""
    found = Signature.parse(KEY.sign(POLICY, COMMENT).file())

    assert PublicKey.parse(KEY.public.file().decode()) == PublicKey.parse(str(KEY.public)) == KEY.public
    assert signer(POLICY, found, (OTHER.public, KEY.public)) == KEY.public
    assert found.trusted_comment == COMMENT
    with pytest.raises(ValueError, match=r"signed with the key 0706050403020100, which is not known here; allowed: 08"):
        signer(POLICY, found, (OTHER.public,))
    posing = PublicKey(KEY.key_id, OTHER.public.key)
    with pytest.raises(ValueError, match="is not what the key 0706050403020100 signed"):
        signer(POLICY, found, (posing,))
    assert signer(POLICY, found, (posing, KEY.public)) == signer(POLICY, found, (KEY.public, posing)) == KEY.public


def test_every_changed_bit_of_a_signature_is_caught() -> None:
    """But for the text of the untrusted comment, which is signed by nobody and never shown."""
    whole = KEY.sign(POLICY, COMMENT).file()
    free = range(len(b"untrusted comment: "), whole.index(b"\n"))
    for at in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            try:
                KEY.public.verify(POLICY, Signature.parse(bytes(changed)))
            except ValueError:
                continue
            assert at in free


def test_every_changed_bit_of_what_is_signed_is_caught() -> None:
    """One bit anywhere, one byte less, one byte more."""
    found = KEY.sign(POLICY, COMMENT)
    others = [POLICY[:-1], POLICY + b"\n", b""]
    for at in range(len(POLICY)):
        for bit in range(8):
            changed = bytearray(POLICY)
            changed[at] ^= 1 << bit
            others.append(bytes(changed))
    for changed in others:
        with pytest.raises(ValueError, match="is not what the key"):
            KEY.public.verify(changed, found)


def test_no_two_texts_are_one_signature() -> None:
    """Base64 whose last letter has bits that no byte needs is refused: else a changed file would pass as unchanged."""
    lines = KEY.sign(POLICY, COMMENT).file().decode().split("\n")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for line, last in ((1, -2), (3, -3)):
        letter = lines[line][last]
        other = letters[letters.index(letter) + 1]
        text = lines[line][:last] + other + lines[line][last + 1 or None :]
        assert base64.b64decode(text) == base64.b64decode(lines[line])
        with pytest.raises(ValueError, match="and only those"):
            Signature.parse("\n".join([*lines[:line], text, *lines[line + 1 :]]).encode())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "has 0 lines; allowed: 4"),
        (b"x" * (FILE_BYTES_MAX + 1), "at most 16,384"),
        (b"\xff", "not text in UTF-8"),
        (PREHASHED.replace(b"untrusted", b"Untrusted"), "does not begin with 'untrusted comment:'"),
        (PREHASHED.replace(b"\ntrusted", b"\ntrUsted"), "does not begin with 'trusted comment:'"),
        (PREHASHED.replace(b"RUQf", b"RVQf"), "not one of Ed25519"),
        (PREHASHED.replace(b"RUQf", b"R_Qf"), "not base64"),
        (PREHASHED.replace(b"file:test", b"file:\x1b[2J"), "characters that nobody can see"),
        (PREHASHED.replace(b"file:test", b"x" * 8_000), "at most 8,000"),
        (PREHASHED.replace(b"Zwo=", b""), "74 bytes"),
    ],
)
def test_a_broken_signature_is_one_clear_fault(data: bytes, says: str) -> None:
    """Each names what is wrong; none of its own bytes reach a terminal."""
    with pytest.raises(ValueError, match=says) as fault:
        Signature.parse(data)

    assert str(fault.value).isprintable()


def test_lines_may_end_as_windows_ends_them() -> None:
    """And the last one need not end at all; the comment is the same."""
    for changed in (PREHASHED.replace(b"\n", b"\r\n"), PREHASHED.rstrip()):
        PublicKey.parse(THEIRS).verify(b"test", Signature.parse(changed))


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_anything_is_read_or_refused(data: bytes) -> None:
    """No parser raises anything but ValueError, and no random bytes are a signature or key."""
    for parse in (Signature.parse, KeyFile.parse, lambda each: PublicKey.parse(each.decode("utf-8", "replace"))):
        with pytest.raises(ValueError, match="is no minisign"):
            parse(data)


@given(st.data())
def test_a_damaged_signature_never_verifies(data: st.DataObject) -> None:
    """Cut, doubled or mixed with another file's: what still verifies is the same signature."""
    one, two = KEY.sign(POLICY, COMMENT), KEY.sign(b"another", COMMENT)
    lines = [st.sampled_from(pair) for pair in zip(one.file().split(b"\n"), two.file().split(b"\n"), strict=True)]
    mixed = b"\n".join(data.draw(st.tuples(*lines)))
    at = data.draw(st.integers(0, len(mixed)))
    mixed = data.draw(st.sampled_from([mixed, mixed[:at], mixed[at:], mixed + mixed[:at]]))
    try:
        found = Signature.parse(mixed)
        KEY.public.verify(POLICY, found)
    except ValueError:
        return
    assert found == one


@given(st.binary(min_size=40, max_size=40), st.none() | st.text(max_size=20))
def test_a_key_file_gives_back_its_key(random: bytes, password: str | None) -> None:
    """Locked or not; a wrong password opens nothing."""
    key = SecretKey.new(random)
    lock = None if password is None else Lock(password, bytes(32), **SMALL)
    found = KeyFile.parse(key.file(lock))

    assert found.locked == (password is not None)
    assert found.unlock(password) == key
    if password is not None:
        with pytest.raises(ValueError, match="the password is wrong"):
            found.unlock(password + "x")
        with pytest.raises(ValueError, match="is locked"):
            found.unlock()


def test_a_key_file_that_asks_for_too_much_is_refused() -> None:
    """Its costs come from the file: what minisign never writes would take hours, or all memory."""
    for ops, memory in ((2**63, 1 << 30), (1 << 25, 1 << 40), (1 << 25, 0)):
        asked = KeyFile(locked=True, salt=bytes(32), ops=ops, memory=memory, inner=bytes(104))
        with pytest.raises(ValueError, match="to unlock it; at most"):
            asked.unlock("password")


def test_a_changed_key_file_is_refused() -> None:
    """Also where nothing locks it: a signature by a half-changed key could give the key away."""
    whole = bytearray(base64.b64decode(KEY.file().split(b"\n")[1]))
    for at in (54, 62, 94, 126):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(ValueError, match="was changed"):
            KeyFile.parse(b"untrusted comment: \n" + base64.b64encode(changed)).unlock()
        changed[126:] = bytes(32)
        if at == 94:
            with pytest.raises(ValueError, match="another key's"):
                KeyFile.parse(b"untrusted comment: \n" + base64.b64encode(changed)).unlock()


def test_a_secret_is_never_printed() -> None:
    """Not by a traceback's repr either."""
    said = f"{KEY!r} {Lock('hunter2', b'')!r} {KeyFile.parse(KEY.file())!r}"

    assert "hunter2" not in said
    assert repr(KEY.seed) not in said


@minisign
def test_minisign_verifies_ours_and_we_verify_its(tmp_path: Path) -> None:
    """The program itself, both ways, with a key of ours and a key of its own, prehashed and legacy."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(POLICY)
    made = _run(tmp_path, "-G", "-W", "-p", "own.pub", "-s", "own.key")
    own = KeyFile.parse((tmp_path / "own.key").read_bytes()).unlock()
    (tmp_path / "our.key").write_bytes(KEY.file())

    assert str(own.public) in made
    assert PublicKey.parse((tmp_path / "own.pub").read_text()) == own.public
    for key, name in ((own, "own.key"), (KEY, "our.key")):
        for options in ([], ["-l"]):
            _run(tmp_path, "-S", *options, "-s", name, "-m", file.name, "-t", "revision:7")
            found = Signature.parse(Path(f"{file}.minisig").read_bytes())
            key.public.verify(POLICY, found)
            assert (found.trusted_comment, found.prehashed) == ("revision:7", not options)
        Path(f"{file}.minisig").write_bytes(key.sign(POLICY, COMMENT).file())
        assert COMMENT in _run(tmp_path, "-V", "-P", str(key.public), "-m", file.name)


@minisign
def test_minisign_unlocks_our_keys_and_we_unlock_its(tmp_path: Path) -> None:
    """With the program's own costs: a gibibyte, some seconds."""
    file = tmp_path / "policy.yaml"
    file.write_bytes(POLICY)
    _run(tmp_path, "-G", "-p", "own.pub", "-s", "own.key", answers="hunter2\nhunter2\n")
    own = KeyFile.parse((tmp_path / "own.key").read_bytes())
    (tmp_path / "our.key").write_bytes(KEY.file(Lock("hunter2", bytes(range(32)))))

    assert own.locked
    assert own.unlock("hunter2").public == PublicKey.parse((tmp_path / "own.pub").read_text())
    _run(tmp_path, "-S", "-s", "our.key", "-m", file.name, answers="hunter2\n")
    KEY.public.verify(POLICY, Signature.parse(Path(f"{file}.minisig").read_bytes()))


def _run(folder: Path, *options: str, answers: str = "") -> str:
    done = subprocess.run(
        ["minisign", *options], cwd=folder, input=answers, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout
