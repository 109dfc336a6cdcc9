"""`spendgate`: the command line. Exit status 0 fine, 1 findings, 2 wrong usage.

Commands are loaded when they are asked for (`commands`), and import what they need when they run: the reading commands stay
quick, and only `run` and `exec` load the proxy. SPENDGATE_TRACEBACK=1 in the environment shows where a fault of Spendgate's
own arose.
"""

from __future__ import annotations

import os
import sys

from spendgate.cli.commands import application
from spendgate.cli.output import end_notes, flush, note, spell, tell
from spendgate.errors import PolicyError, RolloutError, SpendgateError, StatementError, UsageError


def run() -> None:
    """The program. What went wrong is one line that names the place and the remedy."""
    spell()
    try:
        _run()
    finally:
        end_notes()


def _run() -> None:
    try:
        try:
            application(*(sys.argv[1:2] or ["--help"]))()
        finally:
            flush()
    except UsageError as fault:
        note(str(fault))
        sys.exit(2)
    except (PolicyError, RolloutError) as fault:
        for line in fault.faults:
            tell(line)  # `file:line:column: …` stands alone, so that editors can follow it
        why = "the policy cannot take force" if isinstance(fault, PolicyError) else "nothing was made"
        note(f"{why}: {len(fault.faults)} fault{'s' if len(fault.faults) > 1 else ''}")
        sys.exit(1)
    except StatementError as fault:
        for line in fault.faults:
            note(line)
        sys.exit(1)
    except SpendgateError as fault:
        note(str(fault))
        sys.exit(1)
    except PermissionError as fault:
        note(
            f"{fault.filename}: {fault.strerror}; run as the account that it belongs to, or choose another state with --state"
        )
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; nobody wants to hear of it
        sys.exit(0)
    except Exception as fault:  # its text may hold what a call said, so that only its class is shown
        if os.environ.get("SPENDGATE_TRACEBACK"):
            raise
        note(
            f"{' '.join(sys.argv[1:2])} failed by a fault of Spendgate's own: {type(fault).__name__}"
            " (SPENDGATE_TRACEBACK=1 shows where)"
        )
        sys.exit(1)
