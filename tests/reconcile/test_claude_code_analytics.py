"""Claude Code Analytics: answers as documented; counts without money, since what it calls cost is an estimate."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconcile.anthropic_pages import asked_of, page
from reconcile.asking import START, fails_midway
from spendgate.errors import StatementError
from spendgate.reconcile.sources.claude_code import ClaudeCode
from spendgate.reconcile.sources.interface import Span
from spendgate.statement import DAY_MS, Billed, Who
from spendgate.usage import Usage

SOURCE = ClaudeCode()
MODEL = {
    "model": "claude-sonnet-5", "tokens": {"input": 540, "output": 1312, "cache_read": 155_898, "cache_creation": 9498},
    "estimated_cost": {"currency": "USD", "amount": 3866},
}  # fmt: skip
RECORD = {
    "date": "2026-11-20T00:00:00Z", "actor": {"type": "user_actor", "email_address": "ann@example.com"},
    "organization_id": "org-1", "customer_type": "api", "terminal_type": "vscode",
    "core_metrics": {"num_sessions": 2, "lines_of_code": {"added": 1, "removed": 0}},
    "tool_actions": {"edit_tool": {"accepted": 1, "rejected": 0}}, "model_breakdown": [MODEL],
}  # fmt: skip
KEYED = {**RECORD, "actor": {"type": "api_actor", "api_key_name": "ci"}, "customer_type": "subscription"}


def test_counts_by_person_and_key_and_no_money() -> None:
    said, asked = asked_of(SOURCE, [page(RECORD, KEYED)])
    ann, key = said.lines
    assert ann.usage == Usage(input_tokens=540, cache_read_tokens=155_898, cache_write_tokens=9498, output_tokens=1312)
    assert (ann.who, ann.billed_nanos, ann.billed) == (
        Who(organization="org-1", email="ann@example.com"),
        None,
        Billed.METERED,
    )
    assert (key.who.key_name, key.billed) == ("ci", Billed.INCLUDED)
    assert said.subject == "org-1"
    assert any("no bill" in each and "$77.32" in each for each in said.notes)
    assert asked[0].path == "/v1/organizations/usage_report/claude_code?starting_at=2026-11-20&limit=1000"


def test_a_call_for_each_day_and_pages_within_it() -> None:
    second = {**RECORD, "date": "2026-11-21T00:00:00Z"}
    bodies = [page(RECORD, has_more=True, next_page="b"), page(KEYED), page(second)]
    said, asked = asked_of(SOURCE, bodies, Span(START, START + 2 * DAY_MS))
    assert [each.starts_ms for each in said.lines] == [START, START, START + DAY_MS]
    assert [each.path.partition("?")[2] for each in asked] == [
        "starting_at=2026-11-20&limit=1000", "starting_at=2026-11-20&limit=1000&page=b", "starting_at=2026-11-21&limit=1000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (page(RECORD)[:-5], "page 1: line 1 column"),
        (page({**RECORD, "date": "2026-11-19T00:00:00Z"}), "is of 2026-11-19, asked was 2026-11-20"),
        (page(RECORD, RECORD), "a page came twice"),
        (page(RECORD, has_more=True), "page 1: there is more, and no next page is named"),
        (page({**RECORD, "actor": {"type": "user_actor"}}), "neither an address nor a key's name"),
        (page({**RECORD, "actor": None}), "page 1 data[0]: None is no object"),
        (page({k: v for k, v in RECORD.items() if k != "customer_type"}), "'customer_type' is missing"),
        (page({**RECORD, "model_breakdown": [{**MODEL, "tokens": {"input": 1}}]}), "'cache_read' is missing"),
        (page({**RECORD, "model_breakdown": [{**MODEL, "estimated_cost": {"currency": "GBP", "amount": 1}}]}), "'GBP'"),
        (
            page({**RECORD, "model_breakdown": [{**MODEL, "tokens": {**MODEL["tokens"], "input": 0.5}}]}),
            "no whole count",
        ),
    ],
)
def test_what_cannot_be_read_names_its_place(body: bytes, fault: str) -> None:
    with pytest.raises(StatementError) as told:
        asked_of(SOURCE, [body])
    assert fault in str(told.value)


def test_a_day_without_use_is_told_as_none() -> None:
    said, _ = asked_of(SOURCE, [page()])
    assert said.lines == ()


def test_over_http_a_run_that_breaks_off_goes_on_at_the_day_that_it_lacks(tmp_path: Path) -> None:
    def answer(path: str, _: bytes) -> bytes:
        day = path.partition("starting_at=")[2][:10]
        return page({**RECORD, "date": f"{day}T00:00:00Z"})

    said = fails_midway(SOURCE, answer, tmp_path, 2, Span(START, START + 3 * DAY_MS))
    assert [each.starts_ms for each in said.lines] == [START, START + DAY_MS, START + 2 * DAY_MS]
