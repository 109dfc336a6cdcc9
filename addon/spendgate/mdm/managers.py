"""What single MDM servers want in a form of their own: Jamf, Iru (Kandji), Fleet, Ansible. Intune's is in `windows`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha1

from spendgate.mdm import unix
from spendgate.mdm.interface import Made
from spendgate.mdm.places import System
from spendgate.mdm.profiles import profiles
from spendgate.mdm.rollout import Rollout

_RESULT = 'if found=$(check); then echo "<result>in place</result>"; else echo "<result>$found</result>"; fi'


def managers(rollout: Rollout) -> Iterator[Made]:
    """Each one's files."""
    attribute = unix.verify(rollout, System.MACOS, last=_RESULT)
    yield Made(
        "jamf/extension-attribute.sh", attribute, "Jamf: an extension attribute, for a smart group of Macs to mend"
    )
    yield from _iru(rollout)
    yield Made("fleet/spendgate.yml", _fleet(rollout), "Fleet: the parts of a team's file for `fleetctl gitops`")
    yield Made("ansible/install.yml", _playbook("install"), "Ansible: checks, and puts in place what is missing")
    yield Made("ansible/remove.yml", _playbook("remove"), "Ansible: takes all of it away")


def _iru(rollout: Rollout) -> Iterator[Made]:
    """A folder for each profile, as `iructl` reads it; inactive, so that nothing is pushed by importing it."""
    for profile in profiles(rollout):
        part = profile.path.rpartition("/")[2].removesuffix(".mobileconfig")
        name = part.partition("-")[2]
        identifier = rollout.uuid(f"iru.{name}").lower()
        info = {
            "id": identifier,
            "name": f"Spendgate {name.replace('-', ' ')}",
            "active": False,
            "mdm_identifier": f"com.kandji.profile.custom.{identifier}",
            "runs_on_mac": True,
            "runs_on_iphone": False,
            "runs_on_ipad": False,
            "runs_on_tv": False,
            "runs_on_vision": False,
        }
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in info.items())
        yield Made(f"iru/profiles/{part}/info.yaml", text.encode(), f"Iru: {profile.about}")
        yield Made(f"iru/profiles/{part}/profile.mobileconfig", profile.content, "the profile beside it")


def _fleet(rollout: Rollout) -> bytes:
    """Profiles and scripts by path, and a policy that finds Macs without the root. osquery names certificates by SHA-1."""
    digest = sha1(rollout.root.der, usedforsecurity=False).hexdigest()
    paths = [f"      - path: ../{profile.path}" for profile in profiles(rollout)]
    scripts = [
        f"    - path: ../{system.value}/{name}.sh" for system in (System.MACOS, System.LINUX) for name in _SCRIPTS
    ]
    return "\n".join(
        (
            "controls:",
            "  apple_settings:",
            "    configuration_profiles:",
            *paths,
            "  scripts:",
            *scripts,
            "policies:",
            "  - name: Spendgate's root is trusted",
            f"    query: SELECT 1 FROM certificates WHERE sha1 = '{digest}';",  # noqa: S608 - our own digest
            "    description: Without it AI tools refuse the gate, and their calls fail.",
            "    resolution: Push the profiles again, in their order.",
            "    platform: darwin",
            "",
        )
    ).encode()


_SCRIPTS = ("install", "verify", "remove")


def _playbook(what: str) -> bytes:
    """A script is run where the check says so; `remove` always."""
    check = """\
    - name: Check what is in place
      ansible.builtin.script: ../linux/verify.sh
      register: spendgate_found
      changed_when: false
      failed_when: false
"""
    when = "      when: spendgate_found.rc != 0\n" if what == "install" else ""
    return f"""\
- name: Spendgate, {what}
  hosts: all
  become: true
  tasks:
{check if when else ""}    - name: Run {what}.sh
      ansible.builtin.script: ../linux/{what}.sh
{when}""".encode()
