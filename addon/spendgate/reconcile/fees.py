"""What a bill has beside the use of models: seats, fees, taxes, credits, rounding. Each line is a finding of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.money import dollars
from spendgate.reconcile.assembling import Assembled
from spendgate.reconcile.choosing import COMPARED
from spendgate.reconcile.groups import charged
from spendgate.reconcile.remedies import REMEDIES
from spendgate.reconcile.result import Cause, Confidence, Finding
from spendgate.statement import Charge, Line

_DOLLARS: Final = ("USD", "cent")


def fees(assembled: Assembled) -> Iterator[Finding]:
    """The findings, in the order of the bill's lines."""
    for day, line, account in assembled.fees:
        nanos = charged(line)
        if not nanos or line.charge in COMPARED:  # one sum of several days is use, and no fee: it stays unexplained
            continue
        cause, told = Cause.NON_TOKEN_FEE, line.charge.value
        if line.charge is Charge.CREDIT:
            cause = Cause.CREDIT_COMMIT
        elif line.charge is Charge.ROUNDING:
            cause = Cause.FX_ROUNDING
        elif line.charge is Charge.SEAT:
            cause = Cause.SUBSCRIPTION_INCLUDED
        evidence = (
            f"the bill has {dollars(nanos)} for {told}{f' ({line.product})' if line.product else ''}{_written(line)}"
        )
        yield Finding(
            cause,
            nanos,
            Confidence.EXACT,
            day.day_ms,
            day.provider,
            account.name,
            line.model or "",
            evidence,
            REMEDIES[cause],
        )


def _written(line: Line) -> str:
    """What the bill itself says, where that is no dollars."""
    plain = not line.amount or line.amount.startswith("$") or line.amount.endswith(_DOLLARS)
    return "" if plain else f", written as {line.amount}"
