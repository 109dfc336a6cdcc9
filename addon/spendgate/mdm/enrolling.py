"""Enrolment over HTTPS by the scripts: a device gets its certificates from the company's office when the gate is there, once.

The credential is the first line of a file that the MDM puts down, which goes when it has opened, or the fleet's, which the
rollout names and the script holds. It reaches the gate's account through a pipe, and is in no list of processes. From then on
the gate renews by itself, so that a daily run asks nothing; a credential that was not tried yet enrols again, as one for a
device whose certificates have ended. A file with the device's certificates goes before all of it.
"""

from __future__ import annotations

import shlex
from typing import Final

from spendgate.mdm import launchd
from spendgate.mdm.filling import filled
from spendgate.mdm.places import PLACES, System
from spendgate.mdm.rollout import DeviceName, Enrolment, Rollout

LINUX_STATE: Final = "/var/lib/spendgate"
_NAMES: Final = {
    (System.LINUX, DeviceName.HOSTNAME): "uname -n | cut -d . -f 1",
    (System.LINUX, DeviceName.SERIAL): "cat /sys/class/dmi/id/product_serial",
    (System.MACOS, DeviceName.HOSTNAME): "scutil --get LocalHostName",
    (System.MACOS, DeviceName.SERIAL): (
        "ioreg -rd1 -c IOPlatformExpertDevice | awk -F '\"' '/IOPlatformSerialNumber/ { print $4 }'"
    ),
}
"""What prints a device's name. Linux lets root alone read the serial number."""


SOON_DAYS: Final = 5
"""From here on the check names certificates that end: renewals come weeks before."""


def enrols(rollout: Rollout, system: System) -> bool:
    """Whether this system's scripts do: where they know how the gate's program and account are called there."""
    known = system is System.LINUX or (system is System.MACOS and rollout.macos_program is not None)
    return rollout.enrolment is not None and known


def credential(system: System) -> str:
    """Where the MDM puts down a credential."""
    return PLACES[system].at("enrolment-token")


def issued(system: System) -> str:
    """Where an MDM puts down what `ca org issue` wrote for one device."""
    return PLACES[system].at("device.pem")


def state(rollout: Rollout, system: System) -> str | None:
    """Where this system's gate keeps its certificates, as a word of sh; None where something of the company's starts it."""
    return None if system is System.MACOS and rollout.macos_program is None else _state(system)


def own_hosts(rollout: Rollout) -> str:
    """What lets certificates name the rollout's own hosts, which no policy may capture yet: words behind a command."""
    return "".join(f" --host {host}" for host in rollout.own_hosts)


def install(rollout: Rollout, system: System) -> str:
    """Shell that runs when all else is in place."""
    if rollout.enrolment is None or not enrols(rollout, system):
        return ""
    return _filled(_INSTALL, rollout, system, rollout.enrolment)


def check(rollout: Rollout, system: System) -> str:
    """Lines of the check: whether the gate, where it is here, has the organization's last certificates, for days yet."""
    if state(rollout, system) is None:
        return ""
    told = "no certificates: the gate has none of the organization"
    if enrols(rollout, system):
        told = "not enrolled: the gate has no certificates of the organization"
    here = '[ -n "$to" ]' if enrols(rollout, system) else '[ ! -d "$private" ]'
    words = {
        "STATE": _state(system),
        "ISSUED": issued(system),
        "NONE": told,
        "NOT_HERE": here,
        "SOON_S": str(SOON_DAYS * 86_400),
        "SOON": str(SOON_DAYS),
    }
    return filled(_CHECK, words)


def remove(rollout: Rollout, system: System) -> str:
    """Shell that runs before files and account go: certificates and key first, while there is who may take them away."""
    if rollout.enrolment is None or not enrols(rollout, system):
        return ""
    return _filled(_REMOVE, rollout, system, rollout.enrolment)


def paths(rollout: Rollout, system: System) -> tuple[str, ...]:
    """What a removal takes away beside what was placed."""
    return (credential(system), _tried(system)) if enrols(rollout, system) else ()


def _tried(system: System) -> str:
    return PLACES[system].at("enrolled-by")


def _state(system: System) -> str:
    return shlex.quote(launchd.STATE if system is System.MACOS else LINUX_STATE)


def _filled(template: str, rollout: Rollout, system: System, enrolment: Enrolment) -> str:
    linux = system is System.LINUX
    program = "spendgate" if linux else shlex.quote(rollout.macos_program or "")
    words = {
        "PROGRAM": program,
        "ACCOUNT": "spendgate" if linux else launchd.ACCOUNT,
        "AS": f"runuser -u spendgate -- {program}" if linux else f"sudo -u {launchd.ACCOUNT} -- {program}",
        "RESTART": "systemctl try-restart spendgate.service"
        if linux
        else f"launchctl kickstart -k system/{launchd.label(rollout)}",
        "AGAIN": "    systemctl try-restart spendgate.service || true\n" if linux else "",  # launchd's job ends below
        "NAME": _NAMES[system, enrolment.device],
        "OFFICE": shlex.quote(enrolment.office),
        "FLEETS": shlex.quote(enrolment.token or ""),
        "STATE": _state(system),
        "TOKEN": credential(system),
        "TRIED": _tried(system),
        "BY_FILE": f"if [ -f {issued(system)} ]; then :\nel" if linux else "",
        "ROOT": PLACES[system].root,
        "HOSTS": own_hosts(rollout),
    }
    return filled(template, words)


_CHECK: Final = """\
    private=@STATE@/private
    if [ -n "$to" ]; then :
    elif [ ! -f "$private/leaves.pem" ]; then @NOT_HERE@ || { echo '@NONE@'; bad=1; }
    else
        # Told by a line of the file's first signature, which no other certificate has.
        line=$(awk '/END CERTIFICATE/ { print before; exit } { before = last; last = $1 }' @ISSUED@ 2> /dev/null | tr -d '\\r')
        if [ -n "$line" ] && ! grep -qF -e "$line" "$private/leaves.pem"; then
            echo 'not installed: @ISSUED@'; bad=1
        fi
        if command -v openssl > /dev/null && ! openssl x509 -checkend @SOON_S@ -noout -in "$private/leaves.pem" > /dev/null; then
            echo "the gate's certificates end within @SOON@ days, or have ended"; bad=1
        fi
    fi
"""
_INSTALL: Final = """\
# Enrolment over HTTPS: this device's certificates, once; the gate renews them by itself. A file with them goes before.
token=@TOKEN@ tried=@TRIED@ private=@STATE@/private
if [ -f "$token" ]; then chown 0:0 "$token"; chmod 0600 "$token"; fi
secret=$(head -n 1 "$token" 2> /dev/null || true)
enrolled=; if [ -e "$private/leaves.pem" ] && [ -e "$private/enrolment.json" ]; then enrolled=1; fi
[ -n "$secret$enrolled" ] || secret=@FLEETS@
sum=$(printf %s "$secret" | { sha256sum 2> /dev/null || shasum -a 256; } | cut -d ' ' -f 1)
@BY_FILE@if ! command -v @PROGRAM@ > /dev/null || [ ! -d @STATE@ ] || ! id -u @ACCOUNT@ > /dev/null 2>&1; then
    echo 'the gate is not here yet: run this again when it is, for its enrolment' >&2
elif [ -n "$enrolled" ] && { [ -z "$secret" ] || [ "$(cat "$tried" 2> /dev/null)" = "$sum" ]; }; then rm -f "$token"
elif [ -z "$secret" ]; then
    echo "not enrolled, and no credential: put one down as $token" >&2
    exit 1
else
    name=$(@NAME@)
    first=; [ -e "$private/leaves.pem" ] || first=1
    if printf '%s\\n' "$secret" | @AS@ ca org enroll @OFFICE@ --device "$name" --root @ROOT@@HOSTS@ --token-file - --state @STATE@
    then
        printf '%s\\n' "$sum" | put "$tried"
        rm -f "$token"
        [ -z "$first" ] || @RESTART@
    elif [ -n "$enrolled" ]; then echo 'the certificates that are installed stay' >&2
    else exit 1
    fi
fi
"""
_REMOVE: Final = """\
file=@STATE@/private/enrolment.json
if [ -z "$to" ] && [ -f "$file" ] && command -v @PROGRAM@ > /dev/null && id -u @ACCOUNT@ > /dev/null 2>&1; then
    name=$(sed -n 's/.*"device": *"\\([A-Za-z0-9._-]*\\)".*/\\1/p' "$file")
    @AS@ ca org remove --state @STATE@ || true # its state directory goes with the gate
@AGAIN@    echo "this device was enrolled as $name; end that at the office by \\`spendgate ca org revoke --device $name\\`" >&2
fi
"""
