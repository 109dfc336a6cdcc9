"""For which names a certificate authority may sign at all, read from its certificate. Pure."""

from __future__ import annotations

from typing import Final

from cryptography import x509

CANARY_HOST: Final = "canary.spendgate.invalid"
"""A host that nobody can own; the gate itself answers for it, so that a probe shows whether traffic passes it."""


def permitted(certificate: x509.Certificate) -> frozenset[str]:
    """The DNS names that a certificate's constraints permit. Raises ValueError where it would let more through.

    More is: no constraints, constraints that are not critical, no permitted DNS name, or an address range left open.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound as missing:
        raise ValueError("has no name constraints") from missing
    excluded = {str(name.value) for name in extension.value.excluded_subtrees or () if isinstance(name, x509.IPAddress)}
    names = frozenset(n.value for n in extension.value.permitted_subtrees or () if isinstance(n, x509.DNSName))
    if not extension.critical or not names or not {"0.0.0.0/0", "::/0"} <= excluded:
        raise ValueError("has name constraints that leave names or addresses open")
    return names
