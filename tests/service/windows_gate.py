"""`spendgate service host` in a Python without POSIX (`end_to_end.without_posix`), started by a stand-in for Windows' service
manager, which stops it as soon as it runs and somebody has logged off. A program: its words are Spendgate's; each state that it
hears goes to stderr.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from pathlib import Path

LOGGED_OFF = 10
"""SIGUSR1, in place of SIGBREAK, as which a service hears that somebody logs off."""

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from end_to_end import without_posix
    from service import windows_stand_in

    without_posix.take_away()
    if "no_pywin32" in os.environ:  # as where it was not installed
        importlib.import_module("spendgate.cli.main").run()
    heard, stop = os.dup(2), threading.Event()

    def told(state: int) -> None:
        """The gate says how it is."""
        os.write(heard, f"state {state}\n".encode())
        if state == 4:
            os.kill(os.getpid(), LOGGED_OFF)  # a gate that does not ignore it ends by it
            stop.set()

    vars(signal)["SIGBREAK"] = LOGGED_OFF
    windows_stand_in.put(windows_stand_in.modules(windows_stand_in.Machine()))
    windows_stand_in.put(windows_stand_in.hosting(told, stop, managed="unmanaged" not in os.environ))
    importlib.import_module("spendgate.cli.main").run()
