"""LiteLLM's spend logs: rows as its table has them, as JSON, JSON lines and CSV; all numbers are invented."""

from __future__ import annotations

import csv
import io
import json

import pytest

from reconcile.asking import START, faults, read
from spendgate.reconcile.sources.litellm_spend import LiteLlm
from spendgate.statement import DAY_MS, Billed, Who
from spendgate.usage import Usage

SOURCE = LiteLlm()
ROW = {
    "request_id": "chatcmpl-A1", "call_type": "acompletion", "api_key": "88dc28d0f030c55e",
    "spend": 0.004794, "total_tokens": 467, "prompt_tokens": 150, "completion_tokens": 317,
    "startTime": "2026-11-20T23:59:59.500000+00:00", "endTime": "2026-11-21T00:00:04Z", "model": "anthropic/claude-sonnet-5",
    "model_id": "deployment-1", "custom_llm_provider": "anthropic", "user": "ann", "team_id": "team-1", "organization_id": None,
    "cache_hit": "None", "status": "success", "litellm_call_id": "0b2c",
    "messages": [{"role": "user", "content": "secret words"}],
    "metadata": {
        "user_api_key_alias": "laptops", "user_api_key_user_email": "ann@example.com",
        "usage_object": {
            "prompt_tokens": 150, "completion_tokens": 317,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_creation_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 17},
        },
    },
}  # fmt: skip


def row(number: int, **more) -> dict:
    return {**ROW, "request_id": f"chatcmpl-A{number}", **more}


def as_csv(*rows: dict) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, [name for name in ROW if name != "messages"], extrasaction="ignore")
    writer.writeheader()
    for each in rows:
        writer.writerow({key: json.dumps(value) if isinstance(value, dict) else value for key, value in each.items()})
    return out.getvalue()


def test_each_request_with_the_providers_id_and_disjoint_counts() -> None:
    said = read(SOURCE, json.dumps([ROW]), "logs.json")
    (line,) = said.lines
    assert (line.provider, line.product, line.model) == ("litellm", "anthropic", "anthropic/claude-sonnet-5")
    assert (line.response_id, line.requests, line.billed) == ("chatcmpl-A1", 1, Billed.METERED)
    assert line.usage == Usage(
        input_tokens=30, cache_read_tokens=100, cache_write_tokens=20, output_tokens=317, reasoning_tokens=17
    )
    assert (line.billed_nanos, line.amount) == (4_794_000, "0.004794 USD")
    assert line.who == Who(
        workspace="team-1", key=ROW["api_key"], key_name="laptops", user="ann", email="ann@example.com"
    )
    assert (said.from_ms, said.until_ms) == (START, START + DAY_MS), "it belongs to the day that it begins on"
    assert "secret words" not in repr(said)


def test_json_of_each_endpoint_json_lines_and_csv_are_the_same() -> None:
    rows = [row(1), row(2, metadata=json.dumps(ROW["metadata"]))]
    lines = read(SOURCE, json.dumps(rows)).lines
    assert len(lines) == 2
    assert read(SOURCE, json.dumps({"data": rows, "total": 2, "page": 1})).lines == lines
    assert read(SOURCE, "\n".join(map(json.dumps, rows))).lines == lines
    assert read(SOURCE, b"\xef\xbb\xbf" + json.dumps(rows, indent=1).encode()).lines == lines
    assert read(SOURCE, as_csv(*rows)).lines == lines


def test_what_cost_the_provider_nothing_is_not_charged() -> None:
    rows = [
        row(1, cache_hit="True"),
        row(2, cache_hit=True),
        row(3, status="failure"),
        row(4, cache_hit="False"),
        row(5, cache_hit=""),
    ]
    assert [each.billed for each in read(SOURCE, json.dumps(rows)).lines] == [
        Billed.NOT_CHARGED, Billed.NOT_CHARGED, Billed.NOT_CHARGED, Billed.METERED, Billed.METERED,
    ]  # fmt: skip


def test_writes_by_time_to_live_and_anthropics_names() -> None:
    split = {"ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5}
    details = {"cached_tokens": 100, "cache_creation_token_details": split}
    values = {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "prompt_tokens_details": details}
    plain = {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 20}
    rows = [row(1, metadata={"additional_usage_values": values}), row(2, metadata={"additional_usage_values": plain})]
    by_time, one = read(SOURCE, json.dumps(rows)).lines
    assert by_time.usage == Usage(30, 100, 15, 5, None, 317)
    assert one.usage == Usage(30, 100, None, None, 20, 317)


def test_a_prompt_that_leaves_out_its_cached_part_is_told() -> None:
    said = read(SOURCE, json.dumps([row(1, prompt_tokens=30)]))
    assert said.lines[0].usage.input_tokens == 30
    assert any("1 rows: whose cached tokens are more than their prompt" in each for each in said.notes)


def test_a_row_without_metadata_or_end() -> None:
    bare = {
        key: value for key, value in ROW.items() if key not in ("metadata", "endTime", "custom_llm_provider", "user")
    }
    (line,) = read(SOURCE, json.dumps([{**bare, "startTime": "2026-11-20 09:00:00.123"}])).lines
    assert (line.starts_ms, line.product, line.usage) == (START + 32_400_123, None, Usage(150, output_tokens=317))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (json.dumps([ROW])[:-4], "line 1 column"),
        (json.dumps([ROW, {**ROW, "spend": 9}]), "[1]: request_id 'chatcmpl-A1' came before, with other words"),
        ("\n".join([json.dumps(ROW), json.dumps(row(2))[:-9]]), "line 2: line 1 column"),
        (json.dumps([{key: value for key, value in ROW.items() if key != "spend"}]), "[0]: 'spend' is missing"),
        (json.dumps([row(1, spend="$1")]), "[0]: '$1' is no decimal number"),
        (json.dumps([row(1, spend=None)]), "[0]: None is no decimal number"),
        (json.dumps([row(1, prompt_tokens=1.5)]), "is no whole count"),
        (json.dumps([row(1, startTime="yesterday")]), "[0]: Invalid isoformat string: 'yesterday'"),
        (json.dumps([row(1, cache_hit="perhaps")]), "cache_hit is 'perhaps'"),
        (json.dumps([row(1, metadata="{")]), "[0]: line 1 column"),
        (json.dumps([row(1, request_id="")]), "[0]: request_id is empty"),
        (json.dumps([ROW, 7]), "[1]: Decimal('7') is no object"),
        (json.dumps({"data": {}}), "no list of records"),
        ("[]", "it has no rows"),
        ("[NaN]", "NaN is no amount"),
        (as_csv(ROW)[:-300], "line 2"),
        (as_csv(), "it has no rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_its_place(text: str, fault: str) -> None:
    assert fault in faults(SOURCE, text)
