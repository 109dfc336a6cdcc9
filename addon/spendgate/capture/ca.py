"""The device's certificate authority: made once, able to sign for the provider hosts and for nothing else.

Two tiers. `ca-cert.pem` is the root that goes into trust stores; its key signs one certificate and is forgotten before
`create` returns. The issuer below it signs the leaves and is the only key that exists. Both carry the same constraints
(`certificates` has why), which are fixed for life: a host that a policy adds later is outside until the CA is rotated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from spendgate.capture import certificates
from spendgate.capture.certificates import Signer, Term
from spendgate.capture.coverage import Gap
from spendgate.name_constraints import CANARY_HOST, permitted

CA_LIFE = timedelta(days=3 * 365)
LEAF_LIFE = timedelta(days=30)
"""Far below the 199 days that the strictest clients take; leaves live in memory and cost 0.2 ms, so long lives buy nothing."""


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

    def why_not(self, host: str) -> Gap:
        """Why it may not speak for a host that is not covered, as coverage has it."""
        ...

    def leaf(self, host: str, now: datetime) -> Leaf:
        """A leaf for exactly this host. Raises ValueError for a host that is not covered."""
        ...

    def still_good(self, leaf: Leaf, now: datetime) -> bool:
        """Whether a leaf that was given earlier is still the one to show."""
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
    def term(self) -> Term:
        """While root and issuer hold."""
        return Term.common((self.root, self.issuer))

    def covers(self, host: str) -> bool:
        labels = host.split(".")
        return any(".".join(labels[i:]) in self.domains for i in range(len(labels)))

    def why_not(self, host: str) -> Gap:
        return Gap.OUTSIDE_CA

    def still_good(self, leaf: Leaf, now: datetime) -> bool:
        """Until half of its life; never before its birth, for a clock that was set back."""
        return leaf.certificate.not_valid_before_utc <= now < leaf.renew_at

    def leaf(self, host: str, now: datetime) -> Leaf:
        if not self.covers(host):
            raise ValueError(f"{host} is outside the CA's constraints")
        key, lasting = ec.generate_private_key(ec.SECP256R1()), Term.lasting(now, LEAF_LIFE)
        term = Term(lasting.born, min(lasting.dies, self.term.dies))
        made = certificates.leaf(host, key.public_key(), Signer(self.issuer, self.key), term)
        return Leaf(host, made, key, (self.issuer,))


def create(hosts: Iterable[str], now: datetime, label: str = "this device") -> Authority:
    """A new authority for these hosts (`*.domain` permits the domain) and the canary. The root's key does not outlive the call.

    Raises ValueError for an empty list: a CA without permitted names could sign for every name.
    """
    domains = frozenset(host.lower().removeprefix("*.") for host in hosts)
    if not domains:
        raise ValueError("a CA needs at least one host")
    domains |= {CANARY_HOST}
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    term = Term.lasting(now, CA_LIFE)
    root = certificates.root(f"Spendgate root for {label}", root_key, domains, term)
    above = Signer(root, root_key)
    issuer = certificates.issuer(f"Spendgate issuer for {label}", key.public_key(), above, domains, term)
    return Authority(root, issuer, key, permitted(issuer))
