"""What single MDM servers want in a form of their own: Jamf, Iru (Kandji), Fleet, Ansible. Intune's is in `windows`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha1, sha256

from spendgate.mdm import unix
from spendgate.mdm.interface import Made
from spendgate.mdm.osquery import tables
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
    yield from _fleets(rollout)
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


def _fleets(rollout: Rollout) -> Iterator[Made]:
    """What `fleetctl gitops` takes. It knows scripts by their file's name alone, so that each has one of its own."""
    names = []
    for script in unix.unix(rollout):
        system, _, name = script.path.partition("/")
        names.append(f"spendgate-{system}-{name}")
        yield Made(f"fleet/{names[-1]}", script.content, f"Fleet: `{script.path}`, by a name of its own", script.secret)
    yield Made("fleet/spendgate.yml", _fleet(rollout, names), "Fleet: the parts of a team's file for `fleetctl gitops`")
    about = "Fleet: what `linux/osquery.conf` has, to merge into a team's `agent_options`: Fleet's agent reads no file of it"
    options = json.dumps({"config": {"auto_table_construction": tables()}}, indent=2) + "\n"
    yield Made("fleet/agent-options.yml", options.encode(), about)  # JSON is YAML


def _fleet(rollout: Rollout, scripts: list[str]) -> bytes:
    """Profiles and scripts by path, and policies that find machines without the root. osquery names certificates by SHA-1."""
    digest = sha1(rollout.root.der, usedforsecurity=False).hexdigest()
    anchors = ", ".join(f"'{path}'" for path in unix.ANCHORS)
    pem = sha256(rollout.root.pem).hexdigest()
    return "\n".join(
        (
            "controls:",
            "  apple_settings:",
            "    configuration_profiles:",
            *(f"      - path: ../{profile.path}" for profile in profiles(rollout)),
            "  scripts:",
            *(f"    - path: {name}" for name in scripts),
            "policies:",
            "  - name: Spendgate's root is trusted",
            f"    query: SELECT 1 FROM certificates WHERE sha1 = '{digest}';",  # noqa: S608 - our own digest
            "    description: Without it AI tools refuse the gate, and their calls fail.",
            "    resolution: Push the profiles again, in their order.",
            "    platform: darwin",
            "  - name: Spendgate's root is among the trusted ones of Linux",
            f"    query: SELECT 1 FROM hash WHERE path IN ({anchors}) AND sha256 = '{pem}';",  # noqa: S608 - our own words
            "    description: Without it AI tools refuse the gate, and their calls fail.",
            "    resolution: Run spendgate-linux-install.sh.",
            "    platform: linux",
            "",
        )
    ).encode()


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
