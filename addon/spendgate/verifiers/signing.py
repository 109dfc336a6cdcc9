"""A throw-away signer: what a thief of the issuer's key could sign, for trying verifiers with it.

The product signs by `Authority.leaf`, which refuses such names; this is the one place that does not ask. A leaf lives for
minutes, its key and certificate in memory alone.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spendgate.capture.ca import Authority, Leaf

LIFE = timedelta(minutes=30)
BACKDATED = timedelta(minutes=5)


def signed(authority: Authority, name: str, now: datetime) -> Leaf:
    """A leaf for any name or address, as the authority's own leaves are but for their life."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), authority.issuer
    above = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Spendgate ca verify")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False)
        .sign(authority.key, SHA256())
    )
    return Leaf(name, certificate, key, (issuer,))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
