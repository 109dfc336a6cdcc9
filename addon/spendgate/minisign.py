"""minisign's keys and signatures: what signs policies and grants. Pure: bytes in, values out; randomness is passed in.

Written by the format's description (https://jedisct1.github.io/minisign/, "Signature format", "Public key format", "Secret key
format") over cryptography's Ed25519 and scrypt and hashlib's BLAKE2b. py-minisign 0.21 would do it, but asks for a newer
cryptography than mitmproxy 12.2 allows, and bounds neither files nor the time that a key file may ask for.

Everything read here is untrusted: bounded, and each thing that is wrong is one ValueError that says what and what is allowed.
Base64 must be as an encoder writes it, so that no two texts are the same signature. The untrusted comment is signed by nobody: it
is neither kept nor shown.

Also accepted: signatures that minisign made before 2021 (`Ed`, of the file itself instead of its hash). Such a signature can be
made of a newer one for a "file" of 64 hash bytes, or for one that begins with 64 signature bytes: text in UTF-8 it is not.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FILE_BYTES_MAX = 16 * 1024
"""Of a key or signature file. minisign's own lines have at most 8,192 bytes."""
COMMENT_LENGTH_MAX = 8_000
"""Characters of a trusted comment."""
SUFFIX = ".minisig"
"""Where a file's signature stands: beside it, with this behind its name."""
ED25519, _PREHASHED = b"Ed", b"ED"
"""The same two letters mean a key of Ed25519, and a signature of the file itself."""
UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "
_LINE_END = re.compile("\r?\n")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who may have signed. Equal keys are the same key, whatever their files' comments say."""

    key_id: bytes
    key: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The key as `minisign -G` prints it (`RW…`), or its `.pub` file with the comment above it. Raises ValueError."""
        lines = lines_of(text, "public key", (1, 2))
        if len(lines) == 2:
            commented(lines[0], UNTRUSTED, "public key")
        raw = bytes_of(lines[-1], 42, "public key")
        if raw[:2] != ED25519:
            raise ValueError("is no minisign public key: it is not one of Ed25519; allowed: one that begins with RW")
        return cls(raw[2:10], raw[10:])

    def __str__(self) -> str:
        return text_of(ED25519 + self.key_id + self.key)

    @property
    def name(self) -> str:
        """The key's id as minisign prints it."""
        return _id(self.key_id)

    def file(self) -> bytes:
        """The content of a `.pub` file."""
        return f"{UNTRUSTED}minisign public key {self.name}\n{self}\n".encode()

    def verify(self, data: bytes, signature: Signature) -> None:
        """Raises ValueError where this key did not sign just these bytes and this trusted comment."""
        if signature.key_id != self.key_id:
            raise ValueError(f"is signed with the key {_id(signature.key_id)}; allowed: {self.name}")
        key = Ed25519PublicKey.from_public_bytes(self.key)
        try:
            key.verify(signature.signature, hashed(data) if signature.prehashed else data)
        except InvalidSignature:
            raise ValueError(f"is not what the key {self.name} signed: the file or its signature was changed") from None
        try:
            key.verify(signature.global_signature, signature.signature + signature.trusted_comment.encode())
        except InvalidSignature:
            raise ValueError(
                f"has a trusted comment that the key {self.name} did not sign: the signature was changed"
            ) from None


@dataclass(frozen=True, slots=True)
class Signature:
    """A `.minisig` file. Nothing in it is true before a `PublicKey` has verified it."""

    key_id: bytes
    signature: bytes
    trusted_comment: str
    global_signature: bytes
    prehashed: bool = True

    @classmethod
    def parse(cls, data: bytes) -> Signature:
        """Raises ValueError."""
        comment, first, trusted, last = lines_of(decoded(data, "signature"), "signature", (4,))
        commented(comment, UNTRUSTED, "signature")
        raw = bytes_of(first, 74, "signature")
        if raw[:2] not in (_PREHASHED, ED25519):
            raise ValueError("is no minisign signature: it is not one of Ed25519")
        words = commented(trusted, _TRUSTED, "signature")
        return cls(raw[2:10], raw[10:], comment_of(words), bytes_of(last, 64, "signature"), raw[:2] == _PREHASHED)

    @property
    def key_name(self) -> str:
        """The id of the key that it claims, as minisign prints it."""
        return _id(self.key_id)

    def file(self) -> bytes:
        """The content of a `.minisig` file."""
        kind = _PREHASHED if self.prehashed else ED25519
        return (
            f"{UNTRUSTED}signature from minisign secret key\n{text_of(kind + self.key_id + self.signature)}\n"
            f"{_TRUSTED}{self.trusted_comment}\n{text_of(self.global_signature)}\n"
        ).encode()


def signer(data: bytes, signature: Signature, keys: Iterable[PublicKey]) -> PublicKey:
    """The key among these that signed the bytes. Raises ValueError with what is wrong."""
    known = tuple(keys)
    claimed = [key for key in known if key.key_id == signature.key_id]
    if not claimed:
        allowed = ", ".join(key.name for key in known) or "none"
        raise ValueError(f"is signed with the key {signature.key_name}, which is not known here; allowed: {allowed}")
    for key in claimed[:-1]:  # ids are random, and anybody may choose one; so two keys may have the same
        try:
            key.verify(data, signature)
            return key
        except ValueError:
            continue
    claimed[-1].verify(data, signature)
    return claimed[-1]


def hashed(data: bytes) -> bytes:
    return hashlib.blake2b(data).digest()


def _id(key_id: bytes) -> str:
    return key_id[::-1].hex().upper()


def text_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def bytes_of(text: str, length: int, what: str) -> bytes:
    """Raises ValueError for anything but the one text that encodes this many bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"is no minisign {what}: a line of it is not base64") from None
    if len(raw) != length or text_of(raw) != text:
        raise ValueError(f"is no minisign {what}: a line of it does not hold {length} bytes in base64, and only those")
    return raw


def decoded(data: bytes, what: str) -> str:
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"is no minisign {what}: it has {len(data):,} bytes; at most {FILE_BYTES_MAX:,}")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"is no minisign {what}: it is not text in UTF-8") from None


def lines_of(text: str, what: str, counts: tuple[int, ...]) -> list[str]:
    if len(text) > FILE_BYTES_MAX:
        raise ValueError(f"is no minisign {what}: it has {len(text):,} characters; at most {FILE_BYTES_MAX:,}")
    lines = _LINE_END.split(text)
    if lines[-1] == "":
        lines.pop()
    if len(lines) not in counts:
        raise ValueError(f"is no minisign {what}: it has {len(lines)} lines; allowed: {counts[-1]}")
    return lines


def commented(line: str, prefix: str, what: str) -> str:
    if not line.startswith(prefix):
        raise ValueError(f"is no minisign {what}: a line does not begin with {prefix.strip()!r}")
    return line.removeprefix(prefix)


def comment_of(text: str) -> str:
    """A trusted comment: it is shown to people, so that it must be one line of what can be seen."""
    if len(text) > COMMENT_LENGTH_MAX:
        raise ValueError(f"has a trusted comment of {len(text):,} characters; at most {COMMENT_LENGTH_MAX:,}")
    if not text.replace("\t", "").isprintable():
        raise ValueError("has a trusted comment with characters that nobody can see; allowed: one line of text")
    return text
