"""Images, transcriptions and speech with OpenAI's SDK: bytes equal, forms read, counts and prices as listed."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import httpx2
import openai
import pytest
from genai_prices import Usage as ListedUsage
from genai_prices import calc_price

from end_to_end.raw import Seen, SyncHashing
from end_to_end.world import Gate, Provider

SCRIPT = {"x-standin": "input=1200; output=300; size=3000000"}
IMAGE = {"input_tokens": 1200, "input_image_tokens": 600, "output_tokens": 300, "output_image_tokens": 300}
TEXT = {"input_tokens": 1200, "input_audio_tokens": 1200, "output_tokens": 300}
SECONDS = {"audio_seconds": 300, "input_audio_seconds": 300}


def listed(model: str, at: str, counts: dict[str, int]) -> int:
    """genai-prices' own answer in nano-dollars."""
    when = datetime.fromisoformat(at).astimezone(UTC)
    price = calc_price(ListedUsage(**counts), model, provider_id="openai", genai_request_timestamp=when).total_price
    return int((Decimal(price) * 10**9).to_integral_value(rounding=ROUND_HALF_EVEN))


def recording() -> tuple[str, io.BytesIO]:
    """An upload of 2 MB."""
    return "a.mp3", io.BytesIO(b"\xff\xfb\r\n--" * 350_000)


def generated(client: openai.OpenAI) -> Any:
    return client.images.generate(model="gpt-image-1.5", prompt="a kiebitz", extra_headers=SCRIPT)


def generated_stream(client: openai.OpenAI) -> Any:
    return list(client.images.generate(model="gpt-image-1", prompt="a kiebitz", stream=True, extra_headers=SCRIPT))


def edited(client: openai.OpenAI) -> Any:
    return client.images.edit(model="gpt-image-2", image=recording(), prompt="bluer", extra_headers=SCRIPT)


def transcribed(client: openai.OpenAI) -> Any:
    return client.audio.transcriptions.create(model="gpt-4o-transcribe", file=recording(), extra_headers=SCRIPT)


def transcribed_stream(client: openai.OpenAI) -> Any:
    return list(
        client.audio.transcriptions.create(
            model="gpt-4o-mini-transcribe", file=recording(), stream=True, extra_headers=SCRIPT
        )
    )


def listened(client: openai.OpenAI) -> Any:
    return client.audio.transcriptions.create(model="whisper-1", file=recording(), extra_headers=SCRIPT)


def translated(client: openai.OpenAI) -> Any:
    return client.audio.translations.create(model="whisper-1", file=recording(), extra_headers=SCRIPT)


def spoken(client: openai.OpenAI) -> Any:
    return client.audio.speech.create(model="tts-1", voice="alloy", input="schön" * 40, extra_headers=SCRIPT).read()


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK's own word for translations
@pytest.mark.parametrize(
    ("call", "model", "counts"),
    [
        pytest.param(generated, "gpt-image-1.5", IMAGE, id="image"),
        pytest.param(generated_stream, "gpt-image-1", IMAGE, id="image, streamed"),
        pytest.param(edited, "gpt-image-2", IMAGE, id="image edit"),
        pytest.param(transcribed, "gpt-4o-transcribe", TEXT, id="transcription"),
        pytest.param(transcribed_stream, "gpt-4o-mini-transcribe", TEXT, id="transcription, streamed"),
        pytest.param(listened, "whisper-1", SECONDS, id="seconds"),
        pytest.param(translated, "whisper-1", SECONDS, id="translation"),
        pytest.param(spoken, "tts-1", {"input_characters": 200}, id="speech"),
    ],
)
def test_media(
    gate: Gate, provider: Provider, call: Callable[[openai.OpenAI], Any], model: str, counts: dict[str, int]
) -> None:
    """Each is one settled row at the list price; the bytes are the provider's."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        assert call(openai.OpenAI(api_key="sk-test", http_client=http))
    served = provider.ended(seen.request_id)
    assert (seen.digest.hexdigest(), seen.size) == (served.sha256, served.bytes_sent)
    row = gate.row(seen.request_id)
    assert (row["state"], row["basis"], row["model"]) == ("settled", "reported", model)
    assert row["cost_nanos"] == listed(model, row["booked_at"], counts) > 0


def test_speech_by_tokens_is_estimated(gate: Gate, provider: Provider) -> None:
    """Sound tells no tokens, so a voice that is billed by them is an estimate that says so, and is not free."""
    seen = Seen()
    with httpx2.Client(transport=SyncHashing(gate, seen, http2=False)) as http:
        client = openai.OpenAI(api_key="sk-test", http_client=http)
        client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="word " * 180).read()
    row = gate.row(seen.request_id)
    assert (row["state"], row["basis"]) == ("settled", "estimated")
    assert 0.007 < row["cost_nanos"] / 10**9 < 0.03  # a minute of speech costs some $0.015
