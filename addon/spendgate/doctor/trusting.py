"""Whether a program would take the gate's certificate, by what is known of it. Pure."""

from __future__ import annotations

from pathlib import Path

from spendgate.doctor.interface import Material, Store, Tool, Trusted


def trusts(tool: Tool, has: Material, elsewhere: str = "") -> Trusted:
    """By its variables first, then by its stores. `elsewhere`: what fills the store of a system where programs were never
    measured; what they take from it is then not known, and what variables name is."""
    if tool.adding and has.holds.get(tool.adding):
        return Trusted(True, f"{tool.adding} names our certificate")
    decides = next((name for name in tool.replacing if has.variables.get(name)), None)
    if decides is not None:
        return _replaced(decides, has, elsewhere)
    read = _stores(tool, has)
    if trusted := [store for store in read if has.stores.get(store)]:
        if elsewhere:
            sure = f"set {tool.adding}={has.certificate} to be sure" if tool.adding else ""
            return Trusted(
                None, f"{trusted[0]} has our certificate; that it reads it was measured on Linux alone", sure
            )
        return Trusted(True, f"{trusted[0]} has our certificate")
    return Trusted(False, *_missing(tool, read, has, elsewhere))


def _replaced(name: str, has: Material, elsewhere: str) -> Trusted:
    file, held = has.variables[name], has.holds.get(name)
    if held:
        return Trusted(True, f"{name} names a file with our certificate")
    why = f"{name} names {file}, which {'cannot be read' if held is None else 'has not our certificate'}; it goes by that alone"
    store = "the system's store" if elsewhere else f"{_command(has)}, as root"
    remedy = f"append {has.certificate} to that file, or take {name} away and use {store}"
    if held is None:
        remedy = f"let {name} name a file that has the system's certificates and {has.certificate}"
    return Trusted(False, why, remedy)


def _command(has: Material) -> str:
    """Root's own state directory is the service's; this gate's may be another."""
    folder = Path(has.certificate).parent
    return f"`spendgate ca trust --state {folder.parent}`" if folder.name == "ca" else "`spendgate ca trust`"


def _stores(tool: Tool, has: Material) -> tuple[Store, ...]:
    """Those that it reads as its variables are."""
    switch, on = tool.switch
    unless, off = tool.unless
    silent = (switch and has.variables.get(switch) != on) or (unless and has.variables.get(unless) == off)
    return tuple(store for store in Store if store in tool.stores and not (store is Store.SYSTEM and silent))


def _missing(tool: Tool, read: tuple[Store, ...], has: Material, elsewhere: str) -> tuple[str, str]:
    """Why it trusts nothing of ours, and what would change that."""
    if read:
        return (
            f"{' and '.join(read)} {'has' if len(read) == 1 else 'have'} not our certificate",
            elsewhere or f"{_command(has)}, as root, puts it there",
        )
    if tool.adding and has.variables.get(tool.adding):
        why = f"{tool.adding} names {has.variables[tool.adding]}, which has not our certificate"
        return why, f"append {has.certificate} to that file"
    if tool.adding:
        return (
            f"{tool.adding} is not set, and it does not read the system's store",
            f"set {tool.adding}={has.certificate}",
        )
    if tool.replacing:
        name = tool.replacing[0]
        return (
            f"{name} is not set, and it does not read the system's store",
            f"let {name} name a file that has the system's certificates and {has.certificate}",
        )
    return "it has a store of its own without our certificate", "import our certificate into it"
