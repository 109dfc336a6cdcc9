"""GitHub's billing reports: headers as real exports of several ages have them, all values invented."""

from __future__ import annotations

import pytest

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.copilot_csv import CopilotCsv, CopilotOldCsv
from spendgate.statement import DAY_MS, Billed, Charge, Who
from spendgate.usage import NO_USAGE, Usage

SOURCE, OLD = CopilotCsv(), CopilotOldCsv()
AI = (
    "date,username,product,sku,model,quantity,unit_type,applied_cost_per_quantity,gross_amount,discount_amount,net_amount,"
    "exceeds_quota,total_monthly_quota,organization,repository,cost_center_name,aic_quantity,aic_gross_amount\n"
)
AGENT = "2026-11-20,ann,copilot,coding_agent_ai_credit,Claude Sonnet 4.6,40,ai-credits,0.01,0.40,0,0.40,True,3900,acme"
ROWS = (
    "2026-11-20,ann,copilot,copilot_ai_credit,Auto: GPT-5.4,120.5,ai-credits,0.01,1.205,1.205,0,False,3900,acme,,"
    "Core,120.5,1.205\n"
    f"{AGENT},acme/a,,40,0.4\n"
    f"{AGENT},acme/b,,40,0.4\n"
    "2026-11-21,,copilot,copilot_premium_request,GPT-5,10,requests,0.04,0.40,0.10,0.30,False,300,acme,,,5,0.05\n"
)


def test_ai_credits() -> None:
    said = read(SOURCE, "\ufeff" + AI + ROWS)
    assert [(each.who.user, each.charge, each.product, each.billed_nanos) for each in said.lines] == [
        ("ann", Charge.TOKENS, "copilot_ai_credit", 1_205_000_000),
        ("ann", Charge.CREDIT, "copilot_ai_credit", -1_205_000_000),
        ("ann", Charge.TOKENS, "Copilot Coding Agent", 400_000_000),
        ("ann", Charge.TOKENS, "Copilot Coding Agent", 400_000_000),
        (None, Charge.REQUESTS, "copilot_premium_request", 400_000_000),
        (None, Charge.CREDIT, "copilot_premium_request", -100_000_000),
    ], "rows that differ in their repository alone are two"
    first = said.lines[0]
    assert (first.model, first.quantity, first.unit, first.amount) == ("GPT-5.4", "120.5", "ai-credits", "1.205 USD")
    assert (first.who, first.usage) == (Who("acme", "Core", user="ann"), NO_USAGE)
    assert sum(each.billed_nanos or 0 for each in said.lines) == 1_100_000_000, "what is on the invoice"
    assert (said.subject, said.from_ms, said.until_ms) == ("acme", START, START + 2 * DAY_MS)


TOKENS = (
    "date,username,product,sku,model,quantity,unit_type,applied_cost_per_quantity,gross_amount,discount_amount,net_amount,"
    "organization,cost_center_name,input,output,cache_read,cache_write,total_monthly_quota,repository,aic_quantity,aic_gross_amount\n"
    "2026-11-20,ann,copilot,copilot_ai_credit,GPT-5,120,ai-credits,0.01,1.20,1.00,0.20,acme,,1000,200,700,100,500,acme/a,120,1.20\n"
)


def test_tokens_are_made_disjoint_by_what_the_rows_show() -> None:
    including = read(SOURCE, TOKENS)
    used, pool = including.lines
    assert used.usage == Usage(200, 700, None, None, 100, 200)
    assert pool.usage == NO_USAGE
    assert including.notes[-1] == "input is taken to include cached tokens: no row denies it"
    more = TOKENS + TOKENS.splitlines()[1].replace("1000,200,700", "10,200,700").replace("ann", "bob") + "\n"
    apart = read(SOURCE, more)
    assert [each.usage.input_tokens for each in apart.lines if each.charge is Charge.TOKENS] == [1000, 10]
    assert apart.notes[-1] == "input is taken as without cached tokens: rows have more of those"


def test_the_metered_report_has_other_products_that_are_left_out_and_told() -> None:
    text = (
        "date,product,sku,quantity,unit_type,applied_cost_per_quantity,gross_amount,discount_amount,net_amount,username,"
        "organization,repository,workflow_path,cost_center_name\n"
        "2026-11-19,actions,actions_linux,90,minutes,0.006,0.54,0,0.54,ann,acme,acme/a,ci.yml,\n"
        "2026-11-20,copilot,copilot_for_business,2,user-months,19,38,0,38,,acme,,,\n"
    )
    said = read(SOURCE, text)
    (seat,) = said.lines
    assert (seat.charge, seat.billed_nanos, seat.quantity, seat.model) == (Charge.SEAT, 38_000_000_000, "2", None)
    assert "1 rows: of product 'actions': left out, they are about no model" in said.notes
    assert said.from_ms == START - DAY_MS


REQUESTS = (
    "Timestamp,User,Model,Requests Used,Exceeds Monthly Quota,Total Monthly Quota\n"
    "2026-11-20T10:43:41.8378480Z,ann,gpt-4.1-2025-04-14,1.00,FALSE,Unlimited\n"
    "2026-11-20T10:43:41.8378480Z,ann,gpt-4.1-2025-04-14,1.00,FALSE,Unlimited\n"
    "2026-11-20T23:59:59Z,bob,Code Review model,10,TRUE,300\n"
)


def test_premium_requests_of_old() -> None:
    said = read(OLD, REQUESTS)
    one, _, beyond = said.lines
    assert (one.charge, one.requests, one.quantity, one.unit) == (Charge.REQUESTS, 1, "1.00", "premium requests")
    assert (one.billed, one.billed_nanos, one.model) == (Billed.INCLUDED, 0, "gpt-4.1-2025-04-14")
    assert (beyond.billed, beyond.billed_nanos, beyond.model) == (Billed.METERED, None, None)
    assert one.starts_ms == START + 38_621_838
    assert len(said.lines) == 3, "two alike in one second are two"
    assert "1 rows: beyond the quota: what they cost is not in this file" in said.notes


@pytest.mark.parametrize(
    ("source", "text", "words"),
    [
        (SOURCE, AI, "it has no rows, so nothing says which days it is about"),
        (SOURCE, "", "line 1: lacks the columns date"),
        (SOURCE, (AI + ROWS)[:-40], "line 5: 8 cells, the header has 18; was it cut off?"),
        (SOURCE, AI + ROWS + ROWS, "line 6: it is line 2 again: rows have come twice"),
        (SOURCE, (AI + ROWS).replace("net_amount", "net"), "line 1: lacks the columns net_amount"),
        (SOURCE, (AI + ROWS).replace("1.205,1.205,0", "1.205,1.205,1"), "- discount '1.205' is not net '1'"),
        (SOURCE, (AI + ROWS).replace("1.205,1.205,0", "€1.205,0,0"), "line 2: '€1.205' is no decimal number"),
        (SOURCE, (AI + ROWS).replace("120.5,ai", "lots,ai"), "line 2: 'lots' is no decimal number"),
        (SOURCE, (AI + ROWS).replace("2026-11-21", "6/1/26"), "line 5: '6/1/26' is no day"),
        (SOURCE, TOKENS.replace("1000,200", "1000.5,200"), "line 2: '1000.5' is no whole count"),
        (SOURCE, TOKENS.replace("repository", "currency").replace("acme/a", "EUR"), "line 2: currency 'EUR': only USD"),
        (OLD, REQUESTS.replace("TRUE", ""), "line 4: Exceeds Monthly Quota is empty, and that is not 0"),
        (OLD, REQUESTS.replace("TRUE", "MAYBE"), "line 4: 'MAYBE' is neither true nor false"),
        (OLD, REQUESTS.replace("10,TRUE", "ten,TRUE"), "line 4: 'ten' is no decimal number"),
        (OLD, REQUESTS.replace("59Z", "59"), "line 4: '2026-11-20T23:59:59' has no time zone"),
        (OLD, REQUESTS.partition("\n")[0], "it has no rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_line(source: object, text: str, words: str) -> None:
    assert words in faults(source, text)
