"""Hosts by name, or below a domain that is the company's own; nothing under which others have names."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from publicsuffixlist import PublicSuffixList

from providers.feeding import head
from spendgate.attribution import BROWSER, Peer
from spendgate.capture.browsing import for_whom
from spendgate.capture.ca import create
from spendgate.capture.scope import Decrypt, Hello, Scope, Tunnel, judge
from spendgate.cli.environment import no_proxy
from spendgate.config.domains import hosts_named
from spendgate.config.known import KNOWN
from spendgate.config.policy_file import parse_policy
from spendgate.config.shared_domains import OTHERS_OWN, SHARED_PARENTS, WITHIN
from spendgate.errors import PolicyError
from spendgate.notices import signable
from spendgate.providers.interface import Kind
from spendgate.providers.registry import Registry

FILE = """version: 1
owner: lead@acme.example
capture:
  providers: [anthropic]
  hosts:
    - {host: "*.AI.acme.example", dialect: openai, billing: gateway}
    - {host: claude.ai.acme.example, dialect: anthropic}
  never: [sso.ai.acme.example, "*.hr.ai.acme.example"]
"""
POLICY = parse_policy(FILE.encode(), known=KNOWN)
REGISTRY = Registry.build(POLICY.capture)


@pytest.mark.parametrize(
    "text",
    ["*.acme.example", "*.ai.acme.example", "*.acme.co.uk", "*.corp.internal", "*.Acme.Example.", "llm.acme.example"],
)
def test_a_domain_of_ones_own(text: str) -> None:
    assert hosts_named(text, known=KNOWN.hosts) == text.lower().rstrip(".")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("*.example", "is not a host name"),
        ("*.com", "is not a host name"),
        ("*", "is no exact host"),
        ("*.*.acme.example", "is no exact host"),
        ("llm.*.acme.example", "is no exact host"),
        ("*acme.example", "is no exact host"),
        ("*.10.0.0.1", "is an address"),
        ("*.co.uk", "under which others live"),
        ("*.gov.au", "under which others live"),
        ("*.kawasaki.jp", "is a public suffix"),
        ("*.s3.eu-west-1.amazonaws.com", "is a public suffix"),
        ("*.acme.github.io", "github.io has tenants"),
        ("*.dev.acme.vercel.app", "vercel.app has tenants"),
        ("*.openai.azure.com", "under which others live"),
        ("*.acme.openai.azure.com", "azure.com belongs to a provider, a cloud or a service of many"),
        ("*.compute.amazonaws.com", "amazonaws.com"),
        ("*.openai.com", "openai.com belongs to a provider"),
        ("*.eu.api.anthropic.com", "anthropic.com belongs to a provider"),
    ],
)
def test_what_others_may_own(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        hosts_named(text, known=KNOWN.hosts)


@pytest.mark.parametrize(
    "domain",
    [
        "google.com", "googleusercontent.com", "cursor.com", "sharepoint.com", "microsoft.com", "slack.com", "okta.com",
        "atlassian.net", "github.com", "amazon.com", "azure.com", "office.com", "salesforce.com", "cloud.microsoft",
        "microsoftonline.com", "icloud.com", "workday.com", "zoom.us", "pypi.org", "snowflakecomputing.com",
    ],
)  # fmt: skip
def test_no_wildcard_below_what_many_use(domain: str) -> None:
    """Neither all of it nor a part: a tenant's name there is not what the tenant's CA may sign for."""
    for text in (f"*.{domain}", f"*.acme.{domain}", f"*.Login.{domain.upper()}."):
        with pytest.raises(ValueError, match=r"belongs to|under which others"):
            hosts_named(text, known=KNOWN.hosts)
    assert hosts_named(f"llm.{domain}") == f"llm.{domain}"


def test_what_is_never_decrypted_may_be_anybodys() -> None:
    """It takes out, and so can only narrow what the CA may sign for."""
    never = "never: [github.com, '*.okta.com', '*.sharepoint.com', '*.anthropic.com']"
    capture = parse_policy(
        f"version: 1\nowner: lead@acme.example\ncapture: {{{never}}}\n".encode(), known=KNOWN
    ).capture
    registry = Registry.build(capture)
    assert registry.host("api.anthropic.com") is None
    assert registry.host("api.openai.com") is not None
    assert not {host for host in registry.hosts() if host.endswith("anthropic.com")}
    with pytest.raises(PolicyError, match="is an address"):
        parse_policy(FILE.replace("sso.ai.acme.example", "10.0.0.1").encode(), known=KNOWN)


def test_each_shared_domain_is_one() -> None:
    """None is a suffix, of which the list knows by itself, or stands below another one; and each is in one group only."""
    registries = PublicSuffixList(only_icann=True)
    for name in (SHARED_PARENTS | OTHERS_OWN) - WITHIN:
        assert registries.privatesuffix(name) == name
    assert not SHARED_PARENTS & OTHERS_OWN


def test_a_fault_has_its_place() -> None:
    """As every other."""
    with pytest.raises(PolicyError) as fault:
        parse_policy(FILE.replace("*.AI.acme.example", "*.github.io").encode(), known=KNOWN)
    assert "policy.yaml:6:14: capture.hosts[1].host:" in str(fault.value)


@pytest.mark.parametrize(
    ("host", "dialect"),
    [
        ("llm.ai.acme.example", "openai-chat"),
        ("a.b.ai.acme.example", "openai-chat"),
        ("claude.ai.acme.example", None),
        ("ai.acme.example", None),
        ("sso.ai.acme.example", None),
        ("pay.hr.ai.acme.example", None),
        ("notai.acme.example", None),
        ("*.ai.acme.example", None),
    ],
)
def test_what_comes_to_a_host_below_it(host: str, dialect: str | None) -> None:
    """It is read by the wildcard's dialect; a host of its own by its own, and `never` goes before both."""
    path = "/v1/chat/completions"
    if REGISTRY.host(host) is None:
        assert dialect is None
        with pytest.raises(KeyError):
            REGISTRY.route(head("POST", path, host=host))
        return
    route = REGISTRY.route(head("POST", path, host=host))
    assert (route.dialect if dialect else None) == dialect
    assert (route.billing, route.kind) == (("gateway", Kind.BILLABLE) if dialect else (None, route.kind))


def test_the_ca_can_sign_for_what_is_below_and_for_nothing_else() -> None:
    """And `check` says how far that reaches."""
    authority = create(REGISTRY.hosts(), datetime(2026, 11, 28, tzinfo=UTC))
    assert authority.covers("llm.ai.acme.example")
    assert not authority.covers("llm.acme.example")
    assert not authority.covers("xai.acme.example")
    assert "ai.acme.example and every name below, sign-in" in signable(POLICY)[0]


def test_a_browser_below_it_is_left_alone() -> None:
    """An intranet is read in browsers: only what is known to be none is decrypted, as on a provider's website."""
    wild = frozenset({"*.ai.acme.example"})
    scope = Scope(wild, sites=wild, private=wild)
    verdict = judge(scope, Hello("llm.ai.acme.example"), None)
    assert for_whom(scope, verdict, Peer(pid=7)) == Decrypt("llm.ai.acme.example")
    assert for_whom(scope, verdict, Peer(pid=7, browser=BROWSER)) == Tunnel()
    assert isinstance(for_whom(scope, verdict, Peer()), Tunnel)


def test_no_host_below_it_is_left_out_of_the_proxy() -> None:
    """`exec` takes out of NO_PROXY what would hide one."""
    kept, dropped = no_proxy("sso.corp.example,llm.ai.acme.example,.acme.example", ("*.ai.acme.example",))
    assert dropped == ("llm.ai.acme.example", ".acme.example")
    assert "sso.corp.example" in kept
