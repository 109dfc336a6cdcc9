"""How long a recording is, as its own head tells it: what it is billed by where the answer does not say.

WAV (RIFF) and MP3 without a table by their bytes a second, FLAC (RFC 9639), MP3 with a Xing table, MP4 and Ogg by their own
count. What says nothing is taken for speech as it is mostly sent. A head may be wrong, by design, too: no bound rests on it.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

USUAL_BYTES_A_SECOND: Final = 8_000
"""64 kbit/s: recordings of speech are sent at 16 to 128, so expect it to be right within a factor of four."""
_BYTES_A_SECOND: Final = (1_000, 1_200_000)
"""From speech at 8 kbit/s to 24 bits of two channels at 192 kHz: what a head says beside that is not believed."""
_HEAD_BYTES: Final = 64 * 1024
_TAIL_BYTES: Final = 1024 * 1024
_FILE: Final = re.compile(rb"filename\*?=", re.IGNORECASE)
_PART: Final = re.compile(rb"content-disposition:[^\r\n]*\Z", re.IGNORECASE)
_PART_BYTES: Final = 512
_NAMES_MAX: Final = 64
"""Words that may name a file and are looked at, before the one that does."""
_BLANK: Final = b"\r\n\r\n"
"""What ends a part's head."""
_KBITS_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
"""Layer III of MPEG 1, by the index in a frame's head (ISO/IEC 11172-3)."""
_KBITS_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
"""Of MPEG 2 and 2.5 (ISO/IEC 13818-3)."""
_HERTZ: Final = (44_100, 48_000, 32_000)


def in_form(body: bytes) -> int:
    """Milliseconds of the recording in a form."""
    names = islice(_FILE.finditer(body, 0, _HEAD_BYTES), _NAMES_MAX)
    found = next((hit for hit in names if _PART.search(body[max(0, hit.start() - _PART_BYTES) : hit.start()])), None)
    at = body.find(_BLANK, found.end(), _HEAD_BYTES) if found else -1
    return duration_ms(body, at + len(_BLANK) if at >= 0 else 0)


def duration_ms(body: bytes, start: int = 0) -> int:
    """Milliseconds of the recording that begins here and goes on to the end."""
    size = len(body) - start
    least, most = (1000 * size // rate for rate in reversed(_BYTES_A_SECOND))
    told = _told(body, start, size)
    return told if told is not None and least <= told <= most else 1000 * size // USUAL_BYTES_A_SECOND


def _told(body: bytes, start: int, size: int) -> int | None:
    head = body[start : start + _HEAD_BYTES]
    if head[:4] == b"RIFF" and (at := head.find(b"fmt ")) >= 0:
        return _share(size, int.from_bytes(head[at + 16 : at + 20], "little"))
    if head[:4] == b"fLaC":
        packed = int.from_bytes(head[18:26])
        return _share(packed & (1 << 36) - 1, packed >> 44)
    if head[:4] == b"OggS":
        return _ogg(head, body[max(start, len(body) - _TAIL_BYTES) :])
    if head[4:8] == b"ftyp":
        at = body.find(b"mvhd", start, start + _HEAD_BYTES)
        return _mp4(body, at if at >= 0 else body.find(b"mvhd", max(start, len(body) - _TAIL_BYTES)))
    return _mp3(body, start, size)


def _share(count: int, in_a_second: int) -> int | None:
    return 1000 * count // in_a_second if in_a_second else None


def _ogg(head: bytes, tail: bytes) -> int | None:
    last, vorbis = tail.rfind(b"OggS"), head.find(b"\x01vorbis")
    hertz = 48_000 if b"OpusHead" in head else int.from_bytes(head[vorbis + 12 : vorbis + 16], "little")
    known = last >= 0 and (b"OpusHead" in head or vorbis >= 0)
    return _share(int.from_bytes(tail[last + 6 : last + 14], "little"), hertz) if known else None


def _mp4(body: bytes, at: int) -> int | None:
    if at < 0:
        return None
    width = 8 if body[at + 4 : at + 5] == b"\x01" else 4
    scale = at + 8 + 2 * width
    return _share(int.from_bytes(body[scale + 4 : scale + 4 + width]), int.from_bytes(body[scale : scale + 4]))


def _mp3(body: bytes, start: int, size: int) -> int | None:
    """By its first frame, behind a tag of ID3: by the frames that a Xing table counts, else at its bytes a second."""
    tag = body[start : start + 10]
    begin = start
    if tag[:3] == b"ID3" and len(tag) == 10:
        begin += 10 + sum((byte & 127) << shift for byte, shift in zip(tag[6:10], (21, 14, 7, 0), strict=True))
    frame = body[begin : begin + 256]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2 or frame[1] & 0x18 == 0x08:
        return None
    first = frame[1] & 0x18 == 0x18
    kbits, place = (_KBITS_1 if first else _KBITS_2)[frame[2] >> 4], (frame[2] >> 2) & 3
    if place == len(_HERTZ):
        return None
    hertz = _HERTZ[place] >> (0 if first else 1 if frame[1] & 0x10 else 2)
    table = max(frame.find(b"Xing"), frame.find(b"Info"))
    if table > 0 and int.from_bytes(frame[table + 7 : table + 8]) & 1:
        return _share(int.from_bytes(frame[table + 8 : table + 12]) * (1152 if first else 576), hertz)
    return _share(size - (begin - start), kbits * 125)
