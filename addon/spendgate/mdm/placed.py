"""The files that lie on a machine, with their paths: whom to believe, the root, the policy, variables, Claude Code's settings."""

from __future__ import annotations

import json
import plistlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from spendgate.mdm import launchd, tools
from spendgate.mdm.interface import Made
from spendgate.mdm.places import PLACES, System
from spendgate.mdm.rollout import FromFile, FromUrl, Mode, Rollout
from spendgate.mdm.variables import variables
from spendgate.minisign import SUFFIX

PROFILE_D: Final = "/etc/profile.d/spendgate.sh"
ENVIRONMENT_D: Final = "/etc/environment.d/50-spendgate.conf"
ENVIRONMENT_SH: Final = "/etc/spendgate/environment.sh"


@dataclass(frozen=True, slots=True)
class Placed:
    """One file of a machine."""

    path: str
    content: bytes
    last: bool = False
    """Whether it makes programs use the others: it comes when they can be used."""


def placed(rollout: Rollout, system: System) -> tuple[Placed, ...]:
    """In the order in which they are put down: a policy after its signature and what it includes, or it would be refused."""
    return tuple(_placed(rollout, system))


def _placed(rollout: Rollout, system: System) -> Iterator[Placed]:
    places = PLACES[system]
    yield Placed(places.root, rollout.root.pem)
    yield Placed(places.trust, trust(rollout))
    for name, content in policy_files(rollout):
        yield Placed(places.at(name), content)
    yield Placed(places.claude_code, tools.claude_code(rollout, system), last=True)
    held = sorted(variables(rollout, system).items())
    if system is System.LINUX:
        yield Placed(PROFILE_D, _lines(f"export {name}={shlex.quote(value)}" for name, value in held), last=True)
        yield Placed(ENVIRONMENT_D, _lines(f'{name}="{value}"' for name, value in held), last=True)
    elif system is System.MACOS:
        shown = (f"launchctl setenv {name} {shlex.quote(value)}" for name, value in held)
        yield Placed(ENVIRONMENT_SH, _lines(shown), last=True)
        yield Placed(agent_path(rollout), _agent(rollout), last=True)
        if rollout.macos_program is not None:
            yield Placed(launchd.path(rollout), launchd.job(rollout))


def policy_files(rollout: Rollout) -> tuple[tuple[str, bytes], ...]:
    """The policy's files, where it is pushed: what it includes, its signature, the policy last."""
    policy = rollout.policy
    if not isinstance(policy, FromFile):
        return ()
    return (*policy.included, (policy.name + SUFFIX, policy.signature), (policy.name, policy.main))


def trust(rollout: Rollout) -> bytes:
    """The trust file, as `policies/README.md` has it."""
    keys = [f"  - {{name: {json.dumps(key.name)}, key: {key.key}}}" for key in rollout.keys]
    lines = ["version: 1", "keys:", *keys, "require_signature: true"]
    if rollout.least_revision is not None:
        lines.append(f"least_revision: {rollout.least_revision}")
    if isinstance(rollout.policy, FromUrl):
        every = f", every: {rollout.policy.every_s}s" if rollout.policy.every_s is not None else ""
        lines.append(f"policy: {{url: {json.dumps(rollout.policy.url)}{every}}}")
    return "\n".join((*lines, "")).encode()


def agent_label(rollout: Rollout) -> str:
    """Of what sets the variables at log-in."""
    return rollout.named("environment")


def agent_path(rollout: Rollout) -> str:
    """Its launchd file."""
    return f"/Library/LaunchAgents/{agent_label(rollout)}.plist"


def _agent(rollout: Rollout) -> bytes:
    job = {
        "Label": agent_label(rollout),
        "ProgramArguments": ["/bin/sh", ENVIRONMENT_SH],
        "RunAtLoad": True,
        "LimitLoadToSessionType": "Aqua",
    }
    return plistlib.dumps(job, sort_keys=True)


def _lines(lines: Iterator[str]) -> bytes:
    return "\n".join(
        ("# Spendgate: trust of the organization's root; see the page for the people.", *lines, "")
    ).encode()


def pac(rollout: Rollout) -> Iterator[Made]:
    """A PAC file: providers' hosts through the gate, direct where it does not answer; everything else direct."""
    if rollout.mode is not Mode.PROXY:
        return
    hosts = json.dumps(dict.fromkeys(rollout.hosts, 1), indent=2, sort_keys=True)
    yield Made(
        "proxy/spendgate.pac",
        f"""\
function FindProxyForURL(url, host) {{
  var read = {hosts};
  var name = host.toLowerCase().replace(/\\.$/, "");
  return Object.prototype.hasOwnProperty.call(read, name) ? "PROXY 127.0.0.1:{rollout.port}; DIRECT" : "DIRECT";
}}
""".encode(),
        "the PAC file: serve it at `pac_url` over https, as application/x-ns-proxy-autoconfig",
    )
