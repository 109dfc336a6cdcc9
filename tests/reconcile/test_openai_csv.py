"""The CSV files of OpenAI's dashboard and of ChatGPT's workspaces: columns as real exports have them, all values invented."""

from __future__ import annotations

import pytest

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.chatgpt_credits import ChatGPTCredits
from spendgate.reconcile.sources.openai_csv import OpenAICostCsv, OpenAIUsageCsv
from spendgate.statement import DAY_MS, Axes, Billed, Charge, TokenClass, Who
from spendgate.usage import NO_USAGE, Usage

USAGE, COST, CREDITS = OpenAIUsageCsv(), OpenAICostCsv(), ChatGPTCredits()
TIMES = "start_time,end_time,start_time_iso,end_time_iso"
DAY = "1795132800,1795219200,2026-11-20T00:00:00+00:00,2026-11-21T00:00:00+00:00"
NEXT = "1795219200,1795305600,2026-11-21T00:00:00,2026-11-22T00:00:00"

USED = (
    f"{TIMES},project_id,num_model_requests,user_id,api_key_id,model,batch,service_tier,input_tokens,output_tokens,"
    "input_cached_tokens,input_uncached_tokens,input_audio_tokens\n"
    f"{DAY},proj_a,12,user-1,key_1,gpt-5.5,false,default,50000,2100,41000,9000,\n"
    f"{DAY},proj_a,1,user-1,key_1,gpt-5.5,True,,7,3,0,7,\n"
    f"{NEXT},,,,,,,,,,,,\n"
)


def test_usage() -> None:
    said = read(USAGE, USED)
    plain, batch = said.lines
    assert plain.usage == Usage(9000, 41_000, output_tokens=2100)
    assert (plain.requests, plain.model, plain.axes) == (12, "gpt-5.5", Axes(tier="default"))
    assert plain.who == Who(workspace="proj_a", key="key_1", user="user-1")
    assert (batch.axes, batch.requests) == (Axes(tier="batch"), 1)
    assert (said.from_ms, said.until_ms) == (START, START + 2 * DAY_MS), "a day without use is a day of the file"
    assert said.notes == (
        "export.csv is taken to say all of 2026-11-20 to 2026-11-21, the days that it has rows of; "
        "if it was downloaded on one of them, import it again from a later download",
    )


def test_usage_by_the_minute_covers_its_day() -> None:
    minute = USED.replace(DAY, "1795136400,1795136460,2026-11-20T01:00:00,2026-11-20T01:01:00").replace(
        f"{NEXT},,,,,,,,,,,,\n", ""
    )
    said = read(USAGE, minute)
    assert (said.lines[0].starts_ms, said.lines[0].ends_ms) == (START + 3_600_000, START + 3_660_000)
    assert (said.from_ms, said.until_ms) == (START, START + DAY_MS)


def test_usage_that_is_empty() -> None:
    said = read(USAGE, f"{TIMES}\n{DAY}\n{NEXT}\n")
    assert (said.lines, said.from_ms, said.until_ms) == ((), START, START + 2 * DAY_MS)
    assert "2 rows: without a column but times: read as days without usage" in said.notes


MONEY = (
    f"\ufeff{TIMES},amount_value,amount_currency,quantity,quantity_unit,line_item,user_id,api_key_id,project_id,"
    "organization_id,project_name,organization_name,user_email,api_source\n"
    f'{DAY},0.003835980000000000000000000000,usd,1000,tokens,"gpt-5-nano, input_tokens",'
    "user-1,key_1,proj_a,org-x,A,X,a@example.com,\n"
    f"{DAY},0.25,usd,,,,,,,org-x,,X,a@example.com,\n"
    f"{NEXT},,,,,,,,,,,,,\n"
)


def test_costs() -> None:
    said = read(COST, MONEY)
    item, whole = said.lines
    assert (item.billed_nanos, item.token_class, item.model) == (3_835_980, TokenClass.INPUT, "gpt-5-nano")
    assert item.who == Who("org-x", "proj_a", "key_1", user="user-1", email="a@example.com")
    assert (item.quantity, item.unit) == ("1000", "tokens")
    assert item.amount == "0.003835980000000000000000000000 USD"
    assert (whole.charge, whole.token_class, whole.model, whole.billed_nanos) == (
        Charge.TOKENS,
        None,
        None,
        250_000_000,
    )
    assert (said.subject, said.until_ms) == ("org-x", START + 2 * DAY_MS)
    assert "1 rows: without a line item: the amount is taken for the tokens of all models" in said.notes


HEAD = (
    "\ufeffdate_partition,account_id,account_user_id,email,name,public_id,usage_type,usage_credits,usage_quantity,"
    "usage_units\n"
)
CREDIT_ROWS = (
    "2026-11-20,acc1,u1,a@example.com,A,user-1,api.codex_fast_gpt_5_5_2026_04_23_text_input_v_1,100.5,1000000,tokens\n"
    "2026-11-20,acc1,u1,a@example.com,A,user-1,api.codex_gpt_5_5_2026_04_23_text_cached_input_v_1,50.25,5000000,tokens\n"
    "2026-11-21,acc1,u1,a@example.com,A,user-1,api.codex_gpt_5_5_text_output_v_1,25,200000,tokens\n"
    "2026-11-21,acc1,u1,a@example.com,A,user-1,chat.completion.5.pro,12,3,counts\n"
    "2026-11-21,acc1,u1,a@example.com,A,user-1,api.codex_dreams,1,7,tokens\n"
)


def test_credits_are_counted_and_no_price_is_guessed() -> None:
    said = read(CREDITS, HEAD + CREDIT_ROWS)
    assert [(each.token_class, each.usage, each.requests, each.quantity) for each in said.lines] == [
        (TokenClass.INPUT, Usage(1_000_000), None, "100.5"),
        (TokenClass.CACHE_READ, Usage(cache_read_tokens=5_000_000), None, "50.25"),
        (TokenClass.OUTPUT, Usage(output_tokens=200_000), None, "25"),
        (None, NO_USAGE, 3, "12"),
        (None, NO_USAGE, None, "1"),
    ]
    assert [(each.model, each.axes.speed) for each in said.lines] == [
        ("gpt_5_5_2026_04_23", "fast"), ("gpt_5_5_2026_04_23", None), ("gpt_5_5", None), (None, None), (None, None),
    ]  # fmt: skip
    assert {(each.billed, each.billed_nanos, each.unit) for each in said.lines} == {(Billed.INCLUDED, None, "credits")}
    assert said.lines[0].who == Who("acc1", user="u1", email="a@example.com")
    assert (said.provider, said.subject, said.until_ms) == ("chatgpt", "acc1", START + 2 * DAY_MS)
    assert said.lines[0].amount == "100.5 credits"


@pytest.mark.parametrize("source", [USAGE, COST, CREDITS], ids=lambda each: each.name)
def test_an_export_without_rows_says_nothing(source: object) -> None:
    header = {USAGE: USED, COST: MONEY, CREDITS: HEAD}[source].partition("\n")[0]
    assert "it has no rows, so nothing says which days it is about" in faults(source, header + "\n")
    assert "line 1: lacks the columns" in faults(source, "")


@pytest.mark.parametrize(
    ("source", "text", "words"),
    [
        (USAGE, USED[:-30], "line 4: 4 cells, the header has 16; was it cut off?"),
        (USAGE, USED.replace("num_model_requests", "requests"), "line 1: lacks the columns num_model_requests"),
        (USAGE, USED.replace("50000", "50000.5"), "line 2: '50000.5' is no whole count of zero or more"),
        (USAGE, USED.replace("50000", ""), "line 2: '' is no decimal number"),
        (USAGE, USED.replace("50000", "5O000"), "line 2: '5O000' is no decimal number"),
        (USAGE, USED.replace("false", "perhaps"), "line 2: 'perhaps' is neither true nor false"),
        (USAGE, USED.replace("1795219200,2026", "1795132800,2026"), "line 2: it ends before it begins"),
        (USAGE, USED.replace("1795132800,", "1795132800000,"), "is no time of these millennia"),
        (USAGE, USED.replace("user_id", "model", 1), "line 1: a column stands twice"),
        (COST, MONEY.replace("0.25,usd", "0.25,eur"), "line 3: currency 'eur': only USD can be read"),
        (COST, MONEY.replace("0.25,usd", "0.25,"), "line 3: currency '': only USD can be read"),
        (COST, MONEY.replace("0.25,usd", ",usd"), "line 3: '' is no decimal number"),
        (COST, MONEY.replace("0.25,usd", '"0,25",usd'), "line 3: '0,25' is no decimal number"),
        (COST, MONEY.replace("amount_value", "amount"), "lacks the columns amount_value"),
        (COST, MONEY.encode()[:200] + b"\xff", "not UTF-8"),
        (COST, MONEY[:400], "was it cut off?"),
        (CREDITS, HEAD + CREDIT_ROWS.replace("2026-11-21", "21/11/2026"), "line 4: '21/11/2026' is no day"),
        (CREDITS, HEAD + CREDIT_ROWS.replace("100.5", ""), "line 2: usage_credits is empty, and that is not 0"),
        (CREDITS, HEAD + CREDIT_ROWS.replace("chat.completion.5.pro", ""), "line 5: usage_type is empty"),
        (CREDITS, HEAD + CREDIT_ROWS.replace("counts", ""), "line 5: usage_units is empty"),
        (CREDITS, HEAD + CREDIT_ROWS.replace("100.5", "lots"), "line 2: 'lots' is no decimal number"),
        (CREDITS, HEAD + CREDIT_ROWS.replace(",3,counts", ",3.5,counts"), "line 5: '3.5' is no whole count"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_line(source: object, text: str | bytes, words: str) -> None:
    assert words in faults(source, text)


@pytest.mark.parametrize("source", [USAGE, COST], ids=lambda each: each.name)
def test_rows_that_come_twice_are_a_fault(source: OpenAIUsageCsv | OpenAICostCsv) -> None:
    """Each row is the sum of its group: the second would count it again."""
    header, row = (USED if source is USAGE else MONEY).splitlines()[:2]

    assert "line 3: it is line 2 again" in faults(source, f"{header}\n{row}\n{row}\n")
