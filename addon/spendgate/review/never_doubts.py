"""What `capture.never` says of hosts that hardly anybody means: a mistyped one closes nothing, one too many closes a provider."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Final

from spendgate.policy import Policy
from spendgate.providers.below import WILD, within
from spendgate.review.asked import own_at
from spendgate.review.doubt import Doubt
from spendgate.review.reach import people_in_words

_NOBODYS: Final = "zz-9-plural"
_NEAR: Final = 0.75
"""How alike two parts of a name are of which the one is the other, mistyped."""


def never_doubts(policy: Policy, hosts: Mapping[str, Iterable[str]]) -> Iterator[Doubt]:
    """Each of them. `hosts`: those of every provider that is known."""
    yield from _mistyped(policy, hosts)
    never = frozenset(policy.capture.never)
    for host in policy.capture.hosts:
        # Of a domain any name below it is asked about.
        if by := within(host.host.replace(WILD, f"{_NOBODYS}."), never):
            text = f"{host.host} is never decrypted, since {by} stands under never: no rule is asked about its calls"
            yield Doubt(f"capture.never.{by}", text)
    named = policy.capture.providers
    wanted = [name for name in (hosts if named is None else named) if name in hosts]
    gone = [name for name in wanted if all(within(host, never) for host in hosts[name])]
    unseen = [name for name in gone if not own_at(policy, name)]
    if unseen:
        names = people_in_words(unseen)
        text = f"never names every host of {names}: those calls are not decrypted, and no rule is asked about them"
        yield Doubt("capture.never", text)
    for name in gone:
        if own := own_at(policy, name):
            text = f"never names every host of {name} itself: its calls are decrypted at {', '.join(own)} alone (capture.hosts)"
            yield Doubt("capture.never", text)


def _mistyped(policy: Policy, hosts: Mapping[str, Iterable[str]]) -> Iterator[Doubt]:
    """Names that close nothing which is decrypted, and nearly are a provider's host, or the domain that its hosts are below.

    Any host may stand under `never`, so one that is like none of these is not asked about."""
    known = sorted(
        {*(host for every in hosts.values() for host in every), *(each.host for each in policy.capture.hosts)}
    )
    for text in policy.capture.never:
        if not any(within(host, frozenset({text})) for host in known) and (meant := _meant(text, known)):
            yield Doubt(
                f"capture.never.{text}", f"never: {text} closes no host that is decrypted; did you mean {meant}?"
            )


def _meant(text: str, known: list[str]) -> str:
    wild = text.startswith(WILD)
    sought = text.removeprefix(WILD)
    domains = dict.fromkeys(WILD + domain for host in known for domain in _domains(host.removeprefix(WILD)))
    if not wild and WILD + text in domains:
        return WILD + text
    return next((name for name in (domains if wild else known) if _alike(sought, name.removeprefix(WILD))), "")


def _domains(host: str) -> Iterator[str]:
    while "." in (host := host.partition(".")[2]):
        yield host


def _alike(one: str, other: str) -> bool:
    """Whether they differ in a letter or two of one part, or in a dot."""
    parts = list(zip(one.split("."), other.split("."), strict=False))
    if one.count(".") != other.count("."):
        return one.replace(".", "") == other.replace(".", "")
    differ = [pair for pair in parts if pair[0] != pair[1]]
    return len(differ) == 1 and min(map(len, differ[0])) > 1 and _slipped(*differ[0])


def _slipped(one: str, other: str) -> bool:
    """Whether one part is the other, mistyped. In a short one a single letter is a third of it."""
    if SequenceMatcher(None, one, other).ratio() >= _NEAR:
        return True
    differ = [at for at, (here, there) in enumerate(zip(one, other, strict=False)) if here != there]
    swapped = len(differ) == 2 and one[differ[0]] == other[differ[1]] and one[differ[1]] == other[differ[0]]
    return len(one) == len(other) and (len(differ) == 1 or swapped)
