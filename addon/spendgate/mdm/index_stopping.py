"""The README of the material, how all of it is stopped and taken away: from refusing nobody to nothing that is left."""

from __future__ import annotations

from spendgate.inert_text import inert_code
from spendgate.mdm.rollout import FromUrl, Mode, Rollout


def stopping(rollout: Rollout) -> str:
    """Both parts of the README."""
    if rollout.mode is Mode.TRANSPARENT:
        capture = (
            "macOS: withdraw `3-transparent-proxy`, then `2-system-extension`, which deactivates the extension. Linux:"
            " `spendgate service stop`, until the machine's next start, which captures again; for good"
            " `spendgate service uninstall --keep-ledger`. Windows: `spendgate service stop`, likewise"
        )
    else:
        capture = (
            "withdraw the PAC file (or serve one that says DIRECT), end what runs `install.sh` (first step of the removal), then"
            " run `remove.sh` or `uninstall.ps1`, which takes the variables away: where a variable names the gate and nothing"
            " answers, calls fail"
        )
    alone = "; the first needs no MDM" if isinstance(rollout.policy, FromUrl) else ""
    return f"""\
## Kill switch

From the mildest to the last, each enough by itself for what it says{alone}.

| what | how | what then |
| --- | --- | --- |
| refuse nobody (canary, enforce) | {_observe(rollout)} | calls are counted still |
| see nothing (every stage) | {capture} | calls go their direct way |
| trust nothing | the order of removal, to its end | as before |

## Removal

Capture first, trust last, or tools meet a certificate that they do not know:

1. What puts it back: the daily run of `install.sh`, Jamf's policy, Iru's custom script, Intune's remediation and the \
assignment of its Win32 app, Fleet's and
   Ansible's schedules. Each of them mends what you take away.
2. Capture, as in the second line above.
3. `macos/remove.sh`, `linux/remove.sh`, `uninstall.ps1`. Where it was enrolled, `remove.sh` takes its certificates, and \
at the office `spendgate ca org revoke --device NAME` ends renewals. Restart: programs that still run keep variables that name \
files which are gone.
4. The gate and its state directory; the ledger is in it. Linux: `spendgate service uninstall`, then \
`apt purge spendgate`. macOS: `sh /opt/spendgate/uninstall.sh`, where its package was installed.
   What you put down by hand, no script takes: `/etc/codex/managed_config.toml`, people's `settings.json`, the \
configuration in `/etc/osquery/osquery.conf.d` and the entry of cron
   that runs `doctor --osquery`, Fleet's `agent_options`, `/etc/credstore/SPENDGATE_UPSTREAM_AUTH`.
5. The profiles that are left, `root` last. Where Intune pushed the root: its profile. `verify.sh` then names all \
files as missing.
"""


def _observe(rollout: Rollout) -> str:
    """How nobody is refused any more. A pushed policy that only observes is refused by any later stage than that."""
    how = "sign a policy with `mode: observe` and a higher `revision`"
    if isinstance(rollout.policy, FromUrl):
        return f"{how}, and publish it and its signature at {inert_code(rollout.policy.url)}"
    return (
        f"{how}, write `stage: observe` into the rollout file, make all this anew, and have your MDM run the new `install.sh`"
        " and `install.ps1`"
    )
