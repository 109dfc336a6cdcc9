"""Which entry of a registry (`Facts.keys`) a key of the bill is: by its id first; names and hints serve lines that tell no id.

Anybody can name a key as they like. So a name never makes one key another: a line with an id is that of the entry with this id,
and of none with another one, whatever both are called. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from spendgate.reconcile.facts import Key
from spendgate.reconcile.key_names import KeyNames
from spendgate.statement import Line


def entries_of(keys: Sequence[Key], lines: Iterable[Line], names: KeyNames) -> dict[str, Key]:
    """By a billed key's text (`KeyNames.text`) its entry. Which stands first in the registry decides nothing: a text that fits
    several entries has none, and neither has a name that several keys of the bill have."""
    words: dict[str, set[str]] = defaultdict(set)
    with_id: set[str] = set()
    for who in {line.who for line in lines}:
        text = names.text(who)
        if text:
            words[text] |= {text, who.key_name or text, who.key_hint or text}
            with_id |= {who.key} if who.key else set()
    by_key = {each.key: each for each in keys}
    called = _called(keys)
    whose: dict[str, set[str]] = defaultdict(set)
    for text, its in words.items():
        for word in its:
            whose[word].add(text)
    found = {}
    for text, its in sorted(words.items()):
        if text in by_key:
            fits = [by_key[text]] if text not in names.shared else []
        elif text in with_id:  # an entry that knows no id has the name in its place
            fits = [by_key[word] for word in its if word in by_key and whose[word] == {text}]
        else:
            fits = list({each.key: each for word in its if word not in names.shared for each in called[word]}.values())
        if len(fits) == 1:
            found[text] = fits[0]
    return found


def joined_by(keys: Sequence[Key], billed: dict[str, Key]) -> dict[str, str]:
    """From what calls have in the place of a key (a fingerprint, an id, a hint that one entry alone has) to the bill's text."""
    found: dict[str, str] = {}
    texts = {each.key: billed_as(each, billed) for each in keys}
    called = _called(keys)
    for each in keys:
        for fingerprint in each.fingerprints:
            found.setdefault(fingerprint, texts[each.key])
    for each in keys:
        found.setdefault(each.key, texts[each.key])
    for each in keys:
        if each.hint and len(called[each.hint]) == 1:
            found.setdefault(each.hint, texts[each.key])
    return found


def billed_as(key: Key, billed: dict[str, Key]) -> str:
    """What the bill calls an entry's key; its own `key` where the bill has none of it."""
    return next((text for text, each in sorted(billed.items()) if each.key == key.key), key.key)


def _called(keys: Sequence[Key]) -> defaultdict[str, list[Key]]:
    found: defaultdict[str, list[Key]] = defaultdict(list)
    for each in keys:
        for word in {each.key, each.name, each.hint} - {None, ""}:
            found[word or ""].append(each)
    return found
