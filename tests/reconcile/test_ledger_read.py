"""A run over a real ledger's file: the same as over the same calls in memory, by day, by key, with ids."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ledger.kit import open_ledger
from reconcile.kit_explain import DAY, KEY, MODEL, NOON, NOW, USAGE, billed, by_cause, price, statement, times
from spendgate.admission import Admit
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import StatementBook
from spendgate.reconcile.facts import Facts, Witnessed
from spendgate.reconcile.result import Cause
from spendgate.reconcile.run import Options, explain, reconcile
from spendgate.statement import DAY_MS

OPTIONS = Options(DAY, DAY + DAY_MS, NOW)
ROW = CallRow("call", NOON, "alice", "lt-1", "anthropic", "api.anthropic.com", "/v1/messages", tool="claude-code", api_key=KEY,
              model_requested=MODEL, kind="claude-code|opus")  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One gate's."""
    made = open_ledger(tmp_path, NOON)
    yield made
    made.close()


def write(ledger: Ledger, number: int, at_ms: int = NOON, **changes: object) -> None:
    """One call that was made and ended."""
    name = f"call-{number}"
    end = Settlement(
        "settled", "reported", USAGE, price(USAGE), price(USAGE), (), at_ms + 2_000, model=MODEL, http_status=200,
        response_id=f"msg_{number}", prices=f"bundled:anthropic/{MODEL}",
    )  # fmt: skip
    ledger.hold(replace(ROW, id=name, started_ms=at_ms), (), lambda standings, kind: Admit(()), at_ms)
    ledger.sent(name, at_ms)
    ledger.settle(name, replace(end, **changes))


def test_a_run(tmp_path: Path, ledger: Ledger) -> None:
    """Ten calls captured, twelve billed."""
    for number in range(10):
        write(ledger, number, NOON + number)
    with StatementBook(tmp_path / "ledger.db") as book:
        book.take(statement(billed(times(USAGE, 12), 12)), "admin", NOW)

    with Reader(tmp_path / "ledger.db") as reader:
        result = reconcile(reader, OPTIONS)
        drill = explain(reader, OPTIONS, DAY, KEY)

    assert by_cause(result) == {Cause.UNCAPTURED: 2 * price(USAGE)}
    assert result.captured_nanos == 10 * price(USAGE)
    assert drill.result.findings == result.findings
    assert [each.id for each in drill.calls] == [f"call-{number}" for number in range(10)]
    assert len(drill.lines) == 5


def test_a_witness_names_what_went_around(tmp_path: Path, ledger: Ledger) -> None:
    """Of three requests in a session log two are in the ledger."""
    for number in range(2):
        write(ledger, number, NOON + number)
    with StatementBook(tmp_path / "ledger.db") as book:
        book.take(statement(billed(times(USAGE, 3), 3)), "admin", NOW)
    seen = tuple(
        Witnessed("anthropic", NOON, "Claude Code's session log", response_id=f"msg_{number}", model=MODEL, usage=USAGE)
        for number in range(3)
    )

    with Reader(tmp_path / "ledger.db") as reader:
        result = reconcile(reader, OPTIONS, Facts(witnessed=seen))

    assert by_cause(result) == {Cause.BYPASS_ON_DEVICE: price(USAGE)}
    assert "msg_2" in result.findings[0].evidence


def test_one_response_in_two_rows(tmp_path: Path, ledger: Ledger) -> None:
    """The second row is the double, and is named."""
    for number in range(3):
        write(ledger, number, NOON + number, response_id=f"msg_{min(number, 1)}")
    with StatementBook(tmp_path / "ledger.db") as book:
        book.take(statement(billed(times(USAGE, 2), 2)), "admin", NOW)

    with Reader(tmp_path / "ledger.db") as reader:
        result = reconcile(reader, OPTIONS)

    assert by_cause(result) == {Cause.RETRY_DUP: -price(USAGE)}
    assert result.findings[0].calls == ("call-2",)


def test_no_statement(tmp_path: Path, ledger: Ledger) -> None:
    """Nothing is compared, and that is said."""
    write(ledger, 0)

    with Reader(tmp_path / "ledger.db") as reader:
        result = reconcile(reader, OPTIONS)

    assert (result.billed_nanos, result.captured_nanos, result.days) == (0, 0, ())
    assert any("no statement; 1 call of" in note for note in result.notes)


def test_unknown_key(tmp_path: Path, ledger: Ledger) -> None:
    """Says which there are."""
    write(ledger, 0)
    with StatementBook(tmp_path / "ledger.db") as book:
        book.take(statement(billed(USAGE, 1)), "admin", NOW)

    with Reader(tmp_path / "ledger.db") as reader, pytest.raises(ValueError, match=KEY):
        explain(reader, OPTIONS, DAY, "nobody's")
