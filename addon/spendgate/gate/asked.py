"""One call as the gate sees it before anything is decided: its terms, its size, and its row."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from spendgate import tries
from spendgate.estimate import Sizes
from spendgate.flow import Tokens, corrected
from spendgate.gate.clock import Clock
from spendgate.gate.interface import Intent, Seen
from spendgate.gate.terms import Terms
from spendgate.identity.people import evidence
from spendgate.ledger.interface import CallRow, Flowing
from spendgate.policy import Policy
from spendgate.price_cards import Rates
from spendgate.standing import UNSIZED, Size
from spendgate.tries import Earlier
from spendgate.usage import Usage
from spendgate.written import written

_KEPT_OF_NOBODY = dict.fromkeys(
    ("project", "session", "agent", "agent_name", "parent_agent", "api_key", "account"), None
)
"""What the row of a personal account's call leaves out: it has counts and times, and what models and tools were used."""
_NOTHING = Size(ceiling_nanos=0, learned_nanos=0, largest_nanos=0, typical_nanos=0, guess_nanos=0)


class Asked(Struct, frozen=True):
    """A call that wants to leave, under the policy that will see it through."""

    intent: Intent
    terms: Terms
    parent_call: str | None = None
    """`kin.Kin`'s answer."""

    @property
    def bound_rates(self) -> Rates:
        """Dearest over the tiers that this call can reach: what bounds it."""
        ask = self.intent.ask
        return self.terms.reach.upto(None if ask.opaque_input else ask.text_bytes)

    @property
    def told(self) -> tuple[str, ...]:
        """Its row's flags for the request itself, and for the same ones that were answered from memory before it."""
        repeats, flags = self.intent.repeats, self.terms.flags
        return (*flags, f"repeats={repeats}") if repeats else flags

    def size(self, sizes: Sizes) -> Size:
        """What it may cost, as far as is known now."""
        terms, ask = self.terms, self.intent.ask
        found = sizes.size(terms.keys, ask, terms.rates, self.bound_rates) if terms.drawn else _NOTHING
        if not terms.bounded and terms.drawn:
            found = replace(found, ceiling_nanos=None)
        if terms.flows is None or not terms.flows.counts_tokens:
            return found
        need = sizes.tokens(terms.keys, ask)
        return replace(found, tokens=need.counted, cache_reads=need.reads)

    def flowing(self, size: Size, clock: Clock) -> Flowing | None:
        """How the policy's rates count a call of this size now; None where none does."""
        flows = self.terms.flows
        if flows is None:
            return None
        need = Tokens(size.tokens or 0, size.cache_reads)
        return Flowing(clock.boot(), clock.boot_ms(), need, flows.looking_back, flows.longest_ms)


def flowed(was: Flowing | None, used: Usage, *, sent: bool) -> Flowing | None:
    """What the end of a call changes in its rates' counts; None: nothing."""
    if was is None or not was.longest_ms:
        return None
    # Of a call that no rate counts the tokens of, none are expected, and none are counted at its end.
    change = corrected(was.need, Tokens.of(used) if was.need != Tokens() else None, sent=sent)
    return None if change is None else replace(was, requests=change[0], need=change[1])


def counted_late(flowing: Flowing | None, used: Usage) -> Flowing | None:
    """How rates count what was asked about by nobody before it was done; None: none does."""
    if flowing is None or not flowing.longest_ms:
        return None
    return replace(flowing, requests=1, need=Tokens.of(used) or Tokens())


def row(asked: Asked, size: Size, earlier: Earlier = ()) -> CallRow:
    """The call as the ledger opens it; `earlier`: by what sizes it was tried before."""
    terms = asked.terms
    opened = _row(
        asked.intent, size, terms.policy, billing=terms.billing, kind=terms.keys.kind, known_by=terms.evidence
    )
    if earlier:
        opened = replace(opened, size=tries.text(size, earlier))
    if terms.also:
        opened = replace(opened, also_requested=terms.also)
    if terms.ignored:
        return replace(opened, **_KEPT_OF_NOBODY)
    return opened if asked.parent_call is None else replace(opened, parent_call=asked.parent_call)


def seen_row(seen: Seen, policy: Policy) -> CallRow:
    """An exchange that held nothing, as the ledger writes it."""
    billing = seen.route.billing or seen.ask.billing
    return _row(seen, UNSIZED, policy, billing=billing, kind="", known_by=evidence(seen.attribution))


def _expected(size: Size) -> int | None:
    """What it is expected to cost: what was learned; of a kind that nobody has seen the guess, as far as the call's bound goes.
    What it holds may be more, since a provider may bill input that no request shows."""
    if size.learned_nanos is not None or size.guess_nanos is None or size.ceiling_nanos is None:
        return size.learned_nanos if size.learned_nanos is not None else size.guess_nanos
    return min(size.guess_nanos, size.ceiling_nanos)


def _row(call: Intent | Seen, size: Size, policy: Policy, *, billing: str, kind: str, known_by: str) -> CallRow:
    who, ask, route = call.attribution, call.ask, call.route
    return CallRow(
        id=call.call_id,
        started_ms=call.started_ms,
        person=who.person,
        machine=who.machine,
        provider=route.provider,
        host=call.host,
        path=route.path,
        team=who.team,
        groups=who.groups,
        account_os=who.account_os,
        tool=who.tool,
        process=who.process,
        project=who.project,
        session=who.session,
        agent=ask.agent,
        evidence=known_by,
        api_key=ask.api_key,
        account=ask.account,
        billing=billing,
        dialect=route.dialect,
        model_requested=written(route.model or ask.model),
        kind=kind,
        estimate_nanos=_expected(size),
        ceiling_nanos=size.ceiling_nanos,
        typical_nanos=size.uncounted_nanos,
        request_bytes=call.request_bytes,
        text_bytes=ask.text_bytes,
        policy_hash=policy.hash,
        agent_name=ask.agent_name,
        parent_agent=ask.parent_agent,
        size=None if size is UNSIZED else size.text,
    )
