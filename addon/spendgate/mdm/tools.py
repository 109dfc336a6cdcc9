"""Managed settings of AI tools, with no key that the vendor or a measurement does not name.

Claude Code: `env` of a drop-in in `managed-settings.d`, which leaves an organization's other settings alone; measured with
2.1.197. `CLAUDE_CODE_CERT_STORE` is not set: it would drop what is bundled. Codex goes by the variables and the system's store;
`shell_environment_policy.set` of its managed defaults makes what it starts trust the root even where people cut down what is
inherited. Claude Desktop has no key for trust or proxy: its window goes by the system's store, the rest by the variables.
VS Code's policies (Microsoft's list of them) have none either, nor Cursor's; people's own settings do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from spendgate.mdm.interface import Made
from spendgate.mdm.places import System
from spendgate.mdm.rollout import Mode, Rollout
from spendgate.mdm.variables import proxy, variables
from spendgate.runtimes import ADDING

CLAUDE_DESKTOP_WITHOUT_VM: Final = {"secureVmFeaturesEnabled": False}
"""Cowork runs in a virtual machine of its own: no gate on the laptop sees who asks there."""


def tools(rollout: Rollout) -> Iterator[Made]:
    """What no script places, since an organization may have such a file already."""
    about = "Codex's managed defaults, for /etc/codex/managed_config.toml; merge it with your own"
    yield Made("tools/codex/managed_config.toml", codex(rollout, System.LINUX), about)
    about = "VS Code's and Cursor's settings that trust and route, to merge into people's settings.json: no policy can set them"
    yield Made("tools/editors/settings.json", editor(rollout), about)


def claude_code(rollout: Rollout, system: System) -> bytes:
    """A drop-in of Claude Code's managed settings."""
    names = (ADDING, *(("HTTPS_PROXY", "NO_PROXY") if rollout.mode is Mode.PROXY else ()))
    held = variables(rollout, system)
    return _json({"env": {name: held[name] for name in names}})


def codex(rollout: Rollout, system: System) -> bytes:
    """Codex's managed defaults, in TOML; a JSON string is one of TOML, too."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in sorted(variables(rollout, system).items())]
    head = ("# Spendgate: what Codex starts trusts the organization's root.", "[shell_environment_policy.set]")
    return "\n".join((*head, *lines, "")).encode()


def editor(rollout: Rollout) -> bytes:
    """Settings that VS Code and Cursor share."""
    settings: dict[str, object] = {"http.systemCertificates": True}
    if rollout.mode is Mode.PROXY:
        settings["http.proxy"] = proxy(rollout)
    return _json(settings)


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
