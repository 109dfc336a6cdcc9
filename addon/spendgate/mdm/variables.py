"""The variables by which runtimes trust the root, and under `proxy` find the gate: `runtimes` for a whole machine."""

from __future__ import annotations

from spendgate.mdm.places import PLACES, System
from spendgate.mdm.rollout import Mode, Rollout
from spendgate.runtimes import ADDING, LOOPBACK, PROXY, PROXY_SWITCH, REPLACING


def variables(rollout: Rollout, system: System) -> dict[str, str]:
    """Name to value. What replaces trust gets the bundle, so that no other host breaks; what adds gets the root alone."""
    places = PLACES[system]
    found = dict.fromkeys(REPLACING, places.bundle) if places.bundle else {}
    found |= {ADDING: places.root}
    if rollout.mode is Mode.PROXY:
        found |= dict.fromkeys(PROXY, proxy(rollout)) | PROXY_SWITCH
        found |= dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join((*LOOPBACK, *rollout.direct)))
    if system is System.WINDOWS:  # where names differ by more than their case
        return {name: value for name, value in found.items() if name.isupper()}
    return found


def proxy(rollout: Rollout) -> str:
    """Where the gate listens."""
    return f"http://127.0.0.1:{rollout.port}"
