"""Why a request went around the gate: what proves first, then what fits the time, then what fits the session."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconcile.logs import AT, SECRET, iso
from spendgate.audit_words import AuditWord
from spendgate.reconcile.witnesses import trail
from spendgate.reconcile.witnesses.interface import Seen
from spendgate.reconcile.witnesses.trail import Failure, GateRun
from spendgate.reconcile.witnesses.whys import REMEDIES, Blind, Firm, Known, Why, why
from spendgate.usage import Usage

SEEN = Seen("claude-code", "claude-code", AT, "s-1", "claude-opus-4-8", Usage(output_tokens=5), "msg_1", "req_1")
RUN = GateRun(3, AT - 60_000, None)
RUNNING = Known(runs=(RUN,))
BLIND = Blind("claude-code", "api.anthropic.com", "the tool refused the certificate", 4, AT - 10, AT + 10)


@pytest.mark.parametrize(
    ("known", "expected", "firm", "words"),
    [
        (RUNNING, Why.OUTSIDE, Firm.LIKELY, "no call of this session"),
        (Known(), Why.NO_GATE, Firm.CERTAIN, "no gate of this ledger had run before, and none has started since"),
        (Known(runs=(GateRun(1, AT - 9_000, AT - 5_000), GateRun(2, AT + 5_000, None))), Why.NO_GATE, Firm.CERTAIN,
         "stopped at 2026-11-22 01:59:55Z, the next started at 2026-11-22 02:00:05Z"),
        (Known(runs=(GateRun(1, AT - 9_000, AT - 5_000, AT + 5_000),)), Why.NO_GATE, Firm.LIKELY, "gate 1 died: its last sign"),
        (Known(merged=True), Why.UNTOLD, Firm.POSSIBLE, "none of theirs says which laptop it is of"),
        (Known(merged=True, metered={"s-1": 7}), Why.OTHER_WAY, Firm.LIKELY, "7 other calls of its session"),
        (replace(RUNNING, began={"s-1": AT - 90_000}), Why.OLDER_SESSION, Firm.LIKELY, "gate 3 started at 2026-11-22 01:59:00Z"),
        (replace(RUNNING, metered={"s-1": 7}), Why.OTHER_WAY, Firm.LIKELY, "7 other calls of its session"),
        (replace(RUNNING, hidden={"claude-code": ("*.anthropic.com",)}), Why.NO_PROXY, Firm.POSSIBLE, "has *.anthropic.com"),
        (replace(RUNNING, blind=(BLIND,)), Why.NOT_DECRYPTED, Firm.LIKELY, "4 connections of claude-code to api.anthropic.com"),
        (replace(RUNNING, failures=(Failure(AT - 5, AT + 5, 2),)), Why.GATE_FAILED, Firm.POSSIBLE, "let pass without the ledger"),
        (replace(RUNNING, unknown={"s-1": (AT - 9, AT + 9, 5)}), Why.UNRECOGNIZED, Firm.POSSIBLE, "2 unrecognized requests"),
        (replace(RUNNING, elsewhere={"msg_1": "the service"}), Why.OTHER_LEDGER, Firm.CERTAIN, "the ledger of the service"),
        (replace(RUNNING, elsewhere={"req_1": "the service"}), Why.OTHER_LEDGER, Firm.CERTAIN, "the ledger of the service"),
    ],
)  # fmt: skip
def test_each_reason_has_its_evidence(known: Known, expected: Why, firm: Firm, words: str) -> None:
    reason = why(SEEN, known)
    assert (reason.why, reason.firm) == (expected, firm)
    assert words in reason.evidence
    assert reason.remedy == REMEDIES[expected]


@pytest.mark.parametrize(
    "known",
    [
        replace(RUNNING, began={"s-1": AT - 10}),
        replace(RUNNING, began={"s-2": AT - 90_000}, metered={"s-2": 3}),
        replace(RUNNING, hidden={"codex": ("*.openai.com",)}),
        replace(RUNNING, blind=(replace(BLIND, tool="codex"), replace(BLIND, last_ms=AT - 1))),
        replace(RUNNING, failures=(Failure(AT + 1, AT + 5, 2),)),
        replace(RUNNING, elsewhere={"msg_2": "the service"}),
        replace(RUNNING, unknown={"s-1": (5,), "s-2": (AT,)}),
    ],
)
def test_what_does_not_fit_is_no_reason(known: Known) -> None:
    """Another session's, tool's or time's."""
    assert why(SEEN, known).why is Why.OUTSIDE


def test_what_proves_goes_before_what_fits() -> None:
    """All at once; then each strongest one taken away."""
    known = Known(
        runs=(RUN,), failures=(Failure(AT, AT, 1),), blind=(BLIND,), began={"s-1": 0}, metered={}, elsewhere={"msg_1": "x"},
        hidden={"claude-code": ("*",)},
    )  # fmt: skip
    order = []
    for name in ("elsewhere", "blind", "failures", "began", "hidden", "runs"):
        order.append(why(SEEN, known).why)
        known = replace(known, **{name: type(getattr(known, name))()})
    assert order == [
        Why.OTHER_LEDGER, Why.NOT_DECRYPTED, Why.GATE_FAILED, Why.OLDER_SESSION, Why.NO_PROXY, Why.OUTSIDE,
    ]  # fmt: skip
    assert why(SEEN, known).why is Why.NO_GATE


@pytest.mark.parametrize(("begin", "name"), [("msg_bdrk_01", "Amazon Bedrock"), ("msg_vrtx_01", "Google Vertex AI")])
def test_an_answer_of_a_cloud_says_so_itself(begin: str, name: str) -> None:
    reason = why(replace(SEEN, response_id=begin), Known())
    assert (reason.why, reason.firm) == (Why.OTHER_CLOUD, Firm.CERTAIN)
    assert name in reason.evidence


def line(what: AuditWord, at_ms: int, detail: str) -> dict[str, Any]:
    return {"what": what.value, "at_ms": at_ms, "detail": detail}


def test_the_audit_trail_tells_when_gates_ran() -> None:
    """In the gate's own words; two at once; one that died, by its last call."""
    lines = [
        line(AuditWord.GATE_STARTED, 10, "gate 1, process 7, Spendgate 0.6.0; 3 d after the last look"),
        line(AuditWord.GATE_STARTED, 20, "gate 2, process 8, Spendgate 0.6.0"),
        line(AuditWord.POLICY_IN_FORCE, 21, SECRET),
        line(AuditWord.GATE_STOPPED, 30, "gate 1, 2 calls open"),
        line(AuditWord.GATE_DIED, 90, "gate 2: 1 of its calls had left and are charged, 0 had not"),
        line(AuditWord.GATE_DIED, 91, "gate 9: of another time"),
        line(AuditWord.GATE_STARTED, 92, "gate 3, process 9, Spendgate 0.6.0"),
        line(AuditWord.GATE_STARTED, 93, "no number"),
    ]
    runs = trail.runs(lines, {2: 55})
    assert runs == (GateRun(1, 10, 30), GateRun(2, 20, 55, 90), GateRun(3, 92, None))
    assert [[run.gate for run in runs if run.covers(at)] for at in (9, 25, 55, 56, 95)] == [[], [1, 2], [2], [], [3]]
    assert trail.runs(lines[:5], {})[1] == GateRun(2, 20, 20, 90)


def test_the_audit_trail_tells_what_was_let_pass() -> None:
    told = "from {} to {}: disk is full; on_failure allowed {} calls, refused 0 calls"
    lines = [
        line(AuditWord.GATE_FAILED, 1, told.format(iso(AT), iso(AT + 9), 2)),
        line(AuditWord.GATE_FAILED, 1, told.format(iso(AT), iso(AT + 9), 0)),
        line(AuditWord.GATE_FAILED, 1, told.format("once", "later", 2)),
    ]
    assert trail.failures(lines) == (Failure(AT, AT + 9, 2),)
