"""Why a request went around the gate: the strongest of what this laptop still shows of it. Pure.

A log proves that a request was made and the ledger that it did not pass; why is a conclusion, and says how firm it is. What
proves goes first, then what fits the time, then what fits the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from spendgate.plural import counted
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.reconcile.witnesses.matching import NEAR_MS
from spendgate.reconcile.witnesses.trail import Failure, GateRun


class Why(StrEnum):
    """How a request came to pass no gate, or another one."""

    OTHER_LEDGER = "another state directory"
    NO_GATE = "no gate was running"
    UNTOLD = "a merged ledger: when this laptop's gate ran is not known"
    NOT_DECRYPTED = "connection not decrypted"
    GATE_FAILED = "ledger was failing"
    UNRECOGNIZED = "passed unrecognized"
    OTHER_CLOUD = "another provider's endpoint"
    OLDER_SESSION = "begun before the gate"
    NO_PROXY = "NO_PROXY"
    OTHER_WAY = "another way of a metered session"
    OUTSIDE = "started without the gate's proxy"


class Firm(StrEnum):
    """How firm a reason is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


REMEDIES: Final[Mapping[Why, str]] = {
    Why.OTHER_LEDGER: "read both as one (`spendgate ledger merge`), or run tools with one state directory",
    Why.NO_GATE: "run the gate as a service, so that it is there before any tool",
    Why.UNTOLD: "run `spendgate reconcile witness` on this laptop's own ledger (`--state`): its trail has when its gate ran",
    Why.NOT_DECRYPTED: "give the tool the certificate (`spendgate ca`), or see `spendgate status` for what it pins",
    Why.GATE_FAILED: "see `spendgate audit list` for what failed; `on_failure` decides what passes meanwhile",
    Why.UNRECOGNIZED: "see `spendgate calls --where state=unrecognized`: a new endpoint, which Spendgate must learn",
    Why.OTHER_CLOUD: "name the endpoint's host under `capture` in the policy",
    Why.OLDER_SESSION: "end the tool and start it again through the gate",
    Why.NO_PROXY: "take the provider out of NO_PROXY, or start the tool with `spendgate exec`",
    Why.OTHER_WAY: "look for what the session starts by itself, with an environment of its own",
    Why.OUTSIDE: "start the tool with `spendgate exec`, or set the proxy for the whole account",
}
TOLD: Final[Mapping[Why, str]] = {
    Why.OTHER_LEDGER: "in another ledger of this machine, not in this one",
    Why.NO_GATE: "no gate was running",
    Why.UNTOLD: "not in this merged ledger, which does not tell when this laptop's gate ran",
    Why.NOT_DECRYPTED: "on a connection of the tool's that the gate could not read",
    Why.GATE_FAILED: "let pass while the ledger was failing",
    Why.UNRECOGNIZED: "passed the gate, which knew no such request",
    Why.OTHER_CLOUD: "sent to another provider's endpoint, which is not captured",
    Why.OLDER_SESSION: "of a session that began before the gate",
    Why.NO_PROXY: "sent directly, since NO_PROXY has the provider",
    Why.OTHER_WAY: "sent by another way than the metered calls of the same session",
    Why.OUTSIDE: "of a tool that was started without the gate's proxy",
}
"""The same as a phrase for people: a request, …"""
_CLOUDS: Final = {"msg_bdrk_": "Amazon Bedrock", "msg_vrtx_": "Google Vertex AI"}


class Reason(Struct, frozen=True):
    """Why, with what shows it."""

    why: Why
    firm: Firm
    evidence: str
    """One sentence with times and names, without a path."""

    @property
    def remedy(self) -> str:
        """What to do."""
        return REMEDIES[self.why]


class Blind(Struct, frozen=True):
    """Connections of a tool to a provider that the gate could not read (`Reader.coverage`)."""

    tool: str
    host: str
    reason: str
    count: int
    first_ms: int
    last_ms: int


class Known(Struct, frozen=True):
    """What this laptop shows."""

    merged: bool = False
    """A ledger merged of several laptops': whose gate ran when, of these, nothing tells."""
    runs: tuple[GateRun, ...] = ()
    failures: tuple[Failure, ...] = ()
    blind: tuple[Blind, ...] = ()
    began: Mapping[str, int] = {}
    """The first request of each session that a log has."""
    metered: Mapping[str, int] = {}
    """How many calls the ledger has of each session."""
    unknown: Mapping[str, tuple[int, ...]] = {}
    """When requests of a session passed that nobody knows."""
    elsewhere: Mapping[str, str] = {}
    """Ids of responses and requests that another ledger on this laptop has, and whose that is."""
    hidden: Mapping[str, tuple[str, ...]] = {}
    """Of each tool: entries of this shell's NO_PROXY that hide where it asks."""


def why(seen: Seen, known: Known) -> Reason:
    """The strongest reason that fits."""
    run = next((one for one in reversed(known.runs) if one.covers(seen.at_ms)), None)
    return (
        _elsewhere(seen, known)
        or _cloud(seen)
        or (_no_gate(seen, known) if run is None and not known.merged else None)
        or _blind(seen, known)
        or _unknown(seen, known)
        or _failing(seen, known)
        or (_older(seen, known, run) if run is not None else None)
        or _same_session(seen, known)
        or _hidden(seen, known)
        or (_untold() if known.merged else None)
        or Reason(
            Why.OUTSIDE,
            Firm.LIKELY,
            "a gate was running, and its ledger has no call of this session" if seen.session else "a gate was running",
        )
    )


def _elsewhere(seen: Seen, known: Known) -> Reason | None:
    whose = known.elsewhere.get(seen.response_id or "") or known.elsewhere.get(seen.request_id or "")
    return Reason(Why.OTHER_LEDGER, Firm.CERTAIN, f"the ledger of {whose} has its id") if whose else None


def _cloud(seen: Seen) -> Reason | None:
    name = next((name for begin, name in _CLOUDS.items() if (seen.response_id or "").startswith(begin)), None)
    return Reason(Why.OTHER_CLOUD, Firm.CERTAIN, f"its id is one of {name}'s") if name else None


def _no_gate(seen: Seen, known: Known) -> Reason:
    """No gate of this ledger ran: between which."""
    before = [one for one in known.runs if one.until_ms is not None and one.until_ms < seen.at_ms]
    after = [one.from_ms for one in known.runs if one.from_ms > seen.at_ms]
    last = max(before, key=lambda one: one.until_ms or 0, default=None)
    until = f", the next started at {_at(min(after))}" if after else ", and none has started since"
    if last is None:
        return Reason(Why.NO_GATE, Firm.CERTAIN, f"no gate of this ledger had run before{until}")
    if last.died_ms is not None and seen.at_ms <= last.died_ms:
        died = f"gate {last.gate} died: its last sign is of {_at(last.until_ms)}, noticed at {_at(last.died_ms)}"
        return Reason(Why.NO_GATE, Firm.LIKELY, f"{died}{until}")
    return Reason(Why.NO_GATE, Firm.CERTAIN, f"the last gate before it stopped at {_at(last.until_ms)}{until}")


def _untold() -> Reason:
    """The trails of a merged ledger's sources name gates, and none names this laptop."""
    told = "this ledger was merged of several: its trail has no start of a gate, and none of theirs says which laptop it is of"
    return Reason(Why.UNTOLD, Firm.POSSIBLE, told)


def _blind(seen: Seen, known: Known) -> Reason | None:
    for each in known.blind:
        if each.tool == seen.tool and each.first_ms <= seen.at_ms <= each.last_ms:
            times = f"between {_at(each.first_ms)} and {_at(each.last_ms)}"
            told = f"{counted(each.count, 'connection')} of {each.tool} to {each.host} could not be read {times}: {each.reason}"
            return Reason(Why.NOT_DECRYPTED, Firm.LIKELY, told)
    return None


def _unknown(seen: Seen, known: Known) -> Reason | None:
    near = [at_ms for at_ms in known.unknown.get(seen.session or "", ()) if abs(at_ms - seen.at_ms) <= NEAR_MS]
    if not near:
        return None
    return Reason(
        Why.UNRECOGNIZED,
        Firm.POSSIBLE,
        f"{counted(len(near), 'unrecognized request')} of its session passed the gate at that time",
    )


def _failing(seen: Seen, known: Known) -> Reason | None:
    for each in known.failures:
        if each.from_ms <= seen.at_ms <= each.until_ms:
            times = f"from {_at(each.from_ms)} to {_at(each.until_ms)}"
            return Reason(
                Why.GATE_FAILED, Firm.POSSIBLE, f"let pass without the ledger {times}: {counted(each.allowed, 'call')}"
            )
    return None


def _older(seen: Seen, known: Known, run: GateRun) -> Reason | None:
    began = known.began.get(seen.session or "")
    if began is None or began >= run.from_ms or seen.session in known.metered:
        return None
    told = f"its session was there at {_at(began)}, gate {run.gate} started at {_at(run.from_ms)}"
    return Reason(Why.OLDER_SESSION, Firm.LIKELY, told)


def _same_session(seen: Seen, known: Known) -> Reason | None:
    others = known.metered.get(seen.session or "", 0)
    if not others:
        return None
    return Reason(Why.OTHER_WAY, Firm.LIKELY, f"the ledger has {counted(others, 'other call')} of its session")


def _hidden(seen: Seen, known: Known) -> Reason | None:
    entries = known.hidden.get(seen.tool, ())
    if not entries:
        return None
    return Reason(Why.NO_PROXY, Firm.POSSIBLE, f"NO_PROXY of this shell has {', '.join(entries)}")


def _at(ms: int | None) -> str:
    return "an unknown time" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"
