"""The device's certificate authority: made once, able to sign for the provider hosts and for nothing else.

Two tiers. `ca-cert.pem` is the root that goes into trust stores; its key signs one certificate and is forgotten before
`create` returns. The issuer below it signs the leaves and is the only key that exists. Both carry the same critical name
constraints: a reviewer can read them in the root, and Java, which skips the constraints of a trust anchor, finds them in the
issuer. Permitted are the enumerated DNS names; every IPv4 and IPv6 address is excluded, since a certificate for an address
is not held by DNS constraints. Mail addresses and URIs need no excluding: the issuer's extended key usage is server
authentication alone, where neither names a server; a constraint of a type that a verifier does not know would make it
reject the whole chain. Constraints are fixed for life: a host that a policy adds later is outside until the CA is rotated.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from spendgate.name_constraints import CANARY_HOST, permitted

CA_LIFE = timedelta(days=3 * 365)
LEAF_LIFE = timedelta(days=30)
"""Far below the 199 days that the strictest clients take; leaves live in memory and cost 0.2 ms, so long lives buy nothing."""
BACKDATED = timedelta(days=2)
"""Laptop clocks are wrong by up to a day and a time zone."""
COMMON_NAME_MAX = 64
"""RFC 5280, ub-common-name. A longer host has its name in the SAN alone, which is where clients look."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for one host, the key that is its own, and what a client needs to reach the root."""

    host: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]

    @property
    def renew_at(self) -> datetime:
        """Half of its life: a new connection after this gets a new leaf."""
        born, dies = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return born + (dies - born) / 2


class Minter(Protocol):
    """What the TLS side asks: which hosts it may speak for, and a leaf for one of them."""

    def covers(self, host: str) -> bool:
        """Whether clients will accept a leaf for this host."""
        ...

    def leaf(self, host: str, now: datetime) -> Leaf:
        """A new leaf for exactly this host. Raises ValueError for a host that is not covered."""
        ...


@dataclass(frozen=True, slots=True)
class Authority:
    """The root's certificate, and the constrained issuer with its key."""

    root: x509.Certificate
    issuer: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    domains: frozenset[str]
    """The permitted DNS names, read back from the issuer: each allows itself and what is below it (RFC 5280, 4.2.1.10)."""

    @property
    def pem(self) -> bytes:
        """The root, as trust stores take it. Public."""
        return self.root.public_bytes(Encoding.PEM)

    @property
    def not_after(self) -> datetime:
        return min(self.root.not_valid_after_utc, self.issuer.not_valid_after_utc)

    def covers(self, host: str) -> bool:
        labels = host.split(".")
        return any(".".join(labels[i:]) in self.domains for i in range(len(labels)))

    def leaf(self, host: str, now: datetime) -> Leaf:
        if not self.covers(host):
            raise ValueError(f"{host} is outside the CA's constraints")
        key = ec.generate_private_key(ec.SECP256R1())
        born = _backdated(now)
        dies = min(born + LEAF_LIFE, self.not_after)
        builder = _certificate(_subject(host), self.issuer.subject, key.public_key(), born=born, dies=dies)
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(_issued_by(self.issuer), critical=False)
        )
        return Leaf(host, builder.sign(self.key, SHA256()), key, (self.issuer,))


def create(hosts: Iterable[str], now: datetime, label: str = "this device") -> Authority:
    """A new authority for these hosts (`*.domain` permits the domain) and the canary. The root's key does not outlive the call.

    Raises ValueError for an empty list: a CA without permitted names could sign for every name.
    """
    domains = frozenset(host.lower().removeprefix("*.") for host in hosts)
    if not domains:
        raise ValueError("a CA needs at least one host")
    domains |= {CANARY_HOST}
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    constraints, born = _constraints(domains), _backdated(now)
    dies = born + CA_LIFE
    root_name = _subject(f"Spendgate root for {label}")
    root = (
        _certificate(root_name, root_name, root_key.public_key(), born=born, dies=dies)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(constraints, critical=True)
        .sign(root_key, SHA256())
    )
    issuer = (
        _certificate(_subject(f"Spendgate issuer for {label}"), root_name, key.public_key(), born=born, dies=dies)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(constraints, critical=True)
        .add_extension(_issued_by(root), critical=False)
        .sign(root_key, SHA256())
    )
    return Authority(root, issuer, key, permitted(issuer))


def _constraints(domains: frozenset[str]) -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[x509.DNSName(domain) for domain in sorted(domains)],
        excluded_subtrees=[
            x509.IPAddress(ipaddress.IPv4Network("0.0.0.0/0")),
            x509.IPAddress(ipaddress.IPv6Network("::/0")),
        ],
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, born: datetime, dies: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(born)
        .not_valid_after(dies)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _backdated(now: datetime) -> datetime:
    return (now - BACKDATED).replace(microsecond=0)


def _subject(common_name: str) -> x509.Name:
    if len(common_name) > COMMON_NAME_MAX:
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Spendgate")])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


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
