"""Our certificate as trust stores know it. Pure.

Its name holds its fingerprint: two authorities of one machine never share an entry, and what stands in a store is found
without its file, by the name alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from spendgate.errors import StateError
from spendgate.name_constraints import permitted

NAME = re.compile(r"spendgate-[0-9a-f]{16}")
"""Every entry of ours, of whichever authority."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """A root that may be trusted: it can sign for the names in `domains` and for nothing else."""

    name: str
    pem: bytes
    domains: tuple[str, ...]


def anchor(content: bytes, place: str) -> Anchor:
    """The anchor in a file of this program. Raises StateError for a certificate that could sign for more than named hosts."""
    try:
        certificate = x509.load_pem_x509_certificate(content)
        domains = permitted(certificate)
        # A dot in front, which verifiers take, makes `com` no less.
        if whole := sorted(domain for domain in domains if "." not in domain.strip(".")):
            raise ValueError(f"may sign for all of {', '.join(whole)}")
    except ValueError as fault:
        raise StateError(
            f"{place} is not trusted: the certificate {_said(fault)}; run `spendgate ca rotate`"
        ) from fault
    name = f"spendgate-{certificate.fingerprint(SHA256()).hex()[:16]}"
    return Anchor(name, certificate.public_bytes(Encoding.PEM), tuple(sorted(domains)))


def _said(fault: ValueError) -> str:
    text = str(fault)
    return text if text.startswith(("has ", "may ")) else f"cannot be read ({text})"
