"""Both sides put into groups: lines by whom they are about, calls by the account that they belong to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from spendgate.money import CENT
from spendgate.reconcile.accounts import Account
from spendgate.reconcile.bills import Bill, BilledDay
from spendgate.reconcile.choosing import COMPARED, of_a_period
from spendgate.reconcile.facts import Facts
from spendgate.reconcile.folding import Captured, Match, Part, Raw, ids_of
from spendgate.reconcile.groups import Group, GroupKey, half_unit
from spendgate.reconcile.identities import Identities
from spendgate.reconcile.key_names import KeyNames
from spendgate.reconcile.kinds import ASKED, Kind
from spendgate.reconcile.naming import ELSEWHERE_PRODUCTS, day_of, model_of, price_of_call, product_of
from spendgate.reconcile.vectors import add, counts_of, zeros
from spendgate.reconcile.whole_sums import without_sums
from spendgate.statement import DAY_MS, Charge, Line
from spendgate.usage import NO_USAGE

ABSENT: Final = "absent"
PRODUCT: Final = "product"


class Assembled(Struct, frozen=True):
    """All groups, and lines that are in none."""

    groups: dict[GroupKey, Group]
    fees: tuple[tuple[BilledDay, Line, Account], ...]
    """Lines about something else than calls' tokens."""
    names: dict[str, Identities]
    grains: tuple[str, ...]
    earlier: dict[GroupKey, Group]
    """What the version before said …"""
    revisable: frozenset[tuple[str, int]]
    """… of these days of providers."""
    by_model: frozenset[str]
    """Providers whose lines of tokens all name a model: of others all models are one group."""


def assemble(bill: Bill, captured: Captured, facts: Facts) -> Assembled:
    """Groups of all days."""
    by_provider: dict[str, list[BilledDay]] = defaultdict(list)
    days_left, groups = without_sums(bill, captured.wholes)
    for day in days_left:
        by_provider[day.provider].append(day)
    fees: list[tuple[BilledDay, Line, Account]] = []
    names: dict[str, Identities] = {}
    grains = []
    earlier: dict[GroupKey, Group] = {}
    revisable: set[tuple[str, int]] = set()
    by_model: set[str] = set()
    matched: dict[str, list[Match]] = defaultdict(list)
    for each in captured.matched:
        matched[each.raw.provider].append(each)
    for provider, days in sorted(by_provider.items()):
        lines = [line for day in days for line in day.lines]
        raws = [raw for raw in captured.sums if raw.provider == provider]
        raws += [each.raw for each in matched[provider]]
        same = _same_days(days, captured, provider)
        who = names[provider] = Identities(
            provider, lines, raws, facts, same, gateways=_to_gateways(captured, provider)
        )
        models = all(line.model for line in lines if line.charge is Charge.TOKENS)
        if any(day.tells_use for day in days):
            grains.append(f"{provider}: day, {_grain(who)}, {'model, ' if models else ''}token class, price axes")
        one = _Assembling(groups, fees, who, captured, matched[provider])
        one.models = models
        by_model |= {provider} if models else set()
        one.all_of(days, raws)
        earlier |= one.earlier
        revisable |= one.revisable
    return Assembled(groups, tuple(fees), names, tuple(grains), earlier, frozenset(revisable), frozenset(by_model))


def _grain(who: Identities) -> str:
    return ("key", "user", "workspace", "organization")[who.grain]


class _Assembling:
    """One provider's."""

    def __init__(
        self, groups: dict[GroupKey, Group], fees: list[tuple[BilledDay, Line, Account]], who: Identities, captured: Captured,
        matched: Sequence[Match],
    ) -> None:  # fmt: skip
        self.groups, self.fees, self.who, self.captured = groups, fees, who, captured
        self.models = True
        """Whether its lines name models."""
        self.earlier: dict[GroupKey, Group] = {}
        self.revisable: set[tuple[str, int]] = set()
        self.by_id = {name: each for each in matched for name in ids_of(each.call)}
        self.placed: dict[int, GroupKey] = {}
        self.finest = CENT
        self.searched: set[tuple[int, str, str | None]] = set()
        """Day, account and model of lines that count web searches: what they cost is compared with calls that have them."""

    def all_of(self, days: Sequence[BilledDay], raws: Iterable[Raw]) -> None:
        self.searched = {
            (day.day_ms, self.who.of_line(line).name, line.model)
            for day in days
            for line in (*day.lines, *day.before)
            if line.usage.web_searches
        }
        # Short texts beside long ones are not rounded: their zeros were left out.
        self.finest = min(
            (
                half_unit(line.amount)
                for day in days
                for line in (*day.lines, *day.before)
                if line.amount and line.charge in COMPARED
            ),
            default=CENT,
        )
        for day in days:
            for line in day.lines:
                self._line(day, line)
            for line in day.before:
                self._before(line)
            if day.had_before:
                self.revisable.add((day.provider, day.day_ms))
        for raw in dict.fromkeys(raws):
            for kind, part in self.captured.sums.get(raw, {}).items():
                group = self._group(raw.day_ms, self.who.of_call(raw), raw.model, "")
                group.take_part(price_of_call(raw.prices), raw.prices, kind, part)
        for (raw, at_ms), part in self.captured.buckets.items():
            if raw.provider == self.who.provider:
                group = self._group(raw.day_ms, self.who.of_call(raw), raw.model, "")
                group.captured_in.setdefault(at_ms, Part()).merge(part)
        for each in {id(match): match for match in self.by_id.values()}.values():
            self._matched(each)

    def _group(self, day_ms: int, account: str, model: str, match: str, whom: Account | None = None) -> Group:
        key = GroupKey(day_ms, self.who.provider, account, model if self.models else "", match)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(key, whom or Account(account))
        elif whom is not None and not group.lines:
            group.account = whom
        return group

    def _line(self, day: BilledDay, line: Line) -> None:
        whom = self.who.of_line(line)
        if not self._compared(line, whom):
            self.fees.append((day, line, whom))
            return
        match = ""
        if line.response_id or line.request_id:
            found = next((self.by_id[each] for each in (line.response_id, line.request_id) if each in self.by_id), None)
            match = ABSENT if found is None else found.kind.value
        if product_of(line.product) in ELSEWHERE_PRODUCTS and match in ("", ABSENT):
            match = PRODUCT
        group = self._group(day.day_ms, whom.name, model_of(line.model), match, whom)
        named = bool(line.response_id or line.request_id)
        group.take_line(line, line.ends_ms - line.starts_ms >= DAY_MS and not named, self.finest)
        if named:
            self._count_one(group, line)

    def _compared(self, line: Line, whom: Account) -> bool:
        """Whether a line is about what calls of the ledger cost."""
        if line.charge is Charge.WEB_SEARCH:
            return (day_of(line.starts_ms), whom.name, line.model) in self.searched
        return line.charge in COMPARED and not of_a_period(line)

    def _count_one(self, group: Group, line: Line) -> None:
        """A line of one request is one request, whatever it says; further lines of the same id are its sub-calls."""
        for each in (line.response_id, line.request_id):
            match = self.by_id.get(each or "")
            if match is not None:
                if id(match) in self.placed:
                    return
                self.placed[id(match)] = group.key
                break
        if line.requests is None:
            side = next(iter(group.billed.values()))
            side.requests = (side.requests or 0) + 1

    def _before(self, line: Line) -> None:
        whom = self.who.of_line(line)
        if not self._compared(line, whom) or line.response_id or line.request_id:
            return
        match = PRODUCT if product_of(line.product) in ELSEWHERE_PRODUCTS else ""
        group = self._group(day_of(line.starts_ms), whom.name, model_of(line.model), match, whom)
        earlier = self.earlier.setdefault(group.key, Group(group.key, whom))
        earlier.take_line(line, line.ends_ms - line.starts_ms >= DAY_MS, self.finest)

    def _matched(self, each: Match) -> None:
        key = self.placed.get(id(each))
        part = Part()
        part.take(each.call, counts_of(each.call.usage))
        raw = each.raw
        group = self.groups[key] if key is not None else self._group(raw.day_ms, self.who.of_call(raw), raw.model, "")
        group.take_part(price_of_call(raw.prices), raw.prices, each.kind, part)


def _to_gateways(captured: Captured, provider: str) -> frozenset[str]:
    """Keys of calls that all went to a gateway: the gateway's, of which this provider knows nothing."""
    kinds: dict[str, set[Kind]] = defaultdict(set)
    for raw, parts in captured.sums.items():
        if raw.provider == provider and raw.api_key:
            kinds[raw.api_key] |= parts.keys()
    for each in captured.matched:
        kinds[each.raw.api_key].add(each.kind)
    return frozenset(key for key, its in kinds.items() if its == {Kind.GATEWAY})


def _same_days(days: Sequence[BilledDay], captured: Captured, provider: str) -> dict[str, str]:
    """Keys of the bill and fingerprints that are alike on a day, to the token: each alone in that."""
    billed: dict[tuple[int, str], list[int]] = defaultdict(zeros)
    names = KeyNames(line for day in days for line in day.lines)
    for day in days:
        for line in day.lines:
            key = names.text(line.who)
            if key and line.usage != NO_USAGE and not line.response_id:
                add(billed[day.day_ms, key], counts_of(line.usage))
    ours: dict[tuple[int, str], list[int]] = defaultdict(zeros)
    for raw, kinds in captured.sums.items():
        if raw.provider == provider and raw.api_key:
            for kind, part in kinds.items():
                if kind in ASKED:
                    add(ours[raw.day_ms, raw.api_key], part.counts)
    found: dict[str, set[str]] = defaultdict(set)
    by_counts: dict[tuple[int, tuple[int, ...]], list[str]] = defaultdict(list)
    for (day_ms, fingerprint), counts in ours.items():
        by_counts[day_ms, tuple(counts)].append(fingerprint)
    for (day_ms, key), counts in billed.items():
        alike = by_counts.get((day_ms, tuple(counts)), [])
        if any(counts) and len(alike) == 1:
            found[key].add(alike[0])
    single = {key: next(iter(its)) for key, its in found.items() if len(its) == 1}
    taken = list(single.values())
    return {key: its for key, its in single.items() if taken.count(its) == 1}
