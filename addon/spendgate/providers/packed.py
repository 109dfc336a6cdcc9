"""What pictures, documents and recordings inside a request usually count as, where no answer says it.

They stand in its JSON as base64, of which a byte is far less of a token than one of text: 3 MB of a photograph are some 1,500
tokens, where bytes of text would be a million. What they are, their first bytes say, else the media type beside them. What is
packed otherwise (an office file, a provider's own sealed reasoning) counts as text does. No bound rests on this: what is packed
is bounded by the context window.

The ratios are those of recorded calls, by their base64: pictures 88 to 154 bytes a token (8 calls), and large ones no more for
being larger, since providers scale them down: 1,500 at Groq and Mistral, up to 1,600 at Anthropic; documents 7 to 260, 64 at the
median (8 calls); sound 930 and 1,100. Film is taken for sound: at Google a second of it is 300 tokens, and mostly as many KB.
Whole requests with one came to 0.5 to 2.5 of the true input in 14 of 18, and to 0.2 to 6.7 in all.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final

from msgspec import Struct

PICTURE_BYTES_A_TOKEN: Final = 90
PICTURE_TOKENS_MAX: Final = 1_600
DOCUMENT_BYTES_A_TOKEN: Final = 64
SOUND_BYTES_A_TOKEN: Final = 1_000
DRAWN_TOKENS: Final = 1_290
"""What a picture that a model draws counts as: Google's own count of one (Gemini 2.5). OpenAI's are 272 to 4,160, by quality; at
the policy's unknown price it is $0.10, where Bedrock takes $0.01 to $0.14 for one."""
DRAWN_MAX: Final = 128
"""Pictures that one call draws at most, whatever number its request has: hosts draw up to ten."""
LEAST_BYTES: Final = 1_024
"""What is shorter is not worth looking at."""
_STEP_BYTES: Final = 128 * 1024
_START_BYTES: Final = 257
_HITS_A_STEP: Final = 64

# How base64 begins of PNG, JPEG, GIF, WebP, HEIC and AVIF; of PDF; of MP3, AAC, WAV, Ogg, FLAC, MP4 and WebM. JSON may escape
# a slash.
_PICTURE: Final = rb"iVBORw0K|\\?/9j\\?/|R0lGOD|UklGR.{6,9}XRUJQ|AAAA.{1,3}Z0eXB(?:oZWl|taWYx|hdmlm)"
_DOCUMENT: Final = rb"JVBERi"
_SOUND: Final = rb"SUQz|\\?/\\?/[E-Pk-v]|UklGR.{6,9}XQVZF|T2dnUw|ZkxhQ|AAAA.{1,3}Z0eX|GkXfo"
# One byte first, for which a search is fast; then what base64 and a data URL are made of.
_START: Final = re.compile(rb'"(?=[\w+/\\:;,.=-]{256})')
_DATA: Final = re.compile(
    rb"(?P<url>data:[\w.+\\/-]{1,80}(?:;[\w.=+-]{1,40}){0,3};base64,)?"
    rb"(?:(?P<picture>" + _PICTURE + rb")|(?P<document>" + _DOCUMENT + rb")|(?P<sound>" + _SOUND + rb")|(?P<other>))"
)  # fmt: skip
_NAMED: Final = re.compile(rb'"(?:data|bytes)"\s{0,8}:\s{0,8}\Z')
_DECLARED: Final = re.compile(
    rb'(?P<picture>image\\?/)|(?P<document>/pdf)|(?P<sound>(?:audio|video)\\?/|"format"\s*:\s*"(?:wav|mp3))'
)
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_\\"
"""Both alphabets, and how JSON escapes a slash and the end of a line."""
_BESIDE_BYTES: Final = 160
"""How far from the data its media type may stand."""


class Packed(Struct, frozen=True):
    """How much of a request is packed media."""

    size_bytes: int = 0
    tokens: int = 0
    """What it usually counts as."""


NOTHING: Final = Packed()


def packed(body: bytes) -> Generator[None, None, Packed]:
    """The media in a JSON document, looked for in steps of well under a millisecond."""
    size = tokens = at = hits = 0
    while at < len(body):
        stop = at + _STEP_BYTES
        hit = _START.search(body, at, stop + _START_BYTES)
        hits += 1
        if hit is None or hits % _HITS_A_STEP == 0:
            yield
        if hit is None:
            at = stop
            continue
        end = yield from _end(body, hit.end())
        found, kind = end - hit.end(), _kind(body, hit.end(), end)
        if kind is not None and found >= LEAST_BYTES and (yield from _is_base64(body, hit.end(), end)):
            size += found
            tokens += counted(kind, found)
        at = end + 1
    return Packed(size, tokens) if size else NOTHING


def _kind(body: bytes, start: int, end: int) -> str | None:
    """What the string between is, by its first bytes, else by what it is said to be; None for text, and what nobody says."""
    data = _DATA.match(body, start, end)
    if data is None or data.lastgroup != "other":
        return data.lastgroup if data else None
    before = body[max(0, start - 1 - _BESIDE_BYTES) : start - 1]
    if data["url"] is None and not _NAMED.search(before):
        return None
    declared = _DECLARED.search(data["url"] or before + body[end : end + _BESIDE_BYTES])
    return declared.lastgroup if declared else None


def _is_base64(body: bytes, start: int, end: int) -> Generator[None, None, bool]:
    """Whether the string between is base64 throughout, behind what a data URL says of it: text may begin as a picture does."""
    comma = body.find(b",", start, min(end, start + _START_BYTES))
    at = start if comma < 0 else comma + 1
    while at < end:
        stop = min(end, at + _STEP_BYTES)
        if body[at:stop].translate(None, _BASE64):
            return False
        at = stop
        yield
    return True


def drawn(asked: int | None) -> int:
    """The pictures of a call that asks for so many."""
    return max(1, min(asked or 1, DRAWN_MAX))


def counted(kind: str, base64_bytes: int) -> int:
    """What so much of one `picture`, `document` or `sound` counts as: tokens."""
    match kind:
        case "picture":
            return min(-(-base64_bytes // PICTURE_BYTES_A_TOKEN), PICTURE_TOKENS_MAX)
        case "document":
            return -(-base64_bytes // DOCUMENT_BYTES_A_TOKEN)
        case _:
            return -(-base64_bytes // SOUND_BYTES_A_TOKEN)


def _end(body: bytes, at: int) -> Generator[None, None, int]:
    """Where the string ends: base64 has no quotes."""
    while at < len(body):
        end = body.find(b'"', at, at + 8 * _STEP_BYTES)
        if end >= 0:
            return end
        at += 8 * _STEP_BYTES
        yield
    return len(body)
