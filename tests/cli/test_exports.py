"""`export focus|csv|otlp` and `export check`: sums are those of `spend`, files are read by others, wrong ones are told."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from cli.kit import app, ran, row, settlement
from spendgate.admission import Admit
from spendgate.cli.output import plain_cell
from spendgate.config.paths import State
from spendgate.exports import focus, focus_billed, focus_check
from spendgate.exports.focus_billed import BilledLine
from spendgate.exports.otlp import batches
from spendgate.ledger.ledger import Ledger
from spendgate.statement import Charge, Line
from spendgate.usage import NO_USAGE, Usage


def exported(state: State, path: Path, *words: str) -> list[dict[str, str]]:
    """The rows of an export's file."""
    ran(state, "export", *words, "--output", str(path))
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_focus_sums_are_those_of_spend_and_its_structure_holds(state: State, tmp_path: Path) -> None:
    """Captured, list and billed are three columns; no captured row is billed."""
    rows = exported(state, tmp_path / "focus.csv", "focus")
    (spent,) = json.loads(ran(state, "spend", "--by", "person", "--format", "json"))

    for column, figure in (("x_CapturedCost", "cost_nanos"), ("ContractedCost", "cost_nanos"), ("ListCost", "value_nanos"),
                           ("x_EstimatedCost", "not_reported_nanos"), ("x_CalibratedCost", "calibrated_nanos")):  # fmt: skip
        assert sum(Decimal(each[column]) for each in rows) * 10**9 == spent[figure]
    for column, figure in (
        ("x_Calls", "calls"),
        ("x_InputTokens", "input_tokens"),
        ("x_OutputTokens", "output_tokens"),
    ):
        assert sum(int(each[column]) for each in rows) == spent[figure]
    assert {each["BilledCost"] for each in rows} == {"0"}
    assert set(rows[0]) >= focus.MANDATORY and "InvoiceId" not in rows[0]
    assert len(focus.MANDATORY) == 21
    assert CliRunner().invoke(app, ["export", "check", str(tmp_path / "focus.csv")]).exit_code == 0


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("BilledCost", "", "BilledCost is empty"),
        ("BilledCost", "1.5", "captured row has a BilledCost"),
        ("ListCost", "$3", "ListCost is no decimal"),
        ("ListCost", "1,000", "ListCost is no decimal"),
        ("ChargeCategory", "usage", "ChargeCategory is none of"),
        ("ChargeCategory", "Purchase", "ChargeFrequency of a Purchase is Usage-Based"),
        ("ChargeCategory", "Purchase", "ConsumedQuantity is there, and the charge is a Purchase"),
        ("ChargeCategory", "Credit", "ListCost of a Credit without a list price is not its BilledCost"),
        ("ChargeFrequency", "Daily", "ChargeFrequency is none of"),
        ("ChargeClass", "Fix", "ChargeClass is none of"),
        ("ServiceCategory", "AI", "ServiceCategory is none"),
        ("ServiceCategory", "Compute", "ServiceSubcategory is none of Compute"),
        ("ServiceSubcategory", "Chat", "ServiceSubcategory is none of the standard's words"),
        ("ConsumedUnit", "", "of ConsumedQuantity and ConsumedUnit only one"),
        ("BillingCurrency", "dollars", "BillingCurrency is no ISO"),
        ("PricingUnit", "Tokens", "only one is there"),
        ("ChargePeriodEnd", "2020-01-01T00:00:00Z", "ChargePeriodStart is not before"),
        ("BillingPeriodStart", "yesterday", "BillingPeriodStart is no UTC time"),
        ("ChargePeriodStart", "2020-01-01T00:00:00Z", "does not begin in the billing period"),
    ],
)
def test_each_fault_of_a_focus_file_is_told(state: State, tmp_path: Path, column: str, value: str, told: str) -> None:
    """And ends with exit status 1."""
    rows = exported(state, tmp_path / "focus.csv", "focus")
    rows[0][column] = value
    wrong = tmp_path / "wrong.csv"
    with wrong.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    done = CliRunner().invoke(app, ["export", "check", str(wrong)])

    assert done.exit_code == 1
    assert told in done.stderr


def test_a_missing_column_and_a_short_row_are_told() -> None:
    """A file that was cut, too."""
    assert "columns are missing: BilledCost" in next(focus_check.faults(["ListCost,ChargeClass\n"]))
    names = ",".join(focus.COLUMNS)
    assert "another number of cells" in next(focus_check.faults([f"{names}\n", "1,2\n"]))


def test_every_kind_of_charge_is_a_row_as_the_standard_has_it() -> None:
    """Also one of a moment, of the last day of a month, that tells no list price, or that a plan pays."""
    begins = 1_796_083_199_990  # 2026-11-30T23:59:59.990Z
    lines = [
        BilledLine(
            Line(begins, begins + more, "anthropic", charge=charge, billed_nanos=-7 if charge is Charge.CREDIT else 7,
                 list_nanos=9, requests=2, usage=use), 7, "org", "a", "b", "c",
        )
        for charge in Charge for more in (1, 86_400_000) for use in (NO_USAGE, Usage(input_tokens=0, output_tokens=5))
    ]  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, focus_billed.COLUMNS)
    writer.writeheader()
    writer.writerows(focus_billed.rows(lines))

    assert list(focus_check.faults(out.getvalue().splitlines())) == []
    assert len(out.getvalue().splitlines()) == 1 + len(lines)
    assert {each["ChargeCategory"] for each in csv.DictReader(io.StringIO(out.getvalue()))} == {
        "Usage", "Purchase", "Tax", "Credit", "Adjustment",
    }  # fmt: skip
    assert not list(focus_billed.rows([BilledLine(Line(0, 1, "anthropic", requests=3), 0, "", "a", "b", "c")]))


def test_csv_has_every_call_and_runs_nowhere(state: State, tmp_path: Path) -> None:
    """Text that begins as a formula has a quote before it; amounts stay numbers."""
    ledger = Ledger.open(state.ledger, state.gates, 0)
    made = replace(row("0d1b2c3d-formula", 3), session='=HYPERLINK("x")')
    ledger.hold(made, (), lambda _s, _k: Admit(()), made.started_ms)
    ledger.settle(made.id, settlement(()))
    ledger.close()

    rows = exported(state, tmp_path / "calls.csv", "csv")

    assert {each["id"] for each in rows} >= {"0a1b2c3d-settled", "0b1b2c3d-open", "0c1b2c3d-refused", made.id}
    assert next(each["session"] for each in rows if each["id"] == made.id) == '\'=HYPERLINK("x")'
    assert sum(int(each["cost_nanos"] or 0) for each in rows) == 2 * 123_456_789


def test_otlp_input_includes_the_cache_and_only_ended_calls_are_spans(state: State, tmp_path: Path) -> None:
    """Each line is one request; times and counts are as OTLP writes them, in text."""
    ran(state, "export", "otlp", "--output", str(tmp_path / "spans.jsonl"))
    (line,) = (tmp_path / "spans.jsonl").read_text().splitlines()
    (span,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    said = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
    (call,) = [each for each in json.loads(ran(state, "calls", "--format", "json")) if each["state"] == "settled"]

    assert said["spendgate.id"] == "0a1b2c3d-settled"
    parts = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
    assert int(said["gen_ai.usage.input_tokens"]) == sum(call[name] or 0 for name in parts)
    assert said["spendgate.cost_nanos"] == "123456789"
    assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
    assert int(span["startTimeUnixNano"]) < int(span["endTimeUnixNano"])


def test_a_call_without_counts_has_none() -> None:
    """What nobody counted is no zero."""
    names = ("session", "model", "provider", "host", "response_id", "input_tokens", "cache_read_tokens", "cache_write_tokens",
             "output_tokens", "reasoning_tokens", "person", "team", "machine", "tool", "project", "billing", "basis",
             "cost_nanos", "value_nanos", "flags")  # fmt: skip
    call = {**dict.fromkeys(names), "id": "one", "state": "failed", "model_requested": "m", "http_status": 500,
            "started_at": "2026-11-22T02:13:00.042Z", "ended_at": "2026-11-22T02:13:01.000Z"}  # fmt: skip
    (batch,) = batches([call])
    (span,) = batch["resourceSpans"][0]["scopeSpans"][0]["spans"]

    assert not [each for each in span["attributes"] if each["key"].startswith("gen_ai.usage")]
    assert span["startTimeUnixNano"] == "1795313580042000000"
    assert span["status"] == {"code": 2}


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_begins_as_a_formula_does(sign: str) -> None:
    """Nor with a wide sign, which a spreadsheet with East Asian settings takes for the narrow one."""
    assert str(plain_cell(f"{sign}1+1")).startswith("'")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a;=1+1", "a;'=1+1"),
        ("a; @SUM(1)", "a; '@SUM(1)"),
        ('a;"=1+1', "a;\"'=1+1"),
        ("a;b;-1;\uff1d1", "a;b;'-1;'\uff1d1"),
        ("=1;=1", "'=1;'=1"),
        (" =1", "' =1"),
        ("  @SUM(1)", "'  @SUM(1)"),
        ("\u00a0=1", "'\u00b7=1"),
        ("a; b=c", "a; b=c"),
    ],
)
def test_no_part_of_a_cell_after_a_semicolon_begins_as_a_formula_does(text: str, cell: str) -> None:
    """Spreadsheets of many countries part cells there, whatever the file is quoted with."""
    assert plain_cell(text) == cell
