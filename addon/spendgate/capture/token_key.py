"""A key that lies in a token and never leaves it, used as any other key here: the one place that speaks PKCS#11.

The library of certificates asks a key for a signature alone, so that a root of a token comes out as one of a file does. The token
gets a hash, by the one mechanism that every token with P-256 has (CKM_ECDSA). Each signature opens a session of its own and logs
out of it: an authority signs a few times in its life, and no session stays open beside what else runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from spendgate.capture.token_uri import TokenUri
from spendgate.errors import StateError

if TYPE_CHECKING:
    import pkcs11

_HALF: Final = 32
"""Bytes of each of a P-256 signature's two numbers."""
_P256: Final = bytes.fromhex("06082a8648ce3d030107")
"""Its name as tokens have it: the object identifier in DER."""
INSTALL: Final = "`pip install --require-hashes -r mdm/pkcs11.lock` into the environment of spendgate"


@dataclass(frozen=True, slots=True)
class Login:
    """What opens a token."""

    place: TokenUri
    pin: str = field(repr=False)


class TokenKey(ec.EllipticCurvePrivateKey):
    """Signs by the token; everything that would need the key itself is refused."""

    def __init__(self, login: Login, public: ec.EllipticCurvePublicKey) -> None:
        """`public`: what its signatures are held to."""
        self._login, self._public = login, public

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    def key_size(self) -> int:
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    def sign(
        self, data: bytes | bytearray | memoryview, signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """Raises StateError: also where the token's key is not the one that it should be, before anybody sees the signature."""
        if not isinstance(signature_algorithm, ec.ECDSA) or not isinstance(signature_algorithm.algorithm, SHA256):
            raise ValueError("a token's key signs by ECDSA with SHA-256 alone")
        with _session(self._login) as session:
            key = _one(session, self._login.place)
            raw = bytes(key.sign(sha256(data).digest(), mechanism=_pkcs11().Mechanism.ECDSA))
        signature = encode_dss_signature(int.from_bytes(raw[:_HALF]), int.from_bytes(raw[_HALF:]))
        try:
            self._public.verify(signature, data, signature_algorithm)
        except InvalidSignature:
            raise StateError(
                f"{self._login.place}: the key of this label is another than the root's; is it the right token?"
            ) from None
        return signature

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        raise ValueError("a token's key signs, and does nothing else")

    def private_numbers(self) -> NoReturn:
        raise ValueError("a token's key never leaves it")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:  # noqa: A002
        raise ValueError("a token's key never leaves it")

    def __copy__(self) -> TokenKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> TokenKey:
        return self


def generated(login: Login) -> TokenKey:
    """A new key, made inside, which cannot be taken out. Raises StateError where the label is taken."""
    p11 = _pkcs11()
    place, attribute = login.place, p11.Attribute
    with _session(login, writes=True) as session:
        if any(session.get_objects({attribute.LABEL: place.key})):
            raise StateError(
                f"{place}: something of this label is in the token already: take another label, or --existing-key"
            )
        signing = {attribute.SIGN: True, attribute.DERIVE: False, attribute.DECRYPT: False, attribute.UNWRAP: False}
        kept = {attribute.PRIVATE: True, attribute.SENSITIVE: True, attribute.EXTRACTABLE: False}
        curve = session.create_domain_parameters(p11.KeyType.EC, {attribute.EC_PARAMS: _P256}, local=True)
        curve.generate_keypair(
            store=True,
            label=place.key,
            id=secrets.token_bytes(16),
            capabilities=p11.MechanismFlag.SIGN | p11.MechanismFlag.VERIFY,
            private_template=signing | kept,
        )
    return existing(login)[0]


def existing(login: Login) -> tuple[TokenKey, bool]:
    """The key of this label, and whether the token says that it was made inside. Raises StateError where it is none of P-256, or
    could be taken out.
    """
    p11 = _pkcs11()
    place, attribute = login.place, p11.Attribute
    with _session(login) as session:
        key = _one(session, place)
        if not key[attribute.SENSITIVE] or key[attribute.EXTRACTABLE]:
            raise StateError(
                f"{place}: this key can be taken out of the token (not sensitive, or extractable); make another in it"
            )
        public = session.get_key(p11.ObjectClass.PUBLIC_KEY, p11.KeyType.EC, place.key)
        inside = bool(key[attribute.LOCAL])
        spki = p11.util.ec.encode_ec_public_key(public)
    found = load_der_public_key(spki)
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(found.curve, ec.SECP256R1):
        raise StateError(f"{place}: this key is none of P-256; make another in the token")
    return TokenKey(login, found), inside


def _one(session: pkcs11.Session, place: TokenUri) -> pkcs11.PrivateKey:
    """The private key of this label."""
    p11 = _pkcs11()
    return session.get_key(p11.ObjectClass.PRIVATE_KEY, p11.KeyType.EC, place.key)


@contextmanager
def _session(login: Login, *, writes: bool = False) -> Iterator[pkcs11.Session]:
    """Logged in, and out again. Raises StateError for all that a token or its library says no by."""
    p11, place = _pkcs11(), login.place
    wanted: dict[str, str | bytes] = {"token_label": place.token} if place.token else {}
    if place.serial:
        wanted["token_serial"] = place.serial.encode()
    try:
        token = p11.lib(place.module).get_token(**wanted)
        with token.open(rw=writes, user_pin=login.pin) as session:
            yield session
    except p11.PKCS11Error as fault:
        raise StateError(f"{place}: {_told(p11, fault, place)}") from None


def _told(p11: ModuleType, fault: Exception, place: TokenUri) -> str:
    """Why, with what to do. The fault's own words only where it is the library that does not load: others hold searches."""
    if isinstance(fault, p11.PinIncorrect):
        return "the PIN is wrong; it was tried once, and tokens lock themselves after a few"
    if isinstance(fault, p11.PinLocked):
        return "the PIN is locked: the token's security officer sets another"
    if isinstance(fault, p11.PinInvalid | p11.PinLenRange | p11.UserPinNotInitialized | p11.ArgumentsBad):
        return "the token takes no such PIN; was one set in it?"
    if isinstance(fault, p11.NoSuchToken | p11.TokenNotPresent | p11.TokenNotRecognised):
        return f"no {place.said} is there; is it plugged in, and its label right?"
    if isinstance(fault, p11.MultipleTokensReturned):
        return f"more than one {place.said} is there; name it by serial="
    if isinstance(fault, p11.NoSuchKey):
        return f"no pair of P-256 keys {place.key!r} is in the token; is the label right?"
    if isinstance(fault, p11.MultipleObjectsReturned):
        return f"more than one key {place.key!r} is in the token; give one of them another label"
    if type(fault) is p11.PKCS11Error:
        return f"the library cannot be used: {fault}"
    return f"the token refuses ({type(fault).__name__})"


def _pkcs11() -> ModuleType:
    """The package, which the admin of an authority alone installs. Raises StateError."""
    try:
        return import_module("pkcs11")
    except ImportError:
        raise StateError(f"a key in a token needs the package python-pkcs11: {INSTALL}") from None
