"""The rollout file's `direct`: the company's own names and nets, which programs ask without the gate (`NO_PROXY`)."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final

from spendgate.config.faults import shown
from spendgate.config.sections import Section
from spendgate.mdm.rollout import Mode

_NAME: Final = re.compile(r"\.?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){1,10}")


def direct_of(top: Section, mode: Mode | None, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Each as `NO_PROXY` has it. One that would take a host that is read past the gate is a fault."""
    found = top.names("direct", _direct)
    if mode is Mode.TRANSPARENT and top.has("direct"):
        top.fault("direct", "belongs to mode: proxy")
    for each in found:
        bare = each.removeprefix(".")
        if past := [host for host in hosts if host == bare or host.endswith(f".{bare}")]:
            top.fault("direct", f"{each} would take {past[0]} past the gate; take it out")
    return found


def _direct(text: str) -> str:
    """Programs differ in what else they read there, as `*`: a name stands for itself and, in most of them, for what is below."""
    if _NAME.fullmatch(text) and not text.rpartition(".")[2].isdigit():
        return text
    try:
        return str(ip_network(text)) if "/" in text else str(ip_network(text).network_address)
    except ValueError:
        raise ValueError(
            f"{shown(text)} is nothing to go past a proxy; allowed: git.acme.example, .acme.example, 10.0.0.0/8"
        ) from None
