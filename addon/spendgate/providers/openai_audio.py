"""The dialects `openai-transcriptions` (POST …/audio/transcriptions and /translations) and `openai-speech` (POST …/audio/speech).

A transcription says what it used: tokens, or the seconds that were listened to; as plain text or subtitles it says nothing.
Speech comes as sound alone; it is billed by the characters that were asked for, or by tokens, which a stream of events gives at
its end and sound does not: these are then estimated from the characters. A transcription without counts is estimated by how long
its recording is (`recordings`), which bounds nothing: the file may say anything, so that under `hold: ceiling` a transcription is
unbounded where its model has no context window. Sources:
facts/wire-formats.md 2.1; openai-python 3.54, types/audio.
"""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from typing import Any, Final

from msgspec.structs import replace
from pydantic_core import core_schema as schema

from spendgate.providers.ask import Ask
from spendgate.providers.client import sender
from spendgate.providers.form_dialect import FormDialect
from spendgate.providers.interface import Head, Headers, Reader
from spendgate.providers.jsonscan import Scan, Scanner
from spendgate.providers.readers import BodyReader, from_headers
from spendgate.providers.reading import Part, Reading
from spendgate.providers.recordings import in_form
from spendgate.providers.shapes import COUNT, FLAG, TEXT, Fields, Shape, record
from spendgate.providers.streams import EventReader
from spendgate.usage import Usage

_SECONDS: Final = schema.with_default_schema(
    schema.decimal_schema(ge=Decimal(0), le=Decimal(1_000_000)), default=None, on_error="default"
)
"""Seconds as a number or as its text; more than eleven days are not of one recording."""
USAGE: Final = record(
    type=TEXT,
    seconds=_SECONDS,
    input_tokens=COUNT,
    output_tokens=COUNT,
    input_token_details=record(audio_tokens=COUNT, text_tokens=COUNT),
)
_ANSWER: Final = Shape(usage=USAGE, duration=_SECONDS)
_ANSWER_SCAN: Final = Scanner(_ANSWER, ("usage", "duration"))
_EVENT: Final = Shape(type=TEXT, usage=USAGE)
_LENGTH: Final = schema.with_default_schema(
    schema.no_info_after_validator_function(len, schema.str_schema(strict=True)), default=None, on_error="default"
)
"""How long a text is, in characters; the text itself is not kept."""
_SPEECH: Final = Shape(model=TEXT, input=_LENGTH, stream_format=TEXT)
_SPEECH_SCAN: Final = Scanner(_SPEECH, ("model", "input", "stream_format"))
NO_COUNTS: Final = "an answer without usage"
TOKENS_A_SECOND: Final = 10
"""Of sound that is heard: OpenAI gives $0.006 a minute for what costs $6 a million tokens in, and $10 out."""
SPEECH_OUTPUT_BYTES: Final = 4
"""Of a character that is spoken, as `Reading.output_bytes`, of which three make a token. OpenAI gives $0.015 a minute for what
costs $12 a million tokens: 1,250 a minute, in which some 900 characters are spoken. Expect it to be right within a factor of two.
"""


class OpenAITranscriptions(FormDialect):
    """OpenAI's transcriptions and translations. Stateless."""

    name = "openai-transcriptions"

    request = Scanner(Shape(model=TEXT, stream=FLAG), ("model", "stream"))

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a form with these fields: how long the recording is, its bytes do not tell."""
        found = scan.fields
        return Ask(
            model=found.get("model"), streamed=bool(found.get("stream")), text_bytes=len(body), opaque_input=True,
            **sender(head),
        )  # fmt: skip

    def uploaded(self, ask: Ask, body: bytes) -> Ask:
        """`ask`, with how long the form's recording is, and as what it is heard."""
        heard_ms = in_form(body)
        return replace(
            ask, packed_bytes=len(body), packed_tokens=ceil(heard_ms * TOKENS_A_SECOND / 1000), audio_ms=heard_ms
        )

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events."""
        return _Stream(headers)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of one answer, of JSON or of text."""
        if "json" not in (headers.get("content-type") or "json").lower():
            return _Written(headers)
        return BodyReader(headers, _ANSWER, _ANSWER_SCAN, _answer)


class OpenAISpeech(FormDialect):
    """OpenAI's speech. Stateless."""

    name = "openai-speech"

    request = _SPEECH_SCAN

    def asked(self, head: Head, body: bytes, scan: Scan) -> Ask:
        """The Ask of a request with this scan. A byte is at most one character; how much is said is not bounded by tokens."""
        found = scan.fields
        return Ask(
            model=found.get("model"), streamed=found.get("stream_format") == "sse", text_bytes=len(body),
            characters=found.get("input"), **sender(head),
        )  # fmt: skip

    def events(self, ask: Ask, headers: Headers) -> Reader:
        """A reader of a stream of events, whose last one gives tokens."""
        return _Stream(headers, ask.characters)

    def document(self, ask: Ask, headers: Headers) -> Reader:
        """What reads sound: nothing in it is looked at."""
        return _Sound(headers, ask.characters)


def _answer(reading: Reading, found: Fields) -> Reading:
    part = audio_part(found.get("usage"))
    if part is None and found.get("duration") is not None:
        part = _heard(found["duration"])  # whisper-1 as `verbose_json`
    if part is None:
        return replace(reading, ended=True, flags=(*reading.flags, NO_COUNTS))
    return replace(reading, parts=(part,), final=part.known, ended=True)


def audio_part(usage: Fields | None, model: str | None = None) -> Part | None:
    """The counts of one transcription: seconds, or tokens."""
    if usage is None:
        return None
    if usage.get("seconds") is not None:
        return _heard(usage["seconds"], model)
    given: dict[str, Any] = usage
    total_in = given.get("input_tokens")
    audio = (given.get("input_token_details") or {}).get("audio_tokens")
    heard = None if audio is None or total_in is None else min(audio, total_in)
    return Part(Usage(input_tokens=total_in, output_tokens=given.get("output_tokens"), input_audio_tokens=heard), model)


def _heard(seconds: Decimal, model: str | None = None) -> Part:
    """What was listened to, in whole milliseconds, rounded up."""
    return Part(Usage(), model, units={"audio_ms": ceil(seconds * 1000)})


def _spoken(reading: Reading, characters: int | None) -> Reading:
    """What was asked to be said, and what of it an estimate rests on where the model is not billed by characters."""
    if characters is None:
        return replace(reading, flags=(*reading.flags, NO_COUNTS))
    part = Part(Usage(), units={"input_characters": characters})
    return replace(reading, parts=(part,), final=True, output_bytes=characters * SPEECH_OUTPUT_BYTES)


class _Stream(EventReader):
    """Reads `transcript.text.done` and `speech.audio.done`; of speech, the characters until then."""

    marks = (b'"usage"', b'"error"')
    texts = (b"delta",)

    def __init__(self, headers: Headers, characters: int | None = None) -> None:
        super().__init__(headers)
        self._characters = characters

    def event(self, data: bytes) -> bool:
        """Read an event that holds counts, or an error."""
        found = _EVENT.read(data)
        part = audio_part(found.get("usage"))
        if found.get("type") == "error":
            free = not (self.current.parts or self.output_bytes)
            self.current = replace(self.current, ended=True, free=free, final=free)
        elif part is not None:
            self.current = replace(self.current, parts=(part,), final=part.known, ended=True)
        return True

    def close(self) -> Reading:
        """The tokens, or else the characters, which are no last counts."""
        reading = super().close()
        if self._characters is None or reading.final:
            return reading
        return _spoken(reading, self._characters)


class _Written:
    """Reads a transcription as plain text or subtitles, which says nothing of what it used."""

    def __init__(self, headers: Headers) -> None:
        self._reading = replace(from_headers(headers), flags=(NO_COUNTS,))
        self._size = 0

    def feed(self, data: bytes) -> bool:
        """Text has no counts."""
        self._size += len(data)
        return False

    def reading(self) -> Reading:
        """How much was written down, by which its tokens are estimated where it is billed by them."""
        return replace(self._reading, output_bytes=self._size)

    def close(self) -> Reading:
        """The same, once it is over."""
        return replace(self.reading(), ended=True)


class _Sound:
    """Reads an answer of sound."""

    def __init__(self, headers: Headers, characters: int | None) -> None:
        self._reading = from_headers(headers)
        self._characters = characters

    def feed(self, data: bytes) -> bool:
        """Sound has no counts."""
        return False

    def reading(self) -> Reading:
        """What is to be said, all of which is billed."""
        return _spoken(self._reading, self._characters)

    def close(self) -> Reading:
        """The same, once it is over."""
        return replace(self.reading(), ended=True)
