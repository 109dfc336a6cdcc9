"""The program, as `spendgate` and as `python -m spendgate`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it with status 130 and no traceback, also while it is still being loaded."""
    try:
        from spendgate.cli.main import run  # noqa: PLC0415 - loading takes half a second, in which Ctrl-C may come

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
