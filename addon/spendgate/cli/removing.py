"""Takes away what `service install` made, and nothing else: the service, its unit, its state, the accounts made for it."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import typer

from spendgate.cli.output import note, writing
from spendgate.config import paths
from spendgate.errors import StateError
from spendgate.redirect import nftables
from spendgate.redirect.ruleset import TABLE
from spendgate.service import machine
from spendgate.service.redirect_units import REDIRECT
from spendgate.service.unit import BESIDE, MARK, UNIT, Description, made_by, units
from spendgate.stores.here import stores
from spendgate.stores.withdrawing import names_of, where, withdraw

_UNITS, _LISTED = Path("/etc/systemd/system"), Path("/etc/sysusers.d/spendgate.conf")
_LIB = Path("usr/lib/systemd/system")
_PACKAGED = (*(_LIB / name for name in (UNIT, *BESIDE)), Path("usr/lib/sysusers.d/spendgate.conf"))
_FOLDER = "folder:"
_LEDGER = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "heads.json")


def uninstall(*, keep_ledger: bool, dry_run: bool) -> None:
    """Raises StateError."""
    unit = placed(UNIT)
    if not dry_run:
        check_root("uninstall")
    if not unit.exists():
        _not_ours_to_take()
        return
    made = made_by(unit.read_text())
    if made is None:
        raise StateError(f"{unit} was not made by `spendgate service install`; nothing was changed")
    if dry_run:
        _say(unit, made, keep_ledger=keep_ledger)
        return
    machine.check_systemd(f"remove {unit}, {paths.SERVICE_DIRECTORY} and the account by hand")
    left = drop_units(_there())  # first, so that traffic goes direct before the gate ends
    machine.systemctl("--quiet", "disable", "--now", UNIT)
    note(f"{UNIT} stopped")
    # While the state is there, which says whose certificate it is: those of other gates stay trusted.
    left = (*left, *withdraw(_ours(), note))
    try:
        drop_state(keep_ledger=keep_ledger)
    except OSError as fault:
        raise StateError(
            f"{fault.filename} cannot be removed: {fault.strerror}; mend that and run this again"
        ) from fault
    # The unit last: it says what was made, to whoever has to try again.
    for each in machine.remove_accounts(tuple(each for each in made if not each.startswith(_FOLDER))):
        note(f"removed the {each.replace(':', ' ')}")
    for file in (_LISTED, unit):
        _drop(file)
    for folder in (Path(each.removeprefix(_FOLDER)) for each in made if each.startswith(_FOLDER)):
        with contextlib.suppress(OSError):  # another program's files may lie in it by now
            folder.rmdir()
    machine.systemctl("daemon-reload")
    machine.reset_failed(UNIT)
    if trusting := _trusting():
        note(
            f"WARNING a certificate of Spendgate is still trusted in {trusting}, put there for another gate or by an MDM:"
            " `spendgate ca untrust --all` takes every one out"
        )
    if left:
        raise StateError(f"all is removed but this: {'; '.join(left)}")


def stop() -> None:
    """The gate and what redirects to it, until they are started again. Raises StateError."""
    machine.check_systemd("nothing is a service there; end `spendgate run` where it was started")
    check_root("stop")
    if machine.unit_said(UNIT)["LoadState"] == "not-found":
        raise StateError("no service is installed: nothing was stopped")
    beside = tuple(name for name in BESIDE if machine.unit_said(name)["LoadState"] != "not-found")
    for name in (*beside, UNIT):  # what redirects first, so that traffic goes direct before the gate ends
        machine.systemctl("stop", name)
        note(f"{name} stopped")
    if left := _drop_rules() if beside else "":
        raise StateError(left)
    note("calls go direct; `systemctl start spendgate` starts it again, and so does the machine's next start")


def remove_below(root: Path, *, dry_run: bool) -> None:
    """The files that `install --root` wrote."""
    there = [root / each for each in _PACKAGED if (root / each).exists()]
    for file in there:
        if dry_run:
            _echo(f"removes {file}")
        else:
            _drop(file)
            _drop_empty(file.parent, root)
    if not there:
        note(f"nothing of the service is in {root}")


def placed(unit: str) -> Path:
    """Where the installation writes it."""
    return _UNITS / unit


def left_over(wanted: Description) -> tuple[str, ...]:
    """Units of ours that an installation as described has no more."""
    return tuple(name for name in _there() if name not in units(wanted))


def drop_units(names: tuple[str, ...]) -> tuple[str, ...]:
    """Stop and remove these units that redirect, and the rules with them: also those of a process that was killed.

    Gives what could not be removed, with its remedy. Raises StateError.
    """
    left = []
    for name in names:
        machine.systemctl("--quiet", "disable", "--now", name)
        note(f"{name} stopped")
        if name == REDIRECT:
            left.append(_drop_rules())
        _drop(placed(name))  # last: while it is there, another attempt takes up from here
        machine.reset_failed(name)
    return tuple(each for each in left if each)


def _drop_rules() -> str:
    """What to do where that failed: nft may have been removed since. Rules without a gate act no more, unless they hold."""
    try:
        nftables.remove()
    except StateError as fault:
        return (
            f"the firewall rules may still be in the kernel ({fault}): where nft is, `nft delete table {TABLE}`; "
            "else the machine's next start ends them"
        )
    return ""


def check_root(verb: str) -> None:
    """Raises StateError."""
    if os.geteuid() != 0:
        what = "stops units: run it as root" if verb == "stop" else "changes accounts and units: run it as root"
        raise StateError(f"service {verb} {what}{'' if verb == 'stop' else ' (`--dry-run` shows all of it)'}")


def _there() -> tuple[str, ...]:
    """The units beside the gate's that are ours."""
    return tuple(name for name in BESIDE if placed(name).exists() and MARK in placed(name).read_text())


def _not_ours_to_take() -> None:
    """Raises StateError where a package has it."""
    if (packaged := Path("/") / _PACKAGED[0]).exists():
        raise StateError(f"{packaged} came with a package: remove the package")
    note("no service is installed; nothing was changed")


def _say(unit: Path, made: tuple[str, ...], *, keep_ledger: bool) -> None:
    """What would be done."""
    beside = _there()
    for name in (*beside, UNIT):
        _echo(f"stops {name}")
    for file in (*map(placed, beside), unit, _LISTED):
        _echo(f"removes {file}")
    for store, there in where(_ours()):
        for change in store.remove(sorted(there)):
            _echo(f"would {change.says}")
    kept = f", but keeps {paths.SERVICE_DIRECTORY / _LEDGER[0]}" if keep_ledger else ", the ledger with it"
    _echo(f"removes {paths.SERVICE_DIRECTORY}{kept}")
    for each in made:
        _echo(
            f"removes the {each.replace(':', ' ')}"
            + (", where nothing else is in it" if each.startswith(_FOLDER) else "")
        )


def _ours() -> frozenset[str]:
    """The certificates that were trusted for the service."""
    state = paths.State(paths.SERVICE_DIRECTORY)
    return names_of(state.root, state.ca_certificate)


def _trusting() -> str:
    """The machine's stores with a certificate of ours: `ca trust` put it there, so nothing else takes it away unasked."""
    with contextlib.suppress(StateError):
        return ", ".join(store.name for store in stores() if store.trusted())
    return ""


def drop_state(*, keep_ledger: bool) -> None:
    """The state directory; with `keep_ledger` all of it but the ledger, which is root's then: the account's number goes to
    whoever is made next."""
    state = paths.SERVICE_DIRECTORY
    if not state.exists():
        return
    if not keep_ledger:
        shutil.rmtree(state.resolve())
        if state.is_symlink():  # to a larger disk
            state.unlink()
        note(f"removed {state}, the ledger with it")
        return
    # The folder first: what the account may still run must not exchange an entry for another between the look and the act.
    os.chown(state, 0, 0)
    state.chmod(0o700)
    for entry in state.iterdir():
        if entry.name not in _LEDGER:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        else:
            os.chown(entry, 0, 0, follow_symlinks=False)
    note(
        f"kept {state / _LEDGER[0]}, root's alone; `spendgate spend --state {state}` reads it, and `rm -r {state}` removes it"
    )


def _drop_empty(folder: Path, root: Path) -> None:
    """This folder and those above it up to `root`, as far as they are empty: a package would bring them along."""
    with contextlib.suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _drop(file: Path) -> None:
    try:
        file.unlink()
    except FileNotFoundError:
        return
    except OSError as fault:
        raise StateError(f"{file} cannot be removed: {fault.strerror}") from fault
    note(f"removed {file}")


@writing()
def _echo(line: str) -> None:
    typer.echo(line)
