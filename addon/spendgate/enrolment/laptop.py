"""What a laptop does: asks for certificates, takes what was meant for it alone, and keeps whom to ask for the next.

The key is made here and stays; only its request goes out. An answer is believed in nothing: it is read and installed as a file of
`ca org issue` is (`capture.issued`), has to be of the root that is trusted here already, and of this device's name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from spendgate.capture import issued, issued_files, organization
from spendgate.capture.ca_files import KEY_MODE, check_private, read, replace
from spendgate.capture.issued import Issued
from spendgate.config.paths import State
from spendgate.enrolment import messages
from spendgate.enrolment.asking import Line, Refused, office
from spendgate.enrolment.credentials import proof_of
from spendgate.errors import StateError
from spendgate.name_constraints import permitted

_REMEDY: Final = "enrol again, by `spendgate ca org enroll`"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Where this device is enrolled, and as what."""

    url: str
    device: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, and nothing else is taken. `root`: the organization's certificate in PEM; `hosts`: that may be named."""

    device: str
    root: bytes
    hosts: Iterable[str]


def kept(state: State) -> Enrolment | None:
    """None: this device is not enrolled over HTTPS. Raises StateError."""
    if not state.enrolment.exists():
        return None
    check_private(state.enrolment, KEY_MODE, _REMEDY)
    try:
        found = Enrolment(**json.loads(read(state.enrolment)))
        if office(found.url) != found.url or not organization.DEVICE.fullmatch(found.device):
            raise ValueError
    except (ValueError, TypeError):
        raise StateError(f"{state.enrolment} is not as it was left: {_REMEDY}") from None
    return found


async def enrol(state: State, line: Line, wish: Wish, secret: str, now: datetime) -> Issued:
    """By a credential.

    Where an earlier answer was lost, its credential is used up; but the office has this device's key, which then opens by itself.
    Raises Refused, Unasked, StateError.
    """
    key = issued_files.requested(state)
    der, body = messages.body_of(organization.new_request(wish.device, key))
    try:
        data = await line.ask(messages.ENROLL, wish.device, secret, body)
    except Refused as refused:
        if refused.status not in (401, 403):
            raise
        try:
            data = await line.ask(messages.REENROLL, wish.device, proof_of(key, der), body)
        except Refused:
            raise refused from None
    found = _take(state, line.url, wish, data, key, now=now)
    replace(state.enrolment, json.dumps(asdict(Enrolment(line.url, wish.device))).encode(), KEY_MODE)
    return found


async def renew(state: State, line: Line, device: str, now: datetime) -> Issued:
    """By the key that is installed, for another one; of the same root, for no host that it could not sign for before.

    Raises Refused, Unasked, StateError, and what is installed stays then.
    """
    key = issued_files.requested(state)
    before = issued_files.load(state)  # after the key: where another gate has just renewed, the two belong together
    der, body = messages.body_of(organization.new_request(device, key))
    data = await line.ask(messages.REENROLL, device, proof_of(before.key, der), body)
    return _take(state, line.url, Wish(device, before.root_pem, permitted(before.root)), data, key, now=now)


def _take(state: State, url: str, wish: Wish, data: bytes, key: ec.EllipticCurvePrivateKey, *, now: datetime) -> Issued:
    """Raises StateError for an answer that is not this device's, to this key."""
    try:
        bundle = messages.bundle_of(data)
        found = issued.read(bundle, [key])  # of the key that was asked for, and no other
        if found.device != wish.device:
            raise ValueError(f"is of another device than {wish.device}")
    except ValueError as fault:
        raise StateError(f"the answer of {url} {fault}") from None
    return issued_files.install(
        state, bundle, now, wish.hosts, place=f"the answer of {url}", root=wish.root, asked_now=True
    )
