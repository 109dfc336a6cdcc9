"""`spendgate service host` in a Python without POSIX (`end_to_end.without_posix`), started by a stand-in for Windows' service
manager, which stops it as soon as it runs. A program: its words are Spendgate's; each state that it hears goes to stderr.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from pathlib import Path

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
            stop.set()

    windows_stand_in.put(windows_stand_in.modules(windows_stand_in.Machine()))
    windows_stand_in.put(windows_stand_in.hosting(told, stop, managed="unmanaged" not in os.environ))
    importlib.import_module("spendgate.cli.main").run()
