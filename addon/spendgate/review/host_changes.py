"""What a change of `capture.hosts` does, in words: by the line that reads a host, its own or the closest domain's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from spendgate.policy import Capture, Host
from spendgate.providers.below import WILD
from spendgate.review.changes import Change, Effect

UNSEEN: Final = "pass unseen from now on: no rule and no budget is asked"
COUNTED: Final = "come under rules and budgets from now on"
_WHERE: Final = "capture.hosts"
_Lines = Mapping[str, Host]


def hosts(before: Capture, after: Capture) -> Iterator[Change]:
    """Of each name whose own line comes, goes or changes."""
    was_by, now_by = ({host.host: host for host in side.hosts} for side in (before, after))
    names = sorted(was_by.keys() | now_by.keys())
    for name in names:
        if was_by.get(name) == now_by.get(name):
            continue
        was, now = _read_by(name, was_by), _read_by(name, now_by)
        if never_by(name, before.never) and never_by(name, after.never):
            yield Change(Effect.OTHER, _WHERE, f"{name}: another line, and it is never decrypted all the same")
        elif was is None or now is None:
            yield from _gained_or_lost(name, was, now, [each for each in names if _above(each, {name: None})])
        else:
            yield from _otherwise(name, was, now)
    if [name for name in was_by if name in now_by] != [name for name in now_by if name in was_by]:
        yield Change(Effect.OTHER, _WHERE, "the order of hosts alone: the closest line reads a host wherever it stands")


def never_by(name: str, never: Iterable[str]) -> str | None:
    """By which of the names under `never` a host, or all below a domain, is never decrypted: its own, else the closest."""
    names = dict.fromkeys(never)
    return name if name in names else _above(name, names)


def _read_by(name: str, lines: _Lines) -> Host | None:
    found = name if name in lines else _above(name, lines)
    return None if found is None else lines[found]


def _above(name: str, names: Mapping[str, object]) -> str | None:
    """The closest of these domains that a host, or a domain, is below."""
    below = name.removeprefix(WILD)
    while "." in below:
        below = below.partition(".")[2]
        if WILD + below in names:
            return WILD + below
    return None


def _gained_or_lost(name: str, was: Host | None, now: Host | None, below: list[str]) -> Iterator[Change]:
    but = f" (but for what {', '.join(below)} says)" if below else ""
    read = _host(was) if was is not None else _host(now)
    what = "is decrypted from now on" if was is None else "is no longer decrypted"
    yield Change(Effect.DECRYPTS, _WHERE, f"{name} {what}: {read}{but}")
    effect, becomes = (Effect.LESS, COUNTED) if was is None else (Effect.MORE, UNSEEN)
    yield Change(effect, _WHERE, f"everybody: calls to {name}{but} {becomes}")


def _otherwise(name: str, was: Host, now: Host) -> Iterator[Change]:
    """Decrypted before and after, by another line or by another word of its own."""
    by = "".join(
        f", {word} by the line of {each.host}" for word, each in (("was", was), ("is", now)) if each.host != name
    )
    if _says(was) != _says(now):
        yield Change(Effect.DECRYPTS, _WHERE, f"{name} is read otherwise: {_host(was)} -> {_host(now)}{by}")
    else:
        yield Change(Effect.DECRYPTS, _WHERE, f"{name} is read as before{by}: {_host(now)}")
    if was.prices != now.prices or was.dialect != now.dialect:
        lists = [each.prices or f"the makers of {each.dialect}" for each in (was, now)]
        text = f"everybody: calls to {name} cost what the list of {lists[1]} says, was that of {lists[0]}"
        yield Change(Effect.EITHER, _WHERE, f"{text}; rules that name a provider take them for that one's")
    if was.billing != now.billing:
        bills = [each.billing or "what its calls show" for each in (was, now)]
        text = f"everybody: calls to {name} are billed: {bills[0]} -> {bills[1]}"
        yield Change(Effect.EITHER, _WHERE, f"{text}; rules that ask for billing count others of them")
    wild = was.host.startswith(WILD), now.host.startswith(WILD)
    if wild[0] is not wild[1]:
        effect, becomes = (Effect.LESS, COUNTED) if wild[0] else (Effect.MORE, UNSEEN)
        text = f"everybody: calls to {name} of a program that is not known {becomes}"
        yield Change(effect, _WHERE, f"{text}; below a wildcard nothing of theirs is decrypted")


def _says(host: Host) -> tuple[str | None, ...]:
    return host.dialect, host.prices, host.billing


def _host(host: Host | None) -> str:
    parts = (("dialect", host.dialect), ("prices", host.prices), ("billing", host.billing)) if host else ()
    return ", ".join(f"{key} {word}" for key, word in parts if word)
