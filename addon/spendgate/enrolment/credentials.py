"""Who may enrol and who may renew. Pure: what the books have comes in, a decision with its reason comes out.

A credential is 256 random bits, so that its plain SHA-256 may lie in the books: nobody tries those out. One for a single use is a
one-time token, perhaps for one device alone; one for more is what an MDM puts into a file for the whole fleet. That one gives no
name away that somebody has: who steals it can make up new devices, each with a line in the trail, and cannot be an old one.

A renewal needs the key that was certified last, and makes another. So of two who hold a copy of it one renews, and the other's
next question shows that there are two.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

USES_MOST: Final = 10_000
DAYS_MOST: Final = 90
ISSUES_A_DAY: Final = 10
"""To one device: a laptop asks once or twice in a certificate's life."""
COPIED_A_DAY: Final = 10
COPIED_A_DAY_ALL: Final = 100
"""Lines of the trail about a copied key of one device, for one address and for all; more of them say nothing new."""
_PREFIX: Final = "sge_"
_RENEWAL: Final = b"spendgate renewal 1\n"
"""What a key signs here it signs nowhere else."""


@dataclass(frozen=True, slots=True)
class Credential:
    """As the books have it. `device`: the one that it is for; `left`: how many may still enrol by it."""

    id: str
    device: str | None
    left: int
    made_ms: int
    until_ms: int
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """What was issued to a device last. Keys as SubjectPublicKeyInfo in DER; `before`: the one whose place this one took."""

    name: str
    key: bytes
    until_ms: int
    before: bytes | None = None
    before_until_ms: int = 0
    blocked_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Refuse:
    """By which status of HTTP, and why, for whoever asked. `copied`: two have the device's key, which its owner must hear."""

    status: int
    why: str
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Issue:
    """Sign for this key. `until_ms`: no longer than that, for what was answered before; None: for a whole life."""

    until_ms: int | None = None
    renews: bool = False


def new_secret() -> str:
    """What is shown once, to whoever makes it."""
    return _PREFIX + secrets.token_urlsafe(32)


def hashed(secret: str) -> bytes:
    """As the books keep it."""
    return sha256(secret.encode()).digest()


def name_of(digest: bytes) -> str:
    """What people call a credential by, which opens nothing."""
    return digest.hex()[:12]


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """A key as the books have it."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def may_enrol(credential: Credential | None, device: str, known: Device | None, now_ms: int) -> Issue | Refuse:
    """Whether this credential opens for this name. `known`: what the books have of the name."""
    if credential is None:
        return Refuse(401, "this credential is not known")
    if credential.revoked:
        return Refuse(403, "this credential was revoked")
    if now_ms >= credential.until_ms:
        return Refuse(403, "this credential has expired")
    if credential.left <= 0:
        return Refuse(403, "this credential is used up")
    if credential.device is not None and credential.device != device:
        return Refuse(403, "this credential is for another device")
    bound = credential.device is not None
    if known is None or (bound and credential.made_ms >= (known.blocked_ms or 0)):
        return Issue()
    if known.blocked_ms is not None:
        return Refuse(403, "this device is blocked: its owner makes a token for it by name")
    if now_ms < known.until_ms:
        return Refuse(403, "this name has certificates already: its owner makes a token for it by name")
    return Issue()


def may_renew(known: Device | None, asked: bytes, request: bytes, proof: str, now_ms: int) -> Issue | Refuse:
    """Whether who asks has the key that was certified last. `asked`: the key of the request; `request`: its DER, which the proof
    is of.

    The same question again, whose answer may be lost, is answered again, and gets no day more.
    """
    if known is None:
        return Refuse(403, "nothing was issued to this device here: enrol it by a credential")
    if known.blocked_ms is not None:
        return Refuse(403, "this device is blocked")
    if now_ms < known.until_ms and proves(known.key, request, proof):
        return Issue(known.until_ms) if asked == known.key else Issue(renews=True)
    if known.before is not None and proves(known.before, request, proof):
        if asked != known.key:
            return Refuse(403, "this device's key was renewed by another who has it", copied=True)
        if now_ms < min(known.before_until_ms, known.until_ms):
            return Issue(known.until_ms)
    return Refuse(403, "this is not signed by the device's key, or its certificates have ended: enrol it again")


def proof_of(key: ec.EllipticCurvePrivateKey, request: bytes) -> str:
    """That this key asks: its signature of the request, which names the next key."""
    return urlsafe_b64encode(key.sign(_RENEWAL + request, ec.ECDSA(SHA256()))).decode()


def proves(key: bytes, request: bytes, proof: str) -> bool:
    """Whether the proof is of this key and this request."""
    found = load_der_public_key(key)
    try:
        signature = urlsafe_b64decode(proof)
        assert isinstance(found, ec.EllipticCurvePublicKey)  # noqa: S101 - the books have no other
        found.verify(signature, _RENEWAL + request, ec.ECDSA(SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True
