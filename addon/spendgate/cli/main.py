"""`spendgate`: the command line. Exit status 0 fine, 1 findings, 2 wrong usage.

Commands import what they need when they run: `spendgate --help` and the reading commands stay quick, and only `run` and
`exec` load the proxy. SPENDGATE_TRACEBACK=1 in the environment shows where a fault of Spendgate's own arose.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from spendgate import __version__
from spendgate.cli import (
    alerts,
    answering,
    ask,
    audit,
    ca,
    calls,
    digest,
    exec_,
    export,
    grant,
    ledger_,
    me,
    policy_,
    purge,
    reconcile,
    reconcile_calibrate,
    reconcile_report,
    run_,
    spend,
    status,
    witness,
)
from spendgate.cli.output import flush, note, writing
from spendgate.errors import PolicyError, SpendgateError, UsageError

app = typer.Typer(
    name="spendgate",
    help="Sees what AI tools spend, ties it to the person, and holds it to a budget before the call leaves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def common(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options before the command."""
    if version:
        with writing():
            typer.echo(f"spendgate {__version__}")
        raise typer.Exit


run_.register(app)
exec_.register(app)
status.register(app)
spend.register(app)
calls.register(app)
audit.register(app)
ca.register(app)
policy_.register(app)
alerts.register(app)
digest.register(app)
ask.register(app)
grant.register(app)
witness.register()
reconcile_report.register()
reconcile_calibrate.register()
reconcile.register(app)
ledger_.register(app)
export.register(app)
answering.register(app)
me.register(app)
purge.register(app)


def run() -> None:
    """The program. What went wrong is one line that names the place and the remedy."""
    try:
        try:
            app()
        finally:
            flush()
    except UsageError as fault:
        note(str(fault))
        sys.exit(2)
    except PolicyError as fault:
        for line in fault.faults:
            print(line, file=sys.stderr)  # noqa: T201 - `file:line:column: …` stands alone, so that editors can follow it
        note(f"the policy cannot take force: {len(fault.faults)} fault{'s' if len(fault.faults) > 1 else ''}")
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
