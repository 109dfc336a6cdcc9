"""What the running gate last said of itself in the state directory, so that a reading command needs no gate to ask."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from spendgate.cli.output import inert, note
from spendgate.config import policies
from spendgate.config.paths import State, write_private
from spendgate.errors import PolicyError
from spendgate.ledger.gates import living
from spendgate.policy import Policy

_MACHINE, _COMMAND = "in-force.json", "command-in-force.json"


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy in force and where it came from. Times in epoch milliseconds."""

    hash: str
    source: str
    since_ms: int
    refused: tuple[str, ...]
    """Faults of a newer file that was refused."""
    refused_ms: int | None
    machine: str
    prices: str
    modes: tuple[str, ...]
    listeners: tuple[tuple[str, str, int], ...] = ()
    """Mode, host and port of each way that a canary call can take (`alive`)."""
    ca_cert: str = ""
    """The certificate that such a call trusts."""
    instance: str = ""
    """What it is answered by this gate."""
    gate: str = ""
    """The gate, as its lock file is named."""
    included: tuple[str, ...] = ()
    """The files that the policy includes."""
    signed_by: str = ""
    """Whose signature it has."""
    certificates_of: str = ""
    """Who signed what this gate shows to clients: `device` or `organization`."""
    certificates_until_ms: int | None = None
    """While these certificates hold."""
    certificates_not_renewed: str = ""
    """Why the organization's office gave no others, though it is time."""
    not_led: str = ""
    """Why transparent capture leads nothing to it; empty: it does, where it is one of its ways."""
    command: bool = False
    """Whether it is the gate of one command (`exec`) alone."""
    containers: tuple[str, ...] = ()
    """The ranges of addresses whose connections bridges lead to it."""
    not_signed: tuple[str, ...] = ()
    """Hosts of the policy for which its CA may not sign, so that nothing to them is read."""
    refused_why: str = ""
    """In a word of `Why`, why the newer file was refused, or that none could be fetched."""
    taken: tuple[str, ...] = ()
    """Where another program listened, who, and where it listens instead."""


def _file(state: State, *, command: bool) -> Path:
    return state.root / "policy" / (_COMMAND if command else _MACHINE)


def _own(state: State, gate: str) -> Path:
    return state.gates / f"{gate}.json"


def _copy(state: State, gate: str) -> Path:
    return state.gates / f"{gate}.policy"


def tell(state: State, said: InForce, copy: bytes = b"") -> None:
    """Keep it, whole or not at all: as this gate's own, with its policy, and as the last word of its kind. Raises OSError.

    What goes for one command never takes the place of what the machine's gate has said. `copy`: `policies.InForce.copy`.
    """
    data = json.dumps(asdict(said)).encode()
    if said.gate:
        if copy:
            write_private(_copy(state, said.gate), copy)
        write_private(_own(state, said.gate), data)
    write_private(_file(state, command=said.command), data)


def forget(state: State, gate: str) -> None:
    """This gate ends: it can be asked no more."""
    for file in (_own(state, gate), _copy(state, gate)):
        with contextlib.suppress(OSError):
            file.unlink()


def told(state: State) -> InForce | None:
    """What stands for this machine: what its gate says that runs now, else one that a command runs with, else what a gate said
    last, else the gate of a command. None where none has said anything that can be read."""
    last = _read(_file(state, command=False))
    live = of_gates(state, living(state.gates))
    ours = [said for said in live if not said.command]
    if ours:
        return last if last in ours else ours[-1]
    if live:
        newest = _read(_file(state, command=True))
        return newest if newest in live else live[-1]
    return last or _read(_file(state, command=True))


def others(state: State, policy_hash: str) -> tuple[InForce, ...]:
    """The gates that run on this ledger by another policy than that of this hash, one of each policy and kind."""
    found = {(each.hash, each.source, each.command): each for each in of_gates(state, living(state.gates))}
    return tuple(each for each in found.values() if each.hash != policy_hash)


def of_gates(state: State, gates: tuple[str, ...]) -> tuple[InForce, ...]:
    """What each of these gates said last, as far as it can be read."""
    return tuple(said for gate in gates if (said := _read(_own(state, gate))) is not None)


def agreed(state: State) -> bool:
    """Whether every gate that lives here says that the same policy is in force."""
    gates = living(state.gates)
    said = of_gates(state, gates)
    return len(said) == len(gates) and len({each.hash for each in said}) <= 1


def _read(file: Path) -> InForce | None:
    try:
        kept = json.loads(file.read_bytes())
        ways = tuple((str(mode), str(host), int(port)) for mode, host, port in kept.get("listeners", ()))
        texts = {name: tuple(kept.get(name, ())) for name in ("refused", "modes", "included", "not_signed", "taken")}
        return InForce(**{**kept, **texts, "listeners": ways})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def policy(state: State) -> Policy:
    """The policy in force: the last good copy, or the embedded default where that is what runs.

    Raises PolicyError where the copy cannot be read.
    """
    said = told(state)
    if said is None or said.source == policies.DEFAULT_NAME:
        return policies.default()
    kept = policies.LastGood(state, command=said.command).policy(_own_copy(state, said))
    if kept.hash != said.hash:
        raise PolicyError((f"{state.last_good_policy}: is not the policy in force ({said.hash}); restart the gate",))
    return kept


def _own_copy(state: State, said: InForce) -> bytes:
    """The policy as the gate itself has it, while it runs; two gates that go by two files have one last good copy."""
    try:
        return _copy(state, said.gate).read_bytes() if said.gate else b""
    except OSError:
        return b""


def named(state: State) -> Policy:
    """As `policy`; says on stderr which file it is. Raises PolicyError where the copy cannot be read."""
    found, said = policy(state), told(state)
    if said is None or said.source == policies.DEFAULT_NAME:
        why = "no gate has run here yet" if said is None else "in force"
        note(f"the policy: the one that is built in ({why}); FILE names another")
    else:
        older = "; the file as it is now is refused, `spendgate status` says why" if said.refused else ""
        note(f"the policy: {inert(said.source)}, in force as {found.hash}{older}")
    return found


def since_ms(state: State) -> int:
    """Since when the policy here is in force, in epoch milliseconds; 0 where no gate has said so."""
    said = told(state)
    return said.since_ms if said is not None else 0


def machine(state: State) -> str:
    """What the gate here calls this machine; empty where none has said so."""
    said = told(state)
    return said.machine if said is not None else ""
