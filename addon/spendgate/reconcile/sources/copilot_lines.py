"""What a row of GitHub's billing is, in its API and in its CSV reports: what was used at list price, and the pool that pays.

Source: https://docs.github.com/en/rest/billing/usage (version 2026-03-10) and `content/billing/reference/billing-reports.md` of
github/docs. `gross - discount = net`: what the included pool covers shows as a discount. The gross amount can be compared with
what was captured, the net one is on the invoice; so a row becomes a line of its gross amount and a credit, which sum to the net.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from spendgate.reconcile.sources.assembling import quantity
from spendgate.reconcile.sources.reading import nanos, shown
from spendgate.statement import Charge, Line, Who
from spendgate.usage import NO_USAGE, Usage

PROVIDER: Final = "github-copilot"
CODING_AGENT: Final = "Copilot Coding Agent"
CODE_REVIEW: Final = "Copilot Code Review"
SPARK: Final = "Spark"
_PRODUCTS: Final = (
    (re.compile(r"coding.?agent|cloud.?agent"), CODING_AGENT),
    (re.compile(r"code.?review|code.?quality"), CODE_REVIEW),
    (re.compile(r"spark"), SPARK),
)
_NO_MODEL: Final = re.compile(r"(coding agent|cloud agent|code review|code quality)( model)?|auto|", re.IGNORECASE)
_PREFIX: Final = re.compile(r"^(auto|copilot [a-z ]+):\s*", re.IGNORECASE)
_NOISE_NANOS: Final = 1_000
"""Of amounts that were computed in floats: a millionth of a dollar."""


class Amounts(Struct, frozen=True):
    """A row's money, nano-dollars."""

    gross: int
    discount: int
    net: int

    @classmethod
    def read(cls, gross: object, discount: object, net: object) -> Amounts:
        """Raises ValueError where they are not gross - discount = net."""
        found = cls(nanos(gross), nanos(discount), nanos(net))
        if abs(found.gross - found.discount - found.net) > _NOISE_NANOS:
            raise ValueError(f"gross {shown(gross)} - discount {shown(discount)} is not net {shown(net)}")
        return found


class Row(Struct, frozen=True):
    """One row, from wherever."""

    starts_ms: int
    ends_ms: int
    who: Who
    sku: str
    model: str | None
    unit: str
    amounts: Amounts
    quantity: object
    """Of `unit`, as the source writes it."""
    amount: str
    """The gross amount as the source wrote it."""
    usage: Usage = NO_USAGE


def is_ai(product: str, unit: str) -> bool:
    """Whether a row is about models at all: the reports have Actions, storage and seats of other products, too."""
    return unit.lower().startswith("ai-") or re.search(r"copilot|spark|model", product, re.IGNORECASE) is not None


def lines_of(row: Row) -> Iterator[Line]:
    """What was used, at list price; and what the pool pays of it."""
    model, product = model_of(row.model), _product(row)
    yield Line(
        row.starts_ms, row.ends_ms, PROVIDER, model, product, row.who, charge=_charge(row.unit, row.sku), usage=row.usage,
        quantity=quantity(row.quantity), unit=row.unit, billed_nanos=row.amounts.gross, list_nanos=row.amounts.gross,
        amount=f"{row.amount} USD",
    )  # fmt: skip
    if row.amounts.gross != row.amounts.net:
        yield Line(
            row.starts_ms, row.ends_ms, PROVIDER, model, product, row.who, charge=Charge.CREDIT,
            billed_nanos=row.amounts.net - row.amounts.gross,
        )  # fmt: skip


def model_of(text: str | None) -> str | None:
    """`Auto: GPT-5.4` and `Copilot Coding Agent: Claude Sonnet 4.6` name models; `Coding Agent model` is none."""
    name = _PREFIX.sub("", (text or "").strip())
    return None if _NO_MODEL.fullmatch(name.removeprefix("Copilot ")) else name


def _product(row: Row) -> str:
    said = f"{row.sku} {row.model or ''}".lower()
    return next((name for words, name in _PRODUCTS if words.search(said)), row.sku)


def _charge(unit: str, sku: str) -> Charge:
    word = unit.lower()
    if word.startswith("ai-"):
        return Charge.TOKENS  # a credit is a cent of tokens at the price of their model
    if word == "requests" or "premium_request" in sku:
        return Charge.REQUESTS
    return Charge.SEAT if word in ("user-months", "seats", "user months") else Charge.OTHER
