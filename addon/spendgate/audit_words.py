"""The fixed words of the audit trail: what can have happened beside calls. Words are added, never changed."""

from __future__ import annotations

from enum import StrEnum


class AuditWord(StrEnum):
    """What an audit line is about. Its `detail` has the figures."""

    GATE_STARTED = "gate started"
    GATE_STOPPED = "gate stopped"
    GATE_DIED = "gate died"
    """A gate's lock could be taken: another gate has ended its open calls."""
    POLICY_IN_FORCE = "policy in force"
    POLICY_REFUSED = "policy refused"
    POLICY_ENDED = "policy ended"
    MODE_CHANGED = "mode changed"
    """What the policy in force makes of what does not fit: `enforce` or `observe`."""
    GATE_FAILED = "gate failed"
    """The ledger could not be written, or a call not be asked about: from when to when, and what `on_failure` decided."""
    LEDGER_NEW = "ledger new"
    """A ledger without a row where one with rows was."""
    LEDGER_OTHER = "ledger other"
    """A ledger with another id than the one that was here."""
    LEDGER_SHRUNKEN = "ledger shrunken"
    """Fewer links or audit lines than were seen before."""
    LEDGER_ALTERED = "ledger altered"
    """The link or audit line that was seen last is another one now."""
    BALANCE_ALTERED = "balance altered"
    """A budget's sum is not what its calls make."""
    LEDGER_GONE = "ledger gone"
    """The file was removed or put aside while a gate writes to it."""
    HEADS_MISSING = "heads missing"
    """What was remembered of the ledger outside it is gone or cannot be read."""
    ACKNOWLEDGED = "acknowledged"
    """Somebody has taken note of what was found about the ledger."""
    CLOCK_STEPPED = "clock stepped"
    CLOCK_OFF = "clock off"
    """The wall clock is far off the providers' dates: windows follow the providers from here on."""
    CLOCK_RIGHT = "clock right"
    """It is not any more: windows follow the wall clock again."""
    ASK = "ask"
    """More was asked for. Before it had a word of its own such a line was one of `grant`."""
    GRANT = "grant"
    """More was granted, refused, used or ended."""
    CERTIFICATES_IN_FORCE = "certificates in force"
    """What an organization issued to this device is shown to clients from here on."""
    CERTIFICATES_REFUSED = "certificates refused"
    """A newer file of it cannot take force; the one before stays."""
    CERTIFICATES_NOT_RENEWED = "certificates not renewed"
    """It is time for others, and the organization's office gave none: until when these hold, and why."""
    CERTIFICATES_END = "certificates end"
    """What is shown to clients ends soon, or has ended: of whom, and when."""
    CAPTURE_PAUSED = "capture paused"
    """Transparent capture leads nothing to this gate from here on, since it has no certificate to show: why."""
    CAPTURE_LAPSED = "capture lapsed"
    """Transparent capture led nothing to a gate: from when to when, why, and whether calls to providers were refused."""
    PORT_TAKEN = "port taken"
    """Another program listened where the gate was to: who, and where the gate listens instead."""
    TRAIL_CHAINED = "trail chained"
    """The lines before are of a version that did not chain them: nothing proves that they were not changed before this one."""
    IMPORTED = "statement imported"
    """A provider's bill was taken in: from where, how many lines, and the hash of what was read."""
    UNCAPTURED = "billed, not captured"
    """What bills have of some days and no call, as budgets with `counts: billed` and `spend` have it from here on."""
    CALIBRATED = "estimates calibrated"
    """By what estimates of a tool and model are multiplied from here on, and what that rests on."""
    ALERT = "alert"
    """Somebody is to be told: of what, and to which receivers it goes."""
    ALERT_NOT_DELIVERED = "alert not delivered"
    """A receiver did not take it for as long as it is tried."""
    ALERT_ACKNOWLEDGED = "alert acknowledged"
    PURGED = "purged"
    """Calls older than `privacy.keep` have become sums of their day (`ledger.purge`, whose words `audit verify` reads again)."""
    PURGED_BESIDE = "purged beside"
    """What else was older: balances of windows that are over, alerts, asks."""
    BALANCES = "balances"
    """What no chained call shows of balances, and by which mark each is known (`ledger.marks`, which `audit verify` adds up)."""


FINDINGS = frozenset(
    {
        AuditWord.LEDGER_NEW,
        AuditWord.LEDGER_OTHER,
        AuditWord.LEDGER_SHRUNKEN,
        AuditWord.LEDGER_ALTERED,
        AuditWord.BALANCE_ALTERED,
        AuditWord.LEDGER_GONE,
        AuditWord.HEADS_MISSING,
    }
)
"""What is shown until somebody has acknowledged it."""
