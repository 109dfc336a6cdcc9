"""Whose line and whose call: one account for a key, a person or an organization, under whatever name either side has it.

The finest grain that all token lines of a provider tell is the run's: key, else user, else workspace, else the whole
organization. A key of a call is known by its fingerprint, a key of a bill by an id, a name or a hint: a registry (`Facts.keys`)
joins them, or the same text on both sides, or a day on which counts of every class and requests are the same for one key of
either side alone. Keys that nothing joins are compared together, as one account.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from spendgate.reconcile.accounts import KEYLESS, POOL, Account, Grain, grain_of
from spendgate.reconcile.facts import Facts, Role
from spendgate.reconcile.folding import Raw
from spendgate.reconcile.key_names import KeyNames
from spendgate.reconcile.listed_keys import billed_as, entries_of, joined_by
from spendgate.statement import Line, Who

_SHOWN: Final = 3


class Identities:
    """The accounts of one provider. `same_days` joins keys by evidence: (billed key, fingerprint) pairs. `gateways` are keys
    that went to gateways alone: they are none of this bill's."""

    def __init__(
        self, provider: str, lines: Sequence[Line], raws: Iterable[Raw], facts: Facts, same_days: dict[str, str],
        *, gateways: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.provider = provider
        self._names = KeyNames(lines)
        self.grain = grain_of(lines)
        self._told: list[tuple[str, str]] = []
        """A billed key, and what is to be said of it."""
        self._keys = [each for each in facts.keys if each.provider == provider]
        self._entries = entries_of(self._keys, lines, self._names)
        self._complete = facts.complete
        self._workspaces = dict(facts.workspaces)
        self._people = {
            name.casefold(): each.person for each in facts.people for name in (each.person, *each.emails, *each.users)
        }
        raws = tuple(raws)
        self._fingerprints = {each.api_key for each in raws if each.api_key} - gateways
        self._persons = {each.person for each in raws if each.person}
        self._locals = _unique_locals(self._persons, lines)
        self._owners = _owners(raws)
        self._joined = joined_by(self._keys, self._entries)
        """From a call's fingerprint to the name of the billed key."""
        self._billed = {text for each in lines if (text := self._names.text(each.who))}
        self._join(same_days)
        for name in self._names.shared:
            told = f"several keys of the bill have the name {name!r}, by which alone counts are told: they join none of them"
            self._told.append((name, f"{provider}: {told}"))
        self._by_line: dict[Who, Account] = {}

    def _join(self, same_days: dict[str, str]) -> None:
        for each in self._keys:
            text = billed_as(each, self._entries)
            if each.fingerprints and text in self._billed and self._fingerprints.isdisjoint(each.fingerprints):
                self._unused(text)
        for text in self._billed & self._fingerprints:
            self._joined.setdefault(text, text)
        for text, fingerprint in sorted(same_days.items()):
            if fingerprint not in self._joined and text not in self._joined.values():
                self._joined[fingerprint] = text
                told = f"{self.provider}: {text} is taken for {fingerprint}: they are alike on a day, to the token"
                self._told.append((text, told))

    def _unused(self, text: str) -> None:
        """A billed key whose fingerprints no call has: nobody used it through a gate, or the map is wrong."""
        if self._fingerprints:
            seen = ", ".join(sorted(self._fingerprints)[:_SHOWN])
            told = (
                f"{self.provider}: {text} is billed, and no call of these days has one of the fingerprints that `--map` gives it;"
                f" calls have {seen}{', …' if len(self._fingerprints) > _SHOWN else ''}"
            )
            self._told.append((text, told))

    def notes(self, account: str | None = None) -> list[str]:
        """What is to be said of its keys, or of one account's."""
        return [told for text, told in self._told if account is None or self._named(text) == account]

    def map_line(self) -> str:
        """What joins its keys, where calls were made with some that nothing joins and nobody has listed any, as a note."""
        if self.grain is not Grain.KEY or not self.loose or self.told_apart:
            return ""
        billed = sorted(self._billed - set(self._joined.values()))
        calls = sorted(self._fingerprints - self._joined.keys())
        if not billed:
            return ""
        line = f"- {{key: {json.dumps(billed[0])}, provider: {self.provider}, fingerprints: [{json.dumps(calls[0])}]}}"
        return (
            f"{self.provider}: some keys are not told apart; `--map FILE` says which of the bill is which of the calls, by lines"
            f" under `keys:` as `{line}`. The bill has {_some(billed)}; calls have {_some(calls)}"
        )

    @property
    def loose(self) -> bool:
        """Whether calls were made with keys that nothing joins to a billed one."""
        return any(each not in self._joined for each in self._fingerprints)

    def of_line(self, line: Line) -> Account:
        """Whom a line is about, at this provider's grain."""
        found = self._by_line.get(line.who)
        if found is None:
            found = self._by_line[line.who] = self._line(line.who)
        return found

    def _line(self, who: Who) -> Account:
        role = self._workspaces.get(who.workspace or "", Role.FLEET)
        if self.grain is Grain.KEY:
            return self._line_key(who, role)
        if self.grain is Grain.USER:
            text = who.email or who.user or ""
            person = self.person_of(who.email) or self.person_of(who.user)
            return Account(person or text, role, person, known=bool(person), listed=bool(person))
        if self.grain is Grain.WORKSPACE and role is not Role.FLEET:
            return Account(who.workspace or "", role, listed=True)
        return Account(POOL if role is Role.FLEET else who.workspace or "", role)

    def _line_key(self, who: Who, role: Role) -> Account:
        text = self._names.text(who) or ""
        if not text:
            return Account(KEYLESS, role, self.person_of(who.email) or self.person_of(who.user), keyless=True)
        key = self._entries.get(text)
        if key is not None and key.role is not Role.FLEET:
            return Account(key.key, key.role, key.person or "", listed=True)
        if role is not Role.FLEET:
            return Account(self._named(text), role, listed=True)
        joined = [fingerprint for fingerprint, name in self._joined.items() if name == text]
        used = any(each in self._fingerprints for each in joined)
        if key is None and not used and self.loose and not self.told_apart:
            return Account(POOL, role, known=False)
        person = (key.person if key else None) or self._owner(joined) or self.person_of(who.email)
        return Account(self._named(text), role, person, known=used or key is not None, listed=key is not None)

    def _owner(self, fingerprints: list[str]) -> str:
        owners = {owner for each in fingerprints for owner in self._owners.get(each, ())}
        return next(iter(owners)) if len(owners) == 1 else ""

    @property
    def _registry(self) -> bool:
        return self._complete or any(each.role is Role.FLEET for each in self._keys)

    @property
    def told_apart(self) -> bool:
        """Whether a key that nobody has listed is none of the fleet's: a list that has every key says so, one that lacks some of
        those that calls were made with does not."""
        return self._complete or (self._registry and not self.loose)

    @property
    def complete(self) -> bool:
        """Whether the list is said to have every key of the fleet."""
        return self._complete

    def _named(self, text: str) -> str:
        key = self._entries.get(text)
        return key.key if key is not None else text

    def fingerprint_of(self, account: str) -> str:
        """The one key of calls that is this account's; "": none is, or several."""
        found = [
            each for each, text in self._joined.items() if each in self._fingerprints and self._named(text) == account
        ]
        return found[0] if len(found) == 1 else ""

    def of_call(self, raw: Raw) -> str:
        """The name of the account of a call."""
        if self.grain is Grain.USER:
            return raw.person or POOL
        if self.grain is not Grain.KEY:
            return POOL
        if not raw.api_key:
            return KEYLESS
        text = self._joined.get(raw.api_key)
        if text is not None:
            return self._named(text)
        return raw.api_key if self.told_apart else POOL

    def is_joined(self, raw: Raw, billed: frozenset[str]) -> bool:
        """Whether anything joins a call to a key that the bill or a registry has, or to a user of the bill; `billed` are the
        accounts that it has lines of."""
        if self.grain is Grain.USER:
            return raw.person in billed
        return self.grain is not Grain.KEY or raw.api_key in self._joined

    def person_of(self, text: str | None) -> str:
        """The ledger's name of a person by an e-mail or a provider's id; "": unknown."""
        if not text:
            return ""
        folded = text.casefold()
        found = self._people.get(folded)
        if found is not None:
            return found
        return next((each for each in self._persons if each.casefold() == folded), self._locals.get(folded, ""))


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def _owners(raws: Iterable[Raw]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for each in raws:
        if each.api_key and each.person:
            found[each.api_key].add(each.person)
    return found


def _unique_locals(persons: set[str], lines: Sequence[Line]) -> dict[str, str]:
    """By e-mail the person whose name is what stands before its @, where one address alone has that."""
    emails = {each.who.email.casefold() for each in lines if each.who.email}
    by_local: dict[str, list[str]] = defaultdict(list)
    for email in emails:
        by_local[email.partition("@")[0]].append(email)
    found = {}
    for person in persons:
        its = by_local.get(person.casefold().partition("@")[0], [])
        if len(its) == 1:
            found[its[0]] = person
    return found
