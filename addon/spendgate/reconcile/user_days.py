"""What one person used of one model on one closed UTC day, by the bill and by the ledger: what of it estimates can learn from.

It teaches only where both are about the same requests, one for one: as many on the bill as calls, and where the bill tells
moments, each within minutes of a call of its own. Usage outside the gate would else make every factor too large. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final

from msgspec import Struct

from spendgate.calibration import as_estimated
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.captured import Call
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.finality import is_young
from spendgate.reconcile.folding import raw_of
from spendgate.reconcile.identities import Identities
from spendgate.reconcile.moments import APART_MS
from spendgate.reconcile.naming import ELSEWHERE_PRODUCTS, day_of, model_of, product_of
from spendgate.statement import Billed, Charge, Line
from spendgate.usage import NO_USAGE

_MOMENT_MS: Final = 1_000
_CHAT: Final = frozenset({"chat", "cowork", "chat_cowork_unified"})
"""What a bill calls the traffic of `_CHAT_HOSTS`."""
_CHAT_HOSTS: Final = frozenset({"claude.ai"})


class UserDay(Struct, frozen=True):
    """One person's use of one tool and model on one day, the same requests on both sides. Nano-dollars at list price."""

    day_ms: int
    person: str
    calls: int
    estimated: Fraction
    """Before any calibration."""
    billed: int


class Cell:
    """Both sides of one user-day."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.calls: list[Call] = []


Key = tuple[str, int, str, str, bool]
"""Provider, day, person, model, whether it is chat."""


def cells_of(days: Iterable[BilledDay], calls: Iterable[Call], facts: Facts, now_ms: int) -> dict[Key, Cell]:
    """Those with estimated calls; of the others nothing can be learned."""
    settled = {
        (day.provider, day.day_ms): day
        for day in days
        if not is_young(day.provider, day.day_ms, day.reaches_ms, now_ms)
    }
    cells: dict[Key, Cell] = defaultdict(Cell)
    kept = [each for each in calls if (each.provider, day_of(each.started_ms)) in settled and each.state != "refused"]
    for call in kept:
        chat = call.host in _CHAT_HOSTS
        key = (call.provider, day_of(call.started_ms), call.person, model_of(call.model), chat)
        cells[key].calls.append(call)
    lines = {
        name: [line for day in settled.values() if day.provider == name for line in day.lines] for name, _ in settled
    }
    for provider, its in lines.items():
        names = Identities(provider, its, {raw_of(each) for each in kept if each.provider == provider}, facts, {})
        for line in its:
            product = product_of(line.product)
            chat = product in _CHAT
            if line.charge in (Charge.TOKENS, Charge.REQUESTS) and (chat or product not in ELSEWHERE_PRODUCTS):
                person = names.person_of(line.who.email) or names.person_of(line.who.user)
                key = (provider, day_of(line.starts_ms), person, model_of(line.model), chat)
                if key in cells:
                    cells[key].lines.append(line)
    return {key: cell for key, cell in cells.items() if any(map(_is_estimated, cell.calls))}


def _is_estimated(call: Call) -> bool:
    """Whether it was charged by its bytes, whole: not broken off, and not what its kind usually costs."""
    usage = call.usage
    return call.state == "settled" and call.basis == "estimated" and bool(usage.input_tokens or usage.output_tokens)


def user_day(key: Key, cell: Cell) -> UserDay | str:
    """What it teaches, or why nothing."""
    _, day_ms, person, _, _ = key
    lines, calls = cell.lines, cell.calls
    why = _unlike(lines, calls)
    if why:
        return why
    billed = sum(_listed(line) for line in lines)
    estimated = sum((as_estimated(call.value_nanos, call.flags) for call in calls), Fraction(0))
    if not (billed > 0 and estimated > 0):
        return "the bill names no amount for them"
    return UserDay(day_ms, person, len(calls), estimated, billed)


def _unlike(lines: Sequence[Line], calls: Sequence[Call]) -> str:
    """Why the two sides are not known to be about the same requests; "": they are."""
    if not lines:
        return "nothing on the bill of this person and model: whose it is, is not known, or it was billed elsewhere"
    if not all(map(_is_estimated, calls)):
        return "some of its calls have counts, were broken off or are still open"
    if len({call.tool for call in calls}) > 1:
        return "several tools used the model"
    if any(day_of(line.starts_ms) < day_of(line.ends_ms - 1) for line in lines):
        return "a line of the bill is about more than the day"
    if any(line.billed in (Billed.ELSEWHERE, Billed.NOT_CHARGED) for line in lines):
        return "the bill has requests that failed, or that another provider bills"
    if any(_listed(line) < 0 for line in lines):
        return "the bill gives money back"
    # A source that tells counts and money apart may tell the same requests with both.
    counting = [line for line in lines if line.usage != NO_USAGE and line.requests is not None] or lines
    told = [line.requests for line in counting if line.requests is not None]
    moments = all(0 < line.ends_ms - line.starts_ms <= _MOMENT_MS for line in lines)
    if not told or (moments and len(told) != len(lines)):
        return "the bill tells no requests: whether all went through the gate is not known"
    paid = sum(line.requests or 0 for line in lines if _listed(line))  # also those that nothing counts
    if max(sum(told), paid) > len(calls):
        return "more requests on the bill than calls: usage outside the gate"
    if sum(told) < len(calls):
        return "fewer requests on the bill than calls"
    if moments and not _near(lines, calls):
        return "requests on the bill at times without a call"
    return ""


def _near(lines: Sequence[Line], calls: Sequence[Call]) -> bool:
    """Whether each request has a call of its own within minutes. In their order, which is the best that there is."""
    billed, ours = sorted(line.starts_ms for line in lines), sorted((call.started_ms, call.ended_ms) for call in calls)
    return len(billed) == len(ours) and all(
        began - APART_MS <= at <= (ended or began) + APART_MS for at, (began, ended) in zip(billed, ours, strict=True)
    )


def _listed(line: Line) -> int:
    """At list price, also of what a plan pays; where a source tells none, what is billed."""
    nanos = line.billed_nanos if line.list_nanos is None else line.list_nanos
    return nanos or 0
