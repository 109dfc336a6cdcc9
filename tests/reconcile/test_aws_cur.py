"""AWS CUR 2.0: columns of the table dictionary, usage types of Bedrock and its Marketplace editions; numbers are invented."""

from __future__ import annotations

import csv
import gzip
import io
from hashlib import sha256

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.aws_cur import AwsCur
from spendgate.statement import DAY_MS, Axes, Charge, TokenClass, Who
from spendgate.usage import Usage

SOURCE = AwsCur()
HOUR = 3_600_000
USAGE = {
    "bill_payer_account_id": "111122223333", "bill_billing_period_start_date": "2026-11-01T00:00:00.000Z",
    "line_item_usage_account_id": "444455556666", "line_item_line_item_type": "Usage",
    "line_item_usage_start_date": "2026-11-20T09:00:00.000Z", "line_item_usage_end_date": "2026-11-20T10:00:00.000Z",
    "line_item_product_code": "AmazonBedrock", "line_item_usage_type": "USE1-Claude4.6Sonnet-input-tokens",
    "line_item_operation": "InvokeModelInference", "line_item_usage_amount": "1234.567", "line_item_currency_code": "USD",
    "line_item_unblended_cost": "3.7037010000", "line_item_net_unblended_cost": "3.3333309000",
    "pricing_unit": "1K tokens", "pricing_public_on_demand_cost": "3.7037010000",
    "line_item_line_item_description": "$0.003 per 1K input tokens", "product": '{"product_name":"Amazon Bedrock"}',
    "line_item_iam_principal": "arn:aws:sts::444455556666:assumed-role/Developers/ann@example.com",
}  # fmt: skip
EDITION = {
    **USAGE, "line_item_product_code": "5x8example", "line_item_usage_type": "USW2-MP:USW2_CacheReadInputTokenCount_Global-Units",
    "product": '{"product_name":"Claude Sonnet 4.6 (Amazon Bedrock Edition)","region_code":"us-west-2"}',
    "line_item_line_item_description": "AWS Marketplace software usage|us-west-2|Million Cache Read Input Tokens Global",
    "pricing_unit": "Units", "line_item_usage_amount": "0.5", "line_item_unblended_cost": "0.15",
    "line_item_net_unblended_cost": "0.15", "pricing_public_on_demand_cost": "0.0", "line_item_iam_principal": "",
}  # fmt: skip
OTHER = {
    **USAGE, "line_item_product_code": "AmazonEC2", "line_item_usage_type": "BoxUsage:t3.micro", "product": "{}",
    "line_item_line_item_description": "$0.01 per hour", "line_item_net_unblended_cost": "7.25",
}  # fmt: skip


def cur(*rows: dict, without: tuple[str, ...] = ()) -> bytes:
    names = [name for name in USAGE if name not in without]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def test_usage_types_are_model_and_class_and_principals_people() -> None:
    data = cur(USAGE, OTHER)
    said = read(SOURCE, data, "cur.csv")
    (line,) = said.lines
    assert (line.model, line.product) == ("claude-sonnet-4.6", "USE1-Claude4.6Sonnet-input-tokens")
    assert (line.token_class, line.usage) == (TokenClass.INPUT, Usage(input_tokens=1_234_567))
    assert (line.billed_nanos, line.list_nanos, line.amount) == (3_333_330_900, 3_703_701_000, "3.3333309000 USD")
    assert line.who == Who(
        "111122223333", "444455556666", user=USAGE["line_item_iam_principal"], email="ann@example.com"
    )
    assert (line.starts_ms, line.ends_ms, line.axes) == (START + 9 * HOUR, START + 10 * HOUR, Axes(geo="USE1"))
    assert (said.subject, said.from_ms, said.until_ms) == ("111122223333", START, START + DAY_MS)
    assert said.sha256 == sha256(data).hexdigest()
    assert any("1 rows of $7.25 are about no model and left out: AmazonEC2 $7.25" in each for each in said.notes)


def test_marketplace_editions_are_found_by_their_product() -> None:
    (line,) = read(SOURCE, cur(EDITION)).lines
    assert (line.provider, line.model, line.token_class) == ("aws", "Claude Sonnet 4.6", TokenClass.CACHE_READ)
    assert (line.usage, line.axes.geo, line.who.user) == (Usage(cache_read_tokens=500_000), "global", "")
    assert (line.billed_nanos, line.list_nanos) == (150_000_000, 150_000_000), "Marketplace has no public price here"


def test_a_map_as_databases_print_it() -> None:
    printed = {**EDITION, "product": "{region_code=us-west-2, product_name=Claude Sonnet 4.6 (Amazon Bedrock Edition)}"}
    assert read(SOURCE, cur(printed)).lines == read(SOURCE, cur(EDITION)).lines


def test_a_unit_that_says_no_number_is_no_count_and_is_told() -> None:
    vague = {
        **EDITION,
        "line_item_line_item_description": "AWS Marketplace software usage|us-west-2|thousand Cache Read Input Tokens",
    }
    said = read(SOURCE, cur(vague))
    (line,) = said.lines
    assert (line.usage.known, line.quantity, line.unit, line.billed_nanos) == (False, "0.5", "Units", 150_000_000)
    assert any("in Units: how many tokens that is, is not told" in each for each in said.notes)


def test_an_amount_that_is_not_told_is_not_zero() -> None:
    said = read(SOURCE, cur({**USAGE, "line_item_usage_amount": ""}))
    assert (said.lines[0].usage.known, said.lines[0].quantity) == (False, None)
    assert any("1 rows: of tokens without a quantity" in each for each in said.notes)
    assert "line 2: '' is no decimal number" in faults(
        SOURCE, cur({**USAGE, "line_item_unblended_cost": "", "line_item_net_unblended_cost": ""})
    )


def test_without_net_costs_unblended_ones_are_billed() -> None:
    (line,) = read(SOURCE, cur(USAGE, without=("line_item_net_unblended_cost", "pricing_public_on_demand_cost"))).lines
    assert (line.billed_nanos, line.list_nanos) == (3_703_701_000, None)


def test_tax_credits_refunds_and_discounts_stand_apart() -> None:
    end = {
        "line_item_usage_start_date": "2026-11-01T00:00:00.000Z",
        "line_item_usage_end_date": "2026-12-01T00:00:00.000Z",
    }
    rows = [
        USAGE,
        {**USAGE, **end, "line_item_line_item_type": "Tax", "line_item_net_unblended_cost": "0.63"},
        {**USAGE, "line_item_line_item_type": "Credit", "line_item_net_unblended_cost": "-1.00"},
        {**USAGE, "line_item_line_item_type": "Refund", "line_item_net_unblended_cost": "-0.25"},
        {
            **USAGE,
            "line_item_line_item_type": "EdpDiscount",
            "line_item_net_unblended_cost": "",
            "line_item_unblended_cost": "-0.37",
        },
    ]
    said = read(SOURCE, cur(*rows))
    assert [(each.charge, each.billed_nanos) for each in said.lines] == [
        (Charge.TOKENS, 3_333_330_900), (Charge.TAX, 630_000_000), (Charge.CREDIT, -1_000_000_000),
        (Charge.CREDIT, -250_000_000), (Charge.TOKENS, 0),
    ]  # fmt: skip
    assert all(not each.usage.input_tokens for each in said.lines[1:]), "a tax row repeats no tokens"
    assert said.until_ms == START + DAY_MS, "a tax that is dated to the month's end tells no days"
    bare = [{key: value for key, value in row.items() if key != "line_item_net_unblended_cost"} for row in rows]
    discount = read(SOURCE, cur(*bare, without=("line_item_net_unblended_cost",))).lines[-1]
    assert (discount.billed_nanos, discount.list_nanos, discount.token_class) == (-370_000_000, 0, None)


def test_mantle_tiers_and_other_makers() -> None:
    rows = [
        {**USAGE, "line_item_usage_type": "USE1-openai.gpt-oss-120b-mantle-input-tokens-standard"},
        {**USAGE, "line_item_usage_type": "EUC1-Nova2.0Lite-output-tokens-flex"},
        {**USAGE, "line_item_usage_type": "USE1-Guardrail-ContentPolicyUnitsConsumed", "pricing_unit": "Units"},
    ]
    gpt, nova, guard = read(SOURCE, cur(*rows)).lines
    assert (gpt.provider, gpt.model, gpt.axes.tier) == ("aws-mantle", "openai.gpt-oss-120b", "standard")
    assert (nova.provider, nova.model, nova.axes, nova.token_class) == (
        "aws", "nova-2-lite", Axes("flex", None, "EUC1"), TokenClass.OUTPUT,
    )  # fmt: skip
    assert (guard.charge, guard.token_class, guard.quantity, guard.unit) == (Charge.OTHER, None, "1234.567", "Units")


def test_compressed_and_put_together_from_parts_it_is_the_same() -> None:
    parts = gzip.compress(cur(USAGE)) + gzip.compress(b"\xef\xbb\xbf" + cur(EDITION))
    said = read(SOURCE, parts, "month.csv.gz")
    assert [each.lines for each in (said,)] == [read(SOURCE, cur(USAGE, EDITION)).lines]
    assert said.sha256 == sha256(parts).hexdigest()


def test_what_cannot_be_read_names_its_line() -> None:
    assert "line 1: lacks the columns line_item_usage_type" in faults(
        SOURCE, cur(USAGE, without=("line_item_usage_type",))
    )
    assert "line 2: currency 'EUR': only USD can be read" in faults(
        SOURCE, cur({**USAGE, "line_item_currency_code": "EUR"})
    )
    assert "line 3: '1,5' is no decimal number" in faults(
        SOURCE, cur(USAGE, {**USAGE, "line_item_net_unblended_cost": "1,5"})
    )
    assert "line 2: 'nan'" in faults(SOURCE, cur({**USAGE, "line_item_net_unblended_cost": "nan"}))
    assert "line 2: it ends before it begins" in faults(
        SOURCE, cur({**USAGE, "line_item_usage_end_date": USAGE["line_item_usage_start_date"]})
    )
    assert "line 2: line 1 column" in faults(SOURCE, cur({**USAGE, "product": '{"product_name":'}))
    assert "was it cut off?" in faults(SOURCE, cur(USAGE)[:-140])
    assert "it has no rows" in faults(SOURCE, cur())
    assert "was it cut off?" in faults(SOURCE, gzip.compress(cur(USAGE))[:-9])


def test_times_without_a_zone_are_utc_and_floats_are_exact() -> None:
    row = {
        **USAGE, "line_item_usage_start_date": "2026-11-20 09:00:00.000", "line_item_usage_end_date": "2026-11-20 10:00:00.000",
        "line_item_net_unblended_cost": "1.1E-7",
    }  # fmt: skip
    (line,) = read(SOURCE, cur(row)).lines
    assert (line.starts_ms, line.billed_nanos) == (START + 9 * HOUR, 110)
