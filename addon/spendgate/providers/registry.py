"""Which hosts are decrypted, and what a request to one of them is: the join of providers, hosts, paths and dialects.

The table is `registry_data`; a policy's `capture` chooses from it and adds hosts of its own. Everything here is decided once,
when a policy takes force; `route` is a dictionary look-up for the paths in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, Self

from spendgate.price_lists import Lists
from spendgate.providers.below import canonical, within
from spendgate.providers.dialects import DIALECTS
from spendgate.providers.headers import asks_websocket
from spendgate.providers.interface import Dialect, Head, Kind, Route
from spendgate.providers.own_hosts import HostPolicy, family_of, provider_of_host
from spendgate.providers.provider import Family, Provider, Rule, Site, keys_read
from spendgate.providers.registry_data import FAMILIES, PROVIDERS
from spendgate.providers.spellings import methods, paths, template

HOST_DIALECTS: Final = tuple(sorted(FAMILIES))
"""The words that a policy's `capture.hosts[].dialect` may use."""
PROVIDER_NAMES: Final = tuple(sorted(PROVIDERS))
STATING: Final = frozenset(name for name, provider in PROVIDERS.items() if provider.states_cost)
"""Those whose answers state what is billed, so that no list price bounds it."""
PROVIDER_HOSTS: Final = frozenset(host for provider in PROVIDERS.values() for host in provider.hosts)
SITES: Final = frozenset(host for each in PROVIDERS.values() if each.site is not Site.NONE for host in each.hosts)
"""Hosts that people also open in a browser."""
PRIVATE_SITES: Final = frozenset(host for each in PROVIDERS.values() if each.site is Site.MAINLY for host in each.hosts)

_PATH_MAX: Final = 512
"""A longer path is read whole, since servers fold it before they look at it, but is neither remembered nor kept in full."""
_DEAREST_FIRST: Final = (Kind.BILLABLE, Kind.RESULT, Kind.UNRECOGNIZED, Kind.FREE)
_MODEL_MAX: Final = 512
# What a GET, HEAD, OPTIONS or DELETE does never makes a model work, in any of these APIs: reading, probing, removing.
_IDLE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


class CapturePolicy(Protocol):
    """A policy's `capture`. `providers` None: all that are known."""

    @property
    def providers(self) -> Sequence[str] | None: ...
    @property
    def hosts(self) -> Sequence[HostPolicy]: ...
    @property
    def never(self) -> Sequence[str]: ...
    @property
    def stream_usage(self) -> str: ...


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A host that is decrypted."""

    host: str
    provider: str
    family: Family | Provider
    """Whose rules its paths follow."""
    prices: str
    billing: str | None = None
    said: str | None = None
    """The policy's own word for its price list, which goes before all others."""


class Registry:
    """The hosts of one policy. Immutable."""

    def __init__(self, entries: Sequence[HostEntry], never: Sequence[str] = (), *, asks_usage: bool = False) -> None:
        """`never`: what stands below a wildcard and is not decrypted all the same."""
        self._asks_usage, self._never = asks_usage, frozenset(never)
        self._entries = {entry.host: entry for entry in entries}
        # Paths in use are few, and each costs one look-up; a scan over many is bounded by the cache.
        self._found = lru_cache(maxsize=1024)(self._find)

    @classmethod
    def build(cls, capture: CapturePolicy) -> Self:
        """The registry of a policy's `capture`. Raises ValueError for a provider or dialect that is not known."""
        entries: dict[str, HostEntry] = {}
        for name in PROVIDERS if capture.providers is None else capture.providers:
            if name not in PROVIDERS:
                raise ValueError(f"no provider {name!r}; known: {', '.join(PROVIDER_NAMES)}")
            provider = PROVIDERS[name]
            for host in provider.hosts:
                entries[host] = HostEntry(host, name, provider, provider.prices)
        for added in capture.hosts:
            entries[canonical(added.host)] = _entry(added)
        never = tuple(canonical(name) for name in capture.never)
        kept = [entry for host, entry in sorted(entries.items()) if not _is_never(host, never)]
        return cls(kept, never, asks_usage=capture.stream_usage == "ask")

    def hosts(self) -> tuple[str, ...]:
        """Every host that is decrypted, in order; `*.domain` for all below it. The CA's certificate is constrained to them."""
        return tuple(self._entries)

    def host(self, name: str) -> HostEntry | None:
        """The entry of a host name in any case, without port; None: not ours, tunnelled."""
        host = canonical(name)
        found = within(host, self._entries)
        if found is None or (found != host and within(host, self._never)):
            return None
        return self._entries[found]

    def _known(self, host: str) -> HostEntry:
        found = self.host(host)
        if found is None:
            raise KeyError(host)
        return found

    def dialect(self, name: str) -> Dialect:
        """The dialect of that name. Raises KeyError."""
        return DIALECTS[name]

    def route(self, head: Head) -> Route:
        """What a request to one of `hosts` is. Raises KeyError for any other host.

        A path counts however it is spelled (percent-encoding, doubled slashes, dots, case), and a method also where it is only
        asked for (`X-HTTP-Method-Override`), since servers are lenient.
        What no rule knows is `free` if its method never makes a model work, else `unrecognized`.
        """
        websocket = head.method == "GET" and asks_websocket(head.headers.get("upgrade"))
        path = head.path if head.path != "/" else self._target(head)
        find = self._found if len(path) <= _PATH_MAX else self._find
        found = [find(canonical(head.host), method, path, websocket) for method in methods(head)]
        return found[0] if len(found) == 1 else min(found, key=lambda route: _DEAREST_FIRST.index(route.kind))

    def _target(self, head: Head) -> str:
        """The operation that a request to `/` names, as a path, where its host's protocol does so."""
        family = self._known(head.host).family
        if not (isinstance(family, Provider) and family.targets):
            return "/"
        return "/" + (head.headers.get("x-amz-target") or "").rpartition(".")[2]

    def _find(self, host: str, method: str, raw_path: str, websocket: bool) -> Route:
        entry = self._known(host)
        read = [(path, _rule(entry.family, method, path, websocket=websocket)) for path in paths(raw_path)]
        path, rule = min(read, key=lambda found: _DEAREST_FIRST.index(found[1].kind))
        named = rule.match(path)
        model = named.groupdict().get("model") if named else None
        others = [found["model"] for at, each in read if (found := _names(each, at)) and found["model"] != model]
        return Route(
            provider=entry.provider,
            dialect=rule.dialect or entry.family.dialect,
            kind=rule.kind,
            path=template(path.lower())[:_PATH_MAX],
            websocket=websocket and rule.kind is Kind.BILLABLE,
            model=model[:_MODEL_MAX] if model else None,
            also=tuple(dict.fromkeys([other[:_MODEL_MAX] for other in others])),
            prices=_prices(entry, rule),
            billing="subscription" if rule.plan else entry.billing,
            states_cost=isinstance(entry.family, Provider) and entry.family.states_cost,
            keys=keys_read(entry.family, rule.dialect or entry.family.dialect),
            own=isinstance(entry.family, Family),
            asks_usage=self._asks_usage and isinstance(entry.family, Provider) and entry.family.usage_when_asked,
        )


def _entry(added: HostPolicy) -> HostEntry:
    host = canonical(added.host)
    if added.dialect not in FAMILIES:
        raise ValueError(f"no dialect {added.dialect!r} for {host}; known: {', '.join(HOST_DIALECTS)}")
    family = FAMILIES[family_of(added)]
    provider = provider_of_host(added)
    return HostEntry(host, provider, family, provider, added.billing, added.prices)


def _prices(entry: HostEntry, rule: Rule) -> str | Lists | None:
    """Where the price of a call is looked for; None: in the list that is called as its provider is."""
    if isinstance(entry.family, Family):
        usual = (rule.prices, entry.family.prices) if rule.prices else (entry.family.prices,)
        return Lists(usual, entry.said)
    if entry.family.makers:
        return Lists((entry.prices,), entry.prices)
    return rule.prices or (None if entry.prices == entry.provider else entry.prices)


def _is_never(host: str, never: Sequence[str]) -> bool:
    return any(host == name or (name.startswith("*.") and host.endswith(name[1:])) for name in never)


_IDLE: Final = Rule("", Kind.FREE)
_UNKNOWN: Final = Rule("", Kind.UNRECOGNIZED)


def _names(rule: Rule, path: str) -> dict[str, str]:
    """The model that a billable rule finds in a path, if it finds one."""
    named = rule.match(path) if rule.kind is Kind.BILLABLE else None
    model = named.groupdict().get("model") if named else None
    return {"model": model} if model else {}


def _rule(family: Family | Provider, method: str, path: str, *, websocket: bool) -> Rule:
    """The first rule that fits, or what no rule knows."""
    for rule in family.rules:
        if (rule.websocket if websocket else rule.method == method) and rule.match(path):
            return rule
    return _IDLE if method in _IDLE_METHODS and not websocket else _UNKNOWN
