"""What the README of the material says of a device's certificates: by a file, or by enrolment over HTTPS."""

from __future__ import annotations

from spendgate.mdm.enrolling import credential, enrols, issued
from spendgate.mdm.places import System
from spendgate.mdm.rollout import Rollout


def secret(rollout: Rollout) -> str:
    """What is secret in it, where anything is."""
    return ", but a credential is" if rollout.enrolment is not None and rollout.enrolment.token else ""


def row(rollout: Rollout) -> str:
    """Where devices enrol, where they do."""
    if rollout.enrolment is None:
        return ""
    held = (
        "in `install.sh`, which is secret: whoever reads it enrols as often as is left"
        if rollout.enrolment.token
        else "on each device"
    )
    where = f"at `{rollout.enrolment.office}`, named by {rollout.enrolment.device.value}"
    return f"| enrolment | {where}; the credential is {held} |\n"


def step(rollout: Rollout) -> str:
    """How devices come by them."""
    by_file = f"""\
On Linux your MDM may put what `ca org issue` wrote for a device down at
`{issued(System.LINUX)}`, and `linux/install.sh`, run again once the gate is there, installs it; a file that has not \
changed changes nothing.
"""
    if rollout.enrolment is None:
        return f"""\
`spendgate ca org request` there, `spendgate ca org issue` where the root's key is, `spendgate ca org \
install` there, as the gate's
account; the first time the gate is started again. They hold 45 days: renew them every 30. Or, where `spendgate ca org \
serve` answers, `spendgate ca org
enroll` there, once: the gate renews them by itself; with `enrolment` in the rollout file the scripts do it. {by_file}"""
    others = "" if enrols(rollout, System.MACOS) else ", macOS (no `macos_program` says where the gate is)"
    source = (
        "the fleet's credential is in it"
        if rollout.enrolment.token
        else f"your MDM puts a credential of `spendgate ca org token` down as `{credential(System.LINUX)}`, 0600; it goes when it"
        " has opened"
    )
    return f"""\
`install.sh`, run again once the gate is there, enrols the device at `{rollout.enrolment.office}`; {source}. From then on \
the gate
renews by itself, and a daily run asks nothing. A file `{credential(System.LINUX)}` with another credential enrols again, as \
where certificates have ended, or a device
was set up anew: by a token for its name. Not on Windows{others}: `spendgate ca org enroll` there. {by_file}"""
