"""Flows against a brute-force oracle: every sum, every wait, every decision, whatever comes in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from spendgate.admission import Admit, RefusalKind, Refuse, Wait, decide
from spendgate.flow import Entry, Limits, Sliding, Tokens, Track, Windows, corrected
from spendgate.rate_memory import RateMemory
from spendgate.rates import length
from spendgate.standing import Hold, KindStanding, Scope, Size
from spendgate.usage import Usage

NOTHING = Size(ceiling_nanos=0, learned_nanos=0)


def scope_of(limits: Limits, name: str = "loop", order: int = 0, *, enforced: bool = True) -> Scope:
    """One rate, applied to Alice's calls."""
    return Scope(name, "alice", "life", 0, None, None, 0, Hold.RATE, 20_000, enforced, False, order, "w", limits)


@dataclass
class Oracle:
    """All calls that were ever admitted, looked through anew for each question."""

    calls: list[tuple[int, Tokens]] = field(default_factory=list)
    running: int = 0

    def requests(self, sliding: Sliding, now: int) -> int:
        return sum(now - sliding.length_ms < at for at, _ in self.calls)

    def tokens(self, limits: Limits, now: int) -> int:
        since = now - limits.tokens.length_ms
        return sum(each.counted + each.reads * limits.cache_reads for at, each in self.calls if at > since)

    def fits(self, limits: Limits, need: Tokens, now: int) -> bool:
        if limits.requests and self.requests(limits.requests, now) + 1 > limits.requests.most:
            return False
        if limits.tokens:
            counted, needed = self.tokens(limits, now), need.counted + need.reads * limits.cache_reads
            if counted > 0 and counted + needed > limits.tokens.most:
                return False
        return True

    def wait(self, limits: Limits, need: Tokens, now: int) -> int:
        """The first instant from which the call fits, by trying every one."""
        return next(wait for wait in range(200) if self.fits(limits, need, now + wait))


slidings = st.builds(Sliding, st.integers(1, 6), st.integers(1, 40))
token_limits = st.builds(Sliding, st.integers(1, 60), st.integers(1, 40))
limits_of = st.builds(
    Limits, st.none() | slidings, st.none() | token_limits, st.none() | st.integers(1, 4), st.booleans()
).filter(lambda each: each.requests or each.tokens or each.parallel)
tokens_of = st.builds(Tokens, st.integers(0, 30), st.integers(0, 30))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 15), tokens_of),
        st.tuples(st.just("end"), st.integers(0, 15), st.none() | tokens_of, st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(limits_of, steps)
def test_every_decision_is_the_oracles(limits: Limits, made: list[tuple]) -> None:
    """A call is admitted exactly where all that was admitted leaves room for it; a refusal says from when on there is."""
    memory, oracle, scope, now, open_calls = RateMemory(), Oracle(), scope_of(limits), 1_000, []
    for number, (what, pause, *rest) in enumerate(made):
        now += pause
        if what == "end":
            if not open_calls:
                continue
            call, place, need = open_calls.pop(pause % len(open_calls))
            used, sent = rest
            memory.ended(call, used, sent=sent)
            oracle.running -= 1
            at, _ = oracle.calls[place]
            if not sent:
                oracle.calls[place] = (-(10**9), need)
            elif used is not None:
                oracle.calls[place] = (at, used)
            continue
        (need,) = rest
        standings = memory.standings((scope,), need, now)
        decision = decide(standings, KindStanding(""), NOTHING, now_ms=now)
        fits, room = oracle.fits(limits, need, now), not limits.parallel or oracle.running < limits.parallel
        if limits.requests:
            assert standings[0].flow.requests == oracle.requests(limits.requests, now)
        if limits.tokens:
            assert standings[0].flow.tokens == oracle.tokens(limits, now)
        if fits and room:
            assert isinstance(decision, Admit)
            memory.admitted(str(number), (scope,), need, now)
            open_calls.append((str(number), len(oracle.calls), need))
            oracle.calls.append((now, need))
            oracle.running += 1
        elif fits:
            assert isinstance(decision, Wait)
            assert decision.refusal.passes
        else:
            assert isinstance(decision, Refuse)
            assert decision.kind is RefusalKind.RULE
            assert decision.passes
            assert decision.retry_after_ms == oracle.wait(limits, need, now)
            assert decision.resets_ms == now + decision.retry_after_ms


@given(st.lists(st.integers(0, 30), max_size=80), slidings)
def test_no_stretch_has_more_than_the_limit(pauses: list[int], sliding: Sliding) -> None:
    """However calls come, of the admitted ones no stretch of the rate's length, wherever it begins, has more than it allows."""
    memory, scope, now, admitted = RateMemory(), scope_of(Limits(sliding)), 0, []
    for number, pause in enumerate(pauses):
        now += pause
        if isinstance(decide(memory.standings((scope,), Tokens(), now), KindStanding(""), NOTHING, now_ms=now), Admit):
            memory.admitted(str(number), (scope,), Tokens(), now)
            admitted.append(now)
    for first in admitted:
        assert sum(first <= at < first + sliding.length_ms for at in admitted) <= sliding.most


def test_a_clock_that_goes_back_frees_nothing() -> None:
    """One of two gates may have read its clock earlier: what has left has not come back, nor is less counted."""
    windows: Windows[str] = Windows()
    limits = Limits(Sliding(1, 100))
    windows.add(["a"], Entry(windows.moment(1_000), 1, 0, 0), 100)
    assert windows.flow("a", limits, Tokens(), 1_050).requests == 1
    assert windows.flow("a", limits, Tokens(), 900).requests_wait_ms == 50
    assert windows.flow("a", limits, Tokens(), 1_100).requests == 0
    assert windows.flow("a", limits, Tokens(), 1_099).requests == 0


def test_a_call_larger_than_the_limit_goes_alone() -> None:
    """It would never fit; it leaves when nothing is counted, and keeps all others out until it has left the window."""
    memory, scope = RateMemory(), scope_of(Limits(tokens=Sliding(100, 1_000)))
    huge = Tokens(500)
    assert memory.standings((scope,), huge, 0)[0].flow.tokens_wait_ms == 0
    memory.admitted("huge", (scope,), huge, 0)
    assert memory.standings((scope,), Tokens(1), 10)[0].flow == (0, 0, 500, 990)


def test_memory_is_bounded() -> None:
    """Of 20,000 sessions only those that still count have a track, and of a track only the calls that still count are kept."""
    windows: Windows[str] = Windows()
    limits = Limits(Sliding(5, 100))
    for number in range(20_000):
        windows.add([f"session-{number}"], Entry(windows.moment(number), 1, 0, 0), 100)
    assert len(windows) <= 1_024
    track = Track()
    for number in range(5_000):
        track.add(Entry(number, 1, 0, 0), 100)
        assert track.used(len_one, 100, number) <= 100
    assert len(track._entries) < 1_024
    assert windows.flow("session-19999", limits, Tokens(), 20_000).requests == 1


def len_one(entry: Entry) -> int:
    """One for each."""
    return entry.requests


def test_ends_correct_what_was_expected() -> None:
    """What a call used replaces what it was expected to; one that never left takes all back; unknown use leaves it."""
    assert corrected(Tokens(10, 2), Tokens(4, 5), sent=True) == (0, Tokens(-6, 3))
    assert corrected(Tokens(10, 2), Tokens(4, 5), sent=False) == (-1, Tokens(-10, -2))
    assert corrected(Tokens(10, 2), None, sent=True) is None
    assert Tokens.of(Usage()) is None
    usage = Usage(
        input_tokens=1, cache_read_tokens=2, cache_write_5m_tokens=4, cache_write_1h_tokens=8, output_tokens=16
    )
    assert Tokens.of(usage) == (29, 2)


def test_lengths_read_as_the_policy_writes_them() -> None:
    """Refusals and `status` say what the file says."""
    assert [length(ms) for ms in (1_000, 30_000, 60_000, 90_000, 300_000, 3_600_000, 86_400_000)] == [
        "second", "30s", "minute", "90s", "5m", "hour", "24h",
    ]  # fmt: skip
