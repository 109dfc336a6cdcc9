"""Puts a gate up as a systemd service: account, unit, start. Says each thing that it changes; what is as it should be is left."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import typer

import spendgate
from spendgate.cli import installed_policy, installed_program, not_led, removing
from spendgate.cli.output import note, writing
from spendgate.config import paths
from spendgate.config.credentials import UPSTREAM_AUTH
from spendgate.errors import StateError, UsageError
from spendgate.redirect.privileges import check_readable, gate_account
from spendgate.service import machine
from spendgate.service.redirect_units import REDIRECT
from spendgate.service.unit import MARK, UNIT, Description, File, files, folders, made_by, units

RUN_INSTEAD = "start `spendgate run --state DIR --policy FILE` from whatever starts programs there"
_BACKS_OFF_SINCE = 254


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `service install`."""

    policy: Path | None
    port: int
    program: Path | None
    redirect_port: int | None = None
    upstream: str | None = None
    containers: tuple[str, ...] = ()


def described(wanted: Wanted, *, backs_off: bool = True) -> Description:
    """What is to be installed. Raises UsageError."""
    policy = None if wanted.policy is None else PurePosixPath(wanted.policy.expanduser().absolute())
    program = installed_program.program_of(wanted.program)
    state, socket = PurePosixPath(paths.SERVICE_DIRECTORY), PurePosixPath(paths.SOCKET)
    return Description(
        program, state, socket,
        policy=policy, port=wanted.port, redirect_port=wanted.redirect_port, upstream=wanted.upstream,
        containers=wanted.containers,
        credentials=(UPSTREAM_AUTH,) if wanted.upstream else (), backs_off=backs_off,
    )  # fmt: skip


def show(wanted: Wanted, root: Path | None) -> None:
    """`--dry-run`: every account, folder and file with its mode and all its lines, and what would be run. Raises StateError, and
    PolicyError and UsageError for a policy by which `install` would stop. That this is root, and systemd runs, is not asked."""
    about, missing = (_elsewhere(wanted), ()) if root else _prepared(wanted)
    with writing():
        for each in missing:
            typer.echo(f"# makes the {each.replace(':', ' ')}")
        for folder in folders(about):
            typer.echo(f"# systemd makes {folder.path}, mode {folder.mode:04o}, of {folder.owner}")
        for file in files(about, packaged=root is not None):
            place = _placed(file, root)
            so = "is so already:" if _is_so(file, place) else "changes" if place.exists() else "writes"
            typer.echo(f"# {so} {place}, mode {file.mode:04o}, of root")
            typer.echo(file.text)
        for name in () if root else removing.left_over(about):
            typer.echo(f"# stops and removes {removing.placed(name)}")
        for line in _commands(about, root):
            typer.echo(f"# runs: {line}")
    if root is None and wanted.policy is not None:
        note(installed_policy.checked(wanted.policy))


def write_below(wanted: Wanted, root: Path) -> None:
    """The files of a package, below `root`. Raises StateError, UsageError."""
    about = _elsewhere(wanted)
    changed = [write(file, _placed(file, root)) for file in files(about, packaged=True)]
    if not any(changed):
        note(f"{root} is as it should be; nothing was changed")
    note(f"after it is unpacked: {', '.join(f'`{line}`' for line in _commands(about, root))}")


def install(wanted: Wanted) -> None:
    """All of it, on this machine. Raises StateError, UsageError."""
    machine.check_systemd(RUN_INSTEAD)
    removing.check_root("install")
    about, missing = _prepared(wanted)
    installed_program.check_seen(about)
    installed_program.check_program(about)
    policy = Path(about.policy) if about.policy else None
    if policy is not None:
        installed_policy.check_readable(policy, about.account)
    goes_by = installed_policy.checked(policy)
    if f"user:{about.account}" not in missing:
        gate_account(about.account)
    # The unit before the accounts: it says which of them were made, whatever fails from here on.
    changed = {file.path.name: write(file, Path(file.path)) for file in files(about)}
    if missing:
        machine.make_accounts(Path(files(about)[0].path))
        for each in missing:
            note(f"made the {each.replace(':', ' ')}")
    check_readable(gate_account(about.account), installed_program.needed(about))
    for each in removing.drop_units(removing.left_over(about)):
        note(f"WARNING {each}")
    machine.systemctl("daemon-reload")
    # What redirects comes first: the gate is captured for as soon as it is ready.
    updated = _updated("" if wanted.program else spendgate.__version__)
    for name in reversed(units(about)):
        _start(name, changed=changed[name] or updated)
    note(goes_by)
    if why := not_led.said(machine.unit_said(REDIRECT)["StatusText"]):
        note(f"WARNING {why}")


def _elsewhere(wanted: Wanted) -> Description:
    """What is to be installed on another machine. Raises UsageError."""
    named = [path for path in (wanted.program, wanted.policy) if path is not None]
    if wanted.program is None or not all(path.is_absolute() for path in named):
        raise UsageError(
            "--root is for another machine: name its spendgate, as in --program /opt/spendgate/bin/spendgate, "
            "and its policy by their whole paths there"
        )
    return described(wanted)


def _prepared(wanted: Wanted) -> tuple[Description, tuple[str, ...]]:
    """What is to be installed here, and which accounts are missing. What an earlier installation made stays noted as made.

    Raises StateError where the unit is not ours to write.
    """
    about = described(wanted, backs_off=machine.version() >= _BACKS_OFF_SINCE)
    names = (f"user:{about.account}", f"group:{about.account}", f"group:{about.admins}")
    missing = tuple(sorted(each for each in names if not machine.is_there(each)))
    accounts, unit, *beside = (Path(file.path) for file in files(about))
    ours: tuple[str, ...] | None = ()
    if before := _text(unit):
        ours = made_by(before)
    foreign = [unit] if ours is None else [each for each in beside if (text := _text(each)) and MARK not in text]
    if ours is None or foreign:
        raise StateError(f"{foreign[0]} was not made by `spendgate service install`; move it away first")
    folder = () if accounts.parent.exists() else (f"folder:{accounts.parent}",)
    return replace(about, made=tuple(sorted({*ours, *missing, *folder}))), missing


def write(file: File, place: Path) -> bool:
    """Put the file where it is to be, and say so; False: it was so already. Raises StateError."""
    try:
        if _is_so(file, place):
            return False
        before = _text(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        paths.write_private(place, file.text.encode())
        place.chmod(file.mode)
    except OSError as fault:
        raise StateError(f"{place}: {fault.strerror or fault}") from fault
    note(f"{'changed' if before else 'wrote'} {place}{_differing(before, file.text)}")
    return True


def _differing(before: str, after: str) -> str:
    """The lines that went and came, where there were others: an option that was left out this time is seen to go."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines()) if before else ()
    return "".join(f"\n  {line}" for line in lines if line[:2] in ("- ", "+ "))


def _is_so(file: File, place: Path) -> bool:
    return _text(place) == file.text and place.stat().st_mode & 0o7777 == file.mode


def _updated(version: str) -> bool:
    """Whether the gate that runs is of another version than its unit starts, where that is known: an update replaces the files of
    what runs on."""
    return not machine.unit_said(UNIT)["StatusText"].startswith(f"spendgate {version} " if version else "")


def _start(unit: str, *, changed: bool) -> None:
    """Raises StateError with what it said last."""
    was = machine.unit_said(unit)
    if was["UnitFileState"] != "enabled":
        machine.systemctl("--quiet", "enable", unit)
        note(f"{unit} starts with the machine")
    if was["ActiveState"] == "active" and not changed:
        note(f"{unit} runs as it should; nothing was changed")
        return
    try:
        machine.systemctl("restart", unit)
    except StateError as fault:
        said = "".join(f"\n  {line}" for line in machine.last_words(unit))
        raise StateError(
            f"the service is installed and did not start; see `journalctl --unit {unit}`, mend it and install again{said}"
        ) from fault
    after = "; `spendgate service status` asks after it" if unit == UNIT else ""
    note(f"{unit} {'restarted' if was['ActiveState'] == 'active' else 'started'}{after}")


def _commands(about: Description, root: Path | None) -> tuple[str, ...]:
    make = "systemd-sysusers" if root else "systemd-sysusers /etc/sysusers.d/spendgate.conf"
    names = " ".join(reversed(units(about)))
    start = (
        (f"systemctl enable --now {names}",) if root else (f"systemctl enable {names}", f"systemctl restart {names}")
    )
    return (make, "systemctl daemon-reload", *start)


def _placed(file: File, root: Path | None) -> Path:
    return (root / file.path.relative_to("/")) if root else Path(file.path)


def _text(place: Path) -> str:
    """Empty where there is none."""
    try:
        return place.read_text()
    except FileNotFoundError:
        return ""
