"""A ledger of a month whose bill is typed by hand, and what `reconcile` says of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from click.testing import Result as Ran
from typer.testing import CliRunner

from cli.kit import app
from reconcile.taught import TODAY_MS
from spendgate.config.paths import State, prepare
from spendgate.ledger import Ledger
from spendgate.ledger.interface import CallRow, Settlement
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.statement import DAY_MS
from spendgate.usage import Usage

FIRST = TODAY_MS - 120 * DAY_MS
"""Of thirty days that no provider adds anything to any more."""
DAYS = 30
LAST = FIRST + (DAYS - 1) * DAY_MS


def day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"


MONTH = ("--from", day(FIRST), "--until", day(LAST + DAY_MS))


def used(
    ledger: Ledger,
    at_day: int,
    dollars: int,
    *,
    provider: str = "anthropic",
    billing: str = "metered",
    searches: int | None = None,
) -> None:
    """A call at noon of that day of the thirty."""
    left_ms = FIRST + at_day * DAY_MS + DAY_MS // 2
    name = f"{provider}-{billing}-{at_day}"
    row = CallRow(name, left_ms, "alice", "lt-1", provider, f"api.{provider}.com", "/v1/messages", tool="claude-code",
                  model_requested="claude-opus-4-5", billing=billing)  # fmt: skip
    cost = dollars * NANOS_PER_DOLLAR
    usage = Usage(input_tokens=1_000, output_tokens=10, web_searches=searches)
    done = Settlement("settled", "reported", usage, cost, cost, (), left_ms + 9_000, model="claude-opus-4-5",
                      http_status=200)  # fmt: skip
    ledger.collected(row, done, left_ms)


def month_of_calls(folder: Path) -> State:
    """A call of $10 on each of 29 days, and one on the day before and after the month."""
    found = prepare(State(folder / "state"))
    ledger = Ledger.open(found.ledger, found.gates, TODAY_MS)
    for each in range(-1, DAYS + 1):
        if each != 7:
            used(ledger, each, 10)
    ledger.close()
    return found


def called(place: State, *words: str) -> Ran:
    return CliRunner().invoke(app, [*words, "--state", str(place.root)])


def typed(
    place: State, charges: str, *, more: str = "", provider: str = "anthropic", first: int = FIRST, last: int = LAST,
    account: str = "",
) -> str:  # fmt: skip
    """Import an invoice as a person types it, and what that said."""
    file = place.root.parent / "invoice.yaml"
    whose = f"account: {account}\n" if account else ""
    file.write_text(
        f"statement: 1\nprovider: {provider}\n{whose}from: {day(first)}\nthrough: {day(last)}\n{more}charges:\n{charges}"
    )
    ran = called(place, "reconcile", "import", str(file))
    assert ran.exit_code == 0, ran.output
    return ran.stderr


def report(place: State, *words: str, span: tuple[str, ...] = MONTH) -> tuple[dict, int]:
    """The document, and how the command ends."""
    ran = called(place, "reconcile", "report", *span, "--format", "json", *words)
    said = json.loads(ran.stdout)
    totals, days = said["totals"], said["days"]
    assert totals["gap_nanos"] == totals["billed_nanos"] - totals["captured_nanos"]
    assert totals["gap_nanos"] == sum(each["nanos"] for each in said["causes"]) + said["unexplained_nanos"]
    assert totals["gap_nanos"] == totals["under_nanos"] + totals["over_nanos"]
    for name in ("billed_nanos", "captured_nanos", "gap_nanos"):
        assert totals[name] == sum(each[name] for each in days)
    assert said["unexplained_nanos"] == sum(each["unexplained_nanos"] for each in days)
    return said, ran.exit_code


def dollars(said: dict) -> tuple[Decimal, Decimal, Decimal]:
    """Billed, captured, unexplained."""
    totals = said["totals"]
    nanos = totals["billed_nanos"], totals["captured_nanos"], said["unexplained_nanos"]
    billed, captured, left = (Decimal(each) / NANOS_PER_DOLLAR for each in nanos)
    return billed, captured, left


SUM = "  - {for: tokens, amount: $310.25}\n"
WHOLE = (Decimal("310.25"), Decimal(290), Decimal("20.25"))
APART = (Decimal("310.25"), Decimal(0), Decimal("310.25"))
"""As where no call is compared."""
