"""The README of the material: what goes where, in which order, how it is stopped and taken away; for whoever runs the MDM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from spendgate.inert_text import inert_code, inert_markdown
from spendgate.mdm import index_certificates as certificates
from spendgate.mdm.index_order import order
from spendgate.mdm.index_stopping import stopping
from spendgate.mdm.interface import Made
from spendgate.mdm.rollout import FromUrl, Mode, Rollout, Stage

NAME: Final = "README.md"
_LOGIN: Final = "/etc/credstore/SPENDGATE_UPSTREAM_AUTH"
"""Where systemd takes the proxy's login from for the gate."""
_NEXT: Final = {
    Stage.OBSERVE: "observe: nobody is refused. Next: `stage: canary`, with a policy whose `mode` names the group.",
    Stage.CANARY: "canary: one group is refused what does not fit. Next: `stage: enforce`, with `mode: enforce`.",
    Stage.ENFORCE: "enforce: everybody is refused what does not fit.",
}


def index(rollout: Rollout, others: Iterable[Made]) -> Made:
    """The README, told of all the other files."""
    names = list(others)
    parts = (
        _about(rollout),
        _THE_GATE,
        order(rollout, names),
        _MANAGERS,
        stopping(rollout),
        _tools(rollout),
        _NOT_RUN + (_NOT_KNOWN if rollout.mode is Mode.TRANSPARENT else ""),
        _files(names),
    )
    return Made(NAME, "\n".join(parts).encode(), "this page")


def _about(rollout: Rollout) -> str:
    source = (
        f"fetched from {inert_code(rollout.policy.url)}"
        if isinstance(rollout.policy, FromUrl)
        else "pushed with this material"
    )
    keys = ", ".join(f"{inert_markdown(key.name)} (`{key.key}`)" for key in rollout.keys)
    asked = f"{inert_markdown(rollout.contact.name)}, {inert_code(rollout.contact.address)}"
    left = ""
    if rollout.left_out:
        left = f"""
**Not read**: the root cannot sign for these {len(rollout.left_out)} provider hosts, so calls there are not seen. A \
root is fixed for
life; a new one is needed: {", ".join(f"`{host}`" for host in rollout.left_out)}.
"""
    return f"""\
# Spendgate for {inert_markdown(rollout.organization)}

Made by `spendgate mdm make` from one rollout file; the same file makes the same bytes. `sha256sum -c SHA256SUMS` \
checks them. No private
key is in here{certificates.secret(rollout)}. Sign profiles and scripts with your own identity where your MDM wants it.

| | |
| --- | --- |
| stage | {_NEXT[rollout.stage]} |
| mode | {rollout.mode.value} |
| root | {inert_markdown(rollout.root.subject)}, SHA-256 `{rollout.root.sha256}`, holds through {rollout.root.until} |
| hosts | {len(rollout.hosts)}, listed in `for-people.html`; the root can sign for {len(rollout.signs_for)}, the gate's own \
canary and what is under them, and for nothing else |
| policy | {source}; believed with a signature by {keys} |
{_upstream(rollout)}{certificates.row(rollout)}| questions | {asked} |
{left}"""


def _upstream(rollout: Rollout) -> str:
    """The way out, where there is one; its password is in no file of this material."""
    if not rollout.upstream:
        return ""
    mac = "on Macs the daemon goes through it, without a login; " if rollout.macos_program is not None else ""
    return (
        f"| way out | through `{rollout.upstream}`; where it wants a login, Linux reads `USER:PASSWORD` from"
        f" `{_LOGIN}`, root's, 0600, which your MDM puts down; {mac}elsewhere the gate is started with"
        f" `--mode upstream:{rollout.upstream}` |\n"
    )


_THE_GATE: Final = """\
## The gate itself

It is not in this material, which is what surrounds it:

| system | how it gets there |
| --- | --- |
| Debian, Ubuntu | the package `spendgate_VERSION_ARCHITECTURE.deb`, made by `scripts/package` in a checkout; your MDM brings it |
| other Linux | no package; a Python environment that root alone writes, whose `spendgate` installs the service |
| macOS | the package that `scripts/package` makes on a Mac, for `/opt/spendgate`; never run on a Mac |
| Windows | the Win32 app that `scripts/package --windows` makes on any system, which installs the service; never run there |
"""


_MANAGERS: Final = """\
## Each MDM

Where a Mac's MDM takes packages rather than scripts, `macos/package.sh`, run on a Mac, makes a signed one that runs `install.sh`.

| MDM | profiles | scripts | check |
| --- | --- | --- | --- |
| Jamf | upload `macos/profiles/*` as configuration profiles | `macos/install.sh`, recurring check-in, daily | \
`jamf/extension-attribute.sh` |
| Iru (Kandji) | `iru/profiles`, by `iructl`; inactive until you switch them on | custom script: audit \
`macos/verify.sh`, remediation `macos/install.sh` | the audit |
| Intune, macOS | custom profiles from `macos/profiles/*`; its own VPN form cannot name the provider | shell script \
`macos/install.sh`, daily | `macos/verify.sh` as custom attribute |
| Intune, Windows | - | Win32 app `spendgate.intunewin`, for the system: `powershell.exe \
-NoProfile -ExecutionPolicy Bypass -File install.ps1`, the same with `uninstall.ps1`; detection `detect.ps1`, not \
as a 32-bit process | remediation: `remediation-detect.ps1` and `install.ps1`, 64-bit, as \
system |
| Fleet | `fleet/spendgate.yml`; older servers call the key `macos_settings.custom_settings` | in the same file: \
Fleet knows a script by its file's name, so `fleet/` has each by one of its own; what `doctor` found on Linux: \
`fleet/agent-options.yml` | its policies |
| Ansible | - | `ansible/install.yml`, `ansible/remove.yml` | in the play |
"""


def _tools(rollout: Rollout) -> str:
    cowork = (
        "stays on: what it does in its virtual machine is not seen"
        if rollout.cowork
        else "is switched off on macOS; on Windows by hand: `HKLM\\SOFTWARE\\Policies\\Claude`, `secureVmFeaturesEnabled`"
    )
    return f"""\
## Tools

| tool | trusts by | managed here |
| --- | --- | --- |
| Claude Code | its managed settings, and the system's store | `managed-settings.d/50-spendgate.json`, put down by the scripts |
| Claude Desktop | the system's store, the variables | no key for trust or proxy exists; Cowork {cowork} |
| Codex | the variables, the system's store | macOS: the profile of tools; Linux: \
`tools/codex/managed_config.toml`, by hand, since you may have one |
| VS Code, Cursor | the system's store | no policy for trust or proxy exists; `tools/editors/settings.json` for \
people's own settings |
| Cursor's streams | the same; it may refuse any second certificate | HTTP/2 passes proxies by: `mode: \
transparent`, or its setting for HTTP/1.1 |
| Python with certifi, Java | the variables (not on Windows); Java by its own store | Java: nothing; `spendgate \
exec` sets it for one command |
| Chromium and Electron on Linux | NSS in each home (`~/.pki/nssdb`) | nothing |
| containers | their image's store and variables | `devcontainer/spendgate-trust`, a devcontainer feature: put it \
beside devcontainer.json, with `"features": {{"./spendgate-trust": {{}}}}` in it |
| ChatGPT for macOS | pins its certificates | leave its hosts out, by `capture.never` |

On Windows no variable that replaces a bundle is set: Windows fetches roots as they are needed, and a bundle of \
those at hand would break other
hosts. On macOS `/etc/spendgate/bundle.pem` has the system's roots and all of the System keychain, so also those of \
another TLS inspector, and any that the system itself keeps there without trusting it: look through that keychain first.

A variable of the same name that you or another product set for whole machines (`NODE_EXTRA_CA_CERTS` of a TLS inspector, a \
proxy, `NO_PROXY`) is replaced, and a removal does not
put it back. Programs of Node then trust the inspector no more where they do not read the system's store: try one first.
"""


_NOT_RUN: Final = """\
## Not run

Nothing here was run on a real Mac, on Windows, or by an MDM server. Try it on one machine of each first.
"""
_NOT_KNOWN: Final = """\
Unknown above all: whether the redirector takes over the pushed proxy configuration without asking.
"""


def _files(others: list[Made]) -> str:
    lines = "\n".join(f"| `{each.path}` | {each.about} |" for each in sorted(others, key=lambda each: each.path))
    return f"## Files\n\n| file | for |\n| --- | --- |\n{lines}\n"
