"""The keys that a request carries, by where its provider looks for them."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from providers.feeding import head
from spendgate.policy import Capture
from spendgate.providers.client import sender
from spendgate.providers.credentials import keys_of
from spendgate.providers.registry import Registry

ALL = Registry.build(Capture())
BASIC = base64.b64encode(b":sk-A").decode()


def asked(host: str, path: str, query: str = "", **headers: str) -> tuple[str, ...]:
    """What is found in a request as it is routed."""
    one = replace(head("POST", path, host, **headers), query=query)
    return keys_of(replace(one, keys=ALL.route(one).keys))


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("Bearer sk-A", ("sk-A",)),
        ("bearer\tsk-A ", ("sk-A",)),
        ("sk-A", ("sk-A",)),
        ("Bearer sk-A, Bearer sk-B", ("sk-A", "sk-B")),
        ("Bearer sk-A, Bearer sk-A", ("sk-A",)),
        (f"Basic {BASIC}", ("sk-A",)),
        ("Basic no base64", ("no", "base64")),
        ("AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=0", ()),
        ("Bearer", ()),
        ("", ()),
        (", ".join(f"Bearer k{each}" for each in range(1000)), ("k0", "k1", "k2", "k3", "k996", "k997", "k998", "k999")),
    ],
)  # fmt: skip
def test_one_field(value: str, keys: tuple[str, ...]) -> None:
    """Every key of a field counts, however it is spelled; of many both ends."""
    assert asked("api.openai.com", "/v1/chat/completions", authorization=value) == keys


@pytest.mark.parametrize(
    ("host", "path", "keys"),
    [
        ("api.openai.com", "/v1/chat/completions", ("b",)),
        ("api.anthropic.com", "/v1/messages", ("x", "b")),
        ("api.anthropic.com", "/v1/chat/completions", ("x", "b")),
        ("api.deepseek.com", "/v1/chat/completions", ("b",)),
        ("api.deepseek.com", "/anthropic/v1/messages", ("x", "b")),
        ("api.githubcopilot.com", "/v1/messages", ("b",)),
        ("generativelanguage.googleapis.com", "/v1beta/models/gemini-3-pro:generateContent", ("g", "q", "b")),
        ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions", ("g", "q", "b")),
        ("aiplatform.googleapis.com", "/v1/publishers/anthropic/models/claude-opus-5:rawPredict", ("g", "q", "b")),
        ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse", ("b",)),
        ("api.openai.com", "/v1/unheard-of", ("b",)),
    ],
)
def test_where_a_provider_looks(host: str, path: str, keys: tuple[str, ...]) -> None:
    """What it does not read is no key."""
    assert (
        asked(host, path, "alt=sse&$key=q", authorization="Bearer b", x_api_key="x", api_key="a", x_goog_api_key="g")
        == keys
    )


def test_several_keys_are_one_text_in_any_order() -> None:
    """Whichever stands where; and the same key twice is one."""
    one = sender(head(authorization="Bearer sk-A", x_api_key="sk-B"))["api_key"]
    assert one is not None and one.count("+") == 1
    assert one == sender(head(authorization="Bearer sk-B", x_api_key="sk-A"))["api_key"]
    assert sender(head(authorization="Bearer sk-A", x_api_key="sk-A"))["api_key"] in one.split("+")


def test_a_key_that_a_browser_offers_is_read() -> None:
    """OpenAI's realtime API takes it from the subprotocols."""
    assert asked("api.openai.com", "/v1/realtime", sec_websocket_protocol="realtime, openai-insecure-api-key.sk-A") == (
        "sk-A",
    )
