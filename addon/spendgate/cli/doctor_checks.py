"""The gate's own state as checks: what `status` and `health` say, judged. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from spendgate.capture.coverage import FAILED, Gap
from spendgate.capture.unreached import REMEDIES
from spendgate.cli import not_signed
from spendgate.cli.captured import CHOSEN, TRUST, UNSURE
from spendgate.cli.health import Health
from spendgate.cli.report import Report
from spendgate.doctor.interface import Check, State
from spendgate.errors import Why
from spendgate.plural import counted
from spendgate.window import DAY_MS

CA_DAYS: Final = 30
"""So many days before its end a certificate is a finding: a fleet is not done in a day."""
ROOM_BYTES: Final = 256 << 20
"""Below it a ledger's disk is as good as full: what else runs here may take the rest in a minute."""
START = "start the gate: `spendgate service status` tells of an installed one, `spendgate run` is one of your own"
_ENDS: Final = "end that program, then start the gate again"
_UNREAD: Final = {
    Gap.TRUST_REFUSED: "let the tool trust the gate: its line under tools says how",
    Gap.TRUST_SUSPECTED: "let the tool trust the gate: its line under tools says how",
    Gap.OUTSIDE_CA: f"the CA is older than the policy's hosts: {not_signed.REMEDY}",
    Gap.NO_CERTIFICATE: f"the CA is older than the policy's hosts: {not_signed.REMEDY}",
    Gap.HIDDEN_NAME: "turn encrypted client hello off for the tool, or DNS over HTTPS, which gives it the key",
    Gap.NO_SNI: "the tool names no host in its TLS hello; use it with a name instead of an address",
    Gap.QUIC: "turn QUIC (HTTP/3) off for the tool, so that it uses TCP",
    Gap.BEHIND_ANOTHER: "have the tool open a connection of its own for the host",
    Gap.NAMED_BROWSER: "install the browser as an administrator, or look at what bears a browser's name there",
    Gap.NO_PROCESS: "the gate could not see the process: run it with the rights that transparent capture has",
}
_ANY = "see `spendgate status`; what cannot be read shows on the provider's bill"


def running(report: Report) -> Iterator[Check]:
    """Whether a gate is up, and by which policy."""
    if not report.gates or report.said is None:
        yield Check("gate", "gate", State.FINDING, "no gate runs on this ledger: nothing is captured", START)
    else:
        modes = ", ".join(dict.fromkeys(report.said.modes))  # transparent listens once for each version of IP
        yield Check("gate", "gate", State.FINE, f"up ({modes})")
    for line in report.taken:
        yield Check("gate.ports", "gate", State.FINDING, line, _ENDS)
    for other in report.other_gates:
        yield Check("gate.others", "gate", State.FINDING, other, "start both with the same `--policy`, or end one")
    source = report.said.source if report.said else "not started yet"
    said = f"{source}, in force as {report.policy.hash}, {report.policy.mode}"
    faults = report.said.refused if report.said else ()
    why = report.said.refused_why if report.said else ""
    for fault in faults:
        what = "no newer policy can be fetched" if why == Why.UNREACHED else "a newer policy is refused"
        says = f"{what} ({fault}); the last good one goes on: {said}"
        yield Check("gate.policy", source, State.FINDING, says, _mends(source, why))
    if report.gates and report.said and report.said.not_signed:
        says = not_signed.said(report.said.not_signed).removesuffix(f"; {not_signed.REMEDY}")
        yield Check("gate.hosts", "gate", State.FINDING, says, not_signed.REMEDY)
    for notice in report.notices:
        yield Check("gate.policy", source, State.FINDING, notice, f"ask its owner, {report.policy.owner}")
    if not faults and not report.notices:
        yield Check("gate.policy", source, State.FINE, said)


def _mends(source: str, why: str) -> str:
    """What mends a policy that was refused. Commands read files: of a URL they are asked about what was put there."""
    if why == Why.UNREACHED:
        return "look at its server and the way there; the gate asks again by itself"
    command = "verify" if why in (Why.SIGNATURE, Why.REVISION) else "check"  # `check` looks at no signature
    if source.startswith("https://"):
        return (
            f"`spendgate policy {command}` on the file that is published there; then publish it and its signature anew"
        )
    return f"mend it: `spendgate policy {command} {source}`"


def kept(report: Report, health: Health) -> Iterator[Check]:
    """Ledger, disk, clock, messages, and what is decided while the gate cannot."""
    for found in report.outside.findings:
        remedy = "`spendgate audit verify`; once it is cleared up, `spendgate audit ack`"
        yield Check("gate.ledger", found.what.value, State.FINDING, found.detail, remedy)
    off_ms = report.outside.clock.off_ms if report.outside.clock else None
    if off_ms is not None:
        says = f"this machine's clock is {off_ms // 1000:+d} s off: windows do not follow it"
        yield Check("gate.clock", "clock", State.FINDING, says, "let the machine take its time from the network")
    yield _disk(health)
    yield from _failures(health)
    number, why = report.undelivered
    if health.failures is None:
        yield Check("gate.deliveries", "alerts", State.UNSEEN, "whether alerts arrive is for admins to see")
    elif number:
        says = f"{number} message{'s' if number > 1 else ''} not delivered ({'; '.join(why[:2]) or 'not sent yet'})"
        yield Check(
            "gate.deliveries", "alerts", State.FINDING, says, "see `spendgate alerts list`, and mend the receiver"
        )
    else:
        none = "no message goes to anybody: the policy has no `notify`"
        yield Check(
            "gate.deliveries", "alerts", State.FINE, "every message has arrived" if report.policy.receivers else none
        )


def _disk(health: Health) -> Check:
    room = f"{health.free_bytes >> 20:,} MiB are free"
    if health.free_bytes >= ROOM_BYTES and health.reserve:
        return Check("gate.disk", "disk", State.FINE, room)
    gone = "" if health.reserve else ", and the room for the ends of calls is given back"
    says = f"the ledger's disk is full or nearly so: {room}{gone}; calls that it cannot take: {health.on_failure} (on_failure)"
    return Check("gate.disk", "disk", State.FINDING, says, "make room on the disk of the state directory")


def _failures(health: Health) -> Iterator[Check]:
    choice = f"while the gate cannot decide: {health.on_failure}"
    if health.failures is None:
        yield Check("gate.on_failure", "on_failure", State.UNSEEN, f"{choice}; whether it had to is for admins to see")
    elif health.failures:
        at, detail = health.failures[-1]
        times = f"{len(health.failures)} time{'s' if len(health.failures) > 1 else ''} in the last day"
        says = f"{choice}; it decided so {times}, the last one told at {at}: {detail}"
        yield Check(
            "gate.on_failure", "on_failure", State.FINDING, says, "see `spendgate audit list`, and mend what it names"
        )
    else:
        yield Check("gate.on_failure", "on_failure", State.FINE, choice)


def certificate(file: str, until: datetime, now: datetime) -> Check:
    """The authority's days."""
    days = (until - now).days
    says = f"{file} holds until {until:%Y-%m-%d}, {days} days"
    if days >= CA_DAYS:
        return Check("ca", file, State.FINE, says)
    remedy = "`spendgate ca rotate`, `spendgate ca trust`, restart the gate, then `spendgate ca untrust --old`"
    return Check("ca", file, State.FINDING, f"{says}{': nothing is captured any more' if days < 0 else ''}", remedy)


def unread(report: Report, now_ms: int, *, waits: bool = False) -> Iterator[Check]:
    """Connections to providers in the last day that could not be read; older ones stand in `status`, and so do those of a tool
    that has come to trust the gate since. `waits`: that nothing trusts it yet is told by itself."""
    for row in report.coverage:
        if row["reason"] not in CHOSEN and row["last_ms"] > now_ms - DAY_MS and not row.get("read_since"):
            if waits and row["reason"] in TRUST:
                continue
            yield _unread(row)


def _unread(row: dict[str, Any]) -> Check:
    if row["reason"] in FAILED:
        says = f"{counted(row['count'], 'call')} of {row['account']}'s {row['tool']} did not reach {row['host']}: {row['reason']}"
        return Check("gate.upstream", str(row["host"]), State.FINDING, says, REMEDIES[Gap(row["reason"])])
    remedy = _UNREAD.get(Gap(row["reason"]), _ANY) if row["reason"] in set(Gap) else _ANY
    says = f"{counted(row['count'], 'connection')} of {row['account']}'s {row['tool']} to {row['host']}"
    says += f" {'was' if row['count'] == 1 else 'were'} not read: {row['reason']}"
    if row["reason"] in UNSURE:
        # Most are a CDN's other customers, which nobody can mend; what is not shows on the provider's bill.
        return Check("coverage", str(row["tool"]), State.UNSEEN, says)
    return Check("coverage", str(row["tool"]), State.FINDING, says, remedy)
