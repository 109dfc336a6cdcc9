"""What is made of the canary calls, and of what the environment says beside them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from spendgate.doctor.environment import Proxy
from spendgate.doctor.interface import Check, Routes, State
from spendgate.doctor.routing import astray

_RESTART = "restart the gate (`spendgate service status`, or stop `spendgate run` and start it again)"
_REMEDIES = {
    "transparent": "as root look at `nft list table inet spendgate`: where its set `alive` has no elements, or there is no table,"
    f" {_RESTART}; where it has and no counter of chain `capture` grows, another table takes the traffic before (`nft list"
    " ruleset`: a VPN's or firewall's rule for port 443); under `--cgroup` this session may be outside the group",
    "local": f"mitmproxy's redirector captures nothing of this program: {_RESTART}",
}
TRANSPARENT = ("transparent", "local")
POINTED_AT = ("regular", "upstream")


def way(name: str, mode: str, *, answered: bool, readable: bool, certificate: str) -> Check:
    """One way to a gate, as a canary call through it has shown it."""
    if answered:
        return Check("way", name, State.FINE, "a canary call was answered by the gate")
    if not readable:
        says = f"the gate's certificate {certificate} cannot be read, so that nobody can trust it"
        return Check("way", name, State.FINDING, says, f"let everybody read {certificate}, then {_RESTART}")
    says = "captures nothing: a canary call there was not answered"
    return Check("way", name, State.FINDING, says, _REMEDIES.get(mode, _RESTART))


def routes(ways: Sequence[tuple[str, str]], *, java: bool, proxies: Mapping[Proxy, bool], untried: str = "") -> Routes:
    """From what was tried: `ways` are the modes and addresses of those that were answered. `untried`: why the way that takes all
    was not."""
    modes = [mode for mode, _ in ways]
    transparent = any(mode in TRANSPARENT for mode in modes)
    listener = next((address for mode, address in ways if mode in POINTED_AT), "")
    first = next(iter(proxies), None)
    return Routes(
        transparent=transparent,
        proxy=first.variable if first is not None and proxies[first] else "",
        java=java,
        listener=listener,
        strays={each.variable: each.where for each, leads in proxies.items() if not leads},
        unseen="" if transparent else untried,
    )


def environment(found: Routes, hiding: Sequence[str]) -> Iterator[Check]:
    """What the variables of this process lead to. `hiding`: entries of NO_PROXY under which a provider is."""
    to_gate = f"set it to http://{found.listener}" if found.listener else "take it away"
    for name, where in found.strays.items():
        says = f"{name} leads to {where}, where no gate answers: programs started here go around it"
        remedy = (
            f"{to_gate}; a proxy that calls must pass is the gate's to go through: `run --mode upstream:http://{where}`"
        )
        yield Check("environment.proxy", name, State.FINDING, says, remedy)
    if found.unseen and not found.proxy and not found.strays:
        yield Check("environment.proxy", "this environment", State.UNSEEN, found.unseen)
    elif not found.transparent and not found.proxy and not found.strays:
        yield Check("environment.proxy", "this environment", State.FINDING, *astray(found))
    if found.proxy:
        yield Check("environment.proxy", found.proxy, State.FINE, "a canary call through it was answered by the gate")
    if hiding and not found.transparent and not found.unseen:
        says = f"NO_PROXY has {', '.join(hiding)}, so that calls to providers go around the gate"
        yield Check("environment.no_proxy", "NO_PROXY", State.FINDING, says, "take these entries out of NO_PROXY")
