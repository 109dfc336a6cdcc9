"""Every file source against any bytes, and good files and pages with a piece changed: a fault at its place, never a crash."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconcile import (
    test_anthropic_csv,
    test_anthropic_legacy,
    test_aws_cur,
    test_azure_cost,
    test_claude_code_analytics,
    test_google_billing,
    test_langsmith_runs,
    test_litellm_spend,
)
from reconcile.anthropic_pages import asked_of, page
from spendgate.config.statement_file import StatementFile
from spendgate.errors import StatementError
from spendgate.reconcile.sources.interface import FileSource
from spendgate.reconcile.sources.table import FILES
from spendgate.statement import Statement

GOOD = {
    "anthropic-cost-csv": test_anthropic_csv.csv(test_anthropic_csv.COST_HEADER, test_anthropic_csv.cost()),
    "anthropic-usage-csv": test_anthropic_csv.csv(test_anthropic_csv.USAGE_HEADER, test_anthropic_csv.usage()),
    "aws-cur": test_aws_cur.cur(test_aws_cur.USAGE, test_aws_cur.EDITION, test_aws_cur.OTHER),
    "google-billing": test_google_billing.lines(test_google_billing.ROW, test_google_billing.ROW).encode(),
    "azure-cost": test_azure_cost.export(test_azure_cost.ROW),
    "litellm": json.dumps([test_litellm_spend.ROW]).encode(),
    "langsmith": test_langsmith_runs.lines(test_langsmith_runs.RUN).encode(),
}
EVERY: tuple[FileSource, ...] = (*FILES, StatementFile())
BY_NAME = {each.name: each for each in EVERY}
PIECES = st.sampled_from(
    [b"", b"\x00", b"\xff", b'"', b",", b"\n", b"-", b"1e999", b"NaN", b"{", b"[", b"null", b"9" * 400, b"0E-6176",
     b"\xef\xbb\xbf", "\u2028".encode(), b"9999-12-31T23:59:59Z", b"0001-01-01", b"true"]
)  # fmt: skip


def taken(source: FileSource, data: bytes) -> Statement | None:
    """What is made of it; None: it is refused, with each fault at its place."""
    assert source.recognises(data[: 64 << 10]) in (True, False)
    try:
        return source.read(data, "export")
    except StatementError as fault:
        assert fault.faults
        assert all(each.startswith("export:") for each in fault.faults)
        assert all("\n" not in each and len(each) < 2_000 for each in fault.faults)
        return None


@pytest.mark.parametrize("source", EVERY, ids=lambda each: each.name)
@given(data=st.binary(max_size=400))
@settings(max_examples=60)
def test_any_bytes(source: FileSource, data: bytes) -> None:
    taken(source, data)
    taken(source, gzip.compress(data))


@pytest.mark.parametrize("name", GOOD)
@given(spot=st.integers(0, 10_000), length=st.integers(0, 40), piece=PIECES)
@settings(max_examples=120)
def test_a_good_file_with_a_piece_changed(name: str, spot: int, length: int, piece: bytes) -> None:
    source, good = BY_NAME[name], GOOD[name]
    assert taken(source, good) is not None
    at = spot % len(good)
    taken(source, good[:at] + piece + good[at + length :])


@pytest.mark.parametrize("name", GOOD)
@given(keep=st.integers(0, 10_000))
@settings(max_examples=60)
def test_a_file_that_was_cut_off_bills_no_more_than_the_whole(name: str, keep: int) -> None:
    source, good = BY_NAME[name], GOOD[name]
    whole = source.read(good, "export")
    part = taken(source, good[: keep % len(good)])
    if part is not None:
        assert len(part.lines) <= len(whole.lines)


PAGES = {
    "anthropic-legacy": (test_anthropic_legacy.CONSOLE, test_anthropic_legacy.COST, test_anthropic_legacy.COUNTS),
    "anthropic-enterprise": (
        test_anthropic_legacy.ENTERPRISE,
        test_anthropic_legacy.E_COST,
        test_anthropic_legacy.E_COUNTS,
    ),
}
ODD = st.sampled_from(
    [None, "", "x", -1, 1.5, True, [], {}, [None], {"a": 1}, "9" * 400, "2026-11-20T00:00:00Z", 10**30]
)


def changed(value: object, spot: int, odd: object) -> tuple[object, int]:
    """The value with what stands at the `spot`-th place of it changed; how many places are left to go."""
    if spot == 0:
        return odd, -1
    spot -= 1
    if not isinstance(value, list | dict):
        return value, spot
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, each in pairs:
        if spot < 0:
            break
        made, spot = changed(each, spot, odd)
        value = {**value, key: made} if isinstance(value, dict) else [*value[:key], made, *value[key + 1 :]]
    return value, spot


@pytest.mark.parametrize("name", [*PAGES, "claude-code"])
@given(spot=st.integers(0, 40), odd=ODD)
@settings(max_examples=150)
def test_a_good_page_with_a_value_changed(name: str, spot: int, odd: object) -> None:
    if name == "claude-code":
        source, good = test_claude_code_analytics.SOURCE, [page(test_claude_code_analytics.RECORD)]
    else:
        source, *rows = PAGES[name]
        good = [page(test_anthropic_legacy.bucket(each)) for each in rows]
    first, _ = changed(json.loads(good[0]), spot, odd)
    try:
        asked_of(source, [json.dumps(first).encode(), *good[1:], *[page()] * 3])
    except StatementError as fault:
        assert all(each.startswith(("api.anthropic.com: page ", "api.anthropic.com: 2026-")) for each in fault.faults)


RECORDS = {
    "google-billing": {**test_google_billing.ROW, "credits": [{"type": "DISCOUNT", "amount": -0.1}], "currency": "EUR"},
    "litellm": test_litellm_spend.ROW,
    "langsmith": test_langsmith_runs.RUN,
}


@pytest.mark.parametrize("name", RECORDS)
@given(spot=st.integers(0, 60), odd=ODD, again=st.integers(0, 60), odder=ODD)
@settings(max_examples=300)
def test_a_good_record_with_values_changed(name: str, spot: int, odd: object, again: int, odder: object) -> None:
    once, _ = changed(RECORDS[name], spot, odd)
    twice, _ = changed(once, again, odder)
    taken(BY_NAME[name], json.dumps([twice]).encode())
