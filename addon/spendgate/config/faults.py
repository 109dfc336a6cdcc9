"""Faults of a policy file: each says where, which key, what was found, what is allowed, and the nearest correct word.

A reader collects them and goes on, so that one look at a file shows all of them. The number is bounded: after the first
hundred a file is past reading.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FAULTS_MAX = 100
_FOUND_LENGTH_MAX = 60
_KEY_LENGTH_MAX = 200
_COMPARED_MAX = 700  # a little more than there are time zones


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, order=True, slots=True)
class Fault:
    """One thing that is wrong. `key` is a path such as `budgets[2].limit`; empty for the file as a whole."""

    place: Place
    key: str
    text: str

    def line_of(self, file: str) -> str:
        """`file:line:column: key: text`, on one line: what the file holds never reaches a terminal as it is."""
        key = self.key if len(self.key) <= _KEY_LENGTH_MAX else f"{self.key[:_KEY_LENGTH_MAX]}…"
        subject = f"{key}: " if key else ""
        return f"{file}:{self.place.line}:{self.place.column}: {_printable(subject + self.text)}"


class Faults:
    """The faults found so far in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        """How faults name the file."""
        self._found: dict[Fault, None] = {}

    def add(self, place: Place, key: str, text: str) -> None:
        """Keep one fault; said twice it counts once."""
        self._found[Fault(place, key, text)] = None

    @property
    def enough(self) -> bool:
        """More would not be told: nearest words, which cost a comparison with each, need not be looked for."""
        return len(self._found) > FAULTS_MAX

    def __bool__(self) -> bool:
        return bool(self._found)

    def lines(self) -> tuple[str, ...]:
        """In the order of the file; at most `FAULTS_MAX`, and then how many more."""
        return all_lines((self,))

    def told(self) -> list[str]:
        """Each fault as a line, in the order of the file."""
        return [fault.line_of(self.file) for fault in sorted(self._found)]


def all_lines(every: Iterable[Faults]) -> tuple[str, ...]:
    """The faults of several files, the first file's first; at most `FAULTS_MAX`, and then how many more."""
    files = list(every)
    lines = [line for faults in files for line in faults.told()]
    if len(lines) > FAULTS_MAX:
        lines[FAULTS_MAX:] = [f"{files[0].file}: and {len(lines) - FAULTS_MAX} more"]
    return tuple(lines)


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def shown(text: str) -> str:
    """What was found, quoted, on one line and not too long."""
    return repr(text if len(text) <= _FOUND_LENGTH_MAX else f"{text[:_FOUND_LENGTH_MAX]}…")


def one_of(words: Iterable[str]) -> str:
    """`allowed: a, b, c`."""
    return f"allowed: {', '.join(words)}"


def cut(words: tuple[str, ...], most: int) -> tuple[str, ...]:
    """The first of very many, and a sign that there are more."""
    return words if len(words) <= most else (*words[:most], "…")


class NotAmong(ValueError):
    """A word that is not one of those allowed. The nearest one is looked for only when the fault is printed."""

    def __init__(self, text: str, word: str, words: Iterable[str]) -> None:
        super().__init__(text)
        self._word, self.words = word, tuple(words)

    def __str__(self) -> str:
        return f"{self.args[0]}{meant(self._word, self.words)}"


_CALLED: Final = {
    "antigravity": "code-assist", "bedrock": "aws", "claude": "anthropic", "claude-code": "anthropic", "codeium": "windsurf",
    "codex": "openai", "copilot": "github-copilot", "gemini": "google", "gemini-cli": "google", "glm": "zai", "gpt": "openai",
    "grok": "x-ai", "kimi": "moonshotai", "kiro": "amazon-q", "qwen": "alibaba", "vertex-ai": "vertex",
}  # fmt: skip
"""What people call a provider by: its product or model. By their letters alone the nearest is another company: minimax for
gemini, groq for grok."""


def meant(word: str, words: Iterable[str]) -> str:
    """`; did you mean x?` for the nearest correct word, else nothing. Case counts as nearness."""
    sought = word[:_FOUND_LENGTH_MAX].casefold()
    by_fold = {known.casefold(): known for known in words}
    if _CALLED.get(sought) in by_fold:
        return f"; did you mean {by_fold[_CALLED[sought]]}?"
    near = difflib.get_close_matches(sought, _likely(sought, by_fold), n=1, cutoff=0.6)
    return f"; did you mean {by_fold[near[0]]}?" if near else ""


def _likely(sought: str, folded: Iterable[str]) -> list[str]:
    """Of very many words those that start alike and are about as long: comparing costs some microseconds for each."""
    every = list(folded)
    if len(every) <= _COMPARED_MAX:
        return every
    alike = [word for word in every if word[:1] == sought[:1] and abs(len(word) - len(sought)) <= 3]
    return alike[:_COMPARED_MAX]
