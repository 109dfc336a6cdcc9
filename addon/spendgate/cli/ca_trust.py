"""`spendgate ca trust` and `untrust`: the authority's certificate into the trust stores of this machine, and out again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from spendgate.capture.ca_next import next_to
from spendgate.cli.options import StateOption
from spendgate.cli.output import note, writing
from spendgate.config import paths
from spendgate.errors import StateError, UsageError
from spendgate.name_constraints import CANARY_HOST
from spendgate.stores import noted
from spendgate.stores.anchor import Anchor, anchor
from spendgate.stores.here import stores
from spendgate.stores.interface import Change, Store

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print each change instead of making it.")]
AllOption = Annotated[
    bool,
    typer.Option("--all", help="Every certificate of Spendgate, whichever authority's; for when its file is gone."),
]
OldOption = Annotated[
    bool,
    typer.Option(
        "--old", help="Every other certificate of Spendgate, as of before `ca rotate`; this authority's stays."
    ),
]


def trust(state: StateOption = None, dry_run: DryRunOption = False) -> None:
    """Put the certificate into the system's trust store, as root, and into the NSS databases of the account that runs this; after
    `ca rotate` the next one beside it.

    Linux. The certificate is refused where it could sign for more than named hosts. What is there already stays as it is.
    """
    found = paths.find(state)
    ours = anchors_of(found)
    for each in ours:
        check(each)
    plan = [(store, store.add(each)) for store in _found() for each in ours if each.name not in store.trusted()]
    if not dry_run and _is_root() and any(store.needs_root for store in _found()):
        for each in ours:  # before the act: what is noted and not there costs nothing
            noted.add(each.name, found.root.absolute())
    names = " and ".join(each.name for each in ours)
    _carry_out(plan, dry_run=dry_run, nothing=f"{names}: trusted already, nothing to change")
    if len(ours) > 1 and not dry_run:
        note(
            "the next certificate is trusted beside the one in use: restart the gate, then `spendgate ca untrust --old`"
        )


def untrust(
    state: StateOption = None, every: AllOption = False, old: OldOption = False, dry_run: DryRunOption = False
) -> None:
    """Take the certificate out of the same stores, and nothing else. What `ca trust` added leaves no trace in them."""
    if every and old:
        raise UsageError("--all and --old exclude each other: all are those, too")
    ours = frozenset[str]() if every else {each.name for each in anchors_of(paths.find(state))}
    plan, out = [], frozenset[str]()
    for store in _found():
        there = store.trusted()
        names = there - ours if every or old else there & ours
        out |= names if store.needs_root else frozenset()
        plan.append((store, store.remove(sorted(names))))
    _carry_out(plan, dry_run=dry_run, nothing="no such certificate in the trust stores here: nothing to change")
    if not dry_run and _is_root():
        noted.forget(out)


def trusted_in(content: bytes, place: Path) -> list[str] | None:
    """The stores that have this certificate; None where this cannot be told, as on another system than Linux."""
    try:
        ours = anchor(content, str(place))
        return [store.name for store in stores() if ours.name in store.trusted()]
    except StateError:
        return None


def anchors_of(state: paths.State) -> tuple[Anchor, ...]:
    """This state directory's certificate, and the one that `ca rotate` has made beside it. Raises StateError."""
    following = next_to(state.ca_certificate)
    return (anchor_of(state.ca_certificate), *([anchor_of(following)] if following.exists() else []))


def anchor_of(file: Path) -> Anchor:
    """The certificate in this file of a state directory. Raises StateError."""
    try:
        return anchor(file.read_bytes(), str(file))
    except FileNotFoundError as gone:
        raise StateError(
            f"{file} is not there: `spendgate run` makes it at its next start (what earlier ones left in trust stores is taken"
            " out by `spendgate ca untrust --all`)"
        ) from gone
    except OSError as fault:
        raise StateError(f"{file} cannot be read: {fault.strerror}") from fault


def check(ours: Anchor) -> None:
    """Says which names are nobody's that is known here: whoever could swap the file could have put a bank's there.

    Raises StateError for names below which others have theirs.
    """
    from spendgate.config.domains import others_have  # noqa: PLC0415 - loads the list of suffixes, for this alone
    from spendgate.config.known import KNOWN  # noqa: PLC0415 - loads every provider

    if shared := [domain for domain in ours.domains if others_have(domain)]:
        raise StateError(
            f"{ours.name} is not trusted: it may sign for all that others have below {', '.join(shared)};"
            " take that out of the policy's `capture.hosts`, and run `spendgate ca rotate`"
        )
    if foreign := [domain for domain in ours.domains if domain not in {*KNOWN.hosts, CANARY_HOST}]:
        note(
            f"WARNING it can sign for {', '.join(foreign)}, too, no provider's host that is known here: right where the policy's"
            " `capture.hosts` names it, else run `spendgate ca untrust`, then `spendgate ca rotate`"
        )


def _found() -> Sequence[Store]:
    """Raises StateError where there is none."""
    found = stores()
    if not found:
        raise StateError("no trust store found here: install ca-certificates, or libnss3-tools for browsers' databases")
    return found


def _carry_out(plan: Sequence[tuple[Store, Sequence[Change]]], *, dry_run: bool, nothing: str) -> None:
    """Each change, or what it would be. Exit status 1 where one needs root."""
    left = [store.name for store, changes in plan if changes and store.needs_root and not _is_root()]
    steps = [(change, store.name in left) for store, changes in plan for change in changes]
    if not steps:
        note(nothing)
    for change, for_root in steps:
        if dry_run:
            _print(f"would {change.says}{', as root' if for_root else ''}")
        elif not for_root:
            change.make()
            _print(f"done: {change.says}")
    if left and not dry_run:
        note(f"not changed, since it needs root: {', '.join(left)}; run the same command as root, with --state DIR")
        raise typer.Exit(1)


@writing()
def _print(line: str) -> None:
    typer.echo(line)


def _is_root() -> bool:
    check: Callable[[], int] | None = getattr(os, "geteuid", None)
    return check is not None and check() == 0
