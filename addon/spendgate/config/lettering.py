"""Characters that a reviewer cannot see, or takes for others: what a policy's text may be made of.

A file is read aloud by a person and acted on by a program, and the two must read the same. So what an editor does not show
(control and formatting characters, text that runs from right to left, blanks and line breaks of other kinds than YAML's own)
and what looks like another letter (two alphabets in one word, a letter and its accent apart) is refused, wherever it stands.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Of the characters that format, only the two joiners are part of writing: of Persian, Indic scripts and emoji.
_JOINERS: Final = "\u200c\u200d"
_ODD: Final = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u1680\u180e\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u3000\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]|\r(?!\n)"
)
_WORD: Final = re.compile(r"[^\W\d_]+")
_LIKE_LATIN: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL"})
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def odd_character(text: str) -> tuple[int, str] | None:
    """Where the first character stands that no policy has, and what is wrong with it."""
    for found in _ODD.finditer(text):
        letter = found[0]
        if letter in _JOINERS and found.start() and not text[found.start() - 1].isascii():
            continue
        return found.start(), _told(letter)
    return None


def _told(letter: str) -> str:
    return "a tab in the text; use spaces" if letter == "\t" else f"{_kind(letter)} {letter!a} in the text"


def _kind(letter: str) -> str:
    if letter in "\r\x85\u2028\u2029":
        return "a line break that editors do not show:"
    if unicodedata.category(letter) == "Zs":
        return "a blank that is not a space:"
    return "control character" if unicodedata.category(letter) in ("Cc", "Cs", "Cn") else "invisible character"


def misread(text: str) -> str | None:
    """Why a reviewer may take this text for another one; None for plain text."""
    if text.isascii():
        return None
    if unicodedata.normalize("NFC", text) != text:
        return f"{text[:60]!a} has an accent apart from its letter; type it as one character"
    for word in _WORD.findall(text):
        scripts = {letter: unicodedata.name(letter, "").split(" ")[0] for letter in word}
        foreign = [letter for letter, script in scripts.items() if script in _LIKE_LATIN]
        if foreign and "LATIN" in scripts.values():
            return f"{text[:60]!a} mixes alphabets: {foreign[0]} is {unicodedata.name(foreign[0])}, not a Latin letter"
    return None


def not_utf8(data: bytes, at: int) -> tuple[int, int, str]:
    """Line and column, from 1, and what is wrong, for bytes whose decoding failed at this one."""
    if data.startswith(_UTF16):
        return 1, 1, "the text is UTF-16 or UTF-32; save the file as UTF-8"
    line_starts = data.rfind(b"\n", 0, at) + 1
    column = len(data[line_starts:at].decode("utf-8", "replace")) + 1
    line = data.count(b"\n", 0, at) + 1
    return line, column, f"the text is not UTF-8: byte 0x{data[at]:02x}; save the file as UTF-8"
