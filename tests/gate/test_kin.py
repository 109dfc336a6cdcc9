"""A sub-agent's calls point to the newest call that its parent had made when it first asked, in its person's session alone."""

from __future__ import annotations

import itertools
from typing import Any

from msgspec.structs import replace

from gate.world import intent
from spendgate.gate.interface import Intent
from spendgate.gate.kin import KEPT_MAX, Kin

_numbers = itertools.count()


def _call(agent: str | None = None, *, person: str = "alice", session: str = "s", **ask: Any) -> Intent:
    made = intent(person, agent=agent, **ask)
    who = replace(made.attribution, session=session)
    return replace(made, call_id=f"call-{next(_numbers)}", attribution=who)


def test_a_sub_agent_keeps_the_call_that_it_came_from() -> None:
    """Later calls of the parent change nothing; another sub-agent comes from those."""
    kin, first, later = Kin(), _call(), _call()
    kin.left(first)
    assert kin.parent_call(_call("a")) == first.call_id
    kin.left(later)
    assert kin.parent_call(_call("a")) == first.call_id
    assert kin.parent_call(_call("b")) == later.call_id
    assert kin.parent_call(later) is None


def test_nested_by_the_parents_name() -> None:
    """A sub-agent's sub-agent comes from that one's call; a main agent that has a name is found by it."""
    kin, main, middle = Kin(), _call(known_as="root"), _call("a", parent_agent="root")
    kin.left(main)
    kin.left(middle)
    assert kin.parent_call(middle) == main.call_id
    assert kin.parent_call(_call("b", parent_agent="a")) == middle.call_id


def test_nobody_elses_call_is_pointed_to() -> None:
    """Not another person's of the same names, not another session's, not an errand's, not one of a parent that was not seen."""
    kin = Kin()
    kin.left(_call(person="bob"))
    kin.left(_call(session="another"))
    kin.left(_call(agent_name="compact"))
    kin.left(_call("other"))
    assert kin.parent_call(_call("a")) is None
    assert kin.parent_call(_call("a", parent_agent="unseen")) is None


def test_memory_is_bounded() -> None:
    """Sessions and agents are a client's to name; the oldest are forgotten."""
    kin = Kin()
    kin.left(first := _call(session="first"))
    assert kin.parent_call(_call("a", session="first")) == first.call_id
    for number in range(KEPT_MAX):
        kin.left(_call(session=str(number)))
    assert kin.parent_call(_call("b", session="first")) is None
    assert len(kin._newest) == KEPT_MAX
