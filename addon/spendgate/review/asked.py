"""What a call is that somebody asks about: what they say of it, and what every call has besides.

Every call that the gate sees has a machine, a session and a billing word, whether somebody says so or not: `explain` and cases
take the same ones, so that a rule about them is never passed over where the gate would go by it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from spendgate.contracts import GATEWAY
from spendgate.model_names import family
from spendgate.money import dollars
from spendgate.policy import Policy, person_then, today_in
from spendgate.providers.below import within
from spendgate.providers.own_hosts import provider_of_host
from spendgate.providers.registry_data import PROVIDERS
from spendgate.roster import PersonMatch
from spendgate.selector import PLAN, Facts

MACHINE: Final = "laptop"
METERED: Final = "metered"
NOBODY: Final = "unknown"
OF_THE_ROSTER: Final = {"team": "person", "group": "person", "machine_group": "machine"}
"""What no call says of itself: the policy knows it, by the person or the machine."""
OWN: Final = "a session of its own"
"""The session of a call of which none is said."""
_MAKERS: Final = (
    ("claude", "anthropic"), ("gpt", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
    ("gemini", "google"), ("mistral", "mistral"), ("deepseek", "deepseek"),
)  # fmt: skip
"""Who sells a family at hosts of its own: how its names begin, and the provider."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that somebody asks about, as its rules see it."""

    said: Mapping[str, str]
    """What was said of it: attribute to value."""
    who: PersonMatch
    facts: Facts
    listed: bool
    """The policy lists the person, on that day."""
    this_machine: bool = False
    """The machine is the one on which it is asked, not one that stands for any."""

    @property
    def assumed(self) -> frozenset[str]:
        """The attributes that it has though nobody said them."""
        return frozenset({"machine", "session", "billing", "provider"} - self.said.keys()) & self.facts.values.keys()

    def words(self, policy: Policy, cost_nanos: int | None) -> str:
        """All of it, and how each part is known. `cost_nanos` None: nobody said."""
        parts = [
            self._person(policy),
            f"model {self.said['model']}" if "model" in self.said else "no model said: it may be any",
            f"tool {self.said['tool']}" if "tool" in self.said else "no tool said",
            self._provider(),
            f"billing {self.said['billing']}" if "billing" in self.said else f"billing {METERED} (assumed)",
            self._machine(policy),
            f"session {self.said['session']}" if "session" in self.said else f"{OWN} (assumed)",
            *(f"{name} {self.said[name]}" for name in ("account", "project", "api_key") if name in self.said),
            *(
                f"no {name} said"
                for name in ("project", "api_key")
                if name not in self.said and _kept_per(policy, name)
            ),
            "costs next to nothing (no cost said)" if cost_nanos is None else f"costs {dollars(cost_nanos)}",
        ]
        return "; ".join(parts)

    def _person(self, policy: Policy) -> str:
        said, name = self.said.get("person"), self.who.person
        parts = [f"the account {said}"] if said is not None and said.casefold() != name.casefold() else []
        parts += [f"team {' in '.join(self.who.team)}"] if self.who.team else []
        parts += [f"groups {', '.join(self.who.groups)}"] if self.who.groups else []
        parts += ["not listed"] if policy.roster.people and not self.listed else []
        return name + (f" ({'; '.join(parts)})" if parts else "")

    def _provider(self) -> str:
        if "provider" in self.said:
            return f"provider {self.said['provider']}"
        made = maker(self.said.get("model", ""))
        return f"provider {made} (the maker of its model)" if made else "no provider said"

    def _machine(self, policy: Policy) -> str:
        groups = ", ".join(self.facts.values.get("machine_group", ()))
        parts = [] if "machine" in self.said else ["this one, assumed" if self.this_machine else "assumed"]
        parts += [f"machine group {groups}" if groups else "in no machine group"] if policy.roster.machines else []
        return f"machine {self.facts.values['machine'][0]}" + (f" ({'; '.join(parts)})" if parts else "")


def asked(policy: Policy, said: Mapping[str, str], at_ms: int, machine: str = "") -> Asked:
    """The call of which this is said, made at this time. `machine`: the one that it is made on where nobody says another."""
    values = whole(said, machine=machine)
    account = said.get("person", NOBODY)
    who = person_then(policy, account, said.get("person"), values["machine"], at_ms)
    groups = tuple(group.name for group in policy.roster.machine_groups(values["machine"]))
    own = {name: value for name, value in values.items() if name not in ("person", "model")}
    facts = Facts.of(
        model=values.get("model"), person=who.person, team=who.team, group=who.groups, machine_group=groups, **own
    )
    listed = _lists(policy, account, values["machine"], at_ms)
    return Asked(said, who, facts, listed, bool(machine) and "machine" not in said)


def whole(said: Mapping[str, str], *, session: str = OWN, machine: str = "") -> dict[str, str]:
    """What is said of a call, with what every call has besides. A provider has only one whose model tells its maker."""
    had = {"machine": machine or MACHINE, "session": session, "billing": METERED}
    made = maker(said.get("model", ""))
    return had | ({"provider": made} if made else {}) | dict(said)


def stated(provider: str, billing: str, stating: Collection[str]) -> bool:
    """Whether what such a call costs is what its provider states, whatever lists say. `stating`: the providers that do. Of a plan
    what counts is the list price."""
    return provider in stating and billing not in (PLAN, GATEWAY)


def provider_of(values: Mapping[str, str]) -> str:
    """The provider that a case names, else the maker of its model; empty where neither says."""
    return values.get("provider") or maker(values.get("model", ""))


def _kept_per(policy: Policy, attribute: str) -> bool:
    """Whether a rule asks each call for it."""
    return any(attribute in each.per for each in policy.budgets) or any(attribute in each.per for each in policy.rates)


def never_seen(policy: Policy, provider: str, billing: str = "") -> bool:
    """Whether no call of this provider is decrypted, since `capture.never` names every host of its own."""
    hosts = hosts_of(provider)
    if own_at(policy, provider):
        return False
    return billing != GATEWAY and bool(hosts) and never_at(policy, provider) == hosts


def never_at(policy: Policy, provider: str) -> tuple[str, ...]:
    """The provider's own hosts that `capture.never` names, or that are below a domain there."""
    return tuple(host for host in hosts_of(provider) if within(host, policy.capture.never))


def own_at(policy: Policy, provider: str) -> tuple[str, ...]:
    """The hosts under `capture.hosts` whose calls are this provider's, but for those that are never decrypted."""
    capture = policy.capture
    of_it = [added.host for added in capture.hosts if provider_of_host(added) == provider]
    return tuple(host for host in of_it if not within(host, capture.never))


def hosts_of(provider: str) -> tuple[str, ...]:
    """The provider's own hosts."""
    found = PROVIDERS.get(provider)
    return tuple(found.hosts) if found is not None else ()


def maker(model: str) -> str:
    """The provider that sells the model at hosts of its own; empty where its name does not say it."""
    name = family(model)
    return next((provider for beginning, provider in _MAKERS if name.startswith(beginning)), "")


def _lists(policy: Policy, account: str, machine: str, at_ms: int) -> bool:
    """Whether somebody's listing holds at that time for this account or name."""
    today, name = today_in(policy, at_ms), account.casefold()
    return policy.roster.lists(account, today=today, machine=machine) or any(
        person.name.casefold() == name and (person.until is None or today <= person.until)
        for person in policy.roster.people
    )
