"""Puts the ledger's book of a month into a real ledger, through the port that a gate writes by, in one transaction."""

from __future__ import annotations

from pathlib import Path

from reconcile.simulator.books import Row
from reconcile.simulator.month import Month
from spendgate.audit_words import AuditWord
from spendgate.ledger import Ledger
from spendgate.ledger.audit_log import Line
from spendgate.ledger.interface import CallRow, Settlement

DIALECTS = {
    "anthropic": "anthropic-messages",
    "openai": "openai-responses",
    "openrouter": "openai-chat",
    "cursor": "cursor",
}


def file(month: Month, folder: Path) -> Path:
    """A new ledger in this folder, with every row of the month in the order of their ends; the path of its file."""
    path = folder / "ledger.db"
    ledger = Ledger.open(path, folder / "gates", month.from_ms)
    rows = sorted((each.row for each in month.requests if each.row is not None), key=lambda row: row.ended_ms)

    def write() -> None:
        for row in rows:
            ledger.collected(_opened(row), _ended(row), row.started_ms)
        for at_ms, word, detail in sorted(month.trail):
            ledger.audit(Line(at_ms, AuditWord(word), detail))

    try:
        ledger.together(write)
    finally:
        ledger.close()
    return path


def _opened(row: Row) -> CallRow:
    return CallRow(
        row.id, row.started_ms, row.person, row.machine, row.provider, row.host, "/v1/messages", row.team, tool=row.tool,
        project=row.project, session=row.session, agent=row.agent, api_key=row.api_key, billing=row.billing,
        dialect=DIALECTS[row.provider], model_requested=row.model, kind=f"{row.tool}|{row.model}", policy_hash="simulated",
    )  # fmt: skip


def _ended(row: Row) -> Settlement:
    return Settlement(
        row.state, row.basis, row.usage, row.cost_nanos, row.value_nanos, (), row.ended_ms, model=row.model,
        http_status=row.http_status, duration_ms=row.ended_ms - row.started_ms, request_id=row.request_id,
        response_id=row.response_id, prices=row.prices, flags=row.flags,
    )  # fmt: skip
