"""The three kinds of certificate that Spendgate makes: a constrained root, a constrained issuer, a leaf for one host.

Root and issuer carry the same kind of critical name constraints: a reviewer reads them in the root, and Java, which skips the
constraints of a trust anchor, finds them in the issuer. Permitted are the enumerated DNS names; every IPv4 and IPv6 address is
excluded, since a certificate for an address is not held by DNS constraints. Mail addresses and URIs need no excluding: the
issuer's extended key usage is server authentication alone, where neither names a server; a constraint of a type that a
verifier does not know would make it reject the whole chain.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATED = timedelta(days=2)
"""Laptop clocks are wrong by up to a day and a time zone."""
COMMON_NAME_MAX = 64
"""RFC 5280, ub-common-name. A longer host has its name in the SAN alone, which is where clients look."""
_WARNED_MOST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Term:
    """From when to when certificates hold."""

    born: datetime
    dies: datetime

    @classmethod
    def lasting(cls, now: datetime, life: timedelta) -> Term:
        """From somewhat before now, for clocks that are behind."""
        born = (now - BACKDATED).replace(microsecond=0)
        return cls(born, born + life)

    @classmethod
    def common(cls, certificates: Iterable[x509.Certificate]) -> Term:
        """While all of them hold."""
        all_of = tuple(certificates)
        return cls(max(c.not_valid_before_utc for c in all_of), min(c.not_valid_after_utc for c in all_of))

    def within(self, other: Term) -> Term:
        """The part of it that lies in the other."""
        return Term(max(self.born, other.born), min(self.dies, other.dies))

    def holds(self, now: datetime) -> bool:
        """Whether it has begun and not ended."""
        return self.born <= now < self.dies

    def days_left(self, now: datetime) -> int:
        """Whole days; negative where it is over."""
        return (self.dies - now).days

    def due(self, now: datetime) -> bool:
        """Whether somebody should be told that it ends: its last third, at most 30 days before."""
        return now >= self.dies - min(_WARNED_MOST, (self.dies - self.born) / 3)

    def end(self, now: datetime) -> str:
        """When it ends, for people and the trail."""
        if now >= self.dies:
            return f"expired on {self.dies:%Y-%m-%d}"
        return f"hold until {self.dies:%Y-%m-%d}, {self.days_left(now)} days"


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate that may sign, with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM)


def root(name: str, key: ec.EllipticCurvePrivateKey, domains: frozenset[str], term: Term) -> x509.Certificate:
    """Signs itself, and issuers."""
    named = subject(name)
    return (
        _certificate(named, named, key.public_key(), term)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(_constraints(domains), critical=True)
        .sign(key, SHA256())
    )


def issuer(
    name: str, public: ec.EllipticCurvePublicKey, above: Signer, domains: frozenset[str], term: Term
) -> x509.Certificate:
    """Signs leaves for servers of these names; signed by the root."""
    return (
        _certificate(subject(name), above.certificate.subject, public, term)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_constraints(domains), critical=True)
        .add_extension(_issued_by(above.certificate), critical=False)
        .sign(above.key, SHA256())
    )


def leaf(host: str, public: ec.EllipticCurvePublicKey, above: Signer, term: Term, unit: str = "") -> x509.Certificate:
    """For exactly this host; signed by an issuer. `unit`: whose it is."""
    return (
        _certificate(subject(host, unit), above.certificate.subject, public, term)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(_issued_by(above.certificate), critical=False)
        .sign(above.key, SHA256())
    )


def subject(common_name: str, unit: str = "") -> x509.Name:
    """A name, or for one that is too long the product's."""
    named = (
        x509.NameAttribute(NameOID.COMMON_NAME, common_name)
        if len(common_name) <= COMMON_NAME_MAX
        else x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Spendgate")
    )
    return x509.Name([named, *([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else [])])


def _constraints(domains: frozenset[str]) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(domain) for domain in sorted(domains)],
        excluded_subtrees=[
            x509.IPAddress(ipaddress.IPv4Network("0.0.0.0/0")),
            x509.IPAddress(ipaddress.IPv6Network("::/0")),
        ],
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, term: Term
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(term.born)
        .not_valid_after(term.dies)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
