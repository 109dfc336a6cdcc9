"""Google Cloud billing export: rows by the schema of the BigQuery tables; SKU names of the public catalogue, numbers invented."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given as each_of
from hypothesis import strategies as st

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.google_billing import GoogleBilling
from spendgate.statement import DAY_MS, Axes, Charge, TokenClass, Who
from spendgate.usage import Usage

SOURCE = GoogleBilling()
ROW = {
    "billing_account_id": "01ABCD-EF0123-456789", "service": {"id": "C7E2-9256-1C43", "description": "Vertex AI"},
    "sku": {"id": "1127-99B9-1860", "description": "Gemini 3.7 Flash Global Text Input - Predictions"},
    "usage_start_time": "2026-11-20 09:00:00 UTC", "usage_end_time": "2026-11-20 10:00:00 UTC",
    "export_time": "2026-11-20T14:30:00Z", "project": {"id": "dev-tools", "labels": []}, "labels": [],
    "location": {"location": "global", "region": None}, "cost": 0.9375, "currency": "USD", "currency_conversion_rate": 1.0,
    "usage": {"amount": 1250000.0, "unit": "count"}, "credits": [], "invoice": {"month": "202611"}, "cost_type": "regular",
    "cost_at_list": 1.25,
}  # fmt: skip


def sku(description: str, service: str = "Vertex AI", **more) -> dict:
    return {**ROW, "sku": {"description": description}, "service": {"description": service}, **more}


def lines(*rows: dict) -> str:
    return "".join(json.dumps(each) + "\n" for each in rows)


def test_a_sku_is_model_class_and_place() -> None:
    said = read(SOURCE, lines(ROW), "export.jsonl")
    (line,) = said.lines
    assert (line.provider, line.model, line.token_class) == ("vertex", "gemini-3.7-flash", TokenClass.INPUT)
    assert (line.usage, line.axes) == (Usage(input_tokens=1_250_000), Axes(geo="global"))
    assert (line.billed_nanos, line.list_nanos, line.amount) == (937_500_000, 1_250_000_000, "0.9375 USD")
    assert line.who == Who(organization="01ABCD-EF0123-456789", workspace="dev-tools")
    assert (said.subject, said.from_ms, said.until_ms) == ("01ABCD-EF0123-456789", START, START + DAY_MS)
    assert said.refreshed_ms == START + 52_200_000


@pytest.mark.parametrize(
    ("name", "service", "provider", "model", "found"),
    [
        ("Generate content cached input token count gemini 3.8 flash text", "Gemini API", "google", "gemini-3.8-flash",
         TokenClass.CACHE_READ),
        ("Generate content output token count gemini 3.1 flash lite preview text", "Gemini API", "google",
         "gemini-3.1-flash-lite-preview", TokenClass.OUTPUT),
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", "Vertex AI", "vertex", "gemini-2.5-flash", TokenClass.OUTPUT),
        ("Gemini 3 Pro Image Output - Predictions", "Vertex AI", "vertex", "gemini-3-pro", TokenClass.OUTPUT),
        ("Claude Sonnet 4.5 Output Tokens", "Claude Sonnet 4.5", "vertex", "claude-sonnet-4.5", TokenClass.OUTPUT),
        ("Claude 3.5 Haiku Cache Write 5m", "Vertex AI", "vertex", "claude-haiku-3.5", TokenClass.CACHE_WRITE_5M),
        ("Llama 4 Model as a Service Input", "Vertex AI", "vertex", None, TokenClass.INPUT),
    ],
)  # fmt: skip
def test_skus(name: str, service: str, provider: str, model: str | None, found: TokenClass) -> None:
    (line,) = read(SOURCE, lines(sku(name, service))).lines
    assert (line.provider, line.model, line.token_class, line.product) == (provider, model, found, name)


@pytest.mark.parametrize("amount", [None, ""])
def test_an_amount_that_is_not_told_is_not_zero(amount: str | None) -> None:
    said = read(SOURCE, lines({**ROW, "usage": {"amount": amount, "unit": "count"}}))
    assert (said.lines[0].usage.known, said.lines[0].quantity) == (False, None)
    assert any("1 rows: of tokens without a quantity" in each for each in said.notes)


def test_what_is_no_token_stands_by_itself() -> None:
    rows = [
        sku("Gemini 3 Flash Text Input Caching Storage", usage={"amount": 3, "unit": "hour"}),
        sku("Grounding with Google Search", "Gemini API"),
        sku("Imagen 4 fast Generation", usage={"amount": 2, "unit": "count"}),
        sku("PaLM Text Bison Input characters"),
    ]
    assert [(each.charge, each.token_class, each.usage.known) for each in read(SOURCE, lines(*rows)).lines] == [
        (Charge.STORAGE, None, False), (Charge.WEB_SEARCH, None, False), (Charge.MEDIA, None, False), (Charge.OTHER, None, False),
    ]  # fmt: skip


def test_discounts_are_taken_off_and_other_credits_stand_apart() -> None:
    given = [
        {"amount": -0.1, "type": "DISCOUNT", "name": "contract"},
        {"amount": -0.25, "type": "PROMOTION", "name": "trial"},
        {"amount": 0, "type": "FREE_TIER"},
    ]
    line, promotion = read(SOURCE, lines({**ROW, "credits": given})).lines
    assert (line.billed_nanos, line.list_nanos) == (837_500_000, 1_250_000_000)
    assert (promotion.charge, promotion.billed_nanos, promotion.unit) == (Charge.CREDIT, -250_000_000, "PROMOTION")
    assert not promotion.usage.input_tokens
    tax = {
        **sku("Tax", "Vertex AI"),
        "cost_type": "tax",
        "usage_start_time": "2026-11-01T00:00:00Z",
        "usage_end_time": "2026-12-01T00:00:00Z",
    }
    said = read(SOURCE, lines(ROW, tax))
    assert (said.lines[1].charge, said.from_ms, said.until_ms) == (Charge.TAX, START, START + DAY_MS)


def test_another_currency_is_turned_by_the_rows_own_rate() -> None:
    euros = {
        **ROW,
        "currency": "EUR",
        "currency_conversion_rate": 0.9,
        "cost": 0.9,
        "cost_at_list": 1.8,
        "credits": [{"amount": -0.45, "type": "PROMOTION"}],
    }
    said = read(SOURCE, lines(euros))
    line, credit = said.lines
    assert (line.billed_nanos, line.list_nanos, credit.billed_nanos) == (1_000_000_000, 2_000_000_000, -500_000_000)
    assert line.amount == "0.9 EUR"
    assert any("1 rows: in EUR, turned into dollars by their own rate" in each for each in said.notes)


def test_other_services_are_left_out_and_told_and_months_of_another_zone_too() -> None:
    december = {**ROW, "invoice": {"month": "202612"}}
    said = read(SOURCE, lines(ROW, sku("N1 Predefined Instance Core", "Compute Engine"), december))
    assert len(said.lines) == 2
    assert any(
        "1 rows of $0.9375 are about no model and left out: Compute Engine $0.9375" in each for each in said.notes
    )
    assert any("202612 has days of 2026-11-20" in each for each in said.notes)


@pytest.mark.parametrize("dot", [".", "_"])
def test_a_querys_csv_and_a_list_are_the_same(dot: str) -> None:
    given = [{"amount": -0.25, "type": "PROMOTION"}]
    row = {**ROW, "credits": given}
    flat = {
        f"{name}{dot}{leaf}" if leaf else name: value if not isinstance(value, list) else json.dumps(value)
        for name, inner in row.items() if name not in ("project", "labels")
        for leaf, value in (inner.items() if isinstance(inner, dict) else [("", inner)])
    } | {f"project{dot}id": "dev-tools"}  # fmt: skip
    out = io.StringIO()
    writer = csv.DictWriter(out, flat)
    writer.writeheader()
    writer.writerow(flat)
    expected = read(SOURCE, lines(row)).lines
    assert len(expected) == 2
    assert read(SOURCE, "\ufeff" + out.getvalue()).lines == expected
    assert read(SOURCE, json.dumps([row], indent=2)).lines == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (lines(ROW)[:-9], "line 1"),
        (lines(ROW) + lines(ROW)[:-9], "line 2: line 1 column"),
        (lines({k: v for k, v in ROW.items() if k != "cost"}), "line 1: 'cost' is missing"),
        (lines({**ROW, "cost": ""}), "line 1: '' is no decimal number"),
        (lines({**ROW, "cost": "1,5"}), "line 1: '1,5' is no decimal number"),
        (
            lines({**ROW, "currency": "EUR", "currency_conversion_rate": None}),
            "currency 'EUR' without currency_conversion_rate",
        ),
        (lines({**ROW, "currency": "EUR", "currency_conversion_rate": 0}), "currency_conversion_rate is"),
        (lines({**ROW, "currency": None, "currency_conversion_rate": 0.9}), "currency None without"),
        (lines({**ROW, "credits": {}}), "`credits` is no list"),
        (lines({**ROW, "credits": [{"type": "DISCOUNT"}]}), "'amount' is missing"),
        (lines({**ROW, "usage_end_time": "2026-11-20 09:00:00 UTC"}), "it ends before it begins"),
        (lines({**ROW, "usage_start_time": "today"}), "line 1: Invalid isoformat string: 'today'"),
        (lines({**ROW, "cost": 1e300}), "no amount that a provider writes"),
        ("[]", "it has no rows"),
    ],
)
def test_what_cannot_be_read_names_its_place(text: str, fault: str) -> None:
    assert fault in faults(SOURCE, text)


@each_of(st.decimals(min_value=-(10**6), max_value=10**6, places=12))
def test_dollars_are_exact_to_the_half_nano(cost) -> None:
    (line,) = SOURCE.read(lines({**ROW, "cost": str(cost)}).encode(), "x").lines
    assert abs(line.billed_nanos - cost * 10**9) * 2 <= 1
