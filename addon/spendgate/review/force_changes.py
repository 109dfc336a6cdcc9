"""What a change does to when a policy refuses at all, in words: until which day it holds, and for whom its mode enforces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from spendgate.fitting import enforces
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect
from spendgate.review.everybody import Pair
from spendgate.review.reach import people_in_words
from spendgate.review.sample import Call, calls_for, in_words
from spendgate.selector import Facts

_AFTER: Final = {"keep": "after it the policy goes on, and its end is told", "refuse": "after it every call is refused"}
_SHOWN: Final = 12
"""Names of those for whom the mode changes: one line says it for all of them."""


def validity(old: Policy, new: Policy, today: date) -> Iterator[Change]:
    """Until which day the file holds, and what happens then."""
    was, now = _refuses_from(old), _refuses_from(new)
    words = [_ends(policy) for policy in (old, new)]
    if words[0] == words[1]:
        return
    text = f"the file's last day: {words[0]} -> {words[1]}"
    if new.validity.valid_until is not None and new.validity.valid_until < today:
        text += f"; that day is over on {today}"
    effect = Effect.POWER
    if was != now:
        effect = Effect.LESS if now is not None and (was is None or now < was) else Effect.MORE
        text = f"everybody: {text}"
    where = "valid_until" if old.validity.valid_until != new.validity.valid_until else "expired"
    yield Change(effect, where, text)


def _refuses_from(policy: Policy) -> int | None:
    return policy.ends_ms if policy.validity.expired == "refuse" else None


def _ends(policy: Policy) -> str:
    valid = policy.validity
    return "none" if valid.valid_until is None else f"{valid.valid_until} ({_AFTER[valid.expired]})"


def enforced(old: Policy, new: Policy, everybody: tuple[Pair, ...]) -> Iterator[Change]:
    """Whose calls the mode enforces or only observes, whatever brings that about: the file's words, or the people's."""
    modes = old.mode, new.mode
    if modes[0].default == modes[1].default == "enforce" or (modes[0] == modes[1] and old.roster == new.roster):
        return
    calls = calls_for((*modes[0].enforce, *modes[1].enforce), models=True)
    groups: dict[tuple[bool, tuple[int, ...]], list[str]] = {}
    for pair in everybody:
        if pair.was is None or pair.now is None:
            continue
        was, now = (
            [_enforced(policy, facts, call) for call in calls] for policy, facts in ((old, pair.was), (new, pair.now))
        )
        for word in (True, False):
            places = tuple(
                place
                for place, each in enumerate(zip(was, now, strict=True))
                if each == (not word, word) and calls[place].may_be_of(pair.was) and calls[place].may_be_of(pair.now)
            )
            if places:
                groups.setdefault((word, places), []).append(pair.name)
    for (word, places), names in groups.items():
        said = in_words([calls[place] for place in places], calls)
        whom = "everybody" if len(names) == len(everybody) else people_in_words(names, shown=_SHOWN)
        what = f"what does not fit is {'refused' if word else 'only recorded'} from now on"
        yield Change(Effect.LESS if word else Effect.MORE, "mode", f"{whom}{f',{said}' if said else ''}: {what}")


def _enforced(policy: Policy, facts: Facts, call: Call) -> bool:
    return enforces(policy, call.of(facts))
