"""Where a gate's policy comes from: what the command line names, or the URL of the trust file; and whose signatures it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spendgate.cli.wanted import Wanted
from spendgate.config import policies
from spendgate.config.bundle import Fetched
from spendgate.config.known import KNOWN
from spendgate.config.policy_url import PolicyUrl, Way
from spendgate.config.trust import Trust, trusted
from spendgate.errors import PolicyError, UsageError, Why

_UPSTREAM = "upstream:"
_AUTH = "upstream_auth="


@dataclass(frozen=True, slots=True)
class Given:
    """The policy's source: None is the embedded default. `url` asks for it where it comes from one."""

    source: policies.Source | None
    trust: Trust | None = None
    url: PolicyUrl | None = None


async def given(wanted: Wanted) -> Given:
    """A policy from a URL is asked for now where no good copy of it is kept. Raises PolicyError, StateError, UsageError."""
    trust = trusted()
    check_url(trust, wanted.policy)
    if trust is None or trust.url is None:
        if wanted.policy is None and trust is not None and trust.required:
            _name_the_machines(trust)
        return Given(None if wanted.policy is None else policies.whole(wanted.policy), trust)
    url = PolicyUrl(trust.url, trust, way(wanted))
    unasked = Fetched(trust.url)
    if policies.LastGood(wanted.state, trust).keeps(unasked, KNOWN):
        return Given(unasked, trust, url)
    return Given(await url.fetch(), trust, url)


def check_url(trust: Trust | None, policy: Path | None) -> None:
    """Raises UsageError where both say where the policy comes from."""
    if trust is not None and trust.url is not None and policy is not None:
        raise UsageError(f"--policy: {trust.file} says that the policy comes from {trust.url}; leave it out")


def _name_the_machines(trust: Trust) -> None:
    """Raises PolicyError where the organization has put a policy beside its trust file: the one built in has no signature."""
    file = Path(trust.file).with_name("policy.yaml")
    if file.exists():
        fault = f"{trust.file} asks for a signature, and the policy that is built in has none"
        raise PolicyError((f"{fault}: `--policy {file}` is this machine's",), Why.SIGNATURE)


def way(wanted: Wanted) -> Way:
    """How the gate itself gets out."""
    proxy = next((mode.removeprefix(_UPSTREAM) for mode in wanted.modes if mode.startswith(_UPSTREAM)), None)
    if proxy is None:
        return Way()
    auth = next((each.removeprefix(_AUTH) for each in wanted.sets if each.startswith(_AUTH)), None)
    user, _, password = (auth or "").partition(":")
    return Way(proxy.partition("@")[0], (user, password) if auth else None)
