"""One question of a device: decided, signed and written down in one transaction. Of one thread, with the root's key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from spendgate.capture import organization
from spendgate.capture.certificates import Signer
from spendgate.enrolment import messages
from spendgate.enrolment.books import Books, Line, Page
from spendgate.enrolment.credentials import (
    COPIED_A_DAY,
    COPIED_A_DAY_ALL,
    ISSUES_A_DAY,
    Device,
    Issue,
    Refuse,
    hashed,
    may_enrol,
    may_renew,
    spki,
)
from spendgate.enrolment.messages import Question
from spendgate.errors import StateError
from spendgate.window import DAY_MS

ENROLLED, RENEWED, AGAIN, COPIED = "enrolled", "renewed", "answered again", "refused: a copied key"


@dataclass(frozen=True, slots=True)
class Issued:
    """What leaves, and what is said of it."""

    body: bytes = field(repr=False)
    line: Line


@dataclass(frozen=True, slots=True)
class Office:
    """`life`: of what it issues."""

    root: Signer
    books: Books
    life: timedelta

    def enrol(self, asked: Question, address: str, now: datetime) -> Issued | Refuse:
        """By a credential. Raises ValueError for a request that is none, StateError where books or token fail."""
        now_ms = _ms(now)
        with self.books.open() as page:
            credential, known = page.credential(hashed(asked.secret)), page.device(asked.device)
            found = may_enrol(credential, asked.device, known, now_ms)
            if isinstance(found, Refuse) or credential is None:
                return found if isinstance(found, Refuse) else Refuse(401, "this credential is not known")
            key = messages.request_of(asked).key
            if busy := _often(page, asked.device, now_ms):
                return busy
            page.use(credential)
            made = self._signed(asked.device, key, now, self.life)
            line = Line(now_ms, ENROLLED, asked.device, credential.id, made.serial, made.until_ms, address)
            page.put(Device(asked.device, spki(key), made.until_ms))
            page.write(line)
        return Issued(made.body, line)

    def renew(self, asked: Question, address: str, now: datetime) -> Issued | Refuse:
        """By the key that was certified last. Raises as `enrol`."""
        now_ms = _ms(now)
        with self.books.open() as page:
            known = page.device(asked.device)
            if known is None:
                return Refuse(403, "nothing was issued to this device here: enrol it by a credential")
            key = messages.request_of(asked).key
            found = may_renew(known, spki(key), asked.der, asked.secret, now_ms)
            if isinstance(found, Refuse):
                if found.copied:
                    _write_copied(page, asked.device, address, now_ms)
                return found
            if busy := _often(page, asked.device, now_ms):
                return busy
            made = self._signed(asked.device, key, now, _left(found, now_ms, self.life))
            line = Line(
                now_ms, RENEWED if found.renews else AGAIN, asked.device, None, made.serial, made.until_ms, address
            )
            if found.renews:
                page.put(Device(asked.device, spki(key), made.until_ms, known.key, known.until_ms))
            page.write(line)
        return Issued(made.body, line)

    def _signed(self, device: str, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta) -> _Signed:
        try:
            bundle = organization.bundle(self.root, device, now, life, key)
        except ValueError as fault:  # not the device's: the root ends too soon, or the clock is wrong
            raise StateError(str(fault)) from fault
        issuer = x509.load_pem_x509_certificates(bundle)[-2]
        return _Signed(messages.answer(bundle), f"{issuer.serial_number:x}", _ms(issuer.not_valid_after_utc))


@dataclass(frozen=True, slots=True)
class _Signed:
    body: bytes
    serial: str
    until_ms: int


def _left(found: Issue, now_ms: int, life: timedelta) -> timedelta:
    """A whole life, or what is left of the one that was answered before."""
    return life if found.until_ms is None else timedelta(milliseconds=found.until_ms - now_ms)


def _often(page: Page, device: str, now_ms: int) -> Refuse | None:
    """What was issued alone counts: who has an old copy of the key must not use up what the right one may ask."""
    if page.issued_since(device, now_ms - DAY_MS) < ISSUES_A_DAY:
        return None
    return Refuse(429, f"this device has asked {ISSUES_A_DAY} times in a day; tomorrow again")


def _write_copied(page: Page, device: str, address: str, now_ms: int) -> None:
    """In the trail, as far as that says something new."""
    here, everywhere = page.refused_since(device, address, now_ms - DAY_MS)
    if here < COPIED_A_DAY and everywhere < COPIED_A_DAY_ALL:
        page.write(Line(now_ms, COPIED, device, address=address))


def _ms(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
