"""A gate renews what an organization issued to it over HTTPS, before its end, and says so where it cannot.

At a random moment between the half and two thirds of the life, so that a fleet that was enrolled in one morning does not ask in
one; after a failure again within the hour. What is installed goes on until an answer was believed, which `certified` follows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from spendgate.audit_words import AuditWord
from spendgate.capture.certificates import BACKDATED, Term
from spendgate.capture.leaves import Leaves
from spendgate.cli.given import way
from spendgate.cli.house import House, wall_clock
from spendgate.cli.output import inert, note
from spendgate.enrolment import laptop
from spendgate.enrolment.asking import Line, Refused, Unasked
from spendgate.errors import StateError
from spendgate.gate.gate import Gate

SHARE: Final = (0.5, 0.66)
"""Of the life; its last third is an alert (`certificates.Term.due`)."""
LOOKS_S: Final = (1.0, 10.0)
AGAIN_S: Final = (30 * 60.0, 60 * 60.0)


async def follow(house: House, gate: Gate, pick: Callable[[float, float], float] = random.uniform) -> None:
    """Until cancelled."""
    share, told = pick(*SHARE), date.min
    while True:
        wait_s = pick(*LOOKS_S)
        if (term := _term(house)) is not None and wall_clock() >= due(term, share):
            fault = await _renewed(house)
            wait_s = pick(*AGAIN_S)  # also for `certified` to put in force what came
            if fault and wall_clock().date() != told:
                told = wall_clock().date()
                gate.audit(AuditWord.CERTIFICATES_NOT_RENEWED, f"{term.end(wall_clock())}: {fault}")
                note(f"certificates are not renewed: {fault}")
            if fault != house.not_renewed:
                house.not_renewed = fault
                house.tell()
            share = share if fault else pick(*SHARE)
        await asyncio.sleep(wait_s)


def due(term: Term, share: float) -> datetime:
    """When to renew, `share` of the life after it was issued."""
    born = term.born + BACKDATED
    return born + (term.dies - born) * share


def _term(house: House) -> Term | None:
    """Of what is shown; None where nobody over HTTPS issued it."""
    leaves = house.authority
    return leaves.term if isinstance(leaves, Leaves) and house.state.enrolment.exists() else None


async def _renewed(house: House) -> str:
    """Nothing, or why not."""
    try:
        place = laptop.kept(house.state)
        if place is not None:
            await laptop.renew(house.state, Line(place.url, way(house.wanted)), place.device, wall_clock())
    except Refused as no:
        return f"the office refuses: {inert(str(no))}"
    except (Unasked, StateError, OSError) as fault:
        return str(fault)
    return ""
