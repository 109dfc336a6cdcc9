"""A call as somebody describes it on the command line: what no call can have is refused, what might be a slip is noted.

A person, tool, model or machine that nothing declares is possible, so it is taken, and said. A billing word or provider that
does not exist is not, nor is an attribute that calls do not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from spendgate.cli.named import TOOLS
from spendgate.config.case_words import CaseWords
from spendgate.config.faults import meant, one_of
from spendgate.errors import UsageError
from spendgate.model_names import alias_stem, family
from spendgate.policy import Policy
from spendgate.pricing import PriceBook
from spendgate.review.asked import OF_THE_ROSTER, Asked
from spendgate.review.reach import named
from spendgate.selector import ATTRIBUTES, is_glob

_OPTIONS: Final = ("person", "model", "tool")
"""Attributes with an option of their own."""
_NAMED_MOST: Final = 3
WITH: Final = tuple(name for name in ATTRIBUTES if name not in _OPTIONS and name not in OF_THE_ROSTER)
"""What `--with` takes."""


def said(policy: Policy, options: Mapping[str, str | None], attributes: Iterable[str]) -> dict[str, str]:
    """What is said of the call: attribute to value. Raises UsageError for what no call has."""
    found = {name: text for name, text in options.items() if text}
    for name, text in found.items():
        if is_glob(text):
            raise UsageError(f"--{name} {text}: is a pattern; a call has one {name}")
    words = _words(policy)
    for text in attributes:
        name, equals, value = text.partition("=")
        _accepted(policy, text, name, value if equals else "")
        if name in found:
            raise UsageError(f"--with {text}: {name} is given twice")
        try:
            found[name] = words.parser(name)(value)
        except ValueError as fault:
            raise UsageError(f"--with {text}: {fault}") from fault
    return found


def _words(policy: Policy) -> CaseWords:
    return CaseWords(policy, (), sign="--with ", equals="=")


def _accepted(policy: Policy, text: str, name: str, value: str) -> None:
    """Raises UsageError where `--with` does not take this attribute."""
    if name in OF_THE_ROSTER:
        raise UsageError(
            f"--with {text}: no call says its {name}; it is that of its {OF_THE_ROSTER[name]}, by the policy"
        )
    if name in _OPTIONS:
        raise UsageError(f"--with {text}: {name} has an option of its own, --{name}")
    if name == "host" and value:
        raise UsageError(f"--with {text}: {_words(policy).host(value)}")
    if name not in WITH or not value:
        raise UsageError(
            f"--with {text}: write ATTR=VALUE; {one_of(WITH)}{meant(name, WITH) if name not in WITH else ''}"
        )


def doubts(policy: Policy, call: Asked) -> Iterator[str]:
    """What is taken as it is said, and may be a slip."""
    yield from _of_the_person(policy, call)
    tool, model, machine = (call.said.get(name) for name in ("tool", "model", "machine"))
    if tool is not None and tool.casefold() not in {name.casefold() for name in TOOLS}:
        yield f"tool {tool} is not known by name{meant(tool, TOOLS)}"
    if model is not None and alias_stem(model) is None:
        listed = {family(name) for name in PriceBook().model_ids()}
        if family(model) not in listed:
            yield f"model {model} is in no price list{meant(model, listed)}"
    groups = policy.roster.machines
    if machine is not None and groups and not policy.roster.machine_groups(machine):
        exact = [text for group in groups for text in group.match if not is_glob(text)]
        yield f"machine {machine} is in no machine group of the policy{meant(machine, exact)}"


def _whose(policy: Policy, text: str) -> str:
    """Whom the policy lists by this e-mail address, or in the team of this name; else nothing."""
    folded = text.casefold()
    by_mail = [each.name for each in policy.roster.people if each.email and each.email.casefold() == folded]
    if by_mail:
        return f"; it is an e-mail address: did you mean {by_mail[0]}?"
    in_team = [each.name for each in policy.roster.people if each.team and each.team.casefold() == folded]
    return f"; it is a team: name a person of it, as {', '.join(in_team[:_NAMED_MOST])}" if in_team else ""


def _of_the_person(policy: Policy, call: Asked) -> Iterator[str]:
    person = call.said["person"]
    if policy.roster.people and not call.listed:
        known = [name for each in policy.roster.people for name in (each.name, *each.accounts)]
        as_ = f"one of unknown_people: {policy.roster.unknown.value}"
        ended = policy.roster.listed(person)
        why = f"is not listed any more (until {ended.until})" if ended and ended.until else "is not listed"
        near = _whose(policy, person) or (meant(person, known) if ended is None else "")
        yield f"person {person} {why}: {as_}{near}"
    elif not policy.roster.people:
        texts = [text for text in named(policy) if not is_glob(text)]
        if texts and person.casefold() not in {text.casefold() for text in texts} and (near := meant(person, texts)):
            yield f"person {person} is named by no rule{near}"
