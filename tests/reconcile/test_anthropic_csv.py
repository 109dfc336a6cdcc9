"""The Claude Console's CSV exports: columns by name, dollars not cents, and whatever a spreadsheet does to a file."""

from __future__ import annotations

import pytest

from reconcile.asking import START
from spendgate.errors import StatementError
from spendgate.reconcile.sources.anthropic_csv import AnthropicCostCsv, AnthropicUsageCsv
from spendgate.reconcile.sources.table import FILES
from spendgate.statement import DAY_MS, Axes, Charge, TokenClass, Who
from spendgate.usage import Usage

COST, USAGE = AnthropicCostCsv(), AnthropicUsageCsv()
COST_HEADER = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,"
    "inference_geo,speed,api_key_id,api_key_status"
)
USAGE_HEADER = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed"
)


def cost(amount: str = "0.05", *, day: str = "2026-11-20", cls: str = "input_no_cache", kind: str = "token") -> str:
    return f"{day},Claude Haiku 4.5,Default,ci,message,≤ 200k,{cls},{amount},0.10,{kind},us,,apikey_01A,active"


def usage(day: str = "2026-11-20", output: str = "9100") -> str:
    return f"{day},claude-opus-5-5,ci,Default,batch,≤ 200k,1200,40,7,910000,{output},2,global,fast"


def csv(header: str, *rows: str) -> bytes:
    return "\n".join((header, *rows, "")).encode()


def test_costs_are_dollars_and_models_display_names() -> None:
    said = COST.read(csv(COST_HEADER, cost(), cost("1.2345678901", day="2026-11-22", cls="output")), "cost.csv")
    first, last = said.lines
    assert (first.billed_nanos, first.list_nanos, first.amount) == (50_000_000, 100_000_000, "0.05 USD")
    assert (first.model, first.token_class, first.charge) == ("Claude Haiku 4.5", TokenClass.INPUT, Charge.TOKENS)
    assert (first.who, first.axes) == (
        Who(workspace="Default", key="apikey_01A", key_name="ci"), Axes(None, None, "us", "≤ 200k"),
    )  # fmt: skip
    assert last.billed_nanos == 1_234_567_890
    assert (said.from_ms, said.until_ms) == (START, START + 3 * DAY_MS), "the day between them has no use"
    assert said.refreshed_ms is None


def test_usage_counts_are_disjoint_and_keys_names() -> None:
    said = USAGE.read(csv(USAGE_HEADER, usage()), "tokens.csv")
    line = said.lines[0]
    assert line.usage == Usage(1200, 910_000, 40, 7, None, 9100, web_searches=2)
    assert (line.who, line.axes.tier, line.axes.speed) == (Who(workspace="Default", key_name="ci"), "batch", "fast")
    assert line.billed_nanos is None
    assert any("two keys of one name" in each for each in said.notes)


def test_use_without_a_key_is_told_apart_from_a_file_that_tells_no_keys() -> None:
    keyless = USAGE.read(csv(USAGE_HEADER, usage().replace(",ci,", ",,")), "tokens.csv").lines[0]
    assert (keyless.who.key, keyless.who.key_name) == ("", None)
    untold = USAGE.read(csv(USAGE_HEADER.replace("api_key", "secret"), usage()), "tokens.csv").lines[0]
    assert untold.who.key is None


def test_columns_in_another_order_a_mark_of_bytes_and_carriage_returns() -> None:
    names = COST_HEADER.split(",")
    values = dict(zip(names, cost().split(","), strict=True))
    mixed = sorted(names)
    data = "\r\n".join((",".join(mixed), ",".join(values[name] for name in mixed), "")).encode("utf-8-sig")
    assert COST.recognises(data)
    assert COST.read(data, "cost.csv").lines == COST.read(csv(COST_HEADER, cost()), "cost.csv").lines


def test_an_older_file_has_fewer_columns_and_says_what_is_not_told() -> None:
    data = csv(
        "usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd",
        "2026-11-20,Claude Haiku 4.5,,ci,message,output,0.02",
    )
    said = COST.read(data, "cost.csv")
    line = said.lines[0]
    assert (line.billed_nanos, line.list_nanos, line.who, line.axes) == (20_000_000, None, Who(key_name="ci"), Axes())
    assert "1 rows: without context_window, inference_geo, speed: not told" in said.notes


def test_what_came_later_is_kept_and_compared_with_nothing() -> None:
    said = COST.read(
        csv(COST_HEADER, cost(cls="dreams"), cost(cls="", kind="teleport"), cost(cls="", kind="web_search")), "c"
    )
    assert [(each.charge, each.unit) for each in said.lines] == [
        (Charge.OTHER, "dreams"), (Charge.OTHER, "teleport"), (Charge.WEB_SEARCH, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "data", "fault"),
    [
        (COST, csv(COST_HEADER), "cost.csv: it has no rows, so nothing says which days it is about"),
        (COST, csv(COST_HEADER, cost(), cost()[:40]), "cost.csv: line 3: 5 cells, the header has 14; was it cut off?"),
        (COST, csv(COST_HEADER, cost("$0.05")), "cost.csv: line 2: '$0.05' is no decimal number"),
        (COST, csv(COST_HEADER, cost("0,05")), "was it cut off?"),
        (COST, csv(COST_HEADER, cost(day="20.11.2026")), "'20.11.2026' is no day; write 2026-11-20"),
        (COST, csv(COST_HEADER.replace("cost_usd", "cost_eur"), cost()), "line 1: lacks the columns cost_usd"),
        (COST, csv(COST_HEADER.replace("workspace", "model"), cost()), "line 1: a column stands twice"),
        (COST, csv(COST_HEADER, cost()).decode().encode("utf-16"), "not UTF-8"),
        (USAGE, csv(USAGE_HEADER, usage(output="9.5")), "line 2: '9.5' is no whole count"),
        (USAGE, csv(USAGE_HEADER, usage(output="9,100")), "was it cut off?"),
        (USAGE, csv(USAGE_HEADER, usage(output="")), "line 2: '' is no decimal number"),
        (USAGE, csv(USAGE_HEADER.replace("cache_write_1h", "cache_write_2h"), usage()), "lacks the columns usage_input_tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_line(source: AnthropicCostCsv, data: bytes, fault: str) -> None:
    with pytest.raises(StatementError) as told:
        source.read(data, "cost.csv")
    assert fault in str(told.value)


def test_each_is_known_by_its_columns_alone() -> None:
    for source, header in ((COST, COST_HEADER), (USAGE, USAGE_HEADER)):
        assert [each.name for each in FILES if each.recognises(header.encode())] == [source.name]
    assert not COST.recognises(b"\xff\xfe\x00")
    assert not COST.recognises(b"")


def test_rows_that_come_twice_are_a_fault_where_keys_are_told() -> None:
    """A file that was put together from two downloads would be billed twice."""
    with pytest.raises(StatementError, match="line 3: it is line 2 again"):
        COST.read(csv(COST_HEADER, cost(), cost()), "cost.csv")
