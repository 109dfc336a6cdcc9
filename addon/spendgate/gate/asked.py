"""One call as the gate sees it before anything is decided: its terms, its size, and its row."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from spendgate.estimate import Sizes
from spendgate.gate.interface import Intent, Seen
from spendgate.gate.terms import Terms
from spendgate.identity.people import evidence
from spendgate.ledger.interface import CallRow
from spendgate.policy import Policy
from spendgate.price_cards import Rates
from spendgate.standing import Size
from spendgate.written import written

_NOTHING = Size(ceiling_nanos=0, learned_nanos=0, largest_nanos=0, typical_nanos=0, guess_nanos=0)
_UNSIZED = Size(ceiling_nanos=None, learned_nanos=None)


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
        terms = self.terms
        if not terms.drawn:
            return _NOTHING
        return sizes.size(terms.keys, self.intent.ask, terms.rates, self.bound_rates)


def row(asked: Asked, size: Size) -> CallRow:
    """The call as the ledger opens it."""
    terms = asked.terms
    opened = _row(
        asked.intent, size, terms.policy, billing=terms.billing, kind=terms.keys.kind, known_by=terms.evidence
    )
    return opened if asked.parent_call is None else replace(opened, parent_call=asked.parent_call)


def seen_row(seen: Seen, policy: Policy) -> CallRow:
    """An exchange that held nothing, as the ledger writes it."""
    billing = seen.route.billing or seen.ask.billing
    return _row(seen, _UNSIZED, policy, billing=billing, kind="", known_by=evidence(seen.attribution))


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
        estimate_nanos=size.learned_nanos if size.learned_nanos is not None else size.guess_nanos,
        ceiling_nanos=size.ceiling_nanos,
        typical_nanos=size.uncounted_nanos,
        request_bytes=call.request_bytes,
        text_bytes=ask.text_bytes,
        policy_hash=policy.hash,
        agent_name=ask.agent_name,
        parent_agent=ask.parent_agent,
    )
