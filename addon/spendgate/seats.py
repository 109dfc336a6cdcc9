"""What seats were used for: the value, at list price, of the plan traffic that was seen, for each person and window. Pure.

A seat is in use where somebody's call of its plan was seen in the window that runs. Whether it is paid for, and what its provider
counts against it, no traffic says; so what is shown is what went through here, beside what the policy says is included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spendgate.contracts import Seat
from spendgate.policy import Policy
from spendgate.selector import Facts
from spendgate.window import Bounds, bounds


@dataclass(frozen=True, slots=True)
class Traffic:
    """Plan traffic of one kind: its facts, calls, and value at list price in nano-dollars."""

    person: str
    facts: Facts
    calls: int
    value_nanos: int


@dataclass(frozen=True, slots=True)
class Used:
    """One person's use of one seat in the window that runs. Nano-dollars."""

    seat: Seat
    person: str
    window: str
    ends_ms: int | None
    calls: int
    value_nanos: int


@dataclass(frozen=True, slots=True)
class InUse:
    """One seat over everybody who was seen. Nano-dollars."""

    seat: Seat
    window: str
    people: int
    calls: int
    value_nanos: int

    @property
    def price_nanos(self) -> int:
        """What so many seats cost in one window."""
        return self.people * self.seat.price_nanos


def running(policy: Policy, seat: Seat, now_ms: int) -> Bounds:
    """The seat's window that runs, in the policy's zone."""
    return bounds(seat.window, policy.calendar(), now_ms)


def used(policy: Policy, seat: Seat, now_ms: int, traffic: Iterable[Traffic]) -> tuple[Used, ...]:
    """Who has used a seat, by `traffic` since its window began; the most used first."""
    at = running(policy, seat, now_ms)
    sums: dict[str, list[int]] = {}
    for each in traffic:
        if policy.billing.seat_of(each.facts) is seat:
            found = sums.setdefault(each.person, [0, 0])
            found[0] += each.calls
            found[1] += each.value_nanos
    people = [Used(seat, person, at.key, at.ends_ms, calls, value) for person, (calls, value) in sums.items()]
    return tuple(sorted(people, key=lambda each: (-each.value_nanos, each.person)))


def in_use(policy: Policy, seat: Seat, now_ms: int, people: tuple[Used, ...]) -> InUse:
    """The seat over all of these."""
    calls, value = sum(each.calls for each in people), sum(each.value_nanos for each in people)
    return InUse(seat, running(policy, seat, now_ms).key, len(people), calls, value)
