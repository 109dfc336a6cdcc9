"""LangSmith runs: fields as its documentation of the run data format has them; all numbers are invented."""

from __future__ import annotations

import json

import pytest

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.langsmith_runs import LangSmith
from spendgate.statement import DAY_MS, Billed, Who
from spendgate.usage import Usage

SOURCE = LangSmith()
RUN = {
    "id": "9b1d", "trace_id": "7a00", "name": "ChatAnthropic", "run_type": "llm", "session_id": "project-1",
    "start_time": "2026-11-20T09:00:00.250000", "end_time": "2026-11-20T09:00:04+00:00", "status": "success", "error": None,
    "prompt_tokens": 150, "completion_tokens": 317, "total_tokens": 467, "total_cost": "0.0047940",
    "prompt_token_details": {"cache_read": 100, "cache_creation": 20}, "completion_token_details": {"reasoning": 17},
    "inputs": {"messages": ["secret words"]}, "outputs": {"id": "msg_01X", "content": "secret words"},
    "extra": {"metadata": {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-5", "user_id": "ann"}},
}  # fmt: skip


def run(number: int, **more) -> dict:
    return {**RUN, "id": f"run-{number}", **more}


def lines(*runs: dict) -> str:
    return "".join(json.dumps(each) + "\n" for each in runs)


def test_model_calls_with_the_providers_id() -> None:
    said = read(SOURCE, lines(RUN, run(1, run_type="chain")), "runs.jsonl")
    (line,) = said.lines
    assert (line.provider, line.product, line.model, line.response_id) == (
        "langsmith",
        "anthropic",
        "claude-sonnet-5",
        "msg_01X",
    )
    assert line.usage == Usage(
        input_tokens=30, cache_read_tokens=100, cache_write_tokens=20, output_tokens=317, reasoning_tokens=17
    )
    assert (line.billed_nanos, line.amount, line.requests) == (4_794_000, "0.0047940 USD", 1)
    assert (line.starts_ms, line.who) == (START + 32_400_250, Who(workspace="project-1", user="ann"))
    assert (said.from_ms, said.until_ms) == (START, START + DAY_MS)
    assert any("1 rows: of other types than llm are left out" in each for each in said.notes)
    assert any("LangSmith's own estimate" in each for each in said.notes)
    assert "secret words" not in repr(said)


def test_ids_are_the_providers_and_never_langchains() -> None:
    runs = [
        run(1, outputs={"id": "run-abc"}),
        run(2, outputs=json.dumps({"response_metadata": {"id": "chatcmpl-9"}}), extra=json.dumps(RUN["extra"])),
        run(3, outputs=None, extra=None),
    ]
    assert [(each.response_id, each.model) for each in read(SOURCE, lines(*runs)).lines] == [
        (None, "claude-sonnet-5"), ("chatcmpl-9", "claude-sonnet-5"), (None, None),
    ]  # fmt: skip


def test_failed_runs_cost_nothing_and_unpriced_ones_tell_no_money() -> None:
    failed, unpriced = read(
        SOURCE, lines(run(1, error="429"), run(2, total_cost=None, prompt_tokens=None, prompt_token_details=None))
    ).lines
    assert failed.billed is Billed.NOT_CHARGED
    assert (unpriced.billed_nanos, unpriced.amount, unpriced.usage.input_tokens) == (None, "", None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (lines(RUN, {**RUN, "total_cost": "9"}), "line 2: id '9b1d' came before, with other words"),
        (lines(RUN) + lines(run(2))[:-20], "line 2: line 1 column"),
        (lines({key: value for key, value in RUN.items() if key != "run_type"}), "line 1: 'run_type' is missing"),
        (lines(run(1, prompt_tokens=90)), "line 1: its cached tokens are more than its prompt_tokens 90"),
        (lines(run(1, total_cost="free")), "line 1: 'free' is no decimal number"),
        (lines(run(1, start_time=None)), "line 1: Invalid isoformat string"),
        (lines(run(1, completion_tokens=-1)), "is no whole count"),
        ("[]", "it has no rows"),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, fault: str) -> None:
    assert fault in faults(SOURCE, text)
