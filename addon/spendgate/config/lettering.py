"""Characters that a reviewer cannot see, or takes for others: what a policy's text may be made of.

A file is read aloud by a person and acted on by a program, and the two must read the same. So what an editor does not show
(control and formatting characters, text that runs from right to left, blanks and line breaks of other kinds than YAML's own)
and what looks like another letter (two alphabets in one word, a letter and its accent apart) is refused, wherever it stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

# Of the characters that format, only the two joiners are part of writing: of Persian, Indic scripts and emoji.
_JOINERS: Final = "\u200c\u200d"
_ODD: Final = re.compile(
    "[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u2011\u2028-\u202f"
    "\u205f-\u206f\u2212\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]|\r(?!\n)"
)
_HYPHENS: Final = "\u2010\u2011\u2212"
_EMOJI: Final = "\ufe0f"
"""Asks for a sign in colour: part of an emoji, and of nothing else."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_RUN: Final = re.compile(r"\S+")
_ALIKE: Final = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u051b\u051d\u04bb\u04cf\u0410\u0412\u0415\u041a\u041c"
    "\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u0399\u0391\u0392\u0395\u0396\u0397\u039a\u039c\u039d\u039f"
    "\u03a1\u03a4\u03a5\u03a7\u03b1\u03b9\u03bd\u03bf\u03c1\u03c5"
)
"""Cyrillic and Greek letters that are drawn as Latin ones: a word of these alone reads as a Latin one."""
_DRAWN_LIKE: Final = ("LATIN LETTER SMALL CAPITAL", "MATHEMATICAL", "FULLWIDTH LATIN", "FULLWIDTH DIGIT")
_LIKE_LATIN: Final = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL"})
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def odd_character(text: str) -> tuple[int, str] | None:
    """Where the first character stands that no policy has, and what is wrong with it."""
    return next(odd_characters(text), None)


def odd_characters(text: str) -> Iterator[tuple[int, str]]:
    """The same of each of them."""
    for found in _ODD.finditer(text):
        letter = found[0]
        if letter in _JOINERS and found.start() and not text[found.start() - 1].isascii():
            continue
        if letter == _EMOJI and found.start() and unicodedata.category(text[found.start() - 1]) == "So":
            continue
        yield found.start(), _told(letter)


def _told(letter: str) -> str:
    return "a tab in the text; use spaces" if letter == "\t" else f"{_kind(letter)} {letter!a} in the text"


def _kind(letter: str) -> str:
    if letter in "\r\x85\u2028\u2029":
        return "a line break that editors do not show:"
    if letter in _HYPHENS:
        return "a character that looks like a hyphen:"
    if unicodedata.category(letter) == "Zs":
        return "a blank that is not a space:"
    return "control character" if unicodedata.category(letter) in ("Cc", "Cs", "Cn") else "invisible character"


def misread(text: str) -> str | None:
    """Why a reviewer may take this text for another one; None for plain text."""
    if text.isascii():
        return None
    if unicodedata.normalize("NFC", text) != text:
        return f"{text[:60]!a} has an accent apart from its letter; type it as one character"
    drawn = next((letter for letter in text if unicodedata.name(letter, "").startswith(_DRAWN_LIKE)), None)
    if drawn is not None:
        return f"{text[:60]!a} has a letter that looks like another one: {unicodedata.name(drawn)}"
    # What a digit, a dot or a hyphen stands in is one word to a reader: `gpt-4o`.
    foreign: str | None = next(
        (letter for run in _RUN.findall(text) if _is_mixed(run) for letter in run if _looks_latin(letter)), None
    )
    foreign = foreign or _posing(text)
    if foreign is not None:
        return f"{text[:60]!a} mixes alphabets: {foreign} is {unicodedata.name(foreign)}, not a Latin letter"
    return None


def _script(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]


def _looks_latin(letter: str) -> bool:
    return not letter.isascii() and letter.isalpha() and _script(letter) in _LIKE_LATIN


def _is_mixed(run: str) -> bool:
    return any(map(_looks_latin, run)) and any(letter.isalpha() and _script(letter) == "LATIN" for letter in run)


def _posing(text: str) -> str | None:
    """The first letter of words in another alphabet that could all be Latin ones, where others are: of a text in that alphabet
    some word could not."""
    words: list[str] = _WORD.findall(text)
    other = [word for word in words if any(map(_looks_latin, word))]
    if len(other) == len(words) or not other or not all(set(word) <= _ALIKE for word in other):
        return None
    return other[0][0]


def not_utf8(data: bytes, at: int) -> tuple[int, int, str]:
    """Line and column, from 1, and what is wrong, for bytes whose decoding failed at this one."""
    if data.startswith(_UTF16):
        return 1, 1, "the text is UTF-16 or UTF-32; save the file as UTF-8"
    line_starts = data.rfind(b"\n", 0, at) + 1
    column = len(data[line_starts:at].decode("utf-8", "replace")) + 1
    line = data.count(b"\n", 0, at) + 1
    return line, column, f"the text is not UTF-8: byte 0x{data[at]:02x}; save the file as UTF-8"
