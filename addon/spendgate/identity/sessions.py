"""Which session a call belongs to (policy.md, Missing values): what the client claims, else its process, else the person and
tool with a gap of 30 minutes. A session known by process or gap carries the machine, so that it is no other machine's."""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from spendgate.attribution import Evidence, Peer
from spendgate.providers.ask import Claim

GAP_MS = 30 * 60 * 1000
_KEPT_MAX = 4096


@dataclass(slots=True)
class _Run:
    """Calls of one person with one tool, never 30 minutes apart. Epoch milliseconds."""

    began_ms: int
    last_ms: int


class Sessions:
    """Remembers the runs of calls that have neither a claimed session nor a process. Starts anew with the gate."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, str], _Run] = OrderedDict()

    def of(self, claim: Claim, peer: Peer, machine: str, who: tuple[str, str | None], now_ms: int) -> Claim:
        """The session and how it is known. `who` is person and tool. Never without a value."""
        if claim.value:
            return claim
        if peer.pid is not None and peer.started_ms is not None:
            return Claim(f"process {peer.pid} of {_at(peer.started_ms)} on {machine[:8]}", Evidence.PROCESS)
        person, tool = who[0], who[1] or "unknown tool"
        return Claim(
            f"{person} with {tool} from {_at(self._began(person, tool, now_ms))} on {machine[:8]}", Evidence.NONE
        )

    def _began(self, person: str, tool: str, now_ms: int) -> int:
        run = self._runs.get((person, tool))
        if run is None or now_ms - run.last_ms > GAP_MS:
            run = self._runs[person, tool] = _Run(now_ms, now_ms)
        run.last_ms = now_ms  # also where the clock was set back: the gap is counted from the last call made
        self._runs.move_to_end((person, tool))
        if len(self._runs) > _KEPT_MAX:
            self._runs.popitem(last=False)
        return run.began_ms


@functools.lru_cache(maxsize=1024)
def _at(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
