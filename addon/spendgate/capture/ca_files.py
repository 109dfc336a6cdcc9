"""The authority on disk: the root's certificate for everybody, the issuer and its key for the gate's account alone.

The key file holds key, issuer and root, so the public certificate can always be written again from it, and a crash between
the two files leaves nothing that needs repair. Every doubt about a file is a StateError with the remedy; nothing is repaired
or replaced silently, since whoever could put another CA there could read what the gate reads.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from spendgate.capture.ca import Authority, create
from spendgate.errors import StateError
from spendgate.name_constraints import permitted

KEY_MODE, KEY_DIRECTORY_MODE, CERTIFICATE_MODE = 0o600, 0o700, 0o644
REMEDY = "run `spendgate ca rotate`, or remove it and start again; either way trust stores need the new certificate"


def open_authority(certificate: Path, key: Path, hosts: Iterable[str], now: datetime) -> Authority:
    """The authority of these two files, made for `hosts` when the key is not there. Safe when two gates start at once.

    Raises StateError: wrong owner or mode, not parseable, parts that do not belong together, constraints missing, expired.
    """
    if not key.exists():
        _write_new(key, _bundle(create(hosts, now)))
    authority = load(key, now)
    if not certificate.exists():
        certificate.parent.mkdir(parents=True, exist_ok=True)
        _replace(certificate, authority.pem, CERTIFICATE_MODE)
    elif _read(certificate) != authority.pem:
        raise StateError(f"{certificate} is not the certificate of {key}: {REMEDY}")
    return authority


def load(key: Path, now: datetime) -> Authority:
    """The authority of a key file. Raises StateError as `open_authority` does."""
    _check_private(key.parent, KEY_DIRECTORY_MODE)
    _check_private(key, KEY_MODE)
    content = _read(key)
    try:
        secret = load_pem_private_key(content, None)
        issuer, root = x509.load_pem_x509_certificates(content)
        issuer.verify_directly_issued_by(root)
        root.verify_directly_issued_by(root)
        domains = permitted(issuer) & permitted(root)
        if not isinstance(secret, ec.EllipticCurvePrivateKey) or secret.public_key() != issuer.public_key():
            raise ValueError("holds a key that is not its certificate's")
    except Exception as fault:  # a parser of other people's bytes raises what it likes; each means the same here
        raise StateError(f"{key} is not a CA of this program ({type(fault).__name__}: {fault}): {REMEDY}") from fault
    authority = Authority(root, issuer, secret, domains)
    if authority.not_after <= now:
        raise StateError(f"{key}: the CA expired on {authority.not_after:%Y-%m-%d}: {REMEDY}")
    if max(root.not_valid_before_utc, issuer.not_valid_before_utc) > now:
        raise StateError(f"{key}: the CA is not valid yet; is the clock right?")
    return authority


def _bundle(authority: Authority) -> bytes:
    secret = authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + authority.issuer.public_bytes(Encoding.PEM) + authority.pem


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise StateError(f"{path} cannot be read: {fault.strerror}") from fault


def _check_private(path: Path, mode: int) -> None:
    if os.name != "posix":
        return  # Windows keeps private files by the ACL that the state directory inherits
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise StateError(f"{path} is a symbolic link; the CA's key must be where it is looked for: {REMEDY}")
    if found.st_uid != os.geteuid():
        raise StateError(f"{path} belongs to uid {found.st_uid}, not to the gate's own account: {REMEDY}")
    if found.st_mode & 0o077:
        raise StateError(
            f"{path} can be used by other accounts (mode {found.st_mode & 0o777:04o}): chmod {mode:04o} it"
        )


def _write_new(path: Path, content: bytes) -> None:
    """Puts a private file in place unless there is one already: the first of two writers wins, whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=KEY_DIRECTORY_MODE)
    draft = _draft(path)
    _write(draft, content, KEY_MODE)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another gate was first; its authority is the one that counts
    finally:
        draft.unlink()


def _replace(path: Path, content: bytes, mode: int) -> None:
    draft = _draft(path)
    _write(draft, content, mode)
    draft.replace(path)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        if os.name == "posix":
            os.fchmod(file.fileno(), mode)  # whatever the umask is: others need the certificate
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
