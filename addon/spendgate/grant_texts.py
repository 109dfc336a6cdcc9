"""Asks and grants as text: what is mailed, pasted and signed. Pure; whatever is read is bounded, and wrong text is a ValueError.

    spendgate-grant:<the grant as canonical JSON, base64url>.<key id, signature and signature of the comment, base64url>

What is signed begins with a line of its own, so that no other file that the key signs is a grant, and the trusted comment is one
fixed word, so that nothing in the text is unsigned.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from spendgate.budget import canonical
from spendgate.minisign import Signature
from spendgate.money import NANOS_MAX, dollars
from spendgate.selector import ATTRIBUTES
from spendgate.window import day_starts_ms, local_date

GRANT, ASK = "spendgate-grant:", "spendgate-ask:"
COMMENT: Final = "spendgate grant"
"""The trusted comment of every grant's signature."""
_HEAD: Final = b"spendgate grant 1\n"
TEXT_LENGTH_MAX: Final = 8_192
REASON_LENGTH_MAX: Final = 120
_INSTANT_MAX_MS: Final = 32_503_680_000_000
"""The year 3000: instants beyond it are no calendar's."""
_AMOUNT_STEP: Final = 10**5
"""Nano-dollars of the fourth decimal, the last that a policy takes."""
_SIGNATURE_BYTES: Final = 8 + 64 + 64


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody who was refused asks for. Instants in epoch milliseconds, amounts in nano-dollars."""

    id: str
    ledger: str
    machine: str
    person: str
    budget: str
    """As the refusal names it: `person/month`."""
    values: dict[str, str]
    """Whose allowance: the budget's `per` with the values that it is kept for."""
    amount_nanos: int
    at_ms: int
    until_ms: int
    reason: str

    def code(self) -> str:
        """One line that holds everything a grant needs, to be mailed or pasted."""
        return ASK + _text(canonical(msgspec.structs.asdict(self)))

    @classmethod
    def of_code(cls, code: str) -> Ask:
        """Read `code` back. Raises ValueError."""
        return _sane(_decoded(_bytes(code, ASK), cls))


class Grant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an approver signs. Fields as in `Ask`; `ask` is its id, `issued_ms` when it was signed."""

    id: str
    ask: str
    ledger: str
    machine: str
    person: str
    budget: str
    values: dict[str, str]
    amount_nanos: int
    from_ms: int
    until_ms: int
    reason: str
    approver: str
    """The approver's name in the policy."""
    issued_ms: int

    def data(self) -> bytes:
        """What is signed: the same bytes for the same grant."""
        return _HEAD + canonical(msgspec.structs.asdict(self))


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """A grant as it was written. Nothing in it is true before `judge` has said so."""

    grant: Grant
    signature: Signature

    def text(self) -> str:
        """The one line."""
        made = self.signature
        raw = made.key_id + made.signature + made.global_signature
        return f"{GRANT}{_text(self.grant.data())}.{_text(raw)}"

    @classmethod
    def parse(cls, text: str) -> SignedGrant:
        """Read the one line. Raises ValueError for anything but what `text` writes."""
        data, dot, signature = text.strip().removeprefix(GRANT).partition(".")
        if not text.strip().startswith(GRANT) or not dot:
            raise ValueError(f"is no grant: it does not begin {GRANT}, or was cut short")
        found = _bytes(GRANT + data, GRANT)
        if not found.startswith(_HEAD):
            raise ValueError("is no grant that this version knows")
        grant = _sane(_decoded(found.removeprefix(_HEAD), Grant))
        raw = _bytes(GRANT + signature, GRANT)
        if len(raw) != _SIGNATURE_BYTES or grant.data() != found:
            raise ValueError("is no grant: it was changed or cut short")
        return cls(grant, Signature(raw[:8], raw[8:72], COMMENT, raw[72:]))


def exception_of(ask: Ask, approved_by: str, zone: str) -> str:
    """The entry under a policy's `exceptions` that gives what is asked for, as one flow of YAML: what its owner writes where
    nobody may grant it. It ends on a day where the ask does, in `zone`, the file's own."""
    whose = {"person": ask.person} | ask.values
    match = ", ".join(f"{name}: {_quoted(value)}" for name, value in whose.items())
    amount = -(-ask.amount_nanos // _AMOUNT_STEP) * _AMOUNT_STEP
    words = (
        f"budget: {ask.budget}", f"match: {{{match}}}", f"add: {dollars(amount)}".replace(",", ""),
        f"until: {_last(ask.until_ms, zone)}", f"reason: {_quoted(ask.reason or 'WHY')}", f"approved_by: {_quoted(approved_by)}",
    )  # fmt: skip
    return f"{{{', '.join(words)}}}"


def _last(until_ms: int, zone: str) -> str:
    """A day, whole, where the ask ends with one; else the instant."""
    day = local_date(zone, until_ms - 1)
    if day_starts_ms(zone, day + timedelta(days=1)) == until_ms:
        return day.isoformat()
    return datetime.fromtimestamp(until_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str, prefix: str) -> bytes:
    """What stands in base64url behind the prefix. Raises ValueError for anything but the one text that encodes it."""
    body = text.strip().removeprefix(prefix)
    if len(body) > TEXT_LENGTH_MAX:
        raise ValueError(f"has {len(body):,} characters; at most {TEXT_LENGTH_MAX:,}")
    if not text.strip().startswith(prefix):
        raise ValueError(f"does not begin {prefix}")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("was changed or cut short: it is not base64") from None
    if _text(raw) != body:
        raise ValueError("was changed or cut short: it is not base64 as it is written")
    return raw


def _decoded[T: (Ask, Grant)](data: bytes, kind: type[T]) -> T:
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("was changed or cut short: its fields are not those of this version") from None
    if canonical(msgspec.structs.asdict(found)) != data:
        raise ValueError("was changed: it is not written as Spendgate writes it")
    return found


def _sane[T: (Ask, Grant)](found: T) -> T:
    """Bounds that every text must keep: what is in it goes into ledgers and onto terminals. Raises ValueError."""
    fields: dict[str, object] = msgspec.structs.asdict(found)
    for name, text in (*fields.items(), *found.values.items()):
        if not isinstance(text, str):
            continue
        most = REASON_LENGTH_MAX if name == "reason" else 256
        if len(text) > most or not text.isprintable():
            raise ValueError(f"{name} is too long or has control characters; at most {most} characters on one line")
    instants = [value for name, value in fields.items() if name.endswith("_ms")]
    if any(not isinstance(at_ms, int) or not 0 <= at_ms <= _INSTANT_MAX_MS for at_ms in instants):
        raise ValueError("names an instant that no calendar reaches")
    if not 0 < found.amount_nanos <= NANOS_MAX:
        raise ValueError("asks for nothing, or for more than a ledger row holds")
    if not all((found.id, found.ledger, found.machine, found.person, found.budget)):
        raise ValueError("lacks what it is about")
    if not found.values.keys() <= set(ATTRIBUTES):
        raise ValueError("names an attribute that calls do not have")
    return found
