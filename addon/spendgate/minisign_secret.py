"""minisign's secret keys: they sign, and lie in files that a password locks. Pure: randomness is passed in.

The format is minisign's own (`minisign`, there the source), so that a key made by either program works in the other.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spendgate.minisign import (
    ED25519,
    UNTRUSTED,
    PublicKey,
    Signature,
    bytes_of,
    comment_of,
    commented,
    decoded,
    hashed,
    lines_of,
    text_of,
)

SALT_BYTES, SEED_BYTES, KEY_ID_BYTES = 32, 32, 8
OPS_SENSITIVE, MEMORY_SENSITIVE = 33_554_432, 1_073_741_824
"""libsodium's limits for scrypt that minisign writes: a gibibyte of memory, some seconds."""
_OPS_MAX = 4 * OPS_SENSITIVE
_SCRYPT, _UNLOCKED, _BLAKE2B = b"Sc", b"\0\0", b"B2"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Signs. Never printed."""

    key_id: bytes
    seed: bytes = field(repr=False)

    @classmethod
    def new(cls, random: bytes) -> SecretKey:
        """A new key of 40 random bytes. Raises ValueError for fewer or more."""
        if len(random) != KEY_ID_BYTES + SEED_BYTES:
            raise ValueError(f"{len(random)} random bytes; allowed: {KEY_ID_BYTES + SEED_BYTES}")
        return cls(random[:KEY_ID_BYTES], random[KEY_ID_BYTES:])

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this one signs."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return PublicKey(self.key_id, key.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, data: bytes, trusted_comment: str) -> Signature:
        """A signature of the bytes' hash, and of the comment with it. Raises ValueError for a comment that is none."""
        words = comment_of(trusted_comment)
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        made = key.sign(hashed(data))
        return Signature(self.key_id, made, words, key.sign(made + words.encode()))

    def file(self, lock: Lock | None = None) -> bytes:
        """The content of a key file: locked by a password, or by nothing."""
        inner = self.key_id + self.seed + self.public.key
        inner += _checksum(inner)
        if lock is None:
            raw, word = ED25519 + _UNLOCKED + _BLAKE2B + bytes(SALT_BYTES + 16) + inner, ""
        else:
            limits = lock.ops.to_bytes(8, "little") + lock.memory.to_bytes(8, "little")
            raw, word = ED25519 + _SCRYPT + _BLAKE2B + lock.salt + limits + lock.crypt(inner), "encrypted "
        return f"{UNTRUSTED}minisign {word}secret key\n{text_of(raw)}\n".encode()


@dataclass(frozen=True, slots=True)
class Lock:
    """A password and how dear a guess at it is, as libsodium counts: operations, and bytes of memory."""

    password: str = field(repr=False)
    salt: bytes
    ops: int = OPS_SENSITIVE
    memory: int = MEMORY_SENSITIVE

    def crypt(self, inner: bytes) -> bytes:
        """Lock or unlock: the same. Raises ValueError for more memory or time than minisign ever asks for."""
        if self.ops > _OPS_MAX or not 65_536 <= self.memory <= MEMORY_SENSITIVE:
            raise ValueError(
                f"asks for {self.ops:,} operations and {self.memory:,} bytes to unlock it; "
                f"at most {_OPS_MAX:,} and {MEMORY_SENSITIVE:,}"
            )
        n, p = _costs(self.ops, self.memory)
        stream = Scrypt(salt=self.salt, length=len(inner), n=n, r=8, p=p).derive(self.password.encode())
        return bytes(ours ^ theirs for ours, theirs in zip(inner, stream, strict=True))


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A secret key file as it was read; `locked` tells whether a password is needed."""

    locked: bool
    salt: bytes
    ops: int
    memory: int
    inner: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> KeyFile:
        """Raises ValueError."""
        comment, line = lines_of(decoded(data, "secret key"), "secret key", (2,))
        commented(comment, UNTRUSTED, "secret key")
        raw = bytes_of(line, 158, "secret key")
        if raw[:2] != ED25519 or raw[2:4] not in (_SCRYPT, _UNLOCKED) or raw[4:6] != _BLAKE2B:
            raise ValueError("is no minisign secret key: its algorithms are not Ed25519, scrypt and BLAKE2b")
        ops, memory = (int.from_bytes(raw[at : at + 8], "little") for at in (38, 46))
        return cls(raw[2:4] == _SCRYPT, raw[6:38], ops, memory, raw[54:])

    def unlock(self, password: str | None = None) -> SecretKey:
        """The key. Raises ValueError where the password is wrong, missing or not asked for."""
        if self.locked and password is None:
            raise ValueError("is locked by a password")
        inner = self.inner
        if self.locked:
            inner = Lock(password or "", self.salt, self.ops, self.memory).crypt(inner)
        found = SecretKey(inner[:8], inner[8:40])
        whole = hmac.compare_digest(_checksum(inner[:72]), inner[72:])
        if not whole and (self.locked or any(inner[72:])):  # minisign 0.11 leaves it out where nothing is locked
            raise ValueError(
                "cannot be unlocked: the password is wrong, or the file was changed" if self.locked else "was changed"
            )
        if found.public.key != inner[40:72]:
            raise ValueError("is no pair of keys: its public half is another key's")
        return found


def _checksum(inner: bytes) -> bytes:
    return hashlib.blake2b(ED25519 + inner, digest_size=32).digest()


def _costs(ops: int, memory: int) -> tuple[int, int]:
    """scrypt's N and p for libsodium's limits, as its `pickparams` chooses them; r is 8."""
    ops = max(ops, 32_768)
    by_ops = ops < memory // 32
    most = ops // 32 if by_ops else memory // 1024
    n = 2
    while n <= most // 2:
        n *= 2
    return n, 1 if by_ops else max(1, ops // 4 // n // 8)
