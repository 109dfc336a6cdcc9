"""Managed settings of AI tools, with no key that the vendor or a measurement does not name.

Claude Code: `env` of a drop-in in `managed-settings.d`, which leaves an organization's other settings alone; measured with 2.1.197.
It trusts the system's store, too; but on macOS it reads that slowly and in part. `CLAUDE_CODE_CERT_STORE` is not set: it would drop
what is bundled. Codex: `shell_environment_policy.set` of its managed defaults, so that what it starts trusts the root even where
people cut down what is inherited; itself it goes by the variables and the system's store. Claude Desktop has no key for trust or
proxy: its window goes by the system's store, the rest by the variables. VS Code's list of policies has none either.
"""

from __future__ import annotations

import json
from typing import Final

from spendgate.mdm.places import System
from spendgate.mdm.rollout import Mode, Rollout
from spendgate.mdm.variables import proxy, variables

CLAUDE_DESKTOP_WITHOUT_VM: Final = {"secureVmFeaturesEnabled": False}
"""Cowork runs in a virtual machine of its own: no gate on the laptop sees who asks there."""


def claude_code(rollout: Rollout, system: System) -> bytes:
    """A drop-in of Claude Code's managed settings."""
    names = ("NODE_EXTRA_CA_CERTS", *(("HTTPS_PROXY", "NO_PROXY") if rollout.mode is Mode.PROXY else ()))
    held = variables(rollout, system)
    return _json({"env": {name: held[name] for name in names}})


def codex(rollout: Rollout, system: System = System.MACOS) -> bytes:
    """Codex's managed defaults, in TOML."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in sorted(variables(rollout, system).items())]
    return "\n".join(("# Managed: what Codex starts trusts the organization's root.", "[shell_environment_policy.set]", *lines, "")).encode()


def editor(rollout: Rollout) -> bytes:
    """VS Code's and Cursor's settings, for people to take over: no policy can set these."""
    settings: dict[str, object] = {"http.systemCertificates": True}
    if rollout.mode is Mode.PROXY:
        settings |= {"http.proxy": proxy(rollout)}
    return _json(settings)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


