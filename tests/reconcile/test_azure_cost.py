"""Azure cost exports: columns of the enterprise and customer agreement schemas, meters of the price list; numbers invented."""

from __future__ import annotations

import csv
import gzip
import io

import pytest

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.azure_cost import AzureCost
from spendgate.statement import DAY_MS, Axes, Charge, TokenClass, Who
from spendgate.usage import Usage

SOURCE = AzureCost()
ROW = {
    "BillingAccountId": "8600000", "SubscriptionId": "0000-sub", "Date": "11/20/2026", "MeterCategory": "Foundry Models",
    "MeterSubCategory": "Azure OpenAI", "MeterName": "gpt 4o 1120 Inp glbl Tokens", "MeterId": "m-1", "Quantity": "1234.567",
    "UnitOfMeasure": "1K", "EffectivePrice": "0.0025", "PayGPrice": "0.003", "CostInBillingCurrency": "3.0864175",
    "BillingCurrencyCode": "USD", "ChargeType": "Usage", "ResourceLocation": "swedencentral", "ProductName": "Azure OpenAI",
    "ResourceId": "/subscriptions/0000-sub/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/team-gpt",
}  # fmt: skip
MILLIONS = 1_234_567_000
MCA = {
    "date": "2026-11-20",
    "billingCurrency": "EUR",
    "costInBillingCurrency": "9",
    "costInUsd": "10",
    "paygCostInUsd": "12",
}


def export(*rows: dict, without: tuple[str, ...] = ()) -> bytes:
    names = [name for name in rows[0] if name not in without]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def meter(name: str, unit: str = "1K", sub: str = "Azure OpenAI", **more: str) -> dict:
    return {**ROW, "MeterName": name, "UnitOfMeasure": unit, "MeterSubCategory": sub, **more}


def mca(**more: str) -> dict:
    """The same row by the names of a customer agreement."""
    lower = {name[0].lower() + name[1:]: value for name, value in ROW.items() if name != "BillingCurrencyCode"}
    return {**lower, **MCA, **more}


def test_token_meters_are_model_class_and_whole_tokens() -> None:
    said = read(SOURCE, export(ROW), "part_0_0001.csv")
    (line,) = said.lines
    assert (line.provider, line.model, line.token_class) == ("azure", "gpt-4o", TokenClass.INPUT)
    assert (line.usage, line.quantity, line.axes) == (Usage(input_tokens=1_234_567), None, Axes(geo="global"))
    assert (line.billed_nanos, line.list_nanos, line.amount) == (3_086_417_500, 3_703_701_000, "3.0864175 USD")
    assert line.who == Who(organization="8600000", workspace="0000-sub", key_name="team-gpt")
    assert (said.subject, said.from_ms, said.until_ms) == ("8600000", START, START + DAY_MS)


@pytest.mark.parametrize(
    ("name", "kind", "model", "usage", "tier"),
    [
        ("GPT 5 Mini cchd Inpt Glbl 1M Tokens", ("1M", "Azure OpenAI"), "gpt-5-mini", Usage(cache_read_tokens=MILLIONS), None),
        ("5.4 opt Gl 1M Tokens", ("1M", "Azure OpenAI GPT5"), "gpt-5.4", Usage(output_tokens=MILLIONS), None),
        ("5.5 ShortCo inp Dz 1M Tokens", ("1M", "Azure OpenAI GPT5"), "gpt-5.5", Usage(input_tokens=MILLIONS), None),
        ("o4-mini 0416 Outp glbl Tokens", ("1K", "Azure OpenAI Reasoning"), "o4-mini", Usage(output_tokens=1_234_567), None),
        ("gpt 4.1 nano Batch Inp glbl Tokens", ("1K", "Azure OpenAI"), "gpt-4.1-nano", Usage(input_tokens=1_234_567), "batch"),
        ("Grok 4.1 Inp DZone Tokens", ("1000", "Azure Grok Models"), "grok-4.1", Usage(input_tokens=1_234_567), None),
    ],
)  # fmt: skip
def test_meters(name: str, kind: tuple[str, str], model: str, usage: Usage, tier: str | None) -> None:
    (line,) = read(SOURCE, export(meter(name, *kind))).lines
    assert (line.model, line.usage, line.axes.tier) == (model, usage, tier)


def test_provisioned_hours_and_half_tokens_are_no_counts() -> None:
    said = read(SOURCE, export(meter("Provisioned Managed Global Unit", "1 Hour"), {**ROW, "Quantity": "0.0005"}))
    hours, half = said.lines
    assert (hours.charge, hours.model, hours.quantity, hours.unit) == (Charge.OTHER, None, "1234.567", "1 Hour")
    assert (half.charge, half.usage.known, half.quantity, half.unit) == (Charge.TOKENS, False, "0.0005", "1K")
    assert any("1 rows: in 1K: how many tokens that is, is not told" in each for each in said.notes)


def test_refunds_tax_and_other_services() -> None:
    rows = [
        {**ROW, "ChargeType": "Refund", "CostInBillingCurrency": "-1"},
        {**ROW, "ChargeType": "Tax", "CostInBillingCurrency": "0.5"},
        meter("D2s v5", "1 Hour", "Dsv5 Series", MeterCategory="Virtual Machines", ProductName="VM"),
    ]
    said = read(SOURCE, export(*rows))
    assert [(each.charge, each.billed_nanos, each.token_class) for each in said.lines] == [
        (Charge.CREDIT, -1_000_000_000, None), (Charge.TAX, 500_000_000, None),
    ]  # fmt: skip
    assert any("1 rows of $3.0864175 are about no model and left out: Virtual Machines" in each for each in said.notes)


def test_a_quantity_that_is_not_told_is_not_zero() -> None:
    said = read(SOURCE, export({**ROW, "Quantity": ""}))
    (line,) = said.lines
    assert (line.token_class, line.usage.known, line.quantity) == (TokenClass.INPUT, False, None)
    assert any("1 rows: of tokens without a quantity" in each for each in said.notes)


def test_another_currency_is_read_by_the_exports_own_dollars_or_refused() -> None:
    said = read(SOURCE, export(mca()))
    (line,) = said.lines
    assert (line.billed_nanos, line.list_nanos, line.amount) == (10_000_000_000, 12_000_000_000, "10 USD")
    assert any("1 rows: in EUR: the export's own dollars are taken" in each for each in said.notes)
    told = faults(SOURCE, export({**ROW, "BillingCurrencyCode": "EUR"}))
    assert "line 2: currency 'EUR' without a column CostInUsd: no rate is guessed" in told
    assert "currency ''" in faults(SOURCE, export(ROW, without=("BillingCurrencyCode",)))


def test_a_file_that_may_be_cut_off_in_its_last_cell_says_so() -> None:
    said = read(SOURCE, export(ROW)[:-5])
    assert any("the last ends without a line break: is the file whole?" in each for each in said.notes)


def test_partitions_put_together_and_compressed_are_one_statement() -> None:
    one, two = export(ROW), export({**ROW, "Quantity": "1"})
    lines = read(SOURCE, export(ROW, {**ROW, "Quantity": "1"})).lines
    assert read(SOURCE, one + two).lines == lines
    assert read(SOURCE, gzip.compress(one) + gzip.compress(two)).lines == lines


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (export(ROW)[:-130], "line 2: "),
        (export({**ROW, "Date": "20.11.2026"}), "line 2: '20.11.2026' is no day"),
        (export({**ROW, "Date": "20/11/2026"}), "line 2: '20/11/2026' is no day; write 2026-11-20 or 11/20/2026"),
        (export({**ROW, "CostInBillingCurrency": "3,08"}), "line 2: '3,08' is no decimal number"),
        (export({**ROW, "CostInBillingCurrency": ""}), "line 2: costinbillingcurrency is empty, and that is not 0"),
        (export({**ROW, "Quantity": "many"}), "line 2: 'many' is no decimal number"),
        (export(ROW, without=("MeterName",)), "'metername' is missing"),
        (export(ROW).split(b"\r\n")[0] + b"\r\n", "it has no rows"),
    ],
)
def test_what_cannot_be_read_names_its_line(data: bytes, fault: str) -> None:
    assert fault in faults(SOURCE, data)
