"""What an organization issued to this device, as one file has it: read, and every doubt about it an error. Pure.

The file is PEM and nothing else: perhaps the device's key, a leaf for each host, the issuer, the root, in this order. It may come
from anywhere, so that it is believed in nothing: form, chain, constraints, names, keys and purposes are each looked at here, and
the chain once more by the verifier of the library. Messages never quote the file but for names of hosts in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from spendgate.capture.certificates import BACKDATED, Term
from spendgate.capture.pem_parts import parts
from spendgate.name_constraints import CANARY_HOST, permitted

LIFE_MOST: Final = timedelta(days=90) + BACKDATED
"""A leaf that holds for longer is none of `ca org issue`."""
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


@dataclass(frozen=True, slots=True)
class Issued:
    """Leaves of one device, all of one key, and the chain above them."""

    device: str
    leaves: Mapping[str, x509.Certificate]
    issuer: x509.Certificate
    root: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def term(self) -> Term:
        """While all of them hold."""
        return Term.common((*self.leaves.values(), self.issuer, self.root))

    @property
    def root_pem(self) -> bytes:
        """As trust stores take it."""
        return self.root.public_bytes(Encoding.PEM)

    @property
    def said(self) -> str:
        """What it is, for people and the trail."""
        return f"of {self.device} for {len(self.leaves)} hosts until {self.term.dies:%Y-%m-%d}"

    def file(self) -> bytes:
        """As it is kept on the device: with the key, so that key and certificates are exchanged in one step."""
        secret = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain = (*self.leaves.values(), self.issuer, self.root)
        return secret + b"".join(each.public_bytes(Encoding.PEM) for each in chain)


def read(data: bytes, keys: Iterable[ec.EllipticCurvePrivateKey] = ()) -> Issued:
    """What the file holds, whole and of one piece; whether it holds now is `in_time`'s. `keys`: the device's, one of which is its
    key where the file has none. Raises ValueError, in words that follow the file's name.
    """
    secret, chain = parts(data)
    *found, issuer, root = chain
    _check_authorities(issuer, root)
    leaves = {}
    for certificate in found:
        host = _host(certificate)
        if host in leaves:
            raise ValueError(f"has two certificates for {host}")
        leaves[host] = certificate
    if CANARY_HOST not in leaves:
        raise ValueError(f"has no certificate for {CANARY_HOST}, by which the gate shows that it works")
    allowed = permitted(issuer)
    for host, certificate in leaves.items():
        if host not in allowed:
            raise ValueError(f"has a certificate for {host} that its issuer may not sign")
        _check_leaf(host, certificate, issuer, root)
    return Issued(_device(found), leaves, issuer, root, _key(found, issuer, root, secret, keys))


def in_time(issued: Issued, now: datetime) -> None:
    """Raises ValueError where it does not hold now."""
    if now >= issued.term.dies:
        raise ValueError(f"expired on {issued.term.dies:%Y-%m-%d}: `spendgate ca org issue` makes another")
    if now < issued.term.born:
        raise ValueError(f"holds from {issued.term.born:%Y-%m-%d} on; is the clock right?")


def within(issued: Issued, hosts: Iterable[str]) -> None:
    """Raises ValueError where it names a host that nobody captures, or its root could sign for one."""
    allowed = {*hosts, CANARY_HOST}
    if foreign := sorted(set(issued.leaves) - allowed):
        raise ValueError(f"has a certificate for {_some(foreign)}, which no policy here captures")
    if foreign := sorted(permitted(issued.root) - allowed):
        raise ValueError(f"has a root that may sign for {_some(foreign)}, which no policy here captures")


def _check_authorities(issuer: x509.Certificate, root: x509.Certificate) -> None:
    """Each is a CA of the right depth, constrained, and signed by the root; the issuer is for servers alone."""
    for certificate, depth, what in ((root, 1, "root"), (issuer, 0, "issuer")):
        try:
            certificate.verify_directly_issued_by(root)
        except Exception:  # noqa: BLE001 - a wrong signature, another name, an algorithm that is unknown
            raise ValueError(f"has another certificate than its {what} in the {what}'s place") from None
        if not _is_ca(certificate, depth):
            raise ValueError(f"has a {what} that is no CA of its depth")
        try:
            permitted(certificate)
        except ValueError as fault:
            raise ValueError(f"has a {what} that {fault}") from None
    if _purposes(issuer) != [ExtendedKeyUsageOID.SERVER_AUTH]:
        raise ValueError("has an issuer that is not for servers alone")
    if not permitted(issuer) <= permitted(root):
        raise ValueError("has an issuer that may sign for more than its root")


def _is_ca(certificate: x509.Certificate, depth: int) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return basic.critical and basic.value.ca and basic.value.path_length == depth and usage.key_cert_sign


def _purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return []


def _host(certificate: x509.Certificate) -> str:
    """The one name of a leaf."""
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    if len(names) != 1 or not isinstance(names[0], x509.DNSName) or not _HOST.fullmatch(names[0].value):
        raise ValueError("has a leaf that is not for one exact host")
    host: str = names[0].value
    return host


def _check_leaf(host: str, leaf: x509.Certificate, issuer: x509.Certificate, root: x509.Certificate) -> None:
    said = f"has a certificate for {host} that"
    try:
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise ValueError(f"{said} does not say what it is for") from None
    if basic.ca or usage.key_cert_sign or usage.crl_sign or not usage.digital_signature:
        raise ValueError(f"{said} could sign others")
    if _purposes(leaf) != [ExtendedKeyUsageOID.SERVER_AUTH]:
        raise ValueError(f"{said} is not for servers alone")
    term, above = Term.common((leaf,)), Term.common((issuer, root))
    if term.born < above.born or term.dies > above.dies:
        raise ValueError(f"{said} holds longer than what signed it")
    if not timedelta() < term.dies - term.born <= LIFE_MOST:
        raise ValueError(f"{said} holds for more than {LIFE_MOST.days} days")
    try:
        verifier = PolicyBuilder().store(Store([root])).time(term.born).build_server_verifier(x509.DNSName(host))
        chain = verifier.verify(leaf, [issuer])
    except Exception:  # noqa: BLE001 - of all that can be wrong with a chain
        raise ValueError(f"{said} no client would take") from None
    if chain != [leaf, issuer, root]:
        raise ValueError(f"{said} has another chain")


def _key(
    leaves: list[x509.Certificate],
    issuer: x509.Certificate,
    root: x509.Certificate,
    secret: ec.EllipticCurvePrivateKey | None,
    keys: Iterable[ec.EllipticCurvePrivateKey],
) -> ec.EllipticCurvePrivateKey:
    """The device's key: that of all leaves, and of nothing that signs."""
    public = leaves[0].public_key()
    if any(leaf.public_key() != public for leaf in leaves):
        raise ValueError("has leaves of several keys")
    if public in (issuer.public_key(), root.public_key()):
        raise ValueError("has leaves with a key that signs")
    for key in keys if secret is None else (secret,):
        if key.public_key() == public:
            return key
    if secret is not None:
        raise ValueError("has a key that is not its certificates'")
    raise ValueError(
        "is for a key that is not on this device: `spendgate ca org request` makes one, and what is to be signed"
    )


def _device(leaves: list[x509.Certificate]) -> str:
    units = {
        tuple(str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME))
        for leaf in leaves
    }
    (unit,) = units if len(units) == 1 else [()]
    if len(unit) != 1 or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", unit[0], re.ASCII):
        raise ValueError("does not name one device")
    return unit[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
