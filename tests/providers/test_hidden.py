"""What a request spells so that its bytes do not show it raises its bound, and never escapes it."""

from __future__ import annotations

import json

import pytest

from providers.feeding import head
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS

TEXT = [{"role": "user", "content": "a" * 30}] * 2000


def ask(dialect: str, member: bytes, *, long: bool = False) -> Ask:
    """The Ask of a body with one more member, before a long one on request."""
    padding = b',"messages":' + json.dumps(TEXT).encode() if long else b""
    return DIALECTS[dialect].ask(head(), b'{"model":"m-1",' + member + padding + b"}")


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize(
    ("dialect", "member"),
    [
        pytest.param("anthropic-messages", rb'"x":{"type":"d\u006fcument"}', id="block type"),
        pytest.param("anthropic-messages", rb'"x":{"cache_contro\u006c":{"type":"ephemeral"}}', id="key"),
        pytest.param("anthropic-messages", rb'"x":{"cache\u005Fcontrol":{}}', id="underscore"),
        pytest.param("anthropic-messages", rb'"x":{"cache_control":{"ttl":"1\u0068"}}', id="letter of a ttl"),
        pytest.param("anthropic-messages", rb'"x":{"cache_control":{"ttl":"\u0031h"}}', id="digit of a ttl"),
        pytest.param("openai-chat", rb'"x":{"type":"image\u005furl"}', id="chat"),
        pytest.param("openai-responses", rb'"x":{"typ\u0065":"input_file"}', id="responses"),
    ],
)
def test_a_mark_spelled_with_escapes_counts(dialect: str, member: bytes, long: bool) -> None:
    """An escaped letter may hide packed input and the dearest cache write: it counts as both."""
    found = ask(dialect, member, long=long)
    assert found.opaque_input
    assert found.cache_ttl == ("1h" if dialect == "anthropic-messages" else "write")


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-chat", "openai-responses"])
@pytest.mark.parametrize(
    "text", ["\u00e9\u001b<>&'`\u007f", 'code: "d\\u006fcument" and \\\\u0041'], ids=["signs", "code with escapes"]
)
def test_what_encoders_escape_hides_nothing(dialect: str, text: str, long: bool) -> None:
    """Escapes that encoders do write, and escapes that a text is about, leave the bound as it is."""
    shown = json.dumps({"t": text}).replace("<", r"\u003c").replace("'", r"\u0027").replace("`", r"\u0060").encode()
    found = ask(dialect, b'"x":' + shown, long=long)
    assert not found.opaque_input
    assert found.cache_ttl in (None, "write")


STEP_BYTES = 128 * 1024


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("space", [600, STEP_BYTES + 600], ids=["little", "much"])
@pytest.mark.parametrize(
    ("dialect", "member", "shown"),
    [
        ("openai-chat", '"n"@100', {"choices": 100}),
        ("openai-chat", '"model"@"m-2"', {"model": "m-2", "also": ("m-1",)}),
        ("openai-chat", '"max_tokens"@9', {"output_tokens_max": 9}),
        ("openai-chat", '"x":{"type"@"image_url"}', {"opaque_input": True}),
        ("openai-chat", '"x":{"cachedContent"@"c"}', {"opaque_input": True}),
        ("openai-responses", '"input":[{"id"@"msg-1"}]', {"opaque_input": True}),
        ("openai-responses", '"x":{"type"@"compaction_trigger"}', {"loops": True}),
        ("openai-responses", '"tools"@[{"type":"mcp"}]', {"loops": True}),
        ("openai-responses", '"x":{"type":"additional_tools","tools"@[{"type":"mcp"}]}', {"loops": True}),
        ("openai-responses", '"x":{"type"@"additional_tools","tools":[{"type":"mcp"}]}', {"loops": True}),
        ("anthropic-messages", '"x":{"ttl"@"1h"},"y":{"cache_control":{}}', {"cache_ttl": "1h"}),
        ("anthropic-messages", '"x":{"type":"tool_definition","definition"@{"type":"mcp_toolset"}}', {"loops": True}),
    ],
)
def test_space_around_a_colon_hides_nothing(
    dialect: str, member: str, shown: dict[str, object], space: int, behind: bool
) -> None:
    """However much of it stands there, also where a step of the scan ends in it."""
    colon = ":" + " " * space if behind else " " * space + ":"
    start = '{"model":"m-1","pad":"'
    pad = "a" * (STEP_BYTES - len(start) - member.index("@") - 8)
    body = (start + pad + '",' + member.replace("@", colon) + "}").encode()
    json.loads(body)
    found = DIALECTS[dialect].ask(head(), body)
    assert {name: getattr(found, name) for name in shown} == shown


def test_text_that_begins_with_space_hides_nothing() -> None:
    """What stands in a string bounds it as it did."""
    text = json.dumps([{"role": "user", "content": " " * 600 + "a: 1"}] * 300).encode()
    assert not ask("openai-chat", b'"messages":' + text).opaque_input
