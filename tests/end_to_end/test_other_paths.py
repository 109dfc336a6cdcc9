"""Paths beside a provider's main ones, through a running gate: what costs money on them is asked about as anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, Gate, Provider, policy, running_gate
from spendgate.standin.server import NAMES

CHAT = "https://api.anthropic.com/v1/chat/completions"
RULES = "models: [{name: dear, deny: [claude-opus-*]}]\n"
KEYS = {"authorization": "Bearer sk-ant-api03-made-up", "x-standin": "input=1000;output=2000"}
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5"
LISTED = "models: [{name: listed, allow: [gpt-5-nano]}]\n"


def asked(model: str, **more: object) -> dict[str, object]:
    """A request for chat."""
    return {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}], **more}


def test_anthropics_chat_for_openai_sdks(provider: Provider, folder: Path) -> None:
    """Rules and budgets hold, the price is Anthropic's, and refusals are in the shape that OpenAI's SDKs read."""
    file = policy(folder, limit="$0.05", more=RULES)
    file.write_text(file.read_text().replace("$0.05 per day", "$0.05 per day\n    hold: ceiling"))
    with (
        running_gate(folder, provider, file) as gate,
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), headers=KEYS, timeout=PATIENCE_S) as http,
    ):
        denied = http.post(CHAT, json=asked("claude-opus-4-5"))
        answers = [http.post(CHAT, json=asked("claude-sonnet-4-6")) for _ in range(3)]
        streamed = asked("claude-haiku-4-5", stream=True, max_tokens=10, stream_options={"include_usage": True})
        assert http.post(CHAT, json=streamed, headers={"x-standin": "input=10;output=5"}).status_code == 200
        rows = [row for row in gate.ended() if row["state"] == "settled"]
    assert denied.json()["error"]["message"] and "dear" in denied.text
    assert denied.json()["error"].keys() >= {"type", "code", "param"}
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert {(row["provider"], row["dialect"], row["basis"]) for row in rows} == {
        ("anthropic", "openai-chat", "reported")
    }
    assert [row["cost_nanos"] for row in rows] == [1000 * 3_000 + 2000 * 15_000, 10 * 1_000 + 5 * 5_000]


MORE = ("api.cohere.com", "dashscope.aliyuncs.com", "api.perplexity.ai", "open.bigmodel.cn", "api.z.ai")


class _More(Provider):
    """A stand-in for hosts that no other test needs."""

    NAMES = (*NAMES, *MORE)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A gate with a list of models that none of these is on."""
    folder = tmp_path_factory.mktemp("others")
    provider = _More(folder)
    led = [word for name in MORE for word in ("--set", f"connect_to={name}=127.0.0.1:{provider.port}")]
    with running_gate(folder, provider, policy(folder, limit="$1000", more=LISTED), *led) as gate:
        yield gate
    assert not provider.served
    provider.close()


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("https://generativelanguage.googleapis.com/v1beta/dynamic/own:generateContent", {"contents": []}),
        (f"{VERTEX}/endpoints/123:streamGenerateContent", {"contents": []}),
        (f"{VERTEX}/publishers/mistralai/models/mistral-medium-3:rawPredict", asked("mistral-medium-3")),
        (f"{VERTEX}/publishers/meta/models/llama-4:streamRawPredict", asked("llama-4")),
        ("https://api.cohere.com/v1/chat", {"model": "command-a-03-2025", "message": "hi"}),
        ("https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation", {"model": "qwen-max", "input": {}}),
        ("https://api.perplexity.ai/async/chat/completions", {"request": asked("sonar-deep-research")}),
        ("https://api.perplexity.ai/v1/async/sonar", {"request": asked("sonar-deep-research")}),
        ("https://open.bigmodel.cn/api/paas/v4/async/chat/completions", asked("glm-4.7")),
        ("https://api.z.ai/api/paas/v4/async/chat/completions", asked("glm-4.7")),
    ],
)  # fmt: skip
def test_rules_are_asked(others: Gate, url: str, body: dict[str, object]) -> None:
    """What a list of models does not name leaves on no path, whether the request names its model or not."""
    with httpx2.Client(proxy=others.proxy, verify=trust(others), headers=KEYS, timeout=PATIENCE_S) as http:
        answer = http.post(url, json=body)
    row = others.calls()[-1]
    assert (row["state"], row["refused_by"]) == ("refused", "listed"), answer.text
    assert "listed" in answer.text
