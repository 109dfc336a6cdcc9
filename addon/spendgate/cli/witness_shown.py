"""What `reconcile witness` has found, for a terminal: the requests that went around the gate by why, each with what shows it and
what to do; then what only the ledger has, and what both have otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final

from spendgate.cli.lines import counted
from spendgate.cli.moments import shown
from spendgate.cli.output import Column, console, writing
from spendgate.cli.rows_below import Cells, show_rows
from spendgate.reconcile.witnesses.whys import TOLD, Why

_COUNTS: Final = (
    Column("input_tokens", "input", right=True),
    Column("cache_read_tokens", "cache read", right=True),
    Column("cache_write_tokens", "cache write", right=True),
    Column("output_tokens", "output", right=True),
)
_COLUMNS: Final = (
    Column("at", "at", weight=0),
    Column("tool", "tool", weight=1),
    Column("model", "model", weight=2),
    *_COUNTS,
    Column("id", "id", weight=3),
    Column("call", "call", weight=3),
    Column("evidence", "shown by:", weight=6),
)
_AROUND: Final = (
    "This account's session logs have {which} that the ledger has no call of: {they} went around the gate, and no"
    " budget here has counted {them}. Below: why, as far as this machine still shows it, and what to do."
)
Row = Mapping[str, object]


@writing()
def show(rows: Sequence[Row], zone: tzinfo, empty: str) -> None:
    """All of them; `empty` is what no row means."""
    out = console()
    if not rows:
        out.print(empty)
        return
    around = [row for row in rows if row["where"] == "log"]
    if around:
        one = len(around) == 1
        words = {
            "which": counted(len(around), "request"),
            "they": "it" if one else "they",
            "them": "it" if one else "them",
        }
        out.print(_AROUND.format(**words))
    for why, firm, remedy in dict.fromkeys((row["why"], row["firm"], row["remedy"]) for row in around):
        own = [row for row in around if (row["why"], row["firm"]) == (why, firm)]
        heading = f"{counted(len(own), 'request')}: {TOLD[Why(str(why))]} ({firm})"
        shows = {str(row["evidence"]) for row in own}
        told = [*(shows if len(shows) == 1 else ()), f"→ {remedy}"]
        cells = [_cells(row if len(shows) > 1 else {**row, "evidence": None}, zone) for row in own]
        show_rows(out, heading, _COLUMNS, cells, together=_COUNTS, told=told)
    _others(rows, "ledger", "only in the ledger, which is no finding", zone)
    _others([row for row in rows if row["why"]], "both", "with other counts in the log than in the ledger", zone)
    _others([row for row in rows if not row["why"]], "both", "in the log and the ledger alike", zone)


def _others(rows: Sequence[Row], where: str, what: str, zone: tzinfo) -> None:
    own = [row for row in rows if row["where"] == where]
    if own:
        heading = f"{counted(len(own), 'call')} {what}"
        show_rows(console(), heading, _COLUMNS, [_cells(row, zone) for row in own], together=_COUNTS)


def _cells(row: Row, zone: tzinfo) -> Cells:
    found = {each.key: _text(row.get(each.key)) for each in _COLUMNS}
    return {**found, "at": shown(int(str(row["at"])), zone)}


def _text(value: object) -> str:
    return "" if value is None else f"{value:,}" if type(value) is int else str(value)
