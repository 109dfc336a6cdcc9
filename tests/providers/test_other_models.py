"""Which other models a request names, in each dialect, short and long."""

from __future__ import annotations

import json

import pytest

from providers.feeding import head
from spendgate.providers.dialects import DIALECTS

LONG = [{"role": "user", "content": "a" * 60}] * 1500
MESSAGES, CHAT, RESPONSES = "anthropic-messages", "openai-chat", "openai-responses"
EACH = [MESSAGES, CHAT, RESPONSES]


def also(dialect: str, *, long: bool = False, **members: object) -> tuple[str, ...]:
    """The other models of a request with these members."""
    body = {"model": "m-1", **members, "messages": LONG if long else [], "n": 1}
    return DIALECTS[dialect].ask(head(), json.dumps(body).encode()).also


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
@pytest.mark.parametrize("dialect", EACH)
def test_fallbacks_and_presets(dialect: str, long: bool) -> None:
    """Lists of names and of objects, each name once, the model itself not; what hides a model is one without a name."""
    assert also(dialect, long=long) == ()
    assert also(dialect, long=long, models=["m-1", "m-2", "m-2", "m-3"]) == ("m-2", "m-3")
    assert also(dialect, long=long, fallbacks=[{"model": "m-2", "max_tokens": 5}, "m-3", 7]) == ("m-2", "m-3", "")
    assert also(dialect, long=long, fallbacks="default") == ("",)
    assert also(dialect, long=long, context_window_fallbacks=["m-4"], content_policy_fallbacks=["m-5"]) == (
        "m-4",
        "m-5",
    )
    assert also(dialect, long=long, models=None, fallbacks=[], preset=None) == ()
    assert also(dialect, long=long, preset="mine") == ("",)


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_advisors(long: bool) -> None:
    """Anthropic's advisor names its model beside its type, OpenRouter's in its parameters, where it need not."""
    assert also(MESSAGES, long=long, tools=[{"type": "advisor_20260301", "name": "advisor", "model": "m-2"}]) == (
        "m-2",
    )
    assert also(MESSAGES, long=long, tools=[{"type": "advisor_20260301", "name": "advisor"}]) == ("",)
    for dialect in (CHAT, RESPONSES):
        named = [{"type": "openrouter:advisor", "parameters": {"model": "m-2"}}, {"type": "openrouter:subagent"}]
        assert also(dialect, long=long, tools=named) == ("m-2", "")
        drawing = [{"type": "image_generation", "model": "gpt-image-1"}]
        assert also(dialect, long=long, tools=drawing) == ("gpt-image-1",)
        assert (
            also(dialect, long=long, tools=[{"type": "openrouter:web_search", "parameters": {"engine": "exa"}}]) == ()
        )
    assert also(CHAT, long=long, plugins=[{"id": "web"}, {"id": "fusion"}, {"id": "x", "model": "m-4"}]) == ("", "m-4")


@pytest.mark.parametrize(
    ("members", "drawn"),
    [
        ({"output_format": "svg", "svg": {"model": "m-2"}}, ("m-2",)),
        ({"svg": {"model": "m-2"}}, ("m-2",)),
        ({"svg": {"model": "m-1"}}, ()),
        ({"output_format": "svg"}, ("",)),
        ({"output_format": "png", "svg": None}, ()),
    ],
)
def test_what_draws_a_picture_as_text(members: dict[str, object], drawn: tuple[str, ...]) -> None:
    """OpenAI's images and its image tool name the model that writes an SVG, or leave it to OpenAI; a form names it, too."""
    assert also("openai-images", **members) == drawn
    for dialect in (CHAT, RESPONSES):
        assert also(dialect, tools=[{"type": "image_generation", **members}]) == drawn
    spelled = {
        f"{name}[{key}]" if key else name: text
        for name, value in members.items() if value is not None
        for key, text in (value.items() if isinstance(value, dict) else [("", value)])
    }  # fmt: skip
    parts = {"model": "m-1", **spelled}.items()
    form = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in parts)
    formed = head("POST", "/v1/images/edits", content_type="multipart/form-data; boundary=b")
    assert DIALECTS["openai-images"].ask(formed, (form + "--b--\r\n").encode()).also == drawn


def test_a_persons_own_tools_name_nothing() -> None:
    """Their members are theirs, and what looks like a model in a schema is none."""
    own = {"name": "f", "parameters": {"model": "m-2", "properties": {"model": {"type": "string"}}}}
    assert also(CHAT, tools=[{"type": "function", "function": own, "parameters": {"model": "m-2"}}]) == ()
    assert also(RESPONSES, tools=[{"type": "function", **own}]) == ()
    assert also(MESSAGES, tools=[{"name": "f", "model": "m-2", "input_schema": own["parameters"]}]) == ()


def test_a_list_without_end_is_cut() -> None:
    """Rules are not asked a million times: behind the first ones stands one without a name."""
    found = also(CHAT, models=[f"m-{count}" for count in range(2, 5_000)])
    assert (len(found), found[-1]) == (33, "")


@pytest.mark.parametrize("kind", ["openrouter:web_search", "browser_search", "builtin_function", "web_search", "mcp"])
def test_a_tool_that_the_host_runs_has_no_bound_in_chat(kind: str) -> None:
    """The host samples again with what the tool found, and bills the tool by the call."""
    body = {"model": "m-1", "max_tokens": 5, "tools": [{"type": "function", "function": {}}, {"type": kind}]}
    ask = DIALECTS[CHAT].ask(head(), json.dumps(body).encode())
    assert (ask.loops, ask.searches_max) == (True, None)
    body["tools"] = [{"type": "function", "function": {"name": "web_search"}}, {"type": "custom"}, {"function": {}}]
    ask = DIALECTS[CHAT].ask(head(), json.dumps(body).encode())
    assert (ask.loops, ask.searches_max) == (False, 0)
