"""The blocks of a PEM file that holds one device's key, perhaps, and certificates, and nothing else. Pure."""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

BYTES_MAX: Final = 2_000_000
LEAVES_MAX: Final = 1_000
_BLOCK: Final = re.compile(
    rb"-----BEGIN (PRIVATE KEY|CERTIFICATE)-----\r?\n(?:[A-Za-z0-9+/=]{1,76}\r?\n){1,3000}-----END \1-----\r?\n?"
)


def parts(data: bytes) -> tuple[ec.EllipticCurvePrivateKey | None, list[x509.Certificate]]:
    """A key where there is one, and the certificates. Raises ValueError."""
    if len(data) > BYTES_MAX:
        raise ValueError(f"is larger than {BYTES_MAX:,} bytes")
    blocks: list[re.Match[bytes]] = []
    end = 0
    while (block := _BLOCK.match(data, end)) is not None and len(blocks) <= LEAVES_MAX + 3:
        blocks.append(block)
        end = block.end()
    if end != len(data):
        raise ValueError("is not PEM blocks of certificates, and perhaps one key, alone")
    kinds = [block[1] for block in blocks]
    if b"PRIVATE KEY" in kinds[1:]:
        raise ValueError("has a key that is not its first block")
    secret = _secret(blocks[0][0]) if kinds[:1] == [b"PRIVATE KEY"] else None
    certificates = [_certificate(block[0]) for block in blocks[1 if secret else 0 :]]
    if not 3 <= len(certificates) <= LEAVES_MAX + 2:
        raise ValueError(f"has {len(certificates)} certificates; allowed: 1 to {LEAVES_MAX} leaves, an issuer, a root")
    return secret, certificates


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        _ = (
            certificate.extensions,
            certificate.subject,
            certificate.not_valid_after_utc,
        )  # are read when they are asked for
        if not isinstance(key := certificate.public_key(), ec.EllipticCurvePublicKey) or not isinstance(
            key.curve, ec.SECP256R1
        ):
            raise ValueError("another key")
    except Exception:  # noqa: BLE001 - a parser of other people's bytes raises what it likes
        raise ValueError("has a block that is no certificate with a key of P-256") from None
    return certificate


def _secret(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        found = load_pem_private_key(pem, None)
    except Exception:  # noqa: BLE001 - the same
        raise ValueError("has a key that cannot be read") from None
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("has a key that is none of P-256")
    return found
