"""Which values the calls of a case may have: a name that nothing declares would be about nobody, and its case prove nothing."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from spendgate.config import forms
from spendgate.config.faults import NotAmong, shown
from spendgate.config.known import KNOWN
from spendgate.config.people import Declared
from spendgate.policy import Policy
from spendgate.providers.own_hosts import provider_of_host
from spendgate.review.asked import OF_THE_ROSTER
from spendgate.selector import is_glob

_NEAR: Final = 0.75
"""How alike two words are of which the one is the other, mistyped."""


@dataclass(frozen=True, slots=True)
class CaseWords:
    """Reads the attributes of a case's calls. Without a policy nothing is declared."""

    policy: Policy | None
    tools: tuple[str, ...]
    """Those that are known by name; others may be named, but for what is nearly one of these."""
    sign: str = ""
    equals: str = ": "
    """How a value is written where these words stand: `provider: openai`, `--with provider=openai`."""

    def parser(self, attribute: str) -> Callable[[str], str]:
        """Reads one attribute. Raises ValueError for a glob, or a name that nothing declares."""
        if attribute in OF_THE_ROSTER:
            return partial(_of_the_roster, attribute=attribute)
        one = self._parser(attribute)

        def parse(text: str) -> str:
            if is_glob(text):
                raise ValueError(f"{shown(text)} is a pattern; a call has one {attribute}")
            return one(text)

        return parse

    def _parser(self, attribute: str) -> Callable[[str], str]:
        if attribute == "tool":
            return lambda text: _not_nearly(text, self.tools, "tool")
        if self.policy is None:
            return str
        roster = self.policy.roster
        if attribute == "person":
            accounts = [account for person in roster.people for account in person.accounts]
            people = tuple(dict.fromkeys((*(person.name for person in roster.people), *accounts)))
            # Anybody may be an account that nobody lists, which is what such a case is about.
            return lambda text: _not_nearly(text, people, "person or account")
        one = replace(Declared.by(roster, KNOWN, self.policy.capture.hosts), team=None).parser(attribute)
        return partial(self._provider, one) if attribute == "provider" else one

    def _provider(self, parse: Callable[[str], str], text: str) -> str:
        """Reads a provider; a host that stands in its place is told what its calls have. Raises ValueError."""
        if "." in text:
            raise ValueError(self.host(text))
        return parse(text)

    @property
    def no_host(self) -> Callable[[str], str]:
        """Reads `host`, of which no case says anything. Raises ValueError that says what to write."""
        return partial(_no_host, words=self)

    def host(self, text: str) -> str:
        """What stands in the place of a host, which no rule and no case asks for."""
        asked = text.casefold().rstrip(".")
        added = next((host for host in self.policy.capture.hosts if host.host == asked), None) if self.policy else None
        if added is not None:
            billing = f" and {self.sign}billing{self.equals}{added.billing}" if added.billing else ""
            has = f"{self.sign}provider{self.equals}{provider_of_host(added)}{billing}"
            return f"{shown(text)} is a host; of its calls say {has}"
        return f"{shown(text)} is a host, which no call is asked about by; say the provider"


@forms.never
def _no_host(text: str, words: CaseWords) -> str:
    raise ValueError(words.host(text))


@forms.never
def _of_the_roster(text: str, attribute: str) -> str:
    of = OF_THE_ROSTER[attribute]
    raise ValueError(f"{shown(text)}: no call says its {attribute}; name a {of} whose it is by the policy")


def _not_nearly(text: str, known: Iterable[str], what: str) -> str:
    words = {word.casefold(): word for word in known}
    folded = text.casefold()
    if folded not in words and difflib.get_close_matches(folded, words, n=1, cutoff=_NEAR):
        raise NotAmong(f"{shown(text)} is no {what} that is known", text, words.values())
    return text
