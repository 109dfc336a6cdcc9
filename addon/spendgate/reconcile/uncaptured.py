"""Usage that a bill has and no call of the ledger: by day, whom and model, out of the causes that the explainer finds.

Only what a cause says was never captured: another price, an estimate that is off or an answer that could not be read is no usage
that is missing. And of one day, account and model never more than is billed there above what was captured, less what calls have
cost that nothing joins to any account (`unjoined`) and less what the bill takes back under another account (a correction, lines
below zero), so that calls and this together come to no more than the larger of the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from spendgate.ledger.compared import Running
from spendgate.ledger.queries import Reader
from spendgate.ledger.statements import Imported, in_force
from spendgate.ledger.uncaptured import Uncaptured
from spendgate.reconcile import comparing
from spendgate.reconcile.accounts import Account
from spendgate.reconcile.bills import BilledDay
from spendgate.reconcile.facts import Facts, Role
from spendgate.reconcile.folding import Raw
from spendgate.reconcile.naming import day_of, model_of
from spendgate.reconcile.result import Cause, Confidence
from spendgate.reconcile.run import Options, compared
from spendgate.reconcile.unjoined import At, ByPerson, Row, cost_of, set_off, unjoined
from spendgate.reconcile.versions import GATEWAY_SOURCES
from spendgate.reconcile.whole_sums import SUM
from spendgate.statement import DAY_MS

NOT_CAPTURED: Final = frozenset(
    {
        Cause.SCOPE_KEY, Cause.SCOPE_PRODUCT, Cause.SCOPE_KEYLESS, Cause.OTHER_DEVICE, Cause.BYPASS_ON_DEVICE,
        Cause.CAPTURE_DOWN, Cause.UNCAPTURED,
    }
)  # fmt: skip
"""What these explain was used, is billed, and is in no call. A gateway's own traffic is not among them: calls to it are."""
_TOOLS: Final = {"claude_code": "claude-code"}
"""Products of a bill that are one tool of the ledger's."""
_CURSOR: Final = "cursor"

_At = tuple[int, str, str, str]
"""Day, provider, account, model."""


class _Sum:
    """Of one of these."""

    def __init__(self) -> None:
        self.over = self.net = self.found = self.proven = self.requests = 0
        self.account = Account("")
        self.products: set[str] = set()
        self.counts_requests = True

    @property
    def nanos(self) -> int:
        """What counts, before anything is set off that stands under another account."""
        return min(self.found, max(0, self.over))


def uncaptured(reader: Reader, options: Options, facts: Facts) -> tuple[tuple[Uncaptured, ...], tuple[BilledDay, ...]]:
    """All of the closed days of `options`, and these days.

    The days around them are compared, too: calls over midnight are no missing ones.
    """
    around = replace(options, from_ms=options.from_ms - DAY_MS, until_ms=options.until_ms + DAY_MS)
    found = compared(reader, around, facts, revisions=False)
    open_ = tuple(reader.calls_running(options.from_ms, options.until_ms))
    made = cells(found, reader.imports(), open_)
    days = tuple(day for day in found.bill.days if day.tells_use and options.from_ms <= day.day_ms < options.until_ms)
    closed = {day.day_ms for day in days}
    return tuple(each for each in made if each.day_ms in closed), days


def cells(found: comparing.Compared, imports: tuple[Imported, ...], open_: Iterable[Running] = ()) -> list[Uncaptured]:
    """What of a comparison was not captured. `open_` calls are on the bill, maybe, and captured all the same: they count with
    what they hold, so that nothing is counted twice once they end."""
    running = tuple(open_)
    sums = _sums(found, running)
    left = _set_off(found, sums, running)
    made = []
    for at, one in sorted(sums.items()):
        nanos = left.get(at, one.nanos)
        if nanos:
            day_ms, provider, account, model = at
            fingerprint = found.assembled.names[provider].fingerprint_of(account)
            # How many requests are left where calls were set off, nobody can tell.
            requests = one.requests if one.counts_requests and nanos == one.nanos else None
            by = _imports(imports, day_ms, provider)
            made.append(
                Uncaptured(
                    day_ms,
                    provider,
                    one.account.person,
                    fingerprint,
                    _tool(provider, one.products),
                    model,
                    nanos,
                    requests,
                    by,
                )
            )
    return made


def _sums(found: comparing.Compared, open_: Iterable[Running]) -> dict[_At, _Sum]:
    sums: dict[_At, _Sum] = defaultdict(_Sum)
    for key, group in found.assembled.groups.items():
        if key.match == SUM:  # what is left of it may be a price, or anything else: no use is known to be missing
            continue
        one = sums[key.day_ms, key.provider, key.account, key.model]
        one.net += group.net
        one.over += group.net - sum(cost_of(kinds) for kinds in group.parts.values())
        one.account = group.account
        one.products |= group.products or {""}
    for call in open_:
        names = found.assembled.names.get(call.provider)
        if names is not None:
            model = model_of(call.model) if call.provider in found.assembled.by_model else ""
            day_ms = day_of(call.left_ms)
            account = names.of_call(Raw(day_ms, call.provider, call.api_key, call.person, model, ""))
            sums[day_ms, call.provider, account, model].over -= call.held_nanos
    for finding in found.findings:
        if finding.cause in NOT_CAPTURED and finding.nanos > 0:
            one = sums[finding.day_ms, finding.provider, finding.key, finding.model]
            one.found += finding.nanos
            one.proven += finding.nanos if finding.confidence is Confidence.EXACT else 0
            one.requests += finding.requests or 0
            one.counts_requests &= finding.requests is not None
    return sums


def _set_off(found: comparing.Compared, sums: Mapping[_At, _Sum], open_: Iterable[Running]) -> dict[_At, int]:
    """What is left of each where calls that nothing joins to the bill, and what the bill takes back, are set off."""
    used = {
        (raw.provider, found.assembled.names[raw.provider].of_call(raw))
        for raw in found.captured.sums
        if raw.provider in found.assembled.names
    }
    rows: dict[At, dict[_At, Row]] = defaultdict(dict)
    for at, one in sorted(sums.items()):
        day_ms, provider, account, model = at
        not_proven = max(0, one.nanos - one.proven)
        rows[day_ms, provider, model][at] = Row(one.account.person, (provider, account) in used, not_proven)
    calls, back = unjoined(found, open_), _taken_back(sums)
    left: dict[_At, int] = {}
    for place in calls.keys() | back.keys():
        its = rows[place]
        set_off(calls.get(place, {}), tuple(its.values()))
        for (
            at,
            row,
        ) in its.items():  # what is proven is no unjoined call's, and may be what the bill takes back all the same
            row.nanos += min(sums[at].nanos, sums[at].proven)
        set_off(back.get(place, {}), tuple(its.values()))
        left |= {at: row.nanos for at, row in its.items()}
    return left


def _taken_back(sums: Mapping[_At, _Sum]) -> dict[At, ByPerson]:
    """What the bill has below zero, by its person: a correction of what it has under another account. Of a gateway's own key it
    corrects what counts nowhere here."""
    found: dict[At, ByPerson] = defaultdict(lambda: defaultdict(int))
    for (day_ms, provider, _, model), one in sums.items():
        if one.net < 0 and one.account.role is not Role.GATEWAY:
            found[day_ms, provider, model][one.account.person] -= one.net
    return found


def _tool(provider: str, products: set[str]) -> str:
    """The one tool that all of it was used through, where the bill shows that."""
    if len(products) != 1:
        return ""
    (product,) = products
    return _CURSOR if provider == _CURSOR and not product else _TOOLS.get(product, "")


def _imports(imports: tuple[Imported, ...], day_ms: int, provider: str) -> tuple[str, ...]:
    """Those in force on the day that are this provider's bill."""
    newest = [versions[0] for versions in in_force(imports, day_ms).values()]
    own = [each for each in newest if not each.source.startswith(GATEWAY_SOURCES)]
    named = [each.name for each in own if each.provider == provider] or [each.name for each in own]
    return tuple(sorted(named))
