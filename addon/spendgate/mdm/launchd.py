"""The gate as a launchd daemon on macOS, under `mode: proxy`: its job, and what the scripts do beside putting the file down.

Keys are those of launchd.plist(5), the account's of dscl(1). launchd starts a job again whatever ended it, at most every
`ThrottleInterval` seconds; it has no watchdog: a gate that hangs stays so until somebody ends it, and what is pointed at
it fails meanwhile. `mode: transparent` has no daemon: whether one may start the redirector is not known.
"""

from __future__ import annotations

import plistlib
import shlex
from collections.abc import Sequence
from typing import Final

from spendgate.mdm.filling import filled
from spendgate.mdm.places import PLACES, System
from spendgate.mdm.rollout import FromFile, Rollout

ACCOUNT: Final = "_spendgate"
"""A name of the kind that macOS keeps for services: people's have no underscore in front."""
STATE: Final = "/Library/Application Support/Spendgate"
"""Where the gate of a service keeps its ledger there (`config.paths`)."""
LOG: Final = f"{STATE}/gate.log"
_OPEN_FILES: Final = 65_536


def label(rollout: Rollout) -> str:
    """Of the job."""
    return rollout.named("gate")


def path(rollout: Rollout) -> str:
    """Its file."""
    return place(label(rollout))


def place(named: str) -> str:
    """The file of a job of this name."""
    return f"/Library/LaunchDaemons/{named}.plist"


def job(rollout: Rollout) -> bytes:
    """The rollout's job."""
    policy = PLACES[System.MACOS].at(rollout.policy.name) if isinstance(rollout.policy, FromFile) else None
    return plist(label(rollout), [rollout.macos_program or ""], rollout.port, policy, rollout.upstream)


def plist(named: str, program: Sequence[str], port: int, policy: str | None, upstream: str | None = None) -> bytes:
    """A job. The gate is started as its account and never was root. `upstream`: an address without a login, since all read it."""
    way = ["--mode", f"upstream:{upstream}"] if upstream else []
    chosen = [*way, *(["--policy", policy] if policy else [])]
    limits = {"Core": 0, "NumberOfFiles": _OPEN_FILES}  # memory of a gate holds keys: none of it goes to a core file
    return plistlib.dumps(
        {
            "Label": named,
            "ProgramArguments": [*program, "run", "--state", STATE, "--port", str(port), *chosen],
            "UserName": ACCOUNT,
            "GroupName": ACCOUNT,
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": 10,
            "ExitTimeOut": 30,
            "ProcessType": "Interactive",  # calls of people wait for it: no limits as of work in the background
            "Umask": 0o077,
            "SoftResourceLimits": limits,
            "HardResourceLimits": limits,
            "StandardErrorPath": LOG,
        },
        sort_keys=True,
    )


def before(rollout: Rollout) -> str:
    """Shell that runs before the files are put down."""
    return seen(label(rollout))


def seen(named: str) -> str:
    """Shell that keeps in mind what the job was: what is no change must not cut anybody's calls."""
    return f'job={shlex.quote(place(named))}\nwas=$(cat "$to$job" 2> /dev/null | cksum)\n'


def install(rollout: Rollout) -> str:
    """Shell that runs when they are."""
    return account(rollout.macos_program or "") + start(label(rollout))


def account(program: str) -> str:
    """Shell that makes the account and its folder, where the program is there."""
    return filled(_ACCOUNT, {"PROGRAM": shlex.quote(program), "STATE": shlex.quote(STATE)})


def start(named: str) -> str:
    """Shell that starts the job where it is another, or is not there."""
    return filled(_START, {"LABEL": named})


def check(rollout: Rollout) -> str:
    """A line of the check: whether launchd has the job."""
    told = f"echo 'not there: the job {label(rollout)}'; bad=1;"
    return f'    [ -n "$to" ] || launchctl print system/{label(rollout)} > /dev/null 2>&1 || {{ {told} }}\n'


def remove(rollout: Rollout) -> str:
    """Shell that runs before they are taken away. The ledger stays, root's alone: bills come after a laptop is given back."""
    state = shlex.quote(STATE)
    kept = f"if [ -d {state} ]; then chown -R root:wheel {state}; chmod 0700 {state}; fi\n"
    lines = f"{end(label(rollout))}{kept}{UNMADE}".splitlines()
    return "\n".join(['if [ -z "$to" ]; then', *(f"    {line}" for line in lines), "fi\n"])


def end(named: str) -> str:
    """Shell that ends the job, and waits for that; nothing where launchd has none."""
    return filled(_END, {"LABEL": named})


_ACCOUNT: Final = f"""\
[ -x @PROGRAM@ ] || {{ echo 'the gate is not there yet: '@PROGRAM@ >&2; exit 1; }}
if ! dscl . -read /Users/{ACCOUNT} UniqueID > /dev/null 2>&1; then # no shell, no home, no password
    id=400
    while dscl . -search /Users UniqueID "$id" | grep -q . || dscl . -search /Groups PrimaryGroupID "$id" | grep -q .; do
        id=$((id + 1))
        [ "$id" -lt 500 ] || {{ echo 'no number below 500 is free for the account {ACCOUNT}' >&2; exit 1; }}
    done
    dscl . -create /Groups/{ACCOUNT} PrimaryGroupID "$id"
    dscl . -create /Groups/{ACCOUNT} Password '*'
    dscl . -create /Users/{ACCOUNT} PrimaryGroupID "$id"
    dscl . -create /Users/{ACCOUNT} UserShell /usr/bin/false
    dscl . -create /Users/{ACCOUNT} NFSHomeDirectory /var/empty
    dscl . -create /Users/{ACCOUNT} RealName 'Spendgate gate'
    dscl . -create /Users/{ACCOUNT} Password '*'
    dscl . -create /Users/{ACCOUNT} IsHidden 1
    dscl . -create /Users/{ACCOUNT} UniqueID "$id" # last: what was broken off is begun again
fi
if [ ! -d @STATE@ ] || [ "$(find @STATE@ -prune -user 0)" ]; then
    # New, or root's since a removal; never while the gate may write there. A file with another name elsewhere is left alone.
    mkdir -p @STATE@
    find @STATE@ \\( -type d -o -type f -links 1 \\) -exec chown -h {ACCOUNT}:{ACCOUNT} {{}} +
    chmod 0711 @STATE@
fi
"""
_END: Final = """\
launchctl bootout system/@LABEL@ 2> /dev/null || true
tries=0
while launchctl print system/@LABEL@ > /dev/null 2>&1 && [ "$tries" -lt 35 ]; do # it still settles what ran: ExitTimeOut
    tries=$((tries + 1))
    sleep 1
done
"""
_START: Final = """\
if [ "$was" != "$(cksum < "$job")" ] || ! launchctl print system/@LABEL@ > /dev/null 2>&1; then
    launchctl bootout system/@LABEL@ 2> /dev/null || true
    tries=0
    until launchctl bootstrap system "$job" 2> /dev/null; do # not while the old one still ends: ExitTimeOut seconds at most
        tries=$((tries + 1))
        [ "$tries" -lt 35 ] || { launchctl bootstrap system "$job"; break; }
        sleep 1
    done
fi
"""
UNMADE: Final = f"""\
for name in /Users/{ACCOUNT} /Groups/{ACCOUNT}; do dscl . -delete "$name" 2> /dev/null || true; done
"""
"""Shell that takes the account away."""
