"""What a rollout file says, as values: who rolls out what, to which stage, for which hosts, with whose keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import NAMESPACE_DNS, uuid5

from spendgate.name_constraints import CANARY_HOST
from spendgate.privacy import Privacy


class Mode(StrEnum):
    """How traffic comes to the gate."""

    TRANSPARENT = "transparent"
    """The operating system leads it there: also that of tools which know no proxy."""
    PROXY = "proxy"
    """Variables, settings and a PAC file name the gate as proxy: the least privilege, and what ignores them is not seen."""


class Stage(StrEnum):
    """How far the rollout is."""

    OBSERVE = "observe"
    """Nobody is refused: the policy decides and records alone."""
    CANARY = "canary"
    """A group is refused what does not fit."""
    ENFORCE = "enforce"
    """Everybody is."""


@dataclass(frozen=True, slots=True)
class Root:
    """The organization's root certificate, its public part."""

    pem: bytes
    der: bytes
    subject: str
    sha256: str
    until: str
    """The last day on which it holds."""
    permits: frozenset[str]
    """The names that it can sign for, and no others."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that may sign policies: minisign's public key as it is printed."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class FromUrl:
    """Machines fetch the policy."""

    url: str
    every_s: int | None = None


@dataclass(frozen=True, slots=True)
class FromFile:
    """The policy is pushed: its file, what it includes, and the signature over all of them."""

    name: str
    main: bytes
    signature: bytes
    included: tuple[tuple[str, bytes], ...]
    privacy: Privacy


class DeviceName(StrEnum):
    """What a device is called in its certificates."""

    HOSTNAME = "hostname"
    """Its first label."""
    SERIAL = "serial"
    """The hardware's serial number, as inventories have it."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The company's office, which answers devices over HTTPS."""

    office: str
    """`https://HOST:PORT`."""
    device: DeviceName = DeviceName.HOSTNAME
    token: str | None = field(default=None, repr=False)
    """A fleet's credential, which scripts hold then; None: the MDM puts one down on each device."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom people ask."""

    name: str
    address: str
    """A mail address or an https URL."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """All of it. No key that signs, no machine and no person is in it; a fleet's credential may be."""

    organization: str
    identifier: str
    """Reverse DNS, the organization's own: what profiles and background items are called after."""
    contact: Contact
    root: Root
    hosts: tuple[str, ...]
    """Whose traffic is decrypted; sorted."""
    left_out: tuple[str, ...]
    """Providers' hosts that the root cannot sign for: not decrypted, and not counted."""
    keys: tuple[SigningKey, ...]
    policy: FromUrl | FromFile
    mode: Mode
    stage: Stage
    least_revision: int | None = None
    port: int = 8080
    """Where the gate listens on the loopback address under `proxy`."""
    pac_url: str | None = None
    macos_program: str | None = None
    """Under `proxy`: the gate's program on Macs, which a launchd daemon starts; None: something else starts it."""
    cowork: bool = True
    """Whether Claude Desktop may start its virtual machine, whose traffic no gate on the laptop sees."""

    upstream: str | None = None
    """The company's proxy that gates go out through, as `http://HOST:PORT`; None: they go directly."""
    enrolment: Enrolment | None = None
    """How devices get their certificates over HTTPS; None: somebody brings them."""
    own_hosts: tuple[str, ...] = ()
    """Hosts of the root that nobody captures but a policy which names them; sorted."""
    direct: tuple[str, ...] = ()
    """Under `proxy`: the company's own names and nets, which programs ask without the gate."""

    @property
    def signs_for(self) -> frozenset[str]:
        """The sites that the root can stand for: the canary is nobody's."""
        return self.root.permits - {CANARY_HOST}

    def named(self, part: str) -> str:
        """The identifier of one part."""
        return f"{self.identifier}.{part}"

    def uuid(self, part: str) -> str:
        """Of one part, the same for ever: so a profile that is made again replaces the old one."""
        return str(uuid5(NAMESPACE_DNS, self.named(part))).upper()
