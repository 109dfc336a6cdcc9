"""The tables, as migrations: the steps of all eras, in one order.

Rules: a migration that has shipped is never edited, a change is a new one, at the end of the last era. All amounts are
nano-dollars, all times epoch milliseconds (`_ms`); only the view `calls`, which people and scripts read, prints times as
ISO 8601 with Z.
"""

from __future__ import annotations

from sqlite_utils import Migrations

from spendgate.ledger.eras import era1_calls, era2_limits, era3_telling, era4_bills

migration = Migrations("spendgate-ledger")

for _era in (era1_calls.era, era2_limits.era, era3_telling.era, era4_bills.era):
    for _step in _era.steps:
        migration()(_step)
