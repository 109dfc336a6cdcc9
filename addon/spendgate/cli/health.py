"""What `doctor` asks of a gate beside its status: facts of the machine that the gate's own account alone can see."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from spendgate.audit_words import AuditWord
from spendgate.cli.moments import iso
from spendgate.config.paths import State
from spendgate.ledger.gates import living
from spendgate.ledger.queries import Reader
from spendgate.ledger.reserve import RESERVE_BYTES, reserve_of
from spendgate.policy import Policy
from spendgate.providers.registry import Registry
from spendgate.review.gate_changes import failure_text
from spendgate.sight import Sight
from spendgate.window import DAY_MS

FAILURES_MS = DAY_MS
"""How far back the gate's own failures are told."""


@dataclass(frozen=True, slots=True)
class Health:
    """Plain values: it may come from a service."""

    hosts: tuple[str, ...]
    """What is captured: hosts, or `*.domain`."""
    gate_pids: tuple[int, ...]
    gate_uid: int
    """Their account."""
    on_failure: str
    """What the policy in force says of calls while the gate cannot decide."""
    failures: tuple[tuple[str, str], ...] | None
    """When, and what failed and what was decided, in the last day; None: this account may not read the audit trail."""
    free_bytes: int
    """Room on the ledger's disk, for the gate's account."""
    reserve: bool
    """Whether the room for ends of calls is there."""


def gathered(state: State, policy: Policy, reader: Reader, sight: Sight, now_ms: int) -> Health:
    """Of this instant. Raises OSError."""
    reserve = reserve_of(state.ledger)
    failed = AuditWord.GATE_FAILED
    return Health(
        hosts=tuple(sorted(Registry.build(policy.capture).hosts())),
        gate_pids=reader.gate_pids(living(state.gates)),
        gate_uid=state.root.stat().st_uid,
        on_failure=failure_text(policy),
        failures=tuple(
            (iso(row["at_ms"]), str(row["detail"]))
            for row in reader.audit(now_ms - FAILURES_MS)
            if row["what"] == failed
        )
        if sight.everything
        else None,
        free_bytes=shutil.disk_usage(state.root).free,
        reserve=reserve.exists() and reserve.stat().st_size == RESERVE_BYTES,
    )
