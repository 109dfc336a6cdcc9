"""An organization's certificate authority, on its admin's machine: a constrained root, and what it signs for devices.

The root's key lies in one file that a passphrase locks, or in a token (`token_key`), and is nowhere else. It never signs a leaf:
for each device it signs an issuer, whose own key is made for that and forgotten when it has signed the device's leaves, and
which holds no longer than they do. So there is no second key to keep, Java finds constraints below the root, and whoever got an
issuer's key all the same could sign for the same hosts for some weeks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, load_pkcs12, serialize_key_and_certificates
from cryptography.x509.oid import NameOID

from spendgate.capture import certificates
from spendgate.capture.ca import Authority
from spendgate.capture.certificates import BACKDATED, COMMON_NAME_MAX, Signer, Term
from spendgate.name_constraints import CANARY_HOST, permitted

ROOT_YEARS: Final = 10
LEAF_DAYS: Final = 45
LEAF_DAYS_MOST: Final = 90
"""What a stolen laptop can go on showing to others of the fleet; also far below the 199 days that the strictest clients take."""
KDF_ROUNDS: Final = 600_000
"""PBKDF2 with SHA-256, as OWASP has it since 2023: half a second for whoever knows the passphrase."""
PASSPHRASE_LEAST: Final = 12
PEM_OF_KEY: Final = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
DEVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NAME: Final = "Spendgate root of "


@dataclass(frozen=True, slots=True)
class Request:
    """What a device asks for: its name, and that it has the key."""

    device: str
    key: ec.EllipticCurvePublicKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """As every key here is."""
    return ec.generate_private_key(ec.SECP256R1())


def new_root(
    hosts: Iterable[str],
    organization: str,
    now: datetime,
    years: int = ROOT_YEARS,
    made: Callable[[], ec.EllipticCurvePrivateKey] = new_key,
) -> Signer:
    """A root for exactly these hosts and the canary. Raises ValueError for none, for `*.domain`, and for a long name.

    `made`: gives its key, asked for when everything else is right.
    """
    names = frozenset(hosts)
    if not names:
        raise ValueError("a root needs at least one host")
    if wild := sorted(name for name in names if "*" in name):
        raise ValueError(f"{wild[0]} is no exact host; an organization's root signs for exact hosts alone")
    if not organization or len(_NAME + organization) > COMMON_NAME_MAX or not organization.isprintable():
        raise ValueError(f"the organization's name has 1 to {COMMON_NAME_MAX - len(_NAME)} characters that can be seen")
    key, term = made(), _term(now, timedelta(days=365 * years))
    return Signer(certificates.root(_NAME + organization, key, names | {CANARY_HOST}, term), key)


def locked(root: Signer, passphrase: bytes) -> bytes:
    """PKCS#12 with certificate and key: `openssl pkcs12` reads it, too. Raises ValueError for a short passphrase."""
    if len(passphrase) < PASSPHRASE_LEAST:
        raise ValueError(
            f"a passphrase of fewer than {PASSPHRASE_LEAST} bytes is tried out in no time; take a longer one"
        )
    lock = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(KDF_ROUNDS)
        .key_cert_algorithm(PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(SHA256())
        .build(passphrase)
    )
    return serialize_key_and_certificates(b"spendgate root", root.key, root.certificate, None, lock)


def unlocked(data: bytes, passphrase: bytes) -> Signer:
    """Raises ValueError: a wrong passphrase, or a root that is none of ours."""
    try:
        found = load_pkcs12(data, passphrase)
    except ValueError:
        raise ValueError("the passphrase is wrong, or this is no file of `ca org init`") from None
    key, holder = found.key, found.cert
    if not isinstance(key, ec.EllipticCurvePrivateKey) or holder is None or found.additional_certs:
        raise ValueError("this is no file of `ca org init`")
    if holder.certificate.public_key() != key.public_key():
        raise ValueError("its key is not its certificate's")
    permitted(holder.certificate)
    return Signer(holder.certificate, key)


def is_organizations(root: x509.Certificate) -> bool:
    """Whether a root is one of `new_root`, by its name, which whoever writes the file may give it: it makes nothing trusted."""
    names = root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return bool(names) and str(names[0].value).startswith(_NAME)


def new_request(device: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A signing request in PEM (PKCS#10). It asks for no host: which ones is the organization's to say."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256()).public_bytes(Encoding.PEM)


def read_request(data: bytes) -> Request:
    """Raises ValueError where it is no request of `ca org request`, or not signed by the key that it names."""
    try:
        found = x509.load_pem_x509_csr(data)
        signed, key = found.is_signature_valid, found.public_key()
        names = [str(each.value) for each in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        asks = bool(list(found.extensions) or list(found.attributes))
    except Exception:  # noqa: BLE001 - a parser of other people's bytes raises what it likes
        raise ValueError("it cannot be read as a signing request in PEM") from None
    if not signed:
        raise ValueError("it is not signed by the key that it names")
    if asks:
        raise ValueError(
            "it asks for names or uses, which are the organization's to say; make it by `spendgate ca org request`"
        )
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("its key is none of P-256; make it by `spendgate ca org request`")
    if len(names) != 1 or not DEVICE.fullmatch(names[0]):
        raise ValueError("it names no device; make it by `spendgate ca org request`")
    return Request(names[0], key)


def issuing(root: Signer, now: datetime, life: timedelta) -> Authority:
    """An issuer below the root, for `life`, with a key of its own. Raises ValueError where the root does not hold so long."""
    term, names = _term(now, life), permitted(root.certificate)
    above = Term.common((root.certificate,))
    if term.dies > above.dies:
        raise ValueError(f"the root itself ends on {above.dies:%Y-%m-%d}: make another by `ca org init` in time")
    if now < above.born:
        raise ValueError(f"the root holds from {above.born:%Y-%m-%d} on; is the clock right?")
    key = new_key()
    made = certificates.issuer("Spendgate issuer", key.public_key(), root, names, term.within(above))
    return Authority(root.certificate, made, key, names)


def bundle(
    root: Signer,
    device: str,
    now: datetime,
    life: timedelta,
    key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey,
) -> bytes:
    """One file for one device: a leaf for each host of the root, the issuer, the root. `key`: the device's; a private one, where
    the device did not make it, stands first in the file. Raises ValueError.
    """
    if not DEVICE.fullmatch(device):
        raise ValueError(
            f"{device[:64]!r} is no device's name: letters, digits, dots, hyphens, underscores; at most 64"
        )
    authority = issuing(root, now, life)
    secret = key.private_bytes(*PEM_OF_KEY) if isinstance(key, ec.EllipticCurvePrivateKey) else b""
    public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
    above, term = Signer(authority.issuer, authority.key), Term.common((authority.issuer,))
    leaves = [certificates.leaf(host, public, above, term, device) for host in sorted(authority.domains)]
    return secret + b"".join(each.public_bytes(Encoding.PEM) for each in leaves) + above.pem + root.pem


def _term(now: datetime, life: timedelta) -> Term:
    """Begins before now, for laptops whose clocks are behind, and ends when it was said."""
    whole = now.replace(microsecond=0)
    return Term(whole - BACKDATED, whole + life)
