"""An organization's root certificate in PEM: its public part alone, constrained, in force."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from spendgate.config.faults import shown
from spendgate.mdm.rollout import Root
from spendgate.name_constraints import permitted

_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,60})-----")
_CERTIFICATE: Final = b"CERTIFICATE"


def root_of(data: bytes, now: datetime) -> Root:
    """The certificate in these bytes. Raises ValueError; its text never quotes the file."""
    kinds = _BLOCK.findall(data)
    if any(b"PRIVATE KEY" in kind for kind in kinds):
        raise ValueError(
            "the file holds a private key, which never goes near an MDM; name a file with the certificate alone"
        )
    if kinds != [_CERTIFICATE]:
        raise ValueError(f"the file holds {len(kinds)} PEM blocks; allowed: one CERTIFICATE, and nothing else")
    try:
        certificate = x509.load_pem_x509_certificate(data)
        permits = permitted(certificate)
        _is_root(certificate)
    except x509.ExtensionNotFound:
        raise ValueError("the certificate is no CA's; allowed: a root") from None
    except ValueError as fault:
        raise ValueError(f"the certificate {_said(fault)}") from None
    until = certificate.not_valid_after_utc
    if not certificate.not_valid_before_utc <= now < until:
        first = certificate.not_valid_before_utc
        raise ValueError(
            f"the certificate holds from {first:%Y-%m-%d} to {until:%Y-%m-%d}; allowed: one that holds now"
        )
    return Root(
        certificate.public_bytes(Encoding.PEM), certificate.public_bytes(Encoding.DER), _subject(certificate),
        certificate.fingerprint(SHA256()).hex(), f"{until:%Y-%m-%d}", permits,
    )  # fmt: skip


def _is_root(certificate: x509.Certificate) -> None:
    """Raises ValueError, and ExtensionNotFound for one that is no CA's."""
    if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        raise ValueError("is no CA's; allowed: a root")
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError, ValueError):
        raise ValueError("is signed by another; allowed: a root, which signs itself") from None


def _said(fault: ValueError) -> str:
    """Our own words; the library's may quote the file."""
    text = str(fault)
    return text if text.startswith(("has ", "is ")) else "cannot be read as X.509 in PEM"


def _subject(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return shown(str(names[0].value))[1:-1] if names else "Spendgate root"
