"""Images, transcriptions and speech: what is asked, what is read in every delivery, what it costs by genai-prices' own answer."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from providers.feeding import JSON, STREAM, head, pieces, read
from spendgate.errors import WireError
from spendgate.pricing import Charge, PriceBook, UnknownPrice
from spendgate.providers import multipart
from spendgate.providers.ask import Ask
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import CaseInsensitive
from spendgate.providers.interface import Head
from spendgate.providers.openai_image_usage import image_part
from spendgate.providers.reading import Part, Reading
from spendgate.usage import Usage

NOW = datetime(2026, 11, 28, tzinfo=UTC)
BOOK = PriceBook()
IMAGES, HEARD, SPOKEN = DIALECTS["openai-images"], DIALECTS["openai-transcriptions"], DIALECTS["openai-speech"]
SOUND = CaseInsensitive({"Content-Type": "audio/mpeg"})
PICTURE = "iVBORw0KGgo" * 40_000
COUNTS = {"input_tokens": 1400, "output_tokens": 4160, "total_tokens": 5560,
          "input_tokens_details": {"image_tokens": 1000, "text_tokens": 400}}  # fmt: skip


def form(**fields: str) -> tuple[Head, bytes]:
    """A form with a file of 600 KB in front, in the way that HTTP libraries write one."""
    file = b'content-disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
    given = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts = [file + b"\x00\xff--x\r\n" * 90_000, *map(str.encode, given)]
    body = b"".join(b"--b0undary\r\n" + part + b"\r\n" for part in parts) + b"--b0undary--\r\n"
    return head(host="api.openai.com", content_type="multipart/form-data; boundary=b0undary"), body


def answer(dialect: Any, wire: bytes, headers: CaseInsensitive, ask: Ask = Ask()) -> Reading:  # noqa: B008  frozen
    """What is read, the same however it is delivered."""
    ways = [
        read(dialect.reader(ask, 200, headers), chunks)
        for chunks in ([wire], pieces(wire, 5), pieces(wire, 6, 90_000), [wire[:-2], wire[-2:-1], wire[-1:]])
    ]
    assert all(way == ways[0] for way in ways)
    return ways[0]


def priced(part: Part, model: str) -> int:
    """What the part costs, in nano-dollars."""
    charge = BOOK.price("openai", part.model or model, part.usage, at=NOW, units=part.units)
    assert isinstance(charge, Charge)
    return charge.nanos


def listed(model: str, **counts: Any) -> int:
    """genai-prices' own answer in nano-dollars."""
    price = calc_price(ListedUsage(**counts), model, provider_id="openai", genai_request_timestamp=NOW).total_price
    return int(Decimal(price) * 10**9)


@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1.5", "gpt-image-2"])
def test_images_are_counted_by_kind_of_token(model: str) -> None:
    """Tokens of text and of images, in and out, each at its own price; the pictures in front hide nothing."""
    wire = json.dumps({"created": 1, "data": [{"b64_json": PICTURE}] * 2, "size": "auto", "usage": COUNTS}).encode()
    reading = answer(IMAGES, wire, JSON)
    (part,) = reading.parts
    assert (reading.final, part.usage) == (True, Usage(input_tokens=1400, output_tokens=4160))
    assert part.units == {"input_image_tokens": 1000, "output_image_tokens": 4160}
    expected = listed(model, input_tokens=1400, input_image_tokens=1000, output_tokens=4160, output_image_tokens=4160)
    assert priced(part, model) == expected > 0


def test_text_that_is_put_out_with_an_image_has_its_own_price() -> None:
    """Details of the output tell its text from its image; a picture drawn as text by another model is billed at that one's."""
    details = {"image_tokens": 4000, "text_tokens": 160}
    drawn = {"model": "gpt-5.1", "input_tokens": 50, "output_tokens": 70, "reasoning_tokens": 20, "total_tokens": 120}
    wire = json.dumps(
        {"created": 1, "usage": {**COUNTS, "output_tokens_details": details}, "svg_usage": drawn}
    ).encode()
    one, other = answer(IMAGES, wire, JSON).parts
    assert one.units["output_image_tokens"] == 4000
    assert priced(other, "gpt-image-1.5") == listed("gpt-5.1", input_tokens=50, output_tokens=70)


@pytest.mark.parametrize(
    ("cached", "read", "of_image"),
    [
        ({"cached_tokens": 60, "cached_tokens_details": {"cached_image_tokens": 50, "cached_text_tokens": 10}}, 60, 50),
        ({"cached_tokens": 15}, 15, 0),
        ({"cached_tokens": 95}, 95, 75),
        ({"cached_tokens": 500, "cached_tokens_details": {"cached_image_tokens": 500}}, 100, 80),
    ],
    ids=["told", "text first", "more than there is of text", "more than there is"],
)
def test_what_the_image_tool_has_cached_has_its_own_price(cached: dict[str, Any], read: int, of_image: int) -> None:
    """100 tokens in, 80 of them of images: cached ones of either kind cost a quarter."""
    details = {"image_tokens": 80, "text_tokens": 20}
    part = image_part(
        {"input_tokens": 100, "output_tokens": 1, "input_tokens_details": details, **cached}, "gpt-image-1.5"
    )
    assert part is not None
    assert (part.usage.input_tokens, part.usage.cache_read_tokens) == (100 - read, read)
    assert part.units == {"input_image_tokens": 80, "cache_image_read_tokens": of_image, "output_image_tokens": 1}
    text = 5_000 * (20 - (read - of_image)) + 1_250 * (read - of_image)
    image = 8_000 * (80 - of_image) + 2_000 * of_image
    assert priced(part, "gpt-image-1.5") == text + image + 32_000


@pytest.mark.parametrize("kind", ["image_generation", "image_edit"])
def test_a_stream_of_images_is_counted_at_each_whole_one(kind: str) -> None:
    """Partial images have no counts; the event of a whole one is longer than what is kept of it."""
    partial = {"type": f"{kind}.partial_image", "b64_json": PICTURE, "partial_image_index": 0}
    whole = {"type": f"{kind}.completed", "b64_json": PICTURE * 4, "usage": COUNTS}
    wire = b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in (partial, whole))
    reading = answer(IMAGES, wire, STREAM)
    assert reading.final
    assert [part.units for part in reading.parts] == [{"input_image_tokens": 1000, "output_image_tokens": 4160}]
    broken = answer(IMAGES, wire[: len(wire) // 2], STREAM)
    assert (broken.final, broken.parts, broken.free) == (False, (), False)


def test_an_image_without_counts_is_not_free() -> None:
    """DALL·E says nothing of what it used."""
    reading = answer(IMAGES, b'{"created":1,"data":[{"url":"https://example.com/a.png"}]}', JSON)
    assert (reading.final, reading.free, reading.flags) == (False, False, ("an answer without usage",))


@pytest.mark.parametrize(
    ("usage", "model", "counts"),
    [
        pytest.param({"type": "duration", "seconds": 61}, "whisper-1",
                     {"audio_seconds": 61, "input_audio_seconds": 61}, id="seconds"),
        pytest.param({"type": "duration", "seconds": 8.47}, "gpt-transcribe",
                     {"audio_seconds": Decimal("8.47"), "input_audio_seconds": Decimal("8.47")}, id="parts of a second"),
        pytest.param({"type": "tokens", "input_tokens": 130, "output_tokens": 45, "input_token_details": {"audio_tokens": 120}},
                     "gpt-4o-transcribe", {"input_tokens": 130, "input_audio_tokens": 120, "output_tokens": 45}, id="tokens"),
    ],
)  # fmt: skip
def test_transcriptions(usage: dict[str, Any], model: str, counts: dict[str, Any]) -> None:
    """Seconds or tokens, in a document or at a stream's end."""
    document = json.dumps({"text": "a word " * 90_000, "usage": usage}).encode()
    event = json.dumps({"type": "transcript.text.done", "text": "a", "usage": usage}).encode()
    stream = b'data: {"type":"transcript.text.delta","delta":"a"}\n\ndata: ' + event + b"\n\n"
    for reading in (answer(HEARD, document, JSON), answer(HEARD, stream, STREAM)):
        assert reading.final
        assert priced(reading.parts[0], model) == listed(model, **counts) > 0


def test_a_verbose_transcription_says_how_long_it_is() -> None:
    """As text of a number, by older servers."""
    reading = answer(HEARD, b'{"task":"transcribe","duration":"8.470000267028809","text":"a"}', JSON)
    assert (reading.final, reading.parts[0].units) == (True, {"audio_ms": 8471})


@pytest.mark.parametrize("wire", [b"plain words", b"1\n00:00:00,000 --> 00:00:02,000\nwords", b'{"text":"a"}',
                                  b'{"usage":{"type":"duration","seconds":1e300}}', b'{"usage":{"seconds":-4}}'])  # fmt: skip
def test_a_transcription_without_counts_is_not_free(wire: bytes) -> None:
    """Text and subtitles, and counts that nothing can have."""
    reading = answer(HEARD, wire, JSON)
    assert (reading.final, reading.free) == (False, False)


def test_speech_whose_request_was_not_read_says_that_it_has_no_counts() -> None:
    """Nothing is counted by the sound itself."""
    reading = answer(SPOKEN, b"\xff\xfb" * 9, SOUND, Ask(model="tts-1"))

    assert (reading.final, reading.parts, reading.flags) == (False, (), ("an answer without usage",))


def test_speech_is_billed_by_its_characters() -> None:
    """Characters, not bytes or escapes; what the price list has no such price for is estimated."""
    body = json.dumps({"model": "tts-1", "input": 'Ein "schöner" Tag 🙂', "voice": "alloy"}).encode()
    ask = SPOKEN.ask(head(path="/v1/audio/speech", host="api.openai.com"), body)
    assert (ask.model, ask.characters) == ("tts-1", 19)
    reading = answer(SPOKEN, b"\xff\xfb" * 9_000, SOUND, ask)
    assert reading.final
    assert priced(reading.parts[0], "tts-1") == listed("tts-1", input_characters=19) > 0
    assert not BOOK.has_unit("openai", "gpt-4o-mini-tts", "input_characters", at=NOW)
    done = b'data: {"type":"speech.audio.done","usage":{"input_tokens":9,"output_tokens":70,"total_tokens":79}}\n\n'
    streamed = answer(SPOKEN, b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n' + done, STREAM, ask)
    assert (streamed.final, streamed.parts[0].usage) == (True, Usage(input_tokens=9, output_tokens=70))


def test_tokens_of_a_model_that_is_billed_otherwise_are_not_free() -> None:
    """A list without a price for tokens prices none at nothing."""
    assert isinstance(BOOK.price("openai", "whisper-1", Usage(input_tokens=9, output_tokens=9), at=NOW), UnknownPrice)
    assert isinstance(BOOK.ladder("openai", "whisper-1", at=NOW), UnknownPrice)
    ladder = BOOK.ladder("openai", "tts-1", at=NOW)
    assert not isinstance(ladder, UnknownPrice)
    assert ladder.upto(None).input == 15 * 10**9


def test_counts_that_contradict_each_other_are_priced_as_tokens() -> None:
    """More tokens of images than tokens: the list has no answer to that, and nothing is not one."""
    usage = Usage(input_tokens=5, output_tokens=7)
    odd = BOOK.price("openai", "gpt-image-1.5", usage, at=NOW, units={"input_image_tokens": 9})
    assert odd == BOOK.price("openai", "gpt-image-1.5", usage, at=NOW)


def test_forms_name_their_model() -> None:
    """Behind or in front of a long file, in any order; a file's own name for a field counts nothing."""
    asked, body = form(model="gpt-4o-transcribe", stream="true", language="de")
    ask = HEARD.ask(asked, body)
    assert (ask.model, ask.streamed, ask.opaque_input, ask.text_bytes) == ("gpt-4o-transcribe", True, True, len(body))
    assert (ask.packed_bytes, ask.audio_ms) == (len(body), pytest.approx(len(body) / 8, rel=0.01))
    drawn = IMAGES.ask(*form(model="gpt-image-1.5", n="3"))
    assert (drawn.pictures, drawn.packed_tokens) == (3, 1_600)
    edit = IMAGES.ask(asked, body)
    assert (edit.model, edit.streamed, edit.opaque_input) == ("gpt-4o-transcribe", True, True)
    steps = HEARD.asking(asked, body)
    assert sum(1 for _ in steps) >= 2


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=other; boundary=b0undary",
        "multipart/form-data; boundary*=utf-8''other; boundary=b0undary",
        "",
    ],
)
def test_what_is_no_form_says_so(kind: str) -> None:
    """The caller then treats the call as one without a known model."""
    _, body = form(model="whisper-1")
    with pytest.raises(WireError):
        HEARD.ask(head(content_type=kind), body)


_CHEAP = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-image-1-mini\r\n'
_DEAR = _CHEAP.replace(b"-mini", b"")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            _CHEAP + b"".join(_CHEAP.replace(b"model", b"x%d" % number) for number in range(64)) + _DEAR, id="behind many"
        ),
        pytest.param(_CHEAP + _DEAR.replace(b'name="model"', b"name*=utf-8''model"), id="an encoded name"),
        pytest.param(
            _CHEAP + _DEAR.replace(b'name="model"', b"name=\"x\"; name*=utf-8''model"), id="an encoded name beside one"
        ),
        pytest.param(_CHEAP + _DEAR.replace(b"Content", b"X: " + b"x" * 5_000 + b"\r\nContent"), id="a long head"),
        pytest.param(_DEAR + _DEAR.replace(b"model", b"prompt") + b"--bc" + _CHEAP[3:], id="in a value"),
        pytest.param(b"x" + _CHEAP + b"--b--\r\n" + _DEAR, id="in front of the first part"),
    ],
)  # fmt: skip
def test_a_form_that_hides_another_model_names_none(body: bytes) -> None:
    """Parsers take the last of two, and read more than this does: the cheaper one would be priced where the other is billed."""
    asked = head(host="api.openai.com", content_type="multipart/form-data; boundary=b")
    assert IMAGES.ask(asked, _CHEAP + _DEAR + b"--b--\r\n").model == "gpt-image-1"
    with pytest.raises(WireError):
        IMAGES.ask(asked, body + b"--b--\r\n")


def test_no_bytes_make_a_form_raise_anything_else() -> None:
    """Mutated forms give fields or a WireError; what is kept is bounded."""
    dice = random.Random(3)
    asked, whole = form(model="whisper-1", prompt="a" * 300)
    body = whole[-900:] + whole[:400]
    for _ in range(300):
        mutated = bytearray(b"--b0undary\r\n" + body[dice.randrange(len(body)) :])
        for _ in range(dice.randint(0, 9)):
            mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        try:
            HEARD.ask(asked, bytes(mutated))
        except WireError:
            pass
    many = b"".join(
        b'--b0undary\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n' % number for number in range(5_000)
    )
    with pytest.raises(WireError):
        _all(multipart.fields("multipart/form-data; boundary=b0undary", many))


def _all(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
