"""What Cursor's words mean, in its API and in its CSV files: who pays for an event, and where it ran.

Source: https://cursor.com/docs/account/teams/admin-api, and the kinds that the dashboard's own enumeration and its exports show
(`facts/reconciliation.md` 3). Who pays is told by the kind alone: events that were included, or failed, carry an amount, too, and
`isChargeable` is true of failed ones.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from spendgate.reconcile.sources.reading import decimal
from spendgate.statement import Billed

CLOUD_AGENT: Final = "Cloud Agent"
AUTOMATION: Final = "Automation"
BUGBOT: Final = "Bugbot"
_FIRST_WORDS: Final = (
    ("usage based", Billed.METERED),
    ("on demand", Billed.METERED),
    ("included", Billed.INCLUDED),
    ("custom subscription", Billed.INCLUDED),
    ("free", Billed.INCLUDED),
    ("errored", Billed.NOT_CHARGED),
    ("aborted", Billed.NOT_CHARGED),
    ("user api key", Billed.ELSEWHERE),
)
_TEN_THOUSANDTH: Final = Decimal("0.0001")


def billed_by(kind: str) -> Billed | None:
    """`Included in Business`, `USAGE_EVENT_KIND_ERRORED_NOT_CHARGED`, `On-Demand`; None: no word that is known."""
    words = re.sub(r"[^a-z]+", " ", kind.lower().removeprefix("usage_event_kind_")).strip()
    return next((found for word, found in _FIRST_WORDS if words.startswith(word)), None)


def cents(value: object) -> Decimal:
    """Cents, to a ten-thousandth: they are numbers of seven digits (float32) written with seventeen."""
    return decimal(value).quantize(_TEN_THOUSANDTH, ROUND_HALF_EVEN)
