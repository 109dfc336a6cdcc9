"""The rollout file: YAML, read as strictly as a policy, of which `mdm make` makes what an MDM pushes.

    version: 1
    organization: Acme GmbH
    identifier: com.acme.spendgate
    contact: {name: IT desk, address: it@acme.example}
    stage: observe
    mode: transparent
    root: acme-root.pem            # beside this file; the certificate alone
    keys:
      - {name: platform, key: RW…}
    policy: {url: "https://policy.acme.example/spendgate/policy.yaml", every: 15m}

Files that it names lie beside it. The root must be constrained to hosts that are read here, and to no other name.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from spendgate.config.believing import believed
from spendgate.config.beside import beside, file_name
from spendgate.config.bundle import Gathering
from spendgate.config.direct_section import direct_of
from spendgate.config.enrolment_section import enrolment_of
from spendgate.config.faults import Faults, Place, shown
from spendgate.config.known import KNOWN
from spendgate.config.reading import read_regular, unread
from spendgate.config.root_file import root_of
from spendgate.config.sections import Section, known_word
from spendgate.config.trust import Trust, how_often, keys_of, policy_url
from spendgate.config.upstream import upstream_proxy
from spendgate.config.whole import revision_of
from spendgate.config.words import host
from spendgate.config.yaml_nodes import BYTES_MAX, read
from spendgate.errors import RolloutError
from spendgate.mdm.rollout import Contact, FromFile, FromUrl, Mode, Rollout, Root, SigningKey, Stage
from spendgate.name_constraints import CANARY_HOST
from spendgate.policy import Policy

_VERSION: Final = "1"
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9-]{1,60}(?:\.[A-Za-z0-9-]{1,60}){1,9}", re.ASCII)
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.ASCII)
_NAME_MAX: Final = 100
_TAKEN: Final = {
    "root.pem", "trust.yaml", "bundle.pem", "environment.sh", "device.pem", "enrolment-token", "enrolled-by",
}  # fmt: skip
"""Of the folder in which a pushed policy lies."""
PORT_LEAST, PORT_MOST, PORT = 1024, 65_535, 8080


def read_rollout(file: Path, now: datetime) -> Rollout:
    """The rollout. Raises RolloutError with every fault, and PolicyError with those of a policy that it names."""
    try:
        data = read_regular(file, BYTES_MAX + 1)
    except OSError as fault:
        raise RolloutError((unread(file, fault),)) from fault
    faults = Faults(str(file))
    if not data.strip():
        faults.add(Place(1, 1), "", "the file is empty; mdm/example/acme.yaml is one to begin with")
    node = read(data, faults) if data.strip() else None
    top = Section.of(node, "", faults) if node is not None else None
    found = _rollout(top, file.parent, now) if top is not None else None
    if faults or found is None:
        raise RolloutError(faults.lines())
    return found


def _rollout(top: Section, folder: Path, now: datetime) -> Rollout | None:
    top.parsed("version", lambda text: known_word(text, (_VERSION,)), required=True)
    organization = top.parsed("organization", _name, required=True)
    identifier = top.parsed("identifier", _identifier, required=True)
    contact = _contact(top)
    stage = top.parsed("stage", lambda text: Stage(known_word(text, tuple(Stage))), required=True)
    mode = top.parsed("mode", lambda text: Mode(known_word(text, tuple(Mode))), required=True)
    named = top.names("hosts", _host)
    root = top.parsed("root", lambda text: root_of(beside(folder, text), now), required=True)
    hosts, left_out = _hosts(top, named, root)
    keys = keys_of(top)
    least = top.parsed("least_revision", revision_of)
    trust = Trust("keys", keys, least_revision=least)
    policy = _policy(top, folder, trust, stage)
    port, pac_url, macos_program = _proxied(top, mode)
    cowork = top.flag("claude_desktop_cowork")
    upstream = top.parsed("upstream", upstream_proxy)
    enrolment, direct = enrolment_of(top, folder), direct_of(top, mode, hosts)
    own = tuple(sorted(root.permits - {*KNOWN.hosts, CANARY_HOST})) if root else ()
    top.done()
    if not (organization and identifier and contact and stage and mode and root and policy) or top.faults:
        return None
    return Rollout(
        organization, identifier, contact, root, hosts, left_out,
        tuple(SigningKey(each.name, str(each.key)) for each in keys),
        policy, mode, stage, least, port, pac_url, macos_program, cowork is not False, upstream,
        enrolment, own, direct,
    )  # fmt: skip


def _contact(top: Section) -> Contact | None:
    if not top.has("contact"):
        top.fault("contact", "is missing; people must know whom to ask: {name: IT desk, address: it@acme.example}")
    section = top.section("contact")
    if section is None:
        return None
    name, address = section.parsed("name", _name, required=True), section.parsed("address", _address, required=True)
    section.done()
    return Contact(name, address) if name and address else None


def _hosts(top: Section, named: tuple[str, ...], root: Root | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whose traffic is decrypted, and which of the providers' hosts the root leaves out."""
    if root is None:
        return (), ()
    foreign = sorted(root.permits - {*KNOWN.hosts, *named, CANARY_HOST})
    if foreign:
        top.fault("root", f"may sign for {_some(foreign)}, which is no host to read; {_REMEDY}")
    if CANARY_HOST not in root.permits:
        top.fault("root", f"may not sign for {CANARY_HOST}, by which the gate shows that it works; {_REMEDY}")
    if missing := [each for each in named if each not in root.permits]:
        top.fault("hosts", f"the root may not sign for {_some(missing)}; {_REMEDY}")
    hosts = sorted(named) or sorted(root.permits & set(KNOWN.hosts))
    if not hosts:
        top.fault("root", f"may sign for no provider's host; {_REMEDY}")
    return tuple(hosts), tuple(sorted(set(KNOWN.hosts) - root.permits)) if not named else ()


_REMEDY: Final = "make a root whose critical name constraints are just the hosts to read and the canary"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _policy(top: Section, folder: Path, trust: Trust, stage: Stage | None) -> FromUrl | FromFile | None:
    if not top.has("policy"):
        top.fault("policy", "is missing; name policy.url or policy.file")
    section = top.section("policy")
    if section is None:
        return None
    url, every = section.parsed("url", policy_url), section.parsed("every", how_often)
    path = section.parsed("file", file_name)
    section.done()
    if (url is None) == (path is None) and not top.faults:
        section.fault("url", "exactly one of url and file says where the policy comes from")
    if every is not None and not section.has("url"):
        section.fault("every", "belongs to url; a file is pushed by the MDM")
    if url is not None:
        return FromUrl(url, every)
    if path is None or top.faults:
        return None
    return _from_file(section, folder / path, trust, stage)


def _from_file(section: Section, file: Path, trust: Trust, stage: Stage | None) -> FromFile:
    """The policy with all that belongs to it, believed as a laptop would. Raises PolicyError."""
    origin = Gathering(file, signed=True)
    policy, _ = believed(origin, str(file), KNOWN, trust)
    if wrong := _against(policy, stage):
        section.fault("file", wrong)
    bundle = origin.bundle
    if taken := sorted(_TAKEN & {file.name, *bundle.names}):
        section.fault("file", f"{taken[0]} lies beside it on a laptop, and is another file; allowed: another name")
    included = tuple((name, data or b"") for name, data in bundle.included)
    return FromFile(file.name, bundle.main, bundle.signature or b"", included, policy.privacy)


def _against(policy: Policy, stage: Stage | None) -> str:
    """Why a policy does not fit the stage; empty where it does."""
    default, some = policy.mode.default, bool(policy.mode.enforce)
    if stage is Stage.OBSERVE and (default == "enforce" or some):
        return "refuses calls, and stage is observe; allowed: mode: observe"
    if stage is Stage.CANARY and (default == "enforce" or not some):
        return "stage is canary; allowed: mode: {default: observe, enforce: …} that names the group"
    if stage is Stage.ENFORCE and default != "enforce":
        return "only observes, and stage is enforce; allowed: mode: enforce"
    return ""


def _proxied(top: Section, mode: Mode | None) -> tuple[int, str | None, str | None]:
    port, pac_url = top.parsed("port", _port), top.parsed("pac_url", _https)
    program = top.parsed("macos_program", _program)
    if mode is Mode.TRANSPARENT:
        for key in ("port", "pac_url", "macos_program"):
            if top.has(key):
                top.fault(key, "belongs to mode: proxy")
    return PORT if port is None else port, pac_url, program


def _name(text: str) -> str:
    if len(text) > _NAME_MAX or not text.isprintable():
        raise ValueError(f"{shown(text)} is no name; allowed: at most {_NAME_MAX} characters that can be seen")
    return text


def _host(text: str) -> str:
    if "*" in text:
        raise ValueError(
            f"{shown(text)} is no exact host; allowed: llm.acme.example, since a root signs for exact hosts"
        )
    return host(text)


def _identifier(text: str) -> str:
    if _IDENTIFIER.fullmatch(text) is None:
        raise ValueError(
            f"{shown(text)} is no identifier; allowed: your domain backwards and a name, as com.acme.spendgate"
        )
    return text


def _address(text: str) -> str:
    if _MAIL.fullmatch(text) is None and not _is_https(text):
        raise ValueError(f"{shown(text)} is no address; allowed: it@acme.example, https://acme.example/it")
    return text


def _https(text: str) -> str:
    if not _is_https(text):
        raise ValueError(
            f"{shown(text)} is no place of a PAC file; allowed: https://host/path, since macOS takes no file"
        )
    return text


def _program(text: str) -> str:
    plain = re.fullmatch(r"(/[\w.+-]{1,100}){2,20}", text, re.ASCII) and ".." not in text.split("/")
    if not plain or text.startswith(("/Users/", "/tmp/", "/private/", "/var/")):  # noqa: S108 - refused, not used
        raise ValueError(
            f"{shown(text)} is no program for a daemon; allowed: a whole path where root alone writes,"
            " as /opt/spendgate/bin/spendgate"
        )
    return text


def _is_https(text: str) -> bool:
    try:
        found = urlsplit(text)
        plain = found.scheme == "https" and bool(found.hostname) and found.username is None and found.port != 0
    except ValueError:
        return False
    return plain and text.isascii() and not set(text) & set(" \"'<>\\`")


def _port(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{3,4}", text, re.ASCII) or not PORT_LEAST <= int(text) <= PORT_MOST:
        raise ValueError(f"{shown(text)} is no port for the gate; allowed: {PORT_LEAST} to {PORT_MOST}")
    return int(text)
