"""Causes for each part of each group's gap, in the order in which they are looked for."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

from spendgate.plural import counted
from spendgate.pricing import PriceBook
from spendgate.reconcile import pricing_causes
from spendgate.reconcile.accounts import KEYLESS
from spendgate.reconcile.assembling import PRODUCT, Assembled
from spendgate.reconcile.bills import Bill
from spendgate.reconcile.claims import claims
from spendgate.reconcile.decompose import Split, split
from spendgate.reconcile.facts import Facts, Role
from spendgate.reconcile.fees import fees
from spendgate.reconcile.folding import Captured
from spendgate.reconcile.groups import Group, GroupKey
from spendgate.reconcile.kinds import ASKED, Kind
from spendgate.reconcile.midnights import moved_calls
from spendgate.reconcile.prices import Prices
from spendgate.reconcile.rest import Claim
from spendgate.reconcile.result import Cause, Confidence, Finding
from spendgate.reconcile.revisions import changed, nearer_before
from spendgate.reconcile.surroundings import Surroundings
from spendgate.reconcile.units import known_units, units_of
from spendgate.reconcile.whole_sums import SUM


class Explaining:
    """One run."""

    def __init__(self, bill: Bill, captured: Captured, assembled: Assembled, facts: Facts, now_ms: int) -> None:
        self.bill, self.captured, self.assembled, self.facts = bill, captured, assembled, facts
        self.findings: list[Finding] = []
        self.scoped: set[GroupKey] = set()
        self.around = Surroundings(facts, captured, assembled.names, bill, now_ms)
        self.told: dict[GroupKey, int] = defaultdict(int)
        """What findings have explained of each group."""
        self.not_told_apart: dict[str, int] = defaultdict(int)
        """By provider what is off beside money alone, which may be requests or prices."""
        self.used = _used_accounts(assembled)
        told = {key.provider for key, group in assembled.groups.items() if key.account == KEYLESS and group.lines}
        self.keyless = {name for name, accounts in self.used.items() if KEYLESS in accounts} - told
        """Providers whose bill has no line without a key, while calls have none: it has them under some key, if at all."""

    def all(self) -> tuple[list[Finding], set[GroupKey]]:
        groups = dict(sorted(self.assembled.groups.items()))
        self.findings += fees(self.assembled)
        compared = {}
        for key, group in groups.items():
            if key.match == SUM:
                self._rows_of_no_bill(group)
                self._rounding(key, group)
            elif self._out_of_scope(group):
                self.scoped.add(key)
            else:
                self._rows_of_no_bill(group)
                self._revision(group)
                compared[key] = group
        units = units_of(compared.values(), Prices(book()))
        known = known_units(compared.values(), units)
        splits = {
            key: split(
                group,
                {text: units.get((key.provider, key.model, text, key.day_ms)) for _, text in group.parts},
                known[key.provider, key.model],
            )
            for key, group in compared.items()
        }
        moved = moved_calls(self.captured.edges, compared, splits, self.assembled.names, self.around.young)
        seen: list[pricing_causes.Seen] = []
        for key, group in sorted(
            compared.items(), key=lambda each: not self.around.is_gateways(each[0], splits[each[0]])
        ):
            its = splits[key]
            self._parts(group, its)
            made = claims(group, its, self.around.around(group, moved, self._scope(group)))
            for claim in made:
                self._claim(group, claim)
            if made and not group.cost and all(claim.cause is Cause.SCOPE_KEY for claim in made):
                self.scoped.add(key)
            only_net = group.net == group.listed
            seen += [pricing_causes.Seen(key, gap, its.same_counts, only_net) for gap in its.prices]
        for each, told in zip(seen, pricing_causes.explain(seen), strict=True):
            if told.cause is None and not each.gap.sized:
                self.not_told_apart[told.at.provider] += abs(told.nanos)
            if told.cause is not None:
                self._add(groups[told.at], told.cause, told.nanos, told.confidence, told.evidence)
        for key, group in compared.items():
            self._rounding(key, group)
        return self.findings, self.scoped

    def _add(
        self, group: Group, cause: Cause, nanos: int, confidence: Confidence, evidence: str, *, calls: tuple[str, ...] = (),
        requests: int | None = None,
    ) -> None:  # fmt: skip
        if nanos:
            key = group.key
            self.told[key] += nanos
            self.findings.append(
                Finding(
                    cause,
                    nanos,
                    confidence,
                    key.day_ms,
                    key.provider,
                    key.account,
                    key.model,
                    evidence,
                    "",
                    calls,
                    requests,
                )
            )

    def _claim(self, group: Group, claim: Claim) -> None:
        self._add(
            group,
            claim.cause,
            claim.nanos,
            claim.confidence,
            claim.evidence,
            calls=claim.calls,
            requests=claim.requests,
        )

    # -- what is no gap of a captured call's -----------------------------------------------------------------------

    def _out_of_scope(self, group: Group) -> bool:
        """Whether the whole group is explained by what it is about."""
        account, nanos = group.account, group.net - group.cost
        asked = any(part.calls for kinds in group.parts.values() for kind, part in kinds.items() if kind in ASKED)
        who = self.assembled.names[group.key.provider]
        if account.role is Role.GATEWAY:
            found = Cause.GATEWAY_LEG, Confidence.EXACT, f"{account.name} is a gateway's own"
        elif account.role is Role.ELSEWHERE:
            found = Cause.SCOPE_KEY, Confidence.EXACT, f"{account.name} is used elsewhere, as `--map` has it"
        elif asked:
            return False
        elif group.key.match == PRODUCT:
            product = ", ".join(sorted(group.products))
            found = Cause.SCOPE_PRODUCT, Confidence.EXACT, f"used through {product}, which runs at the provider"
        elif account.keyless and account.name not in self.used[group.key.provider]:
            found = Cause.SCOPE_KEYLESS, Confidence.EXACT, "the bill says that it was used without a key"
        elif group.lines and who.told_apart and not account.listed and not account.known and not account.keyless:
            sure = Confidence.EXACT if who.complete else Confidence.RESIDUAL
            found = Cause.SCOPE_KEY, sure, f"{account.name} is none of the fleet's registered keys"
        else:
            return False
        self._add(group, found[0], nanos, found[1], found[2], requests=group.requests)
        return True

    def _scope(self, group: Group) -> str:
        """Why nothing of its account can have been captured, as far as the ledger shows it."""
        who, account = self.assembled.names[group.key.provider], group.account
        used = self.used[group.key.provider]
        if who.grain > 0 or account.name in used or account.keyless or account.listed or account.person or not used:
            return ""
        if who.loose or not group.lines or group.key.provider in self.keyless:
            return ""
        return f"no call of the ledger was ever made with {account.name}: the keys of all its calls are others of the bill's"

    def _rows_of_no_bill(self, group: Group) -> None:
        """Rows of the ledger that no bill of this provider can have."""
        double, plan, gateway = (group.kind(kind) for kind in (Kind.DOUBLE, Kind.PLAN, Kind.GATEWAY))
        told = f"counted twice: {counted(double.calls, 'row')} beside another one of the same response"
        self._add(
            group,
            Cause.RETRY_DUP,
            -double.cost,
            Confidence.EXACT,
            told,
            calls=tuple(double.ids[:100]),
            requests=-double.calls,
        )
        told = f"charged here, though on a plan or a personal account: {counted(plan.calls, 'call')}"
        self._add(group, Cause.SUBSCRIPTION_INCLUDED, -plan.cost, Confidence.EXACT, told, calls=tuple(plan.ids[:100]))
        told = f"{counted(gateway.calls, 'call')} went to a gateway, which is billed under its own key"
        self._add(
            group,
            Cause.GATEWAY_LEG,
            -gateway.cost,
            Confidence.EXACT,
            told,
            calls=tuple(gateway.ids[:100]),
            requests=-gateway.calls,
        )

    def _revision(self, group: Group) -> None:
        """What the bill says now and did not say before, where what it said before is nearer to what was captured."""
        key = group.key
        earlier = self.assembled.earlier.get(key)
        if (key.provider, key.day_ms) not in self.assembled.revisable or key.match:
            return
        if nearer_before(group, earlier, group.cost + self.told[key]):
            fewer = (0 if earlier is None else earlier.lines) - group.lines
            day = next(day for day in self.bill.days if (day.provider, day.day_ms) == (key.provider, key.day_ms))
            group.as_before(earlier)
            told, sure = changed(day, fewer, less=group.revised < 0)
            self._add(group, Cause.REVISION, group.revised, sure, told)

    def _rounding(self, key: GroupKey, group: Group) -> None:
        """What is left of a group and no more than rounding can make."""
        left = group.billed_now - group.cost - self.told[key]
        if abs(left) <= group.rounding:
            told = "within what the last digits of the lines can round"
            self._add(group, Cause.FX_ROUNDING, left, Confidence.FINGERPRINT, told)

    def _parts(self, group: Group, its: Split) -> None:
        self._add(
            group, Cause.DISCOUNT, its.discount, Confidence.EXACT, "billed below the list price that the bill names"
        )
        unpriced = group.kind(Kind.UNPRICED)
        told = f"{counted(unpriced.calls, 'call')} of a model without a price in the list"
        nanos = round(its.unpriced)
        self._add(group, Cause.UNPRICED_MODEL, nanos, Confidence.EXACT, told, calls=tuple(unpriced.ids[:100]))


def _used_accounts(assembled: Assembled) -> dict[str, set[str]]:
    """By provider the accounts that the ledger has calls of."""
    found: dict[str, set[str]] = defaultdict(set)
    for key, group in assembled.groups.items():
        if key.match != SUM and any(
            part.calls for kinds in group.parts.values() for kind, part in kinds.items() if kind in ASKED
        ):
            found[key.provider].add(key.account)
    return found


@lru_cache(maxsize=1)
def book() -> PriceBook:
    """The bundled price list."""
    return PriceBook()
