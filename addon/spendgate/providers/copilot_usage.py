"""`copilot_usage`: what a call costs in GitHub's AI credits, as Copilot states it beside the counts of every dialect it speaks.

`total_nano_aiu` is billionths of a credit, and a credit is $0.01: a hundred of them are one nano-dollar. A recorded call of
150,325,000 is the list price of its tokens, $0.00150325. Included models state 0. Source: facts/wire-formats.md 10.
"""

from __future__ import annotations

from typing import Final

from pydantic_core import core_schema as schema

from spendgate.providers.shapes import Fields, record

_NANO_AIU_A_NANO_DOLLAR: Final = 100
# A call of $10,000: more is no price of a call, and is left to the counts.
_NANO_AIU_MAX: Final = 10**15
_AMOUNT: Final = schema.with_default_schema(
    schema.int_schema(strict=True, ge=0, le=_NANO_AIU_MAX), default=None, on_error="default"
)
COPILOT_USAGE: Final = record(total_nano_aiu=_AMOUNT)


def copilot_cost_nanos(found: Fields) -> int | None:
    """The cost that stands in these fields, in whole nano-dollars, rounded up; None where none is stated."""
    amount: int | None = (found.get("copilot_usage") or {}).get("total_nano_aiu")
    return None if amount is None else -(-amount // _NANO_AIU_A_NANO_DOLLAR)
