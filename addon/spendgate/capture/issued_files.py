"""What an organization issued, on the device's disk: installed whole or not at all, and read again at each start.

One file holds key and certificates, so that a renewal exchanges both in one step, under a gate that runs too. While it is there,
no CA's key may be: a device either signs for itself or is signed for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from spendgate.capture import issued
from spendgate.capture.ca_files import (
    CERTIFICATE_MODE,
    KEY_DIRECTORY_MODE,
    KEY_MODE,
    check_private,
    read,
    replace,
    write_new,
)
from spendgate.capture.ca_next import drop_next
from spendgate.capture.issued import Issued
from spendgate.config.paths import State
from spendgate.errors import StateError

REMEDY: Final = "install the organization's file again, by `spendgate ca org install FILE`"


def load(state: State) -> Issued:
    """What is installed; whether it holds now is not asked. Raises StateError."""
    check_private(state.leaves.parent, KEY_DIRECTORY_MODE, REMEDY)
    check_private(state.leaves, KEY_MODE, REMEDY)
    try:
        return issued.read(read(state.leaves))
    except ValueError as fault:
        raise StateError(f"{state.leaves} {fault}: {REMEDY}") from fault


def open_issued(state: State) -> Issued:
    """As a gate starts with it: the root lies where trust stores look for it, and nothing here can sign. Raises StateError."""
    if state.ca_key.exists():
        raise StateError(f"{state.ca_key} is a CA's key, and {state.leaves} says that none is here: {REMEDY}")
    found = load(state)
    if not state.ca_certificate.exists():
        replace(state.ca_certificate, found.root_pem, CERTIFICATE_MODE)
    elif read(state.ca_certificate) != found.root_pem:
        raise StateError(f"{state.ca_certificate} is not the root of {state.leaves}: {REMEDY}")
    return found


def requested(state: State) -> ec.EllipticCurvePrivateKey:
    """The key of a request: the one that waits already, since its answer may be under way, else a new one. Raises StateError."""
    if not state.requested_key.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        write_new(state.requested_key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    check_private(state.requested_key, KEY_MODE, "remove it, and request again")
    try:
        found = load_pem_private_key(read(state.requested_key), None)
    except ValueError as fault:
        raise StateError(f"{state.requested_key} is no key: remove it, and request again") from fault
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise StateError(f"{state.requested_key} is no key of a request: remove it, and request again")
    return found


def install(
    state: State,
    data: bytes,
    now: datetime,
    hosts: Iterable[str],
    *,
    place: str,
    root: bytes | None = None,
    asked_now: bool = False,
) -> Issued:
    """Take it into the state directory, and every key that could sign out of it. `hosts`: those that may be named. `root`: the
    certificate that it must be of; without it, of the one that was installed before, if any. `place`: the file's name.
    `asked_now`: it answers a question of a moment ago, by a key that was new, so that one that ends earlier is no older one.

    Raises StateError, and nothing is changed then.
    """
    before = load(state) if state.leaves.exists() else None
    keys = [before.key] if before else []
    if state.requested_key.exists():
        keys.append(requested(state))
    try:
        found = issued.read(data, keys)
        issued.in_time(found, now)
        issued.within(found, hosts)
        _follows(found, None if asked_now and root is not None else before, root)
    except ValueError as fault:
        raise StateError(f"{place} {fault}") from fault
    replace(state.leaves, found.file(), KEY_MODE)
    replace(state.ca_certificate, found.root_pem, CERTIFICATE_MODE)
    state.ca_key.unlink(missing_ok=True)
    drop_next(state.ca_certificate, state.ca_key)
    state.requested_key.unlink(missing_ok=True)
    return found


def _follows(found: Issued, before: Issued | None, root: bytes | None) -> None:
    """Raises ValueError for another root than is expected, and for an older file."""
    if root is not None:
        if root != found.root_pem:
            raise ValueError("is not of the root that --root names")
    elif before is not None and before.root != found.root:
        raise ValueError("is of another root than the one installed; where that is meant, name the new one with --root")
    if before is not None and before.root == found.root and found.term.dies < before.term.dies:
        raise ValueError(
            f"ends on {found.term.dies:%Y-%m-%d}, before what is installed ({before.term.dies:%Y-%m-%d}): an older file"
        )
