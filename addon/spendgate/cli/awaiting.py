"""Whether this machine's service waits for its organization's certificates: until then nothing trusts what it shows.

By files that every account may read: the rollout has put the organization's root down, and the gate's certificate is still one of
its own making. Where somebody has put that into the machine's store all the same, nothing waits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography import x509

from spendgate.capture import organization
from spendgate.config import paths
from spendgate.config.trust import TRUST_FILE
from spendgate.errors import StateError
from spendgate.stores.anchor import anchor
from spendgate.stores.system import systems

ROOT: Final = TRUST_FILE.with_name("root.pem")
SAYS: Final = (
    "this machine waits for its organization's certificates: nothing trusts this gate's own. Until they are installed calls to"
    " providers that come to it by a proxy variable fail, and transparent capture leads none to it"
)
REMEDY: Final = (
    "as the gate's account `spendgate ca org enroll`, or `ca org request` and `ca org install` with what the organization issues;"
    " then `systemctl restart spendgate`, as root"
)
WAITS: Final = "it waits for its organization's certificates"
"""Why nothing is led to such a gate."""
INSTALLED: Final = "its organization's certificates are installed, and it shows its own until it is started again"
"""Likewise of one that was started before they came."""
ENDED: Final = "none of its organization's certificates holds"
"""Likewise of one whose certificates have ended."""
ENDED_REMEDY: Final = (
    "install others, as the gate's account: `spendgate ca org enroll`, or `spendgate ca org install FILE`; they take force by"
    " themselves"
)

INSTALLED_REMEDY: Final = "`systemctl restart spendgate`, as root"


def remedy_of(why: str) -> str:
    """What mends that nothing is led to a gate, by what ends in one of these reasons."""
    return next(
        (remedy for reason, remedy in ((WAITS, REMEDY), (INSTALLED, INSTALLED_REMEDY)) if why.endswith(reason)),
        ENDED_REMEDY,
    )


def waits() -> bool:
    """For the machine's own service."""
    certificate = paths.State(paths.SERVICE_DIRECTORY).ca_certificate
    return ROOT.exists() and _untrusted_own(certificate)


def is_services(certificate: str) -> bool:
    """Whether this file is the certificate of the machine's service."""
    return Path(certificate) == paths.State(paths.SERVICE_DIRECTORY).ca_certificate


def waits_at(certificate: str) -> bool:
    """For the gate whose certificate is this file."""
    return is_services(certificate) and waits()


def installed_at(certificate: str) -> bool:
    """Whether this file is the organization's by now."""
    try:
        return organization.is_organizations(x509.load_pem_x509_certificate(Path(certificate).read_bytes()))
    except (OSError, ValueError):
        return False


def _untrusted_own(certificate: Path) -> bool:
    try:
        content = certificate.read_bytes()
        if organization.is_organizations(x509.load_pem_x509_certificate(content)):
            return False
        ours = anchor(content, str(certificate))
        return not any(ours.name in each.trusted() for each in systems() if each.is_here())
    except (OSError, ValueError, StateError):
        return False
