"""The order in which the material goes to the machines of each system, for its README."""

from __future__ import annotations

import shlex

from spendgate.mdm import index_certificates as certificates
from spendgate.mdm.interface import Made
from spendgate.mdm.places import PLACES, System
from spendgate.mdm.profiles import APPLICATION, TEAM
from spendgate.mdm.rollout import FromFile, Mode, Rollout


def order(rollout: Rollout, others: list[Made]) -> str:
    """The chapter."""
    profiles = [each for each in others if each.path.startswith("macos/profiles/")]
    steps = "\n".join(
        f"{number}. `{each.path.rpartition('/')[2]}`: {each.about}" for number, each in enumerate(profiles, 3)
    )
    scripts = "`macos/install.sh` as root, then daily: files, the bundle, variables"
    program = (
        f"the gate, and the redirector's application (`{APPLICATION}`, team {TEAM}), signed as mitmproxy ships it; start the gate"
        " with `MITMPROXY_KEEP_REDIRECTOR=1`, so that it does not replace it"
        if rollout.mode is Mode.TRANSPARENT
        else "the gate"
    )
    last = [scripts, f"{program}. A network extension that starts cuts open connections: let it start at a restart"]
    if rollout.macos_program is not None:
        last = [
            f"the gate, as `{rollout.macos_program}`, root's alone to write",
            f"{scripts}; the gate's account and its daemon",
        ]
    return f"""\
## Order

1. Publish `for-people.html`, and let the works council see it, before any laptop has anything.
2. Assign all of it to a small group first; to everybody when that group has worked with it for a week.

macOS, each when the one before is in place:

{steps}
{len(profiles) + 3}. {last[0]}.
{len(profiles) + 4}. {last[1]}.

{_linux_order(rollout)}
Windows: the root by Intune's trusted certificate profile where you can, then `windows/intune` as a Win32 app, then \
the gate. `install.ps1`
puts the root into `Cert:\\LocalMachine\\Root` where it is not there yet; tell your SOC, whose rules name that (T1553.004).

**On every machine its certificates come before capture**: until they are installed the gate signs with a CA of its own \
machine, which nothing here trusts{_until(rollout)}. {certificates.step(rollout)}"""


def _until(rollout: Rollout) -> str:
    """What that means for programs."""
    if rollout.mode is Mode.TRANSPARENT:
        return ": a call by a\nproxy variable fails, and transparent capture on Linux leads none to it once `root.pem` is there"
    mac = " and macOS" if rollout.macos_program is not None else ""
    elsewhere = "" if mac else " On macOS install the gate and its certificates before `macos/install.sh`."
    return (
        f". So `install.sh` on Linux{mac}\nputs down what leads to the gate (variables, tools' settings) when they are there, and"
        f" says so until then: run it again.{elsewhere} On Windows\n`install.ps1` sets its variables at once, and programs that"
        " go by them have no network until gate and certificates are there: let all three come together, out of hours"
    )


def _linux_order(rollout: Rollout) -> str:
    """Nothing is led to a gate that has no certificates yet."""
    steps = [
        "the gate's package: `apt install ./spendgate_VERSION_ARCHITECTURE.deb`; it starts nothing",
        "`linux/install.sh` as root (or `ansible/install.yml`), then daily",
    ]
    if rollout.mode is Mode.TRANSPARENT:
        steps.append(f"the gate, to which nothing is led yet: {_on_linux(rollout, '')}")
    else:
        steps.append(f"the gate: {_on_linux(rollout, f' --port {rollout.port}')}")
    steps.append("its certificates, as below; `spendgate ca show --state /var/lib/spendgate` tells their end")
    if rollout.mode is Mode.PROXY:
        steps.append("`linux/install.sh` again, which leads programs to the gate from now on: its daily run does")
    if rollout.mode is Mode.TRANSPARENT:
        steps.append(f"capture: {_on_linux(rollout, ' --mode transparent')}")
    numbered = "".join(f"{number}. {step}.\n" for number, step in enumerate(steps, 1))
    return f"Linux, each when the one before is in place:\n\n{numbered}"


def _on_linux(rollout: Rollout, way: str) -> str:
    """What starts the gate there."""
    policy = ""
    if isinstance(rollout.policy, FromFile):
        policy = f" --policy {shlex.quote(PLACES[System.LINUX].at(rollout.policy.name))}"
    upstream = f" --upstream {shlex.quote(rollout.upstream)}" if rollout.upstream else ""
    return f"`spendgate service install{way}{upstream}{policy}`"
