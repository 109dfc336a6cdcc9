"""macOS and Linux: one script each that puts everything in place, checks it, and takes it away; each holds all that it needs.

Any MDM can run them: Jamf, Iru, Intune and Fleet take a script, Ansible takes them too. They are POSIX sh, may be run again, and
print what they find. With DESTDIR they only write files below it: for building a package, and for tests.
"""

from __future__ import annotations

import shlex
from base64 import encodebytes
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

from spendgate.mdm import enrolling, launchd, osquery
from spendgate.mdm.filling import filled
from spendgate.mdm.interface import Made
from spendgate.mdm.placed import Placed, agent_label, agent_path, placed
from spendgate.mdm.places import PLACES, System
from spendgate.mdm.rollout import Mode, Rollout
from spendgate.mdm.variables import variables

_END: Final = "END_OF_SPENDGATE"
_DEBIAN: Final = "/usr/local/share/ca-certificates/spendgate-root.crt"
_JAVA_HOOK: Final = "/etc/ca-certificates/update.d/jks-keystore"
_JAVA_PEM: Final = "/etc/ssl/certs/spendgate-root.pem"
ISSUED: Final = enrolling.issued(System.LINUX)
_STATE: Final = enrolling.LINUX_STATE
_REDHAT: Final = "/etc/pki/ca-trust/source/anchors/spendgate-root.pem"
ANCHORS: Final = (_DEBIAN, _REDHAT)
"""Where the root lies for Linux' trust stores, byte for byte."""
_PUT: Final = """\
put() { # PATH: standard input becomes this file, all or not at all
    mkdir -p "$to$(dirname "$1")"
    cat > "$to$1.new"
    chmod 0644 "$to$1.new"
    mv -f "$to$1.new" "$to$1"
}
"""
_CONSOLE: Final = "uid=$(stat -f %u /dev/console)  # who sits at the screen; 0: nobody\n"


def unix(rollout: Rollout) -> Iterator[Made]:
    """The scripts of both systems."""
    for system in (System.MACOS, System.LINUX):
        every = placed(rollout, system)
        folder = system.value
        about = "puts files, trust and variables in place; run it daily: it mends what was changed"
        secret = enrolling.enrols(rollout, system) and rollout.enrolment is not None and bool(rollout.enrolment.token)
        yield Made(f"{folder}/install.sh", _install(rollout, system, every), about, secret)
        yield Made(
            f"{folder}/verify.sh", verify(rollout, system), "names what is missing or changed; exit status 1 then"
        )
        yield Made(f"{folder}/remove.sh", _remove(rollout, system, every), "takes all of it away; restart afterwards")


def verify(rollout: Rollout, system: System, *, last: str = "check && echo 'in place'") -> bytes:
    """The check. `last`: what is done with it, in sh."""
    daemon = launchd.check(rollout) if system is System.MACOS and rollout.macos_program is not None else ""
    lines = [f"    one {shlex.quote(each.path)} {sha256(each.content).hexdigest()}" for each in placed(rollout, system)]
    return (
        _head(rollout, system, "Names what of it is missing or changed; exit status 1 where anything is.")
        + f"""\
sum() {{ if command -v sha256sum > /dev/null; then sha256sum < "$1"; else shasum -a 256 < "$1"; fi | cut -d ' ' -f 1; }}
one() {{ # PATH SHA256
    if [ ! -f "$to$1" ]; then echo "missing: $1"; bad=1
    elif [ "$(sum "$to$1")" != "$2" ]; then echo "changed: $1"; bad=1; fi
}}
check() {{
    bad=0
{chr(10).join(lines)}
    [ -n "$to" ] || trusted || {{ echo 'not trusted: the root'; bad=1; }}
{daemon}{enrolling.check(rollout, system)}    [ "$bad" = 0 ]
}}
{_trusted(rollout, system)}{last}
"""
    ).encode()


def _trusted(rollout: Rollout, system: System) -> str:
    """Whether the system and the bundle have the root: told by a line of it that no other certificate has."""
    line = rollout.root.pem.decode().strip().splitlines()[-3]  # of its signature
    bundle = f"grep -sqF -e {shlex.quote(line)} {PLACES[system].bundle}"
    if system is System.LINUX:
        return f"trusted() {{ {bundle}; }}\n"
    listed = (
        f"security find-certificate -a -Z /Library/Keychains/System.keychain | grep -qF {rollout.root.sha256.upper()}"
    )
    return f"trusted() {{ {listed} && {bundle}; }}\n"


def _install(rollout: Rollout, system: System, every: tuple[Placed, ...]) -> bytes:
    """Trust and its bundle come before the variables that name them: where they fail, no log-in loses its other hosts.

    Variables that lead to the gate come last of all, and only where it has certificates that clients trust: a program with a
    variable that leads nowhere has no network at all, and an MDM brings scripts and packages in any order.
    """
    files, last = ("".join(_heredoc(each) for each in every if each.last is is_last) for is_last in (False, True))
    head = _head(rollout, system, "Puts everything in place. May be run again: it mends what was changed.")
    daemon = system is System.MACOS and rollout.macos_program is not None
    first, started = (launchd.before(rollout), launchd.install(rollout)) if daemon else ("", "")
    trusts, after, used = _LINUX_TRUSTS, _linux_after(rollout), ""
    if system is System.MACOS:
        trusts, after, used = _MACOS_TRUSTS, "", _macos_after(rollout)
    got = f"{after}{started}{enrolling.install(rollout, system)}"
    begun = f'{head}{_PUT}{trusts}{first}{files}if [ -z "$to" ]; then trusts; fi\n'
    if rollout.mode is Mode.PROXY and (state := enrolling.state(rollout, system)) is not None:
        words = {"LAST": last, "USED": used, "GOT": got, "STATE": state}
        return f"{begun}{filled(_LED, words)}".encode()
    return f'{begun}{last}[ -z "$to" ] || exit 0\n{used}{got}'.encode()


_LED: Final = """\
leads() { # Programs use the gate from now on.
@LAST@[ -z "$to" ] || exit 0
@USED@}
[ -z "$to" ] || leads
@GOT@if [ -e @STATE@/private/leaves.pem ]; then leads
else
    echo 'nothing leads to the gate yet: run this again when it has the certificates of the organization' >&2
fi
"""
_MACOS_TRUSTS: Final = """\
trusts() { # For programs that read a bundle instead of the keychain: what the system trusts, and the root.
    bundle=$(mktemp)
    security find-certificate -a -p /System/Library/Keychains/SystemRootCertificates.keychain > "$bundle"
    security find-certificate -a -p /Library/Keychains/System.keychain >> "$bundle"
    cat /etc/spendgate/root.pem >> "$bundle"
    put /etc/spendgate/bundle.pem < "$bundle"
    rm -f "$bundle"
}
"""
_LINUX_TRUSTS: Final = f"""\
trusts() {{
    if command -v update-ca-certificates > /dev/null; then
        put {_DEBIAN} < /etc/spendgate/root.pem
        update-ca-certificates > /dev/null
        bundle=/etc/ssl/certs/ca-certificates.crt
    elif command -v update-ca-trust > /dev/null; then
        put {_REDHAT} < /etc/spendgate/root.pem
        update-ca-trust extract
        bundle=/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
    else
        echo 'no update-ca-certificates and no update-ca-trust here: put /etc/spendgate/root.pem into the trust store by hand' >&2
        exit 1
    fi
    [ -s "$bundle" ] || {{ echo "$bundle is not there: no variable may name it" >&2; exit 1; }}
    ln -sfn "$bundle" /etc/spendgate/bundle.pem # the system's own, so that it never grows old
}}
"""


def _macos_after(rollout: Rollout) -> str:
    return f"""\
# Programs that are started from now on have the variables; the agent sets them again at each log-in.
{_CONSOLE}if [ "$uid" != 0 ]; then
    launchctl bootout "gui/$uid/{agent_label(rollout)}" 2> /dev/null || true
    launchctl bootstrap "gui/$uid" {agent_path(rollout)}
fi
"""


def _linux_after(rollout: Rollout) -> str:
    return f"""\
# This device's certificates, of the organization's root. A gate that has them takes newer ones while it runs.
issued={ISSUED}
if [ -f "$issued" ]; then
    chown 0:0 "$issued"
    chmod 0600 "$issued" # it may have the device's key
    if command -v spendgate > /dev/null && [ -d {_STATE} ] && id -u spendgate > /dev/null 2>&1; then
        first=; [ -e {_STATE}/private/leaves.pem ] || first=1
        runuser -u spendgate -- spendgate ca org install - --root /etc/spendgate/root.pem{enrolling.own_hosts(rollout)} \
--state {_STATE} < "$issued"
        [ -z "$first" ] || systemctl try-restart spendgate.service
    else
        echo 'the gate is not here yet: run this again after `spendgate service install`, for its certificates' >&2
    fi
fi
"""


def _remove(rollout: Rollout, system: System, every: tuple[Placed, ...]) -> bytes:
    paths = [each.path for each in every if not each.last]
    text = _head(rollout, system, "Takes everything away, variables first. May be run again. Restart afterwards.")
    paths += enrolling.paths(rollout, system)
    if system is System.MACOS:
        names = " ".join(sorted(variables(rollout, system)))
        text += f"""\
if [ -z "$to" ]; then
    {_CONSOLE}    if [ "$uid" != 0 ]; then
        launchctl bootout "gui/$uid/{agent_label(rollout)}" 2> /dev/null || true
        for name in {names}; do launchctl asuser "$uid" launchctl unsetenv "$name"; done
    fi
fi
"""
        paths.append("/etc/spendgate/bundle.pem")
    else:
        paths += ["/etc/spendgate/bundle.pem", ISSUED, _DEBIAN, _REDHAT, osquery.FILE]
    text += _gone(each.path for each in every if each.last)
    text += enrolling.remove(rollout, system)
    if system is System.MACOS and rollout.macos_program is not None:
        text += launchd.remove(rollout)
    text += _gone(paths)
    drop_ins = PLACES[system].claude_code.rpartition("/")[0]
    folders = [drop_ins, drop_ins.rpartition("/")[0], PLACES[system].folder]
    if system is System.LINUX:
        folders.append(osquery.FILE.rpartition("/")[0])
    for folder in folders:
        text += f'rmdir "$to"{shlex.quote(folder)} 2> /dev/null || true # what others put there stays\n'
    if system is System.LINUX:
        text += f"""\
[ -z "$to" ] || exit 0
if command -v update-ca-certificates > /dev/null; then
    update-ca-certificates --fresh > /dev/null
    hook={_JAVA_HOOK} # is told of additions alone, and Java would keep the root
    if [ -x "$hook" ]; then echo -{_JAVA_PEM} | "$hook" > /dev/null; fi
elif command -v update-ca-trust > /dev/null; then update-ca-trust extract; fi
"""
    return text.encode()


def _gone(paths: Iterable[str]) -> str:
    return "".join(f'rm -f "$to"{shlex.quote(path)}\n' for path in paths)


def _head(rollout: Rollout, system: System, about: str) -> str:
    on = {System.MACOS: "macOS", System.LINUX: "Linux"}[system]
    return f"""\
#!/bin/sh
# Spendgate on {on} for {rollout.organization} ({rollout.identifier}); made by `spendgate mdm make`.
# {about}
# DESTDIR=FOLDER: below this folder, and nothing else, for building a package.
set -eu
umask 022
to=${{DESTDIR:-}}
[ -n "$to" ] || [ "$(id -u)" = 0 ] || {{ echo 'run this as root' >&2; exit 1; }}
"""


def _heredoc(each: Placed) -> str:
    """The file as text that a reviewer can read; a policy that a shell could change by a byte in base64."""
    text = each.content.decode("utf-8", "replace")
    plain = text.encode() == each.content and text.endswith("\n") and _END not in text and "\r" not in text
    if plain and "\0" not in text:
        return f"put {shlex.quote(each.path)} << '{_END}'\n{text}{_END}\n"
    coded = encodebytes(each.content).decode()
    return f"base64 --decode << '{_END}' | put {shlex.quote(each.path)}\n{coded}{_END}\n"
