"""Why nothing is led to the machine's service, for want of a certificate that clients trust, and what mends that."""

from __future__ import annotations

import contextlib
from pathlib import Path

from spendgate.cli import awaiting
from spendgate.cli.report import Report
from spendgate.cli.transparent import TRANSPARENT
from spendgate.config import paths
from spendgate.errors import SpendgateError
from spendgate.service import client
from spendgate.service.redirect_units import UNABLE


def said(redirect: str) -> str:
    """By the machine's files, or by the gate's own word where what leads traffic to it says of itself (`redirect`) that it has no
    certificate to show. Empty: it has."""
    if awaiting.waits():
        return f"{awaiting.SAYS}: {awaiting.REMEDY}"
    why = ""
    if UNABLE in redirect:
        with contextlib.suppress(SpendgateError):
            why = client.asked(Path(paths.SOCKET), "status", {}, Report).not_led(TRANSPARENT)
    return f"{why}: {awaiting.remedy_of(why)}" if why else ""
