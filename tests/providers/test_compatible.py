"""What compatible hosts do differently with counts and costs, and what must not be believed. Facts: wire-formats.md 12, 18."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.feeding import JSON, STREAM, fed, head, read
from providers.test_registry import ALL
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.interface import Kind
from spendgate.providers.reading import Reading
from spendgate.providers.registry_data import PROVIDERS
from spendgate.providers.stated import FEES
from spendgate.providers.unfinished import estimate_usage
from spendgate.usage import Usage

CHAT, MESSAGES, RESPONSES = DIALECTS["openai-chat"], DIALECTS["anthropic-messages"], DIALECTS["openai-responses"]
COUNTED = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
THOUGHT = {"completion_tokens_details": {"reasoning_tokens": 290}}
HIT = {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}


def chat(usage: dict[str, Any], **more: Any) -> Reading:
    """What is read from a whole chat answer with this usage."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
    body = {"id": "x", "model": "m", "choices": [choice], "usage": usage, **more}
    return fed(CHAT, json.dumps(body).encode(), stream=False)


def events(*found: dict[str, Any]) -> bytes:
    """A stream of these events."""
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in found)


def chunk(text: str = "", finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A chunk of chat."""
    choices = [{"index": index, "delta": {"content": text}, "finish_reason": finish}]
    return {"id": "x", "model": "m", "choices": choices, **more}


@pytest.mark.parametrize(
    ("usage", "nanos"),
    [
        ({"cost": 0.0004970133333333333}, 497_013),
        ({"cost": 0}, 0),
        ({"cost": 0.0000000025}, 2),
        ({"cost": 0.0000000035}, 4),
        ({"cost": 0.05, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.95}}, 1_000_000_000),
        ({"cost": 0, "is_byok": True}, None),
        ({"cost": 0.05, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.95}}, 50_000_000),
        ({"cost": {"total_cost": 0.006, "request_cost": 0.005, "currency": "USD"}}, 6_000_000),
        ({"cost": {"total_cost": 0.006}}, 6_000_000),
        ({"cost": {"total_cost": 0.006, "currency": "EUR"}}, None),
        ({"cost": {}}, None),
        ({"cost_in_usd_ticks": 1_641_505}, 164_150),
        ({"cost_in_usd_ticks": 1_641_515}, 164_152),
        ({"cost_in_usd_ticks": 5_000_000_000_000}, 500_000_000_000),
        ({"cost": None}, None),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": "1e-999999999"}, None),
        ({"cost": "1e999999999"}, None),
        ({"cost": "NaN"}, None),
        ({"cost": [1]}, None),
        ({"cost": 10**30}, None),
    ],
)
def test_stated_costs(usage: dict[str, Any], nanos: int | None) -> None:
    """Dollars and ticks as whole nano-dollars, ties to even; what cannot be an amount is none, and the counts stand."""
    reading = chat({**COUNTED, **usage})
    assert reading.stated_cost_nanos == nanos
    assert (reading.final, reading.parts[0].usage.input_total, reading.parts[0].usage.output_tokens) == (True, 100, 20)


def test_a_cost_stands_only_with_the_last_counts() -> None:
    """A host that reports with each chunk states the cost of a part; of a stream that breaks off then, it is none."""
    first = chunk("one ", usage={**COUNTED, "cost": {"total_cost": 0.001}})
    last = chunk("", "stop", usage={**COUNTED, "completion_tokens": 40, "cost": {"total_cost": 0.002}})
    broken, whole = fed(CHAT, events(first, chunk("two")), stream=True), fed(CHAT, events(first, last), stream=True)
    assert (broken.final, broken.stated_cost_nanos) == (False, None)
    assert (whole.final, whole.stated_cost_nanos) == (True, 2_000_000)


def test_another_choice_that_goes_on_is_not_final() -> None:
    """With `n: 2` one choice may end, with counts, while the other still writes."""
    one = events(chunk("a"), chunk("b", "stop", usage=COUNTED))
    assert fed(CHAT, one, stream=True).final
    reading = fed(CHAT, one + events(chunk("and more", index=1)), stream=True)
    assert not reading.final
    assert fed(CHAT, one + events(chunk("and more", "stop", 1, usage=COUNTED)), stream=True).final


def test_groq_says_it_twice_and_compound_models_are_priced_apart() -> None:
    """`x_groq.usage` is never added to `usage`; a breakdown that is the whole is billed by its models, one with a rest is not."""
    twice = fed(CHAT, events(chunk("a"), chunk("", "stop", usage=COUNTED, x_groq={"usage": COUNTED})), stream=True)
    assert [part.usage.input_total for part in twice.parts] == [100]
    models = [
        {"model": "llama", "usage": {"prompt_tokens": 60, "completion_tokens": 5, "total_tokens": 65}},
        {"model": "oss", "usage": {"prompt_tokens": 40, "completion_tokens": 15, "total_tokens": 55}},
    ]
    found = chat(COUNTED, usage_breakdown={"models": models})
    assert [(part.model, part.usage.input_total, part.usage.output_tokens) for part in found.parts] == [
        ("llama", 60, 5), ("oss", 40, 15),
    ]  # fmt: skip
    assert found.final
    in_stream = chunk("", "stop", x_groq={"usage": COUNTED, "usage_breakdown": {"models": models}})
    assert [part.model for part in fed(CHAT, events(chunk("a"), in_stream), stream=True).parts] == ["llama", "oss"]
    for wrong in (models[:1], [*models, models[0]], [*models, {"model": "x"}], [None], "x"):
        assert [part.model for part in chat(COUNTED, usage_breakdown={"models": wrong}).parts] == ["m"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"completion_tokens": 1, "total_tokens": 391, **THOUGHT}, (100, None, 291)),
        ({"completion_tokens": 291, "total_tokens": 391, **THOUGHT}, (100, None, 291)),
        ({"num_cached_tokens": 32}, (68, 32, 20)),
        ({"cached_tokens": 32}, (68, 32, 20)),
        ({"cached_tokens": 32, "prompt_tokens_details": {"cached_tokens": 32}}, (68, 32, 20)),
        ({**HIT, "prompt_tokens_details": {"cached_tokens": 64}}, (36, 64, 20)),
        (HIT, (36, 64, 20)),
    ],
    ids=["xAI chat", "reasoning inside", "Mistral", "Moonshot, HF", "both places", "DeepSeek", "DeepSeek, older"],
)  # fmt: skip
def test_counts_of_hosts(usage: dict[str, Any], expected: tuple[int, int | None, int]) -> None:
    """(uncached input, cache reads, output), each token once."""
    found = chat({**COUNTED, **usage}).parts[0].usage
    assert (found.input_tokens, found.cache_read_tokens, found.output_tokens) == expected


def test_moonshots_usage_in_the_last_choice() -> None:
    """Older Moonshot streams report in the choice that ends."""
    last = chunk("", "stop")
    last["choices"][0]["usage"] = {**COUNTED, "cached_tokens": 60}
    reading = fed(CHAT, events(chunk("a"), last), stream=True)
    assert reading.final
    assert reading.parts[0].usage == Usage(input_tokens=40, cache_read_tokens=60, output_tokens=20)


def test_fees_that_nobody_prices_are_flagged() -> None:
    """Tools that a provider bills by the call: told by counts, by what ran, or by the model; not where the cost is stated."""
    ran = {"index": 0, "finish_reason": "stop", "message": {"content": "", "executed_tools": [{"type": "search"}]}}
    assert FEES in chat(COUNTED, choices=[ran]).flags
    assert FEES in chat({**COUNTED, "num_server_side_tools_used": 2}).flags
    assert FEES not in chat({**COUNTED, "num_server_side_tools_used": 2, "cost_in_usd_ticks": 9}).flags
    assert FEES not in chat({**COUNTED, "num_server_side_tools_used": 0}).flags
    searches = chat({**COUNTED, "server_tool_use_details": {"tool_calls_executed": 1, "web_search_requests": 1}})
    assert searches.parts[0].usage.web_searches == 1
    output = [{"type": "x_search_call"}, {"type": "message"}]
    answer = {
        "id": "r",
        "model": "m",
        "status": "completed",
        "output": output,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    assert FEES in fed(RESPONSES, json.dumps(answer).encode(), stream=False).flags
    body = json.dumps({"model": "m", "choices": [], "usage": COUNTED}).encode()
    asked = Ask(model="gpt-4o-search-preview", searches_max=None)
    assert FEES in fed(CHAT, body, stream=False, ask=asked).flags
    stream = read(CHAT.reader(asked, 200, STREAM), [events(chunk("a", "stop", usage=COUNTED))])
    assert FEES in stream.flags


def test_messages_with_input_only_at_the_end_and_a_cost() -> None:
    """Z.ai counts the input in `message_delta` alone; OpenRouter states the cost there."""
    start = {
        "type": "message_start",
        "message": {"id": "m", "model": "glm", "usage": {"input_tokens": 0, "output_tokens": 0}},
    }
    usage = {"input_tokens": 90, "cache_read_input_tokens": 10, "output_tokens": 7, "cost": 0.25}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    whole = fed(MESSAGES, events(start, delta, {"type": "message_stop"}), stream=True)
    assert whole.parts[0].usage == Usage(input_tokens=90, cache_read_tokens=10, output_tokens=7)
    assert (whole.final, whole.stated_cost_nanos) == (True, 250_000_000)
    assert fed(MESSAGES, events(start), stream=True).stated_cost_nanos is None
    answer = {
        "id": "m",
        "model": "glm",
        "type": "message",
        "content": [{"type": "text"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    assert fed(MESSAGES, json.dumps(answer).encode(), stream=False).stated_cost_nanos == 250_000_000


@pytest.mark.parametrize(
    ("host", "path", "dialect", "prices", "billing", "states"),
    [
        ("openrouter.ai", "/api/v1/chat/completions", "openai-chat", None, None, True),
        ("openrouter.ai", "/api/v1/messages", "anthropic-messages", None, None, True),
        ("api.x.ai", "/v1/responses", "openai-responses", None, None, True),
        ("api.groq.com", "/openai/v1/chat/completions", "openai-chat", None, None, False),
        ("codestral.mistral.ai", "/v1/fim/completions", "openai-chat", None, None, False),
        ("api.deepseek.com", "/anthropic/v1/messages", "anthropic-messages", None, None, False),
        ("api.kimi.com", "/coding/v1/messages", "anthropic-messages", "moonshotai", "subscription", False),
        ("api.moonshot.ai", "/v1/chat/completions", "openai-chat", None, None, False),
        ("api.z.ai", "/api/coding/paas/v4/chat/completions", "openai-chat", None, "subscription", False),
        ("api.z.ai", "/api/anthropic/v1/messages", "anthropic-messages", None, None, False),
        ("opencode.ai", "/zen/v1/messages", "anthropic-messages", "anthropic", None, False),
        ("opencode.ai", "/zen/go/v1/responses", "openai-responses", "openai", "subscription", False),
        ("opencode.ai", "/zen/v1/chat/completions", "openai-chat", "openrouter", None, False),
        ("router.huggingface.co", "/together/v1/chat/completions", "openai-chat", "huggingface_together", None, False),
        ("ampcode.com", "/api/provider/anthropic/v1/messages", "anthropic-messages", "anthropic", None, False),
        ("api.kilo.ai", "/api/gateway/v1/chat/completions", "openai-chat", "openrouter", None, True),
        ("api.cline.bot", "/api/v1/chat/completions", "openai-chat", "openrouter", None, True),
        ("api.cohere.com", "/v2/chat", "cohere-chat", None, None, False),
        ("coding-intl.dashscope.aliyuncs.com", "/v1/chat/completions", "chat-answer-capped", "openrouter", "subscription", False),
    ],
)  # fmt: skip
def test_routes_of_compatible_hosts(
    host: str, path: str, dialect: str, prices: str | None, billing: str | None, *, states: bool
) -> None:
    """Each path's dialect, price list, flat plans, and whose word on cost counts."""
    route = ALL.route(head("POST", path, host))
    assert (route.kind, route.dialect, route.prices) == (Kind.BILLABLE, dialect, prices)
    assert (route.billing, route.states_cost) == (billing, states)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_unknown_work_is_shown(name: str) -> None:
    """A POST that no rule knows is recorded as unrecognized at every provider, never free."""
    for host in PROVIDERS[name].hosts:
        assert ALL.route(head("POST", "/v9/make/something", host)).kind is Kind.UNRECOGNIZED


def test_coheres_stream() -> None:
    """Billed units at the end, and nothing before it; an error of Cohere's shape refuses."""
    chat, usage = (
        DIALECTS["cohere-chat"],
        {"billed_units": {"input_tokens": 8, "output_tokens": 50}, "tokens": {"input_tokens": 1394}},
    )
    begin = [
        {"id": "c", "type": "message-start"},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
    ]
    assert not fed(chat, events(*begin), stream=True).final
    done = fed(chat, events(*begin, {"type": "message-end", "delta": {"usage": usage}}), stream=True)
    assert (done.final, done.response_id, done.parts[0].usage) == (True, "c", Usage(input_tokens=8, output_tokens=50))
    searched = {"usage": {"billed_units": {"input_tokens": 8.0, "output_tokens": 1, "search_units": 1}}}
    found = read(chat.reader(Ask(), 200, JSON), [json.dumps(searched).encode()])
    assert (found.parts[0].usage.input_tokens, found.flags) == (8, (FEES,))
    assert json.loads(chat.error(503, "no decision").body) == {"message": "no decision"}
    asked = chat.ask(
        head(path="/v2/chat", host="api.cohere.com"), b'{"model":"command-a","stream":true,"max_tokens":9}'
    )
    assert (asked.model, asked.streamed, asked.output_tokens_max) == ("command-a", True, 9)


@pytest.mark.parametrize(
    ("more", "searches"),
    [
        ({"model": "openai/gpt-5:online"}, True),
        ({"model": "groq/compound-mini"}, True),
        ({"model": "gpt-4o", "plugins": [{"id": "web", "max_results": 3}]}, True),
        ({"model": "gpt-4o", "plugins": [{}]}, True),
        ({"model": "gpt-4o", "plugins": [{"id": "response-healing"}]}, False),
        ({"model": "gpt-4o", "plugins": []}, False),
        ({"model": "grok-4", "search_parameters": {"mode": "auto"}}, True),
        ({"model": "grok-4", "search_parameters": None}, False),
        ({"model": "my-compounds"}, False),
    ],
)
def test_what_a_host_runs_by_itself_has_no_bound(more: dict[str, Any], searches: bool) -> None:
    """Plugins, live search and models that search: neither the calls nor the input that comes back are bounded."""
    asked = CHAT.ask(head(path="/v1/chat/completions"), json.dumps({"messages": [], **more}).encode())
    assert (asked.loops, asked.searches_max) == ((True, None) if searches else (False, 0))


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        ({"prompt_tokens": 100, "total_tokens": 120}, 20),
        ({"prompt_tokens": 100, "completion_tokens": None, "total_tokens": 120}, 20),
        ({"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 120}, 0),
        ({"prompt_tokens": 100, "total_tokens": 100}, None),
        ({"prompt_tokens": 100, "completion_tokens": 20.0}, None),
        ({"total_tokens": 120}, None),
    ],
)
def test_output_that_is_not_counted_is_the_rest_of_the_total(usage: dict[str, Any], output: int | None) -> None:
    """Where there is a rest; otherwise it is not known, and nothing is never its count."""
    assert chat(usage).parts[0].usage.output_tokens == output
    names = {"prompt_tokens": "inputTokens", "completion_tokens": "outputTokens", "total_tokens": "totalTokens"}
    converse = {names[name]: count for name, count in usage.items()}
    body = {"output": {"message": {"content": [{"text": "hi"}]}}, "usage": converse}
    assert (
        fed(DIALECTS["bedrock-converse"], json.dumps(body).encode(), stream=False).parts[0].usage.output_tokens
        == output
    )


TEXT = "word " * 10_000
SAID = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}]}
CLAUDE = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": TEXT}],
    "stop_reason": "end_turn",
}
TOLD = {"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": TEXT}]}]}


@pytest.mark.parametrize("long", [False, True], ids=["read whole", "read from its ends"])
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("openai-chat", {"model": "m", **SAID, "usage": {"prompt_tokens": 20, "completion_tokens": None}}),
        ("anthropic-messages", {"model": "m", **CLAUDE, "usage": {"input_tokens": 20}}),
        ("anthropic-messages", {"model": "m", **CLAUDE, "usage": {"input_tokens": 20, "output_tokens": 20_000.0}}),
        ("openai-responses", {"model": "m", "status": "completed", **TOLD, "usage": {"input_tokens": 20}}),
        ("bedrock-converse", {"output": {"message": {"content": [{"text": TEXT}]}}, "usage": {"inputTokens": 20}}),
    ],
)
def test_a_whole_answer_without_a_count_of_its_output_is_estimated_from_what_was_seen(
    name: str, answer: dict[str, Any], long: bool
) -> None:
    """A missing count is no zero: its input is as reported, its output from all of the answer's bytes."""
    body = json.dumps(answer).encode().replace(TEXT.encode(), TEXT.encode() * (7 if long else 1))
    reading = fed(DIALECTS[name], body, stream=False)
    assert not reading.final
    assert reading.output_bytes == len(body)
    found = estimate_usage(Ask(), reading)
    assert (found.input_tokens, found.output_tokens) == (20, -(-len(body) // 3))
