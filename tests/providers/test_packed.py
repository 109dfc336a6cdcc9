"""What is packed inside a request counts as what it is, not as text; how long a recording is, its own head tells."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from spendgate.providers.interface import Head
from spendgate.providers.jsonscan import at_once
from spendgate.providers.openai_chat import OpenAIChat
from spendgate.providers.packed import packed
from spendgate.providers.recordings import duration_ms, in_form

ZEROS = bytes(300_000)


def data(head: bytes) -> str:
    """A file that begins so, as base64 of 400 KB."""
    return base64.b64encode((head + ZEROS)[: len(ZEROS)]).decode()


PNG, JPEG, PDF, MP3 = data(b"\x89PNG\r\n\x1a\n"), data(b"\xff\xd8\xff\xe0"), data(b"%PDF-1.7"), data(b"ID3\x04")
WAV, WEBP, MP4 = data(b"RIFF\x24\xff\xff\x00WAVEfmt "), data(b"RIFF\x24\x00\x01\x00WEBPVP8 "), data(b"\0\0\0 ftypM4A ")


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        ({"image_url": {"url": f"data:image/png;base64,{PNG}"}}, 1_600),
        ({"source": {"type": "base64", "media_type": "image/jpeg", "data": JPEG}}, 1_600),
        ({"images": [JPEG, WEBP]}, 3_200),
        ({"inlineData": {"mimeType": "application/pdf", "data": PDF}}, 6_250),
        ({"file_data": f"data:application/pdf;base64,{PDF}"}, 6_250),
        ({"input_audio": {"data": MP3, "format": "mp3"}}, 400),
        ({"audio": {"source": {"bytes": WAV}}, "video": MP4}, 800),
        ({"inlineData": {"mimeType": "image/heic", "data": data(b"?")}}, 1_600),
        ({"file_data": f"data:application/vnd.ms-excel;base64,{data(b'PK')}"}, 0),
        ({"encrypted_content": data(b"\x80\x00")}, 0),
        ({"content": "a word " * 60_000, "image": PNG[:900]}, 0),
        ({"content": PNG[:400] + " a word" * 60_000}, 0),
        ({"url": "data:image/png;base64," + PNG[:400] + " a word" * 60_000}, 0),
        ({"inlineData": {"data": data(b"\0\0\0\x1cftypavif")}}, 1_600),
        ({"image": data(b"\0\0\0\x18ftypheic")}, 1_600),
    ],
    ids=["png", "jpeg", "two", "pdf", "pdf by url", "mp3", "wav and film", "by its type", "sheet", "sealed", "text",
         "text that begins so", "the same by url", "avif", "heic"],
)  # fmt: skip
def test_media_in_a_request(request_: dict[str, object], tokens: int) -> None:
    """By their first bytes, else their media type; the same where slashes are escaped; what is text is not packed."""
    plain = json.dumps({"messages": [request_, "and more"]}).encode()
    for body in (plain, plain.replace(b"/", b"\\/")):
        found = at_once(packed(body))
        assert found.tokens == pytest.approx(tokens, abs=tokens // 200)
        assert (found.size_bytes > len(body) - 2_000) == bool(tokens)


def test_a_picture_is_known_to_the_ask() -> None:
    """Where its dialect says that something is packed, and looked for in steps."""
    chat, head = OpenAIChat(), Head("POST", "api.openai.com", "/v1/chat/completions", "", {})
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    body = json.dumps({"model": "gpt-5.1", "messages": [{"role": "user", "content": [part]}]}).encode()
    ask = chat.ask(head, body)
    assert (ask.packed_tokens, len(body) - ask.packed_bytes < 200) == (1_600, True)


def wav() -> bytes:
    """Four seconds of 16 kHz, one channel of 16 bits."""
    return b"RIFF" + struct.pack("<I", 128_036) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + (
        b"data" + struct.pack("<I", 128_000) + bytes(128_000)
    )  # fmt: skip


def xing() -> bytes:
    """An MP3 of MPEG 2 at 24 kHz whose table counts 1,000 frames."""
    return (
        b"ID3\x04\0\0\0\0\x01\0"
        + bytes(128)
        + b"\xff\xf3\x44\xc4"
        + bytes(9)
        + b"Info\0\0\0\x01\0\0\x03\xe8"
        + bytes(99_000)
    )


def test_a_recording_begins_behind_its_own_head() -> None:
    """What another field says of a file's name is none: the head of a part is looked for."""
    field = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nfilename=a\r\n\r\nRIFF\r\n'
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: audio/x\r\n\r\n'
    assert in_form(field + head + wav()) == 4_001


@pytest.mark.parametrize(
    ("file", "expected_ms"),
    [
        (wav(), 4_001),
        (b"\xff\xfb\x90\x64" + bytes(159_996), 10_000),
        (xing(), 24_000),
        (b"fLaC\0\0\0\x22" + bytes(10) + (44_100 << 44 | 1 << 41 | 15 << 36 | 441_000).to_bytes(8) + bytes(99_000), 10_000),
        (b"\0\0\0 ftypM4A " + bytes(60_000) + b"mvhd" + bytes(12) + struct.pack(">II", 600, 6_000) + bytes(30_000), 10_000),
        (b"OggS" + bytes(24) + b"OpusHead" + bytes(60_000) + b"OggS\0\0" + struct.pack("<Q", 480_000) + bytes(30_000), 10_000),
        (bytes(80_000), 10_000),
        (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 1, 2**31, 2, 16) + bytes(79_964), 10_000),
        (b"\xff\xfb\x90", 0),
        (b"", 0),
    ],
    ids=["wav", "mp3", "mp3 with a table", "flac", "mp4", "opus", "says nothing", "not believed", "cut", "empty"],
)  # fmt: skip
def test_how_long_a_recording_is(file: bytes, expected_ms: int) -> None:
    """By its own head, also inside a form; what says nothing, or what cannot be, by its bytes."""
    assert duration_ms(file) == pytest.approx(expected_ms, abs=1)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: audio/x\r\n\r\n'
    assert in_form(head + file) == pytest.approx(expected_ms, abs=1)
