"""The last boundary of what ends an exchange: mitmproxy would log a fault with its text, and the log gets its class alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)


def safely(act: Callable[[], None]) -> None:
    """Do it. Never raises."""
    try:
        act()
    except Exception as fault:  # noqa: BLE001 - the boundary; what is not settled now is an orphan that the gate finds
        logger.error("an exchange could not be ended: %s", type(fault).__name__)
