"""Every verifier that is known here, in the order of the table."""

from __future__ import annotations

from spendgate.verifiers.interface import Verifier
from spendgate.verifiers.nss import BROWSERS
from spendgate.verifiers.runtimes import RUNTIMES
from spendgate.verifiers.tools import TOOLS

VERIFIERS: tuple[Verifier, ...] = (*TOOLS, *RUNTIMES, *BROWSERS)
