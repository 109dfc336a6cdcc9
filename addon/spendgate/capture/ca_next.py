"""A rotation that overlaps: the next authority lies beside the one in use, so that it is trusted before anybody is shown it.

    ca/next-ca-cert.pem      its certificate, for everybody
    private/next-ca-key.pem  its key, issuer and root

The gate takes it at its next start. A crash at any step leaves what that start brings to its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from spendgate.capture import ca_files


def next_to(file: Path) -> Path:
    """Where that of the next authority lies, by that of the one in use."""
    return file.with_name(f"next-{file.name}")


def seen_next(certificate: Path) -> Path | None:
    """The next authority's certificate, where there is one and this account may see it."""
    following = next_to(certificate)
    return following if os.path.exists(following) else None  # noqa: PTH110 - `Path.exists` raises where it may not look


def prepare_next(certificate: Path, key: Path, hosts: Iterable[str], now: datetime) -> Path:
    """Make it, in place of one that was made and not taken yet; its certificate. As the gate's account. Raises StateError,
    OSError."""
    drop_next(certificate, key)
    ca_files.open_authority(next_to(certificate), next_to(key), hosts, now)
    return next_to(certificate)


def take_next(certificate: Path, key: Path, now: datetime) -> bool:
    """Put it in the place of the one in use, where there is one. Raises StateError for one that is no authority of ours."""
    following = next_to(key)
    if not following.exists():
        next_to(certificate).unlink(missing_ok=True)  # what a crash has left behind the last step
        return False
    ca_files.replace(certificate, ca_files.load(following, now).pem, ca_files.CERTIFICATE_MODE)
    following.replace(key)
    next_to(certificate).unlink(missing_ok=True)
    return True


def drop_next(certificate: Path, key: Path) -> None:
    """The key first: without it there is nothing to take."""
    next_to(key).unlink(missing_ok=True)
    next_to(certificate).unlink(missing_ok=True)
