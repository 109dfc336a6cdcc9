"""A scan from both ends finds what a parse of the whole would, or says that the whole must be parsed."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import core_schema

from providers.feeding import head
from spendgate.errors import WireError
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.jsonscan import ESCAPED, WHOLE_BYTES_MAX, Scanner
from spendgate.providers.shapes import COUNT, FLAG, TEXT, Shape, items, record

SHAPE = Shape(model=TEXT, stream=FLAG, max_tokens=COUNT, n=COUNT, tools=items(record(type=TEXT)))
KEYS = ("model", "stream", "max_tokens", "n", "tools")
SCANNER = Scanner(SHAPE, KEYS, marks=rb'type"\s*:\s*"(image)"|(file_id)"')
LONG = [{"role": "user", "content": [{"type": "text", "text": 'say {"model": "fake", \\"n\\": 3} ' * 40}]}] * 80

MANY = [{"model": "x", "n": 1, "t": 'a "model": \\" {['}] * 1500


def found(body: bytes) -> dict[str, object]:
    """The fields that were found and are not null."""
    return {name: value for name, value in SCANNER.read(body).fields.items() if value is not None}


def truth(body: bytes) -> dict[str, object]:
    """What json itself reads of the same fields."""
    parsed = json.loads(body)
    whole = {name: parsed[name] for name in KEYS if name in parsed and parsed[name] is not None}
    if "tools" in whole:
        whole["tools"] = [{"type": tool.get("type")} for tool in whole["tools"]]
    return whole


MEMBERS = {
    "model": "claude-opus-4-5",
    "stream": True,
    "max_tokens": 64000,
    "n": 2,
    "tools": [{"type": "web_search_20250305", "input": {"model": "x"}}, {"type": "custom"}],
    "messages": LONG,
    "system": [{"text": "s" * 70_000}],
    "metadata": {"n": 7, "model": "nested"},
}


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("indent", [None, 1], ids=["compact", "indented"])
def test_order_of_members_does_not_matter(seed: int, indent: int | None) -> None:
    """Wherever the wanted members stand between the long ones, all are found and no nested one is."""
    names = list(MEMBERS)
    random.Random(seed).shuffle(names)
    body = json.dumps({name: MEMBERS[name] for name in names}, indent=indent).encode()
    assert len(body) > WHOLE_BYTES_MAX
    assert found(body) == truth(body)


NESTED = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 99)
    | st.text(max_size=12)
    | st.sampled_from(['"model":', "\\", '{"n":1']),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*KEYS, "x", "text"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(NESTED, max_size=6), st.permutations(["model", "messages", "max_tokens", "input"]), st.booleans())
def test_nested_keys_never_count(values: list[object], names: list[str], ascii_only: bool) -> None:
    """Whatever stands inside the long members, with the same keys and with quotes in text, only the document's own count."""
    filler = [*values, *LONG, *values]
    made = {"model": "real-model", "max_tokens": 5, "messages": filler, "input": values}
    body = json.dumps({name: made[name] for name in names}, ensure_ascii=ascii_only).encode()
    assert found(body) == {"model": "real-model", "max_tokens": 5}


@pytest.mark.parametrize(
    "second",
    [b'"model":"opus"', b'"mod\\u0065l":"opus"', b'"\\u006dodel" : "opus"', b'"m\\u006Fdel"\n:\n"opus"'],
    ids=["plain", "escaped letter", "escaped first letter", "escaped and spaced"],
)
@pytest.mark.parametrize("place", ["head", "middle", "tail"])
def test_last_of_duplicate_keys_wins(second: bytes, place: str) -> None:
    """A second `model`, also one spelled with escapes, counts as it does for the provider, wherever it stands."""
    long = json.dumps(LONG).encode()
    members = {
        "head": [second, b'"messages":' + long],
        "middle": [b'"messages":' + long, second, b'"system":' + long],
        "tail": [b'"messages":' + long, second],
    }[place]
    assert found(b'{"model":"haiku",' + b",".join(members) + b"}")["model"] == "opus"


@pytest.mark.parametrize("value", [b"null", b'"32000"', b"[1]"], ids=["null", "text", "list"])
@pytest.mark.parametrize("shown", [LONG[:1], LONG, MANY], ids=["short", "long", "many keys"])
def test_a_last_duplicate_that_cannot_be_read_hides_the_first(value: bytes, shown: list[object]) -> None:
    """A cap that a later null or text takes away does not count, in a long body as in a short one."""
    body = b'{"model":"m","max_tokens":1,"messages":' + json.dumps(shown).encode() + b',"max_tokens":' + value + b"}"
    assert found(body) == {"model": "m"}


@pytest.mark.parametrize("more", [b" {}", b"{}", b"\n[]", b" 1", b' {"model":"other"}', b" x}", b"\0"])
@pytest.mark.parametrize("shown", [LONG[:1], LONG, MANY], ids=["short", "long", "many keys"])
def test_more_than_one_document_raises(more: bytes, shown: list[object]) -> None:
    """What follows the object would hide its last members from a scan; a host may read the first object alone."""
    body = b'{"model":"m","messages":' + json.dumps(shown).encode() + b',"n":100}' + more
    with pytest.raises(WireError):
        SCANNER.read(body)


def test_space_after_the_document_is_part_of_it() -> None:
    """A line's end, or thousands of spaces, behind a long body change nothing."""
    body = b'{"model":"m","messages":' + json.dumps(LONG).encode() + b',"n":100}'
    assert found(body + b"\r\n") == found(body + b" \n" * 900) == {"model": "m", "n": 100}


def test_escaped_quotes_in_text_are_not_keys() -> None:
    """Text that spells members, at any depth of escaping, is text."""
    text = json.dumps({"model": "fake", "n": 9})
    nested = json.dumps(json.dumps({"t": text}))
    body = json.dumps({"model": "real", "messages": [{"content": [text, nested] * 900}]}).encode()
    assert found(body) == {"model": "real"}


@pytest.mark.parametrize("after", [{}, {"n": 2}], ids=["the last wanted one", "one after it"])
@pytest.mark.parametrize("size", [2, 20, 200, 900])
def test_a_long_member_is_read_wherever_it_ends(size: int, after: dict[str, int]) -> None:
    """The many tools of an agent before its conversation: the last of them may be one that costs more."""
    tools = [{"type": "custom", "name": "t" * 200}] * size + [{"type": "web_search_20250305"}]
    body = json.dumps({"model": "m", "tools": tools, "messages": LONG, **after}).encode()
    assert len(body) > WHOLE_BYTES_MAX
    assert found(body) == truth(body)


@pytest.mark.parametrize("after", [{}, {"n": 2}], ids=["the last wanted one", "one after it"])
@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("size", [64, 200, 700, 1_100])
def test_a_long_text_is_read_wherever_it_ends(size: int, shift: int, after: dict[str, int]) -> None:
    """Whatever is escaped in it, at the ends of steps too, and whether it is longer than what is parsed at once."""
    length = core_schema.no_info_after_validator_function(len, core_schema.str_schema())
    shape = Shape(model=TEXT, input=length, n=COUNT)
    text = "x" * shift + '\\"}\\\\ ' * (size * 1024 // 9) + "\\"
    body = json.dumps({"model": "m", "input": text, "voice": {"input": 1}, **after}).encode()
    assert len(body) > WHOLE_BYTES_MAX
    assert Scanner(shape, ("model", "input", "n")).read(body).fields == {"model": "m", "input": len(text), **after}
    assert shape.read(body) == {"model": "m", "input": len(text), **after}


def test_many_nested_keys_are_walked_through() -> None:
    """More nested keys than can be looked at one by one do not hide the real one."""
    body = json.dumps({"messages": [{"model": "x", "n": i} for i in range(6000)], "model": "real"}).encode()
    assert found(body) == {"model": "real"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(NESTED, max_size=6), st.permutations(["model", "messages", "tools", "input"]), st.sampled_from([None, 1])
)
def test_a_walk_finds_what_a_parse_finds(values: list[object], names: list[str], indent: int | None) -> None:
    """With more keys than can be looked at one by one, and whatever stands between: the document's own members alone."""
    made = {"model": 'real-"model', "tools": MEMBERS["tools"], "messages": [*values, *MANY], "input": values}
    body = json.dumps({name: made[name] for name in names}, indent=indent).encode()
    assert len(body) > WHOLE_BYTES_MAX
    assert found(body) == truth(body)


@pytest.mark.parametrize("second", [b'"model":"opus"', b'"mod\\u0065l":"opus"', b' \n"model" : "opus" '])
def test_a_walk_keeps_duplicates_and_escaped_keys(second: bytes) -> None:
    """The last of duplicate keys wins here too."""
    body = b'{"model":"haiku","messages":' + json.dumps(MANY).encode() + b"," + second + b"}"
    assert found(body)["model"] == "opus"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps({"messages": MANY}).encode()[:-1], id="no end"),
        pytest.param(json.dumps({"messages": MANY}).encode() + b"}", id="too many ends"),
        pytest.param(b"[" + json.dumps({"messages": MANY}).encode() + b"]", id="an array"),
        pytest.param(
            json.dumps(MANY).encode().join((b'{"m":', b',"a":"' + b"\\\\\\" * 9)), id="a string without an end"
        ),
        pytest.param(json.dumps({"m": MANY, "tools": [{"type": "x" * 5_000_000}]}).encode(), id="tools beyond bounds"),
    ],
)
def test_a_walk_that_finds_no_object_raises(body: bytes) -> None:
    """What is broken, or too long to be parsed, is a WireError: the caller then knows no bound."""
    with pytest.raises(WireError):
        SCANNER.read(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(json.dumps({"model": "m", "messages": MANY * 9}).encode(), id="many keys"),
        pytest.param(json.dumps({"messages": [{"model": "m"}] * 60_000, "model": "m"}).encode(), id="keys alone"),
        pytest.param(b'{"m":' + json.dumps(MANY).encode() + b',"a":[' + b"[]," * 300_000 + b"1]}", id="brackets alone"),
        pytest.param(json.dumps({"t": MANY, "n": 1, "x": "\\\\ä\n" * 200_000}).encode(), id="one string of escapes"),
    ],
)
def test_no_step_parses_much(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a long body is made, no parser is given more than a small part of it at once, and the steps are many."""
    parsed: list[int] = []

    class Noted(Shape):
        def read(self, document: bytes) -> dict[str, object]:
            parsed.append(len(document))
            return super().read(document)

    noted = Noted(model=TEXT, stream=FLAG, max_tokens=COUNT, n=COUNT, tools=items(record(type=TEXT)))
    count = sum(1 for _ in Scanner(noted, KEYS).steps(body))
    assert count > len(body) // (128 * 1024)
    assert max(parsed) < WHOLE_BYTES_MAX


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":[' + b'"x",' * 500_000 + b'1],"model":"m","b":[' + b'"x",' * 500_000 + b"1]}", id="in the middle"),
        pytest.param(b'{"a":[' + b'"x",' * 500_000 + b'1],"n":1,"b":[' + b'"x",' * 400_000 + b'1],"model":"m"}', id="far apart"),
    ],
)  # fmt: skip
def test_no_step_parses_half_of_a_long_body(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key in the middle would have all before it, or behind it, parsed at once."""
    longest = 0

    class Noted(Shape):
        def read(self, document: bytes) -> dict[str, object]:
            nonlocal longest
            longest = max(longest, len(document))
            return super().read(document)

    noted = Noted(model=TEXT, stream=FLAG, max_tokens=COUNT, n=COUNT, tools=items(record(type=TEXT)))
    assert Scanner(noted, KEYS).read(body).fields["model"] == "m"
    assert longest < WHOLE_BYTES_MAX


@pytest.mark.parametrize("dialect", ["code-assist", "amazon-q"])
@pytest.mark.parametrize("name", ["request", r"r\u0065quest"])
def test_a_long_envelope_is_opened_in_steps(dialect: str, name: str) -> None:
    """No parser is given the whole of it; what it says is found wherever it stands, the last of duplicates."""
    parts = [{"text": 'code with "model": \\" { ' * 40}] * 400
    key = name if dialect == "code-assist" else name.replace("request", "conversationState")
    if dialect == "code-assist":
        inner = {
            "contents": parts,
            "session_id": "s-1",
            "tools": [{"googleSearch": {}}],
            "generationConfig": {"maxOutputTokens": 9},
        }
        outer = '{"model":"m-1","%s":{"session_id":"s-0"},"x":%s,"%s":%s,"project":"p-1"}'
    else:
        turn = {"userInputMessage": {"modelId": "m-1", "content": "x"}}
        inner = {"history": parts, "conversationId": "s-1", "currentMessage": turn, "more": parts}
        outer = '{"profileArn":"a","%s":{"conversationId":"s-0"},"x":%s,"%s":%s}'
        key = key.replace(name, r"conversationStat\u0065")
    body = (outer % (key, json.dumps(parts), key, json.dumps(inner))).encode()
    steps, count = DIALECTS[dialect].asking(head(path="/v1internal:generateContent"), body), 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            ask = end.value
            break
    assert (ask.model, ask.session.value) == ("m-1", "s-1")
    assert count > len(body) // (64 * 1024)
    if dialect == "code-assist":
        assert (ask.account, ask.output_tokens_max, ask.loops) == ("p-1", 9, True)


def test_members_of_too_many_items_are_not_read() -> None:
    """Half a second of parsing for four megabytes of them: such a body is one that cannot be read."""
    tools = b'{"type":"x"},' * 150_000
    with pytest.raises(WireError):
        SCANNER.read(b'{"model":"m","tools":[' + tools + b'{}],"messages":[' + b"1," * 1_500_000 + b"1]}")


def test_marks_are_found_at_any_depth_but_not_in_text() -> None:
    """A mark counts wherever it stands as JSON; the same words in a prompt do not."""
    said = {"messages": [*LONG, {"content": [{"type": "text", "text": '"type":"image" "file_id":1'}]}]}
    shown = {"messages": [*LONG, {"content": [{"type": "image", "source": {"file_id": "f"}}]}]}
    assert SCANNER.read(json.dumps(said).encode()).marks == frozenset()
    assert SCANNER.read(json.dumps(shown).encode()).marks == {b"image", b"file_id"}
    assert SCANNER.read(b'{"a":{"type" : "image"}}').marks == {b"image"}


ODD = st.lists(
    st.sampled_from(["\\", '"', '{"type":"image"', '"file_id":', "image", "file_id", "type", " ", "{"]), max_size=4
).map("".join)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dictionaries(ODD, ODD, max_size=3) | st.fixed_dictionaries({"type": ODD}) | ODD, max_size=8),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_marks_are_those_of_a_parse(values: list[object], long: bool, indent: int | None) -> None:
    """Whatever quotes and backslashes strings hold and end with, the marks are those that stand as JSON, in any length."""
    dicts = [value for value in values if isinstance(value, dict)]
    expected = {b"image" for value in dicts if value.get("type") == "image"}
    expected |= {b"file_id" for value in dicts if "file_id" in value or "file_id" in value.values()}
    expected |= {b"file_id" for value in values if value == "file_id"}
    body = json.dumps({"a": values, "long": LONG if long else [], "b": values, "model": "m"}, indent=indent).encode()
    assert SCANNER.read(body).marks == expected


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
def test_a_string_with_an_escaped_letter_is_told(long: bool) -> None:
    """Where only the start of a string decides, an escaped letter in it counts, first or not; a sign or a later one does not."""
    padding = b',"x":' + json.dumps(LONG).encode() if long else b""
    for text, marks in (
        (rb"i\u006dage", {ESCAPED}),
        (rb"\u0069mage", {ESCAPED}),
        (rb"computer_screensho\u0074", {ESCAPED}),
        (rb"caf\u00e9", set()),
        (rb"\u00e9t\u00e9", set()),
        (rb"an \u0069mage", set()),
        (rb"\\u0069mage", set()),
    ):
        assert SCANNER.read(b'{"a":{"type":"' + text + b'"}' + padding + b"}").marks == marks


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"hello", b'{"model":', b"[" + b"1," * 40_000 + b"1]"])
def test_what_is_not_an_object_raises(body: bytes) -> None:
    """A body that is not a JSON object is a WireError that does not quote it."""
    with pytest.raises(WireError) as raised:
        SCANNER.read(body)
    assert str(raised.value) == "not a JSON object"


def test_steps_are_many_and_give_the_same() -> None:
    """A megabyte is read in several steps, and the last gives what one read gives."""
    body = json.dumps({"model": "m", "messages": LONG * 12, "max_tokens": 9}).encode()
    steps, count = SCANNER.steps(body), 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            assert end.value == SCANNER.read(body)
            break
    assert len(body) > 1_000_000
    assert count >= len(body) // (128 * 1024)


def test_ends_of_a_document_whose_middle_is_gone() -> None:
    """Members in the first and last bytes are found; nested ones in the tail are not taken for the document's own."""
    body = json.dumps({"n": 3, "messages": [*LONG, {"model": "nested", "n": 9}], "model": "real"}).encode()
    assert SCANNER.read_ends(body[:500], body[-500:]) == {
        "n": 3,
        "model": "real",
    }
