"""A model that stands twice in a request is asked about twice: which of the two a host takes, nobody can say from here."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from load.wires import WIRES, Wire
from providers.feeding import head
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import WHOLE_BYTES_MAX, at_once
from spendgate.providers.openai_responses import OpenAIResponses
from spendgate.providers.repeated import NAMES_MAX, UNNAMED, names_at

CHEAP = "cheap-1"
NAMING = ("model", "modelId")
LONG = 'a word and "quotes" and {brackets} \\ ' * (WHOLE_BYTES_MAX // 20)


def _named(wire: Wire) -> str | None:
    """The key that holds a request's model, where one of JSON has it."""
    body = wire.body("hi")
    keys = [key for key in NAMING if f'"{key}":'.encode() in body.replace(b'": ', b'":')]
    return keys[0] if keys and body.lstrip().startswith(b"{") else None


OTHERWISE = frozenset({"anthropic-batches", "openai-batches", "openai-realtime"})
"""Order what names its models inside, in a file, or in messages."""
JSON_WIRES = [wire for wire in WIRES if _named(wire) and wire.dialect not in OTHERWISE]


def ask(wire: Wire, body: bytes) -> Ask:
    path, _, query = wire.path.partition("?")
    return DIALECTS[wire.dialect].ask(Head("POST", wire.host, path, query, head().headers), body)


def doubled(body: bytes, key: str, first: str, spelled: str = "") -> bytes:
    """The same with this member before the one that is there."""
    said = body.replace(b'": ', b'":')
    mark = f'"{key}":'.encode()
    return said.replace(mark, f'"{spelled or key}":{first},'.encode() + mark, 1)


@pytest.mark.parametrize("text", ["hi", LONG], ids=["short", "long"])
@pytest.mark.parametrize("wire", JSON_WIRES, ids=lambda wire: wire.dialect)
def test_each_dialect_asks_about_both(wire: Wire, text: str) -> None:
    """Whatever stands first, and however its key is spelled; the last one is still the model."""
    key = _named(wire)
    assert key is not None
    body = wire.body(text)
    plain = ask(wire, body)
    for spelled in (key, "\\u006d" + key[1:], "mod\\u0065l" + key[5:]):
        for value, name in ((json.dumps(CHEAP), CHEAP), ("null", UNNAMED), ("{}", UNNAMED)):
            found = ask(wire, doubled(body, key, value, spelled))
            assert (found.model, found.also) == (plain.model, (*plain.also, name)), (spelled, value)
    assert ask(wire, doubled(body, key, json.dumps(plain.model))).also == plain.also


def test_the_wires_have_them() -> None:
    """The table is not empty."""
    assert {"openai-chat", "anthropic-messages", "openai-responses", "code-assist", "amazon-q", "zed-completions"} <= {
        wire.dialect for wire in JSON_WIRES
    }


def test_a_nested_one_is_none() -> None:
    """Tools and their inputs name models, too, and a text may quote anything."""
    tool = {"name": "task", "input_schema": {"properties": {"model": {"type": "string"}}}}
    used = {"type": "tool_use", "input": {"model": "claude-opus-4-5", "prompt": '"model":"x"'}}
    for text in ("hi", LONG):
        said = {"model": "claude-sonnet-4-5", "tools": [tool], "max_tokens": 9}
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": [used] * 30}]
        found = DIALECTS["anthropic-messages"].ask(head(), json.dumps({**said, "messages": messages}).encode())
        assert (found.model, found.also) == ("claude-sonnet-4-5", ())


def test_a_create_on_a_socket() -> None:
    """As over HTTP."""
    message = b'{"type":"response.create","model":"gpt-5-pro","input":"hi","model":"gpt-5-nano"}'
    found = at_once(OpenAIResponses().socket(head()).from_client(message))
    assert found is not None
    assert (found.model, found.also) == ("gpt-5-nano", ("gpt-5-pro",))


def test_a_route_in_a_request_of_googles() -> None:
    """The model that Vertex is told to use in place of the path's."""
    manual = '"routingConfig":{"manualMode":{"modelName":"gemini-3-pro","model_name":"gemini-3-flash"}}'
    body = ('{"contents":[],"generationConfig":{%s},"generationConfig":{}}' % manual).encode()  # noqa: UP031  braces
    assert set(DIALECTS["gemini"].ask(head(), body).also) >= {"gemini-3-pro"}
    assert DIALECTS["gemini"].ask(head(), b'{"contents":[]}').also == ()


def test_very_many() -> None:
    """More than can be asked about one by one are asked about as one that is not named, too."""
    body = b"{" + b",".join(b'"model":"m-%d"' % number for number in range(100)) + b"}"
    named = at_once(names_at(body, "model"))
    assert (len(named), named[0], named[-1], UNNAMED in named) == (NAMES_MAX + 2, "m-0", "m-99", True)
    found = DIALECTS["openai-chat"].ask(head(), body)
    assert found.model == "m-99"
    assert UNNAMED in found.also


def _flat(dice: random.Random) -> tuple[bytes, list[str]]:
    """A document with members, wanted or not, at random, and what its own `model` members say."""
    members, names = [], []
    for _ in range(dice.randint(0, 8)):
        name = f"m-{dice.randint(0, 3)}"
        kind = dice.randint(0, 3)
        if kind == 0:
            members.append(f'"model" : "{name}"')
            names.append(name)
        elif kind == 1:
            members.append('"x":{"model":"%s"}' % name)  # noqa: UP031  braces
        elif kind == 2:
            members.append('"text":"\\"model\\":\\"%s\\""' % name)  # noqa: UP031  braces
        else:
            members.append('"list":[{"model":"%s"},"model",{"y":[]}]' % name)  # noqa: UP031  braces
    return ("{" + ",".join(members) + "}").encode(), names


@pytest.mark.parametrize("padded", [lambda body: body, lambda body: body[:-1] + b" " * WHOLE_BYTES_MAX + b"}"])
def test_against_a_parser(padded: Callable[[bytes], bytes]) -> None:
    """Whatever else there is: those of the document's own that differ from its last."""
    dice = random.Random(7)
    for _ in range(300):
        body, names = _flat(dice)
        found = DIALECTS["openai-chat"].ask(head(), padded(body))
        assert found.model == (names[-1] if names else None)
        assert set(found.also) == set(names) - {found.model}
