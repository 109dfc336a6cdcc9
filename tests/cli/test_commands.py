"""Commands are loaded when they are asked for: what stands in no row of the table would be missing from the product."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from spendgate.cli.commands import COMMANDS, application


def _names(first: str = "") -> set[str]:
    group = typer.main.get_command(application(first))
    return set(group.commands)


@pytest.mark.parametrize("first", COMMANDS)
def test_a_command_is_there_alone(first: str) -> None:
    assert _names(first) == {first}


@pytest.mark.parametrize("first", ["", "stats", "../run", "run_"])
def test_any_other_word_loads_them_all(first: str) -> None:
    assert _names(first) == set(COMMANDS)


def test_the_list_is_what_the_commands_say_of_themselves() -> None:
    """It is written down, so that `--help` loads none of them."""
    light, whole = (CliRunner().invoke(application(first), ["--help"]).stdout for first in ("--help", ""))
    assert light == whole and "reconcile" in light


@pytest.mark.parametrize("first", COMMANDS)
def test_its_own_commands_are_those_of_the_whole(first: str) -> None:
    alone = typer.main.get_command(application(first)).commands[first]
    whole = typer.main.get_command(application()).commands[first]
    assert set(getattr(alone, "commands", ())) == set(getattr(whole, "commands", ()))


def test_a_command_loads_neither_the_proxy_nor_the_others() -> None:
    """Of what takes long to load: the proxy, prices, charts, the patterns of every wire."""
    code = (
        "import sys; sys.argv = ['spendgate', 'spend', '--help']\n"
        "from spendgate.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "found = {'mitmproxy.master', 'pygal', 'apprise', 'genai_prices.data', 'spendgate.cli.policy_'} & sys.modules.keys()\n"
        "print(*sorted(found), file=sys.stderr)\n"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stderr.strip() == ""
