"""`spendgate mdm`: what an MDM pushes to laptops, made of one small file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from spendgate.cli.output import note, writing
from spendgate.config.rollout_file import read_rollout
from spendgate.errors import SpendgateError, UsageError
from spendgate.mdm.interface import Made
from spendgate.mdm.making import SUMS, listed, material

_commands = typer.Typer(help="What an MDM pushes to laptops.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_commands, name="mdm")


@_commands.callback()
def _group() -> None:
    """What an MDM pushes to laptops."""  # with a callback a group of one command stays a group


@_commands.command()
def make(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The rollout file, YAML.", show_default=False, readable=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the material goes: a new folder, or one made before.")
    ],
) -> None:
    """Make profiles, settings, scripts and the page for the people, from one rollout file. Same file, same bytes.

    Changes nothing on this machine, signs nothing, and holds no private key; a fleet's credential where the file names one.
    """
    rollout = read_rollout(file, datetime.now(UTC))
    made = material(rollout)
    _written(out, made)
    with writing():
        typer.echo(f"{out}: {len(made)} files; begin with README.md, verify with: cd {out} && sha256sum -c {SUMS}")
    if secrets := [each.path for each in made if each.secret]:
        note(f"{', '.join(secrets)}: with the fleet's credential, by which whoever reads it enrols as often as is left")
    if rollout.left_out:
        note(
            f"the root cannot sign for {len(rollout.left_out)} provider hosts that are known here, and nothing will be read"
            " there; README.md lists them"
        )


def _written(out: Path, made: tuple[Made, ...]) -> None:
    """Write all; take away what an earlier run made and this one did not. Raises SpendgateError."""
    try:
        before = _before(out)
        for each in made:
            path = out.joinpath(*each.path.split("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            if each.secret:
                _private(path)
            path.write_bytes(each.content)
        for name in before - {each.path for each in made}:
            out.joinpath(*name.split("/")).unlink(missing_ok=True)
    except OSError as fault:
        raise SpendgateError(f"{fault.filename or out}: cannot be written: {fault.strerror}") from fault


def _private(path: Path) -> None:
    """For its owner alone, from before the first byte, also where it is there already."""
    path.touch(0o600)
    path.chmod(0o600)


def _before(out: Path) -> frozenset[str]:
    """What an earlier run wrote there. Raises UsageError for a folder with other things in it."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return frozenset()
    sums = out / SUMS
    if not out.is_dir() or not sums.is_file():
        raise UsageError(f"--out {out}: is there and was not made by `spendgate mdm make`; name a new folder")
    return listed(sums.read_text())
