"""`python -m spendgate` is the command line."""

from spendgate.cli.main import run

run()
