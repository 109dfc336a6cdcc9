"""Which hosts a policy may name: exact ones, or all below a domain that the company owns.

The CA that a wildcard makes could sign for every name below it, so none may be another's: no public suffix, nothing under
one where others have tenants (as the list of suffixes has them), nothing under the domain of a provider that is read or one of
`shared_domains`. Whose the rest is, no list says: a reviewer does. What is never to be decrypted may be anybody's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from spendgate.config import forms
from spendgate.config.faults import shown
from spendgate.config.shared_domains import OTHERS_OWN, SHARED_PARENTS
from spendgate.config.words import host, host_name
from spendgate.providers.below import WILD


@forms.written(rf"(?:\*\.)?{forms.HOST}", "llm.acme.example", "*.ai.acme.example")
def hosts_named(text: str, *, known: Iterable[str] = ()) -> str:
    """A host's name, or `*.` and a domain; in lower case. `known`: the providers' own hosts.

    Raises ValueError for a domain below which others may have names.
    """
    if not text.startswith(WILD):
        return host(text)
    domain = host(text.removeprefix(WILD))
    named = _all().publicsuffix(domain) or domain
    own = _registered(domain)
    if own is None or _all().privatesuffix(domain) is None:
        raise ValueError(f"{shown(text)}: {domain} is a public suffix, under which others have names; name each host")
    if named != _registries().publicsuffix(domain):
        raise ValueError(f"{shown(text)}: {named} has tenants, whose names are not your own; name each host")
    if own in _others(frozenset(known)):
        raise ValueError(f"{shown(text)}: {own} belongs to a provider, a cloud or a service of many; name each host")
    return WILD + domain


@forms.same_as(hosts_named)
def hosts_left(text: str) -> str:
    """A host's name, or `*.` and a domain, whosever: what stays closed. Raises ValueError for what names no host."""
    name = host_name(text.removeprefix(WILD))
    return WILD + name if text.startswith(WILD) else name


def others_have(domain: str) -> bool:
    """Whether others have names below it: a public suffix, or one that a service gives its tenants names under."""
    return _all().privatesuffix(domain.strip(".")) is None


def _registered(domain: str) -> str | None:
    """What its owner has registered: `acme.example` of `ai.acme.example`."""
    return _registries().privatesuffix(domain)


@lru_cache(maxsize=4)
def _others(known: frozenset[str]) -> frozenset[str]:
    """The registered domains of clouds, of services of many, and of providers."""
    names = (*SHARED_PARENTS, *OTHERS_OWN, *known)
    return frozenset(found for name in names if (found := _registered(name)) is not None)


# Reading the list takes a tenth of a second, which a policy without a wildcard does not pay.
@lru_cache(maxsize=1)
def _all() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=1)
def _registries() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)
