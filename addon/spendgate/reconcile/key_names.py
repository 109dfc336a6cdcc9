"""Keys of a bill by one text: a line that tells a key's name alone is about the key that other lines of the bill call so.

The Console's usage file has keys by name, its cost file by id and name: else a key's counts and its money are two accounts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from spendgate.statement import Line, Who


class KeyNames:
    """What the lines of one provider call their keys."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        within: dict[tuple[str | None, str], set[str]] = defaultdict(set)
        anywhere: dict[str, set[str]] = defaultdict(set)
        alone: set[tuple[str | None, str]] = set()
        for who in {line.who for line in lines}:
            if who.key_name and who.key:
                within[who.workspace, who.key_name].add(who.key)
                anywhere[who.key_name].add(who.key)
            elif who.key_name and who.key is None:
                alone.add((who.workspace, who.key_name))
        self._within, self._anywhere = within, anywhere
        self.shared = sorted({name for place, name in alone if len(self._ids(place, name)) > 1})
        """Names that lines tell alone, and that several keys have: nobody knows which of them such a line is about."""

    def _ids(self, workspace: str | None, name: str) -> set[str]:
        return self._within.get((workspace, name)) or self._anywhere.get(name, set())

    def text(self, who: Who) -> str | None:
        """The id of its key, else its name or hint; "": without a key; None: not told."""
        if who.key is None and who.key_name:
            ids = self._ids(who.workspace, who.key_name)
            if len(ids) == 1:
                return next(iter(ids))
        return key_text(who)


def key_text(who: Who) -> str | None:
    """What a line itself calls its key; "": without a key; None: not told."""
    return next((each for each in (who.key, who.key_name, who.key_hint) if each is not None), None)
