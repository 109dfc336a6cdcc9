"""Whether a gate has a certificate to show that its clients trust. While it has none, transparent capture leads nothing to it.

Traffic then goes direct, or is refused where the policy's `on_failure` says so, as where the gate is gone: led to it, calls would
fail at its certificate, or pass unread through it.
"""

from __future__ import annotations

from spendgate.audit_words import AuditWord
from spendgate.capture.leaves import Leaves
from spendgate.cli import awaiting
from spendgate.cli.house import House
from spendgate.cli.output import note
from spendgate.config.reading import apart
from spendgate.gate.gate import Gate


async def look(house: House, gate: Gate) -> None:
    """See whether it is so, and tell where that has changed."""
    if not house.wanted.transparent:
        return
    why = await apart(lambda: why_not(house))
    if why == house.serves_none:
        return
    house.serves_none = why
    if why:
        gate.audit(AuditWord.CAPTURE_PAUSED, why)
        note(f"no traffic is led to this gate: {why}")
    else:
        note("traffic is led to this gate")
    house.tell()


def why_not(house: House) -> str:
    """Empty: it can serve."""
    if isinstance(house.authority, Leaves):
        return "" if house.authority.any_holds else awaiting.ENDED
    # It is this process's own that clients are shown, whatever the file says by now.
    if awaiting.installed_at(str(house.ca_cert)):
        return awaiting.INSTALLED
    return awaiting.WAITS if awaiting.waits_at(str(house.ca_cert)) else ""
