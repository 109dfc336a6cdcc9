"""Keys in another case are found at any depth and in any spelling, in long bodies too; nothing else is."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from spendgate.errors import WireError
from spendgate.providers import cased
from spendgate.providers.ask import Ask
from spendgate.providers.base import BaseDialect
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import at_once
from spendgate.providers.openai_responses_socket import ResponsesSocket
from spendgate.providers.registry_data import FAMILIES

HEAD = Head("POST", "llm.acme.example", "/v1/chat/completions", "", CaseInsensitive({}))
SPOKEN = sorted({rule.dialect for family in FAMILIES.values() for rule in family.rules if rule.dialect})


def folded(text: str) -> str | None:
    """The body in lower case, as text."""
    found = at_once(cased.in_lower_case(text.encode()))
    return None if found is None else found.decode()


@pytest.mark.parametrize("name", SPOKEN)
def test_all_that_a_gateway_may_be_asked_has_its_name(name: str) -> None:
    """Every member that is looked at in a dialect which `capture.hosts` may name: none is read in one case alone."""
    dialect = DIALECTS[name]
    assert isinstance(dialect, BaseDialect)
    assert dialect.request.keys <= cased.NAMES


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("Model", "model"),
        ("mODEL", "model"),
        ("m\\u004fdel", "model"),
        ("\\u004dODEL", "model"),
        ("max_to\u212aens", "max_tokens"),
        ("max_token\u017f", "max_tokens"),
        ("MAX_COMPLETION_TOKENS", "max_completion_tokens"),
        ("N", "n"),
        ("GenerationConfig", "generationConfig"),
        ("MAXTOKENS", "maxTokens"),
    ],
)
def test_it_is_found(key: str, name: str) -> None:
    """At any depth, spaced or not; the rest stays byte for byte."""
    assert folded(f'{{"{key}" : 1, "a": [{{"{key}":2}}]}}') == f'{{"{name}" : 1, "a": [{{"{name}":2}}]}}'


@pytest.mark.parametrize(
    "text",
    [
        '{"model":"A","messages":[{"role":"user","content":"Model"}]}',
        '{"mod\\u0065l":"a"}',
        '{"additionalProperties":false,"maxTokens":1,"Modell":2,"Other Model":3}',
        '{"content":"say \\"Model\\": this, and \\\\\\"MODEL\\":"}',
        '{"content":"a value that ends so \\\\","model":"a"}',
        '{"a":"Model"}',
        "",
    ],
)
def test_nothing_else_is(text: str) -> None:
    """Values, texts that quote keys, keys that nobody looks at, and those that another spelling makes the right ones."""
    assert folded(text) is None


@pytest.mark.parametrize("shift", range(-12, 13))
def test_a_step_ends_in_no_key(shift: int) -> None:
    """Wherever in a long body it stands."""
    padding = "x" * (128 * 1024 - len('{"a":"","') + shift)
    found = folded(f'{{"a":"{padding}","MODEL":"b"}}')
    assert found is not None
    assert json.loads(found) == {"a": padding, "model": "b"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('"model":"a","Model":"b"', {"model": "a", "also": ("b",)}),
        ('"Model":"b","model":"a"', {"model": "a", "also": ("b",)}),
        ('"Model":"b"', {"model": None, "also": ("b",)}),
        ('"model":"a","Model":7', {"model": "a", "also": ("",)}),
        ('"model":"a","MODEL":"b","mOdel":"c"', {"model": "a", "also": ("b", "c")}),
        ('"model":"a","Models":["b"]', {"model": "a", "also": ("b",)}),
        ('"model":"a","max_tokens":9,"Max_Tokens":5', {"output_tokens_max": 9}),
        ('"model":"a","max_tokens":5,"Max_Tokens":9', {"output_tokens_max": 9}),
        ('"model":"a","max_tokens":5,"Max_Tokens":null', {"output_tokens_max": None}),
        ('"model":"a","max_tokens":5,"N":3', {"output_tokens_max": 5, "choices": 3}),
        ('"model":"a","Tools":[{"type":"web_search"}]', {"loops": True, "searches_max": None}),
        ('"model":"a","service_tier":"flex","Service_Tier":"priority"', {"service_tier": None}),
    ],
)
def test_the_weaker_of_both_readings_holds(body: str, expected: dict[str, object]) -> None:
    """Each model that either has may answer; of a bound the larger holds, and none where one has none."""
    found = at_once(cased.asking(DIALECTS["openai-chat"], HEAD, f'{{{body},"messages":[]}}'.encode()))
    seen = {name: getattr(found, name) for name in expected}
    if "also" in seen:
        seen["also"] = tuple(sorted(seen["also"]))
    assert seen == expected


def test_the_files_of_a_form_hold_no_keys() -> None:
    """Whatever of one looks like a key that stands twice: its model is read, and nothing else."""
    kind = {"content-type": "multipart/form-data; boundary=b"}
    parts = (b'name="model"\r\n\r\nwhisper-1', b'name="file"; filename="a"\r\n\r\n\x00"n"\xff"n":"stream""stream"')
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--b--\r\n"
    asked = Head("POST", "llm.acme.example", "/v1/audio/transcriptions", "", CaseInsensitive(kind))
    ask = at_once(cased.asking(DIALECTS["openai-transcriptions"], asked, body))
    assert (ask.model, ask.also, ask.streamed) == ("whisper-1", (), False)


def test_what_is_weaker_is_symmetric_but_for_the_model() -> None:
    """No field is taken from one side alone that bounds a call."""
    one = Ask(model="a", text_bytes=3, output_tokens_max=5, cache_ttl="1h", searches_max=2, speed="fast")
    other = Ask(
        model="a", text_bytes=4, opaque_input=True, choices=2, loops=True, searches_max=None, service_tier="flex"
    )
    assert cased.weaker(one, other) == replace(cased.weaker(other, one), model="a")


@pytest.mark.parametrize(
    ("message", "model", "also"),
    [
        ('{"type":"response.create","model":"a","MODEL":"b"}', "a", ("b",)),
        ('{"Type":"response.create","model":"a"}', "a", ()),
        ('{"type":"response.create","model":"a"}', "a", ()),
    ],
)
def test_messages_of_a_socket_are_read_so_too(message: str, model: str, also: tuple[str, ...]) -> None:
    """A response that a parser without case would begin is asked about, with each model that it may have."""
    found = at_once(cased.CasedSocket(ResponsesSocket(HEAD)).from_client(message.encode()))
    assert found is not None
    assert (found.model, found.also) == (model, also)
    assert at_once(cased.CasedSocket(ResponsesSocket(HEAD)).from_client(b'{"Type":"session.update"}')) is None


@pytest.mark.parametrize(
    ("body", "most", "choices"),
    [
        ('{"model":"m","max_tokens":5000,"messages":[],"max_tokens":10}', 5000, 1),
        ('{"model":"m","max_tokens":10,"messages":[],"max_tokens":5000}', 5000, 1),
        ('{"model":"m","Max_Tokens":5000,"messages":[],"max_tokens":10}', 5000, 1),
        ('{"model":"m","max_tokens":null,"messages":[],"max_tokens":10}', None, 1),
        ('{"model":"m","max_tokens":10,"n":100,"messages":[{"content":"}"}],"n":1} ', 10, 100),
        ('{"model":"m","max_tokens":10,"messages":[{"max_tokens":9,"n":3}],"tools":[{"n":4}],"n":1}', 10, 1),
    ],
)
def test_what_bounds_a_request_twice_bounds_it_as_the_weaker(body: str, most: int | None, choices: int) -> None:
    """Whichever of the two its host takes; what stands deeper is another thing."""
    ask = at_once(cased.asking(DIALECTS["openai-chat"], HEAD, body.encode()))
    assert (ask.output_tokens_max, ask.choices) == (most, choices)


@pytest.mark.parametrize(
    ("dialect", "body", "most"),
    [
        ("gemini", '{"generationConfig":{"maxOutputTokens":10},"GenerationConfig":{"maxOutputTokens":5000}}', 5000),
        ("gemini", '{"generationConfig":{"maxOutputTokens":10,"MaxOutputTokens":5000}}', 5000),
        ("gemini", '{"generationConfig":{"maxOutputTokens":5000},"generationConfig":{"maxOutputTokens":10}}', 5000),
        ("gemini", '{"generationConfig":{"maxOutputTokens":5000,"maxOutputTokens":10}}', 5000),
        ("gemini", '{"generationConfig":{"maxOutputTokens":5000},"generationConfig":{"temperature":1}}', None),
        ("gemini", '{"generationConfig":{"maxOutputTokens":10},"contents":[{"maxOutputTokens":9}]}', 10),
        ("bedrock-converse", '{"inferenceConfig":{"maxTokens":5000,"maxTokens":10}}', 5000),
        ("bedrock-converse", '{"InferenceConfig":{"MaxTokens":5000},"inferenceConfig":{"maxTokens":10}}', 5000),
        ("bedrock-converse", '{"inferenceConfig":{"maxTokens":10}}', 10),
    ],
)
def test_googles_and_awss_caps_are_read_as_the_weaker(dialect: str, body: str, most: int | None) -> None:
    """Their keys have capitals of their own, and their caps stand a level deeper."""
    asked = Head("POST", "llm.acme.example", "/model/anthropic.claude-sonnet-4-6/converse", "", CaseInsensitive({}))
    assert at_once(cased.asking(DIALECTS[dialect], asked, body.encode())).output_tokens_max == most


@pytest.mark.parametrize("space", [600, 140_000])
def test_space_before_a_colon_hides_no_key(space: int) -> None:
    """However much of it stands there, also where a step ends in it."""
    padding = "x" * (128 * 1024 - len('{"a":"","MODEL" '))
    found = folded(f'{{"a":"{padding}","MODEL"{" " * space}:"b"}}')
    assert found is not None
    assert json.loads(found)["model"] == "b"


@pytest.mark.parametrize("more", ["", ',{"x":1}', "]}", "}}", ' {"x":1}'])
@pytest.mark.parametrize("text", ["a", "\ud800"], ids=["text", "half a pair"])
@pytest.mark.parametrize("size", [70_000, 1_100_000])
def test_a_document_that_something_follows_is_not_read(more: str, text: str, size: int) -> None:
    """A gateway may read the first alone: its last members seemed to be nested in what follows."""
    said = json.dumps({"role": "user", "content": text * (size // 6 if text != "a" else size)})
    body = f'{{"model":"m-1","messages":[{said}],"model":"m-2","n":9}}{more}'.encode()
    asking = cased.asking(DIALECTS["openai-chat"], HEAD, body)
    if more:
        with pytest.raises(WireError):
            at_once(asking)
    else:
        ask = at_once(asking)
        assert (ask.model, ask.also, ask.choices) == ("m-2", ("m-1",), 9)
