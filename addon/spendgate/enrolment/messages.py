"""The messages of EST (RFC 7030), as far as they fit. Pure.

A question is EST's own: POST to `simpleenroll` or `simplereenroll`, a PKCS#10 request in base64 (RFC 8951), the device's name and
its secret by HTTP Basic. An answer is EST's certs-only PKCS#7, with more in it than EST says: not the one certificate, but a leaf
for each host, their issuer and the root, since each device has an issuer of its own. Where EST authenticates a renewal by the
certificate in TLS, the secret here is the key's signature of the request: our certificates are for servers of the provider hosts
alone, and making them good for clients, too, would make a stolen one good for more.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates, serialize_certificates

from spendgate.capture.organization import DEVICE, Request, read_request

ENROLL: Final = "/.well-known/est/simpleenroll"
REENROLL: Final = "/.well-known/est/simplereenroll"
ASKED_TYPE: Final = "application/pkcs10"
ANSWER_TYPE: Final = "application/pkcs7-mime; smime-type=certs-only"
QUESTION_BYTES_MAX: Final = 8_192
ANSWER_BYTES_MAX: Final = 3_000_000
_SECRET: Final = re.compile(r"[A-Za-z0-9_=-]{1,256}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and by what."""

    device: str
    secret: str = field(repr=False)
    der: bytes
    """The request, not yet read."""


def question(authorization: str, body: bytes) -> Question:
    """Raises PermissionError without HTTP Basic of the right form; ValueError for another body."""
    scheme, _, given = authorization.partition(" ")
    try:
        device, _, secret = b64decode(given, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise PermissionError("the device's name and its secret are given by HTTP Basic") from None
    if scheme.lower() != "basic" or not DEVICE.fullmatch(device) or not _SECRET.fullmatch(secret):
        raise PermissionError("the device's name and its secret are given by HTTP Basic")
    try:
        der = b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        raise ValueError("it is no signing request in base64") from None
    return Question(device, secret, der)


def request_of(asked: Question) -> Request:
    """Raises ValueError for another request than a device's of this name, without a word of what is in it."""
    try:
        pem = x509.load_der_x509_csr(asked.der).public_bytes(Encoding.PEM)
    except Exception:  # noqa: BLE001 - a parser of other people's bytes raises what it likes
        raise ValueError("it is no signing request in base64") from None
    found = read_request(pem)
    if found.device != asked.device:
        raise ValueError("it is of another device")
    return found


def body_of(request: bytes) -> tuple[bytes, bytes]:
    """A PEM request in DER, and as it is sent."""
    der = x509.load_pem_x509_csr(request).public_bytes(Encoding.DER)
    return der, b64encode(der)


def answer(bundle: bytes) -> bytes:
    """What `ca org issue` would write, as EST answers."""
    return b64encode(serialize_certificates(x509.load_pem_x509_certificates(bundle), Encoding.DER))


def bundle_of(body: bytes) -> bytes:
    """An answer as `ca org install` reads it: leaves, issuer, root. Nothing is believed yet. Raises ValueError."""
    try:
        found = load_der_pkcs7_certificates(b64decode(b"".join(body.split()), validate=True))
        below = [each for each in found if each.subject != each.issuer]
        leaves, issuers = [each for each in below if not _signs(each)], [each for each in below if _signs(each)]
        roots = [each for each in found if each.subject == each.issuer]
        return b"".join(each.public_bytes(Encoding.PEM) for each in (*leaves, *issuers, *roots))
    except Exception:  # noqa: BLE001 - a parser of other people's bytes raises what it likes
        raise ValueError("is no answer of `spendgate ca org serve`") from None


def _signs(certificate: x509.Certificate) -> bool:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
