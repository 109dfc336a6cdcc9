"""Every rule about one call, in the order in which they decide, with what each says and the room that is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from spendgate import lapse, limits
from spendgate.adaptive import Settled
from spendgate.admission import Admit, RefusalKind, Refuse, decide, who_refuses
from spendgate.fitting import enforces, model_refusal, scopes
from spendgate.gate.wording import message
from spendgate.limits import Claim
from spendgate.policy import Policy
from spendgate.rates import rate_scopes
from spendgate.review.asked import provider_of, stated
from spendgate.review.call_lines import agreed_lines, billing_of, capture_line, mode_line, model_lines
from spendgate.review.lines import NOTHING, Assumed, Line, budget_lines, exception_line, rate_lines, reason
from spendgate.selector import PERSONAL, PLAN, Facts
from spendgate.standing import KindStanding, Scope, Size, Standing

Standings = Callable[[tuple[Scope, ...]], tuple[Standing, ...]]
"""The balances of these scopes as they are; of rates what they have counted."""

NO_LEDGER: Final = "no ledger: nothing is known to be spent"


@dataclass(frozen=True, slots=True)
class _Call:
    """A call before one policy."""

    policy: Policy
    facts: Facts
    now_ms: int
    assumed: Assumed
    word: str
    """Its billing word; empty: it has none."""
    enforced: bool


def explain(
    policy: Policy,
    facts: Facts,
    now_ms: int,
    cost_nanos: int,
    standings: Standings | None,
    *,
    flows: Standings | None = None,
    unlisted: Refuse | None = None,
    assumed: Assumed = NOTHING,
    stating: Collection[str] = (),
    asks: str = "",
) -> tuple[Line, ...]:
    """What each rule of `policy` says of a call with these facts, made at `now_ms`, that costs so much.

    `standings` are of budgets, `flows` of rates; without them nothing is known to be spent or counted. `unlisted` is the refusal
    of an account that nobody lists, where the policy refuses those; `assumed` what the call has though nobody said it; `stating`
    the providers whose own word on a call's cost counts, which nothing bounds; `asks` the command that asks for more.

    The last line is what becomes of it: decided as the gate does, but that nothing is waited for, and in the words that it sends.
    """
    seen = capture_line(policy, facts)
    facts = _with_provider(facts)
    word, account = billing_of(policy, facts)
    facts = replace(facts, values={**facts.values, "billing": (word,)}) if word else facts
    enforced = enforces(policy, facts)
    call = _Call(policy, facts, now_ms, assumed, word, enforced)
    lines = [seen, mode_line(policy, enforced)]
    lines += [Line(unlisted.rule, "people", True, reason(unlisted, enforced=enforced))] if unlisted is not None else []
    lines += agreed_lines(policy, facts, now_ms, account, enforced=enforced)
    lines += model_lines(policy, facts, assumed, enforced=enforced)
    size = _sized(call, cost_nanos, stating)
    known, flowing = _balances(_drawn_on(call), standings), _balances(_rated(call), flows)
    lines += _budgets(call, known, size)
    lines += _rates(call, flowing)
    whole = lapse.refusal(policy, now_ms)
    if whole is not None:
        lines.append(Line(whole.rule, "file", True, reason(whole, enforced=enforced)))
    if not seen.applies:
        return (*lines, Line("call", "call", True, "leaves unseen: what is not decrypted is asked nothing"))
    by_rule = unlisted or account or model_refusal(policy, facts) or whole
    return (*lines, _end(call, by_rule, (*known, *flowing), size, asks))


def _with_provider(facts: Facts) -> Facts:
    """With the provider that makes the model, where none was said."""
    if "provider" in facts.values:
        return facts
    made = provider_of({"model": next(iter(facts.values.get("model", ())), "")})
    return replace(facts, values={**facts.values, "provider": (made,)}) if made else facts


def _drawn_on(call: _Call) -> tuple[Scope, ...]:
    """Of which budgets, where it is in any."""
    on_plan = call.word == PLAN
    if not (on_plan or call.policy.billing.counts(call.word)):
        return ()
    return scopes(call.policy, call.facts, call.now_ms, call.enforced, on_plan=on_plan)


def _rated(call: _Call) -> tuple[Scope, ...]:
    """By which rates it is counted."""
    personal = call.policy.billing.counts(PERSONAL)
    return rate_scopes(call.policy.rate_draws, (call.facts,), call.enforced, personal=personal)


def _balances(of: tuple[Scope, ...], standings: Standings | None) -> tuple[Standing, ...]:
    return standings(of) if standings is not None else tuple(map(_untouched, of))


def _budgets(call: _Call, standings: tuple[Standing, ...], size: Size) -> Iterator[Line]:
    """Each budget, and under it what raises it."""
    policy, facts, assumed = call.policy, call.facts, call.assumed
    for budget in policy.budgets:
        drawn = [each for each in standings if each.scope.budget == budget.name and not each.scope.tally]
        yield from budget_lines(
            policy, budget, facts, drawn, assumed,
            refuses=lambda one: _alone(one, size, call.now_ms), enforced=call.enforced,
        )  # fmt: skip
        for each in policy.raising:
            if each.budget == budget.name:
                yield exception_line(policy, each, facts, call.now_ms, assumed, counted=bool(drawn))


def _rates(call: _Call, standings: tuple[Standing, ...]) -> Iterator[Line]:
    for rate in call.policy.rates:
        own = [each for each in standings if each.scope.budget == rate.name]
        yield from rate_lines(rate, call.facts, own, call.assumed, enforced=call.enforced)


def _untouched(scope: Scope) -> Standing:
    """A balance of which nothing is known."""
    limit = limits.limit(scope, Settled(0, 0), lambda _: 0, lambda _: Claim.NONE) if scope.moves else None
    return Standing(scope, 0, 0, 0, 0, 0, limit=limit)


def _alone(standing: Standing, size: Size, now_ms: int) -> bool:
    """Whether the call does not fit this allowance, whatever other rules say."""
    decision = decide((standing,), _KIND, size, now_ms=now_ms, patient=False)
    return isinstance(decision, Refuse) or (isinstance(decision, Admit) and decision.would_refuse is not None)


_KIND: Final = KindStanding("explained", settled=100)


def _sized(call: _Call, cost_nanos: int, stating: Collection[str]) -> Size:
    """As that of a call whose kind is known to cost just this."""
    unbounded = stated(next(iter(call.facts.values.get("provider", ())), ""), call.word, stating)
    most = None if unbounded else cost_nanos
    return Size(most, cost_nanos, cost_nanos, cost_nanos, cost_nanos, seen=100, own_seen=100)


def _end(call: _Call, by_rule: Refuse | None, standings: tuple[Standing, ...], size: Size, asks: str) -> Line:
    """What becomes of it: decided as the gate does."""
    policy, enforced = call.policy, call.enforced
    decision = decide(standings, _KIND, size, now_ms=call.now_ms, patient=False)
    would = [by_rule] if by_rule else []
    refused = isinstance(decision, Refuse) or bool(would and enforced)
    if not (would and enforced):  # a gate that refuses by such a rule asks no budget, so its sentence counts none
        would += [decision] if isinstance(decision, Refuse) else []
        would += [decision.would_refuse] if isinstance(decision, Admit) and decision.would_refuse else []
    if not would:
        return Line("call", "call", True, "leaves")
    named = who_refuses(would)
    waits = (
        "waits for calls that still run, and where they do not end in time " if named.kind is RefusalKind.HELD else ""
    )
    ends = f"{waits}is refused by" if refused else "leaves, and would be refused by"
    sent = message(named, timezone=policy.timezone, help_text=policy.help, asks=asks)
    return Line("call", "call", True, f"{ends} {named.rule}: {sent}")
