"""Which call a sub-agent comes from, as far as this gate has seen it.

A client names its agents and which of them started which, but not the call in whose answer that was decided. So what a row
points to is exact in another way: the newest call that the parent had made when its sub-agent first asked. For clients that
wait for their sub-agents that is the one that started it; Codex, which does not, may have made one more by then.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from spendgate.gate.interface import Intent

KEPT_MAX: Final = 4096
"""Agents remembered, the latest to ask. One is some hundred bytes."""

Agent = tuple[str, str | None, str | None]
"""Person, session, agent: two people's clients may name alike."""


class Kin:
    """The newest call of each agent, and what each sub-agent came from. Starts anew with the gate."""

    def __init__(self) -> None:
        self._newest: OrderedDict[Agent, str] = OrderedDict()
        self._parents: OrderedDict[Agent, str] = OrderedDict()

    def parent_call(self, intent: Intent) -> str | None:
        """The call that this one's agent comes from; None for the main agent's, and where the parent was not seen."""
        who, ask = intent.attribution, intent.ask
        if ask.agent is None:
            return None
        agent = who.person, who.session, ask.agent
        known = self._parents.get(agent) or self._newest.get((who.person, who.session, ask.parent_agent))
        if known is not None:
            _keep(self._parents, agent, known)
        return known

    def left(self, intent: Intent) -> None:
        """This call may leave, so that its answer may start agents. An agent's errands (titles, compaction) start none."""
        who, ask = intent.attribution, intent.ask
        if ask.agent is not None or ask.agent_name is None:
            _keep(self._newest, (who.person, who.session, ask.agent or ask.known_as), intent.call_id)


def _keep(kept: OrderedDict[Agent, str], agent: Agent, call_id: str) -> None:
    kept[agent] = call_id
    kept.move_to_end(agent)
    if len(kept) > KEPT_MAX:
        kept.popitem(last=False)
