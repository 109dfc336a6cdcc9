"""What a change does to when a policy refuses at all, in words: until which day it holds, and for whom its mode enforces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from spendgate.fitting import enforces
from spendgate.policy import Policy
from spendgate.review.changes import Change, Effect, value_text
from spendgate.review.everybody import Pair
from spendgate.review.reach import people_in_words
from spendgate.review.sample import Call, calls_for, in_words
from spendgate.review.staged import observes
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


def revision(old: Policy, new: Policy) -> Iterator[Change]:
    """The file's number, and whether a gate that has the old one takes the new one at all (`config/believing`)."""
    was, now = old.validity.revision, new.validity.revision
    text = f"revision: {value_text(was)} -> {value_text(now)}"
    if was is not None and (now is None or now <= was):
        least = f"allowed: {was + 1} or more"
        text += f": a gate that has had {was} in force refuses this file and keeps the policy it has; {least}"
        yield Change(Effect.POWER, "revision", text)
    elif was != now:
        yield Change(Effect.OTHER, "revision", text)


def fleet(old: Policy, new: Policy) -> Iterator[Change]:
    """The hub, and whether calls leave while none is reached: this version reaches none."""
    if old.fleet == new.fleet:
        return
    refuses = [each.fleet.hub is not None and each.fleet.offline == "refuse" for each in (old, new)]
    text = f"fleet: {_fleet(old)} -> {_fleet(new)}"
    if refuses[0] == refuses[1]:
        yield Change(Effect.POWER, "fleet", text)
    else:
        becomes = "every call is refused" if refuses[1] else "calls are no longer refused"
        effect = Effect.LESS if refuses[1] else Effect.MORE
        yield Change(
            effect, "fleet", f"everybody: {becomes} while no hub is reached, and this version reaches none; {text}"
        )


def _fleet(policy: Policy) -> str:
    hub = policy.fleet.hub
    return f"{f'hub {hub}' if hub else 'no hub'}, offline: {policy.fleet.offline}"


def enforced(old: Policy, new: Policy, everybody: tuple[Pair, ...]) -> Iterator[Change]:
    """Whose calls the mode enforces or only observes, whatever brings that about: the file's words, or the people's."""
    modes = old.mode, new.mode
    if modes[0].default == modes[1].default == "enforce" or (modes[0] == modes[1] and old.roster == new.roster):
        return
    calls = calls_for((*modes[0].enforce, *modes[1].enforce), models=True)
    groups: dict[tuple[bool, bool, tuple[int, ...]], list[str]] = {}
    for pair in everybody:
        # Of whom `unknown_people: refuse` refuses on both sides only the call is known; on one side, `unknown_people` has a line.
        if (pair.was is None) is not (pair.now is None):
            continue
        then, today = pair.was or Facts({}), pair.now or Facts({})
        was, now = ([_enforced(policy, facts, call) for call in calls] for policy, facts in ((old, then), (new, today)))
        for word in (True, False):
            places = tuple(
                place
                for place, each in enumerate(zip(was, now, strict=True))
                if each == (not word, word) and calls[place].may_be_of(then) and calls[place].may_be_of(today)
            )
            if places:
                groups.setdefault((pair.was is None, word, places), []).append(pair.name)
    for (unlisted, word, places), names in groups.items():
        said = in_words([calls[place] for place in places], calls)
        whom = "everybody" if len(names) == len(everybody) else people_in_words(names, shown=_SHOWN)
        what = "as not listed each call" if unlisted else "what does not fit"
        what = f"{what} is {'refused' if word else 'only recorded'} from now on"
        yield Change(Effect.LESS if word else Effect.MORE, "mode", f"{whom}{f',{said}' if said else ''}: {what}")


def _enforced(policy: Policy, facts: Facts, call: Call) -> bool:
    return enforces(policy, call.of(facts))


def admitted(old: Policy, new: Policy, everybody: tuple[Pair, ...]) -> Iterator[Change]:
    """Who is refused altogether from now on, or no more: as not listed, as far as the mode enforces that of such calls."""
    found: dict[tuple[Effect, str], list[str]] = {}
    for pair in everybody:
        if (pair.was is None) is not (pair.now is None):
            found.setdefault(_admitted(old, new, pair), []).append(pair.name)
    for (effect, text), names in found.items():
        yield Change(effect, "unknown_people", f"{people_in_words(names)}: {text}")


def _admitted(old: Policy, new: Policy, pair: Pair) -> tuple[Effect, str]:
    gone = pair.now is None
    strict, other, listed = (new, old, pair.was) if gone else (old, new, pair.now)
    less, more = (Effect.LESS, Effect.MORE) if gone else (Effect.MORE, Effect.LESS)
    word = "from now on" if gone else "no longer"
    known = listed or Facts({})
    calls = [call for call in calls_for((*old.mode.enforce, *new.mode.enforce), models=True) if call.may_be_of(known)]
    held = [(_enforced(strict, Facts({}), call), _enforced(other, known, call)) for call in calls]
    if all(refused for refused, _ in held) or (observes(old) and observes(new)):
        return less, f"refused as not listed {word}"
    freed = any(by_rules and not refused for refused, by_rules in held)
    if any(refused for refused, _ in held):
        text = f"as not listed refused {word}, where the mode enforces that, else only recorded"
        return Effect.EITHER if freed else less, text
    text = f"as not listed each call {'is only recorded from now on' if gone else 'was only recorded'}"
    if not freed:
        return Effect.RECORDS, text
    return more, f"{text}; {'what did not fit was refused' if gone else 'what does not fit is refused from now on'}"
