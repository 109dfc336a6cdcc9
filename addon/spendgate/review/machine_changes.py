"""What a change says of machines, in words: which come into a group, leave it, or move to another one, each told once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from spendgate.alert_rules import AlertRule
from spendgate.budget import Budget
from spendgate.model_names import glob
from spendgate.model_rules import ModelRule
from spendgate.policy import Policy
from spendgate.rates import Rate
from spendgate.review.changes import Change, Effect, value_text
from spendgate.roster import UnknownPeople
from spendgate.selector import Facts, Selector, is_glob


def machines(old: Policy, new: Policy) -> Iterator[Change]:
    """Machines that come into a group or leave it come under its rules or leave them; nobody's calls fall to their owner."""
    was, now = ({group.name: group for group in policy.roster.machines} for policy in (old, new))
    names = tuple(dict.fromkeys((*was, *now)))
    sides = [{name: side[name].match if name in side else () for name in names} for side in (was, now)]
    gains = {name: _beyond(sides[1][name], sides[0][name]) for name in names}
    loses = {name: _beyond(sides[0][name], sides[1][name]) for name in names}
    yield from _moves(old, new, gains, loses)
    for name in names:
        parts = [f"gains {', '.join(gains[name])}"] if gains[name] else []
        parts += [f"loses {', '.join(_but(text, sides[1][name]) for text in loses[name])}"] if loses[name] else []
        if (name in was) != (name in now):
            verb = "the group is new" if name in now else "the group is gone"
            parts = ["; ".join((verb, *parts)).replace("; gains ", ": ").replace("; loses ", ": ")]
        elif not parts and sides[0][name] != sides[1][name] and not _told_as_moved(name, sides):
            parts.append("written otherwise, the same machines")
        if parts:
            yield _told(f"machines of {name}: {'; '.join(parts)}", f"machines.{name}", _about(old, new, (name,)))
        owners = [side[name].owner if name in side else None for side in (was, now)]
        if owners[0] != owners[1]:
            yield Change(
                Effect.PEOPLE,
                f"machines.{name}",
                f"machines of {name} belong to: {value_text(owners[0])} -> {value_text(owners[1])}",
            )
    common = was.keys() & now.keys()
    if [name for name in was if name in common] != [name for name in now if name in common]:
        effect = Effect.EITHER if UnknownPeople.OWNER in {old.roster.unknown, new.roster.unknown} else Effect.PEOPLE
        text = "the order of machine groups: whoever is not listed may be the owner of the first that has one"
        yield Change(effect, "machines", text)


def _moves(old: Policy, new: Policy, gains: dict[str, list[str]], loses: dict[str, list[str]]) -> Iterator[Change]:
    """What one group loses and one other gains; it is taken out of both, so that it is told here alone."""
    found: dict[tuple[str, str], list[str]] = {}
    for text in dict.fromkeys(text for each in loses.values() for text in each):
        left, come = ([name for name, texts in side.items() if text in texts] for side in (loses, gains))
        if len(left) == len(come) == 1:
            found.setdefault((left[0], come[0]), []).append(text)
            loses[left[0]].remove(text)
            gains[come[0]].remove(text)
    for (left_, come_), texts in found.items():
        verb = "moves" if len(texts) == 1 and not is_glob(texts[0]) else "move"
        what = f"machine{'' if verb == 'moves' else 's'} {', '.join(texts)}"
        yield _told(f"{what}: {verb} from {left_} to {come_}", f"machines.{come_}", _about(old, new, (left_, come_)))


def _told_as_moved(name: str, sides: list[dict[str, tuple[str, ...]]]) -> bool:
    """Whether all that its texts differ in was told as a move."""
    return bool(_beyond(sides[1][name], sides[0][name]) or _beyond(sides[0][name], sides[1][name]))


def _told(text: str, where: str, about: list[str]) -> Change:
    if not about:
        return Change(Effect.PEOPLE, where, text)
    return Change(Effect.EITHER, where, f"{text}; rules about them: {', '.join(about)}")


def _about(old: Policy, new: Policy, groups: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(rule for name in groups for policy in (old, new) for rule in _asking(policy, name)))


def _beyond(some: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    """Those of some texts whose machines no other text has."""
    return [text for text in some if not any(_within(text, other) for other in others)]


def _but(text: str, kept: tuple[str, ...]) -> str:
    """A text, and which of its machines stay."""
    stay = [each for each in kept if _within(each, text)]
    return f"{text} but for {', '.join(stay)}" if stay else text


def _within(text: str, other: str) -> bool:
    """Whether all machines of a text are surely the other one's too: of a `*` the shortest that it fits, and a longer."""
    pattern, folded = glob(other.casefold()), text.casefold()
    return all(pattern.fullmatch(folded.replace("*", each)) for each in ("", "**"))


def _asking(policy: Policy, group: str) -> Iterator[str]:
    """All that tells calls of these machines from others, by name."""
    facts = Facts.of(machine_group=group)
    rules: list[Budget | Rate | ModelRule | AlertRule] = [
        *policy.budgets,
        *policy.rates,
        *policy.models,
        *policy.alerts,
    ]
    chosen: list[tuple[str, tuple[Selector, ...]]] = [(each.name, (each.match, each.excepted)) for each in rules]
    chosen += [("mode", policy.mode.enforce)] if policy.mode.default == "observe" else []
    chosen += [(f"the exception of {each.budget}", (each.match,)) for each in policy.exceptions]
    chosen += [("pricing.adjust", tuple(each.match for each in policy.adjust))]
    chosen += [(f"seat {each.name}", (each.match,)) for each in policy.billing.seats]
    for name, selectors in chosen:
        clauses = [clause for one in selectors for clause in one.clauses if clause.attribute == "machine_group"]
        if any(clause.fits(facts) for clause in clauses):
            yield name
    limited: list[Budget | Rate] = [*policy.budgets, *policy.rates]
    yield from (each.name for each in limited if "machine_group" in each.per)
