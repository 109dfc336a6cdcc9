"""Takes a service's certificates out of the stores at its removal: those of now, and those from before a rotation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from spendgate.errors import StateError
from spendgate.stores import noted
from spendgate.stores.anchor import anchor
from spendgate.stores.here import stores
from spendgate.stores.interface import Store

_FILE_BYTES_MAX = 1 << 20


def names_of(state: Path, certificate: Path) -> frozenset[str]:
    """What was trusted for this state directory: as root noted it, and what lies in it, for what is older than the notes.

    The file is the gate's account's: what it holds may be anything, and names nothing that another directory has noted.
    """
    try:
        known = noted.noted()
    except StateError:
        known = {}
    found = {name for name, of in known.items() if of == str(state)}
    if (now := _named(certificate)) and known.get(now, str(state)) == str(state):
        found.add(now)
    return frozenset(found)


def withdraw(names: frozenset[str], say: Callable[[str], None]) -> tuple[str, ...]:
    """Take these out wherever they are; `say` is told each. What could not be taken out, with its remedy. Nothing is raised."""
    left: list[str] = []
    gone = set(names)
    for store, there in where(names):
        for change in store.remove(sorted(there)):
            try:
                change.make()
                say(f"done: {change.says}")
            except (StateError, OSError) as fault:
                gone -= there
                left.append(f"{', '.join(sorted(there))} is still trusted in {store.name}: {fault}")
    try:
        noted.forget(frozenset(gone))
    except (StateError, OSError) as fault:
        left.append(str(fault))
    return tuple(left)


def where(names: frozenset[str]) -> Iterable[tuple[Store, frozenset[str]]]:
    """The stores that have any of them, with which."""
    for store in _stores():
        try:
            there = store.trusted() & names
        except StateError:
            continue
        if there:
            yield store, there


def _stores() -> tuple[Store, ...]:
    try:
        return stores()
    except StateError:
        return ()


def _named(certificate: Path) -> str:
    """Empty: there is none, or nothing that was ever trusted. Never waits: the file may be a pipe."""
    try:
        handle = os.open(certificate, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            return anchor(file.read(_FILE_BYTES_MAX) or b"", str(certificate)).name
    except (StateError, OSError):
        return ""
