"""What a candidate refuses has shown nobody what calls of its kind cost: sizes rest on so many calls fewer."""

from __future__ import annotations

from spendgate.replay.untaught import Untaught
from spendgate.review.cases import Calls, step_of
from spendgate.standing import Size

SIZE = Size(ceiling_nanos=900, learned_nanos=100, seen=10, own_seen=10)


def untaught(*ends_ms: int, kind: str = "codex|gpt-5", **words: int) -> Untaught:
    """After the refusal of a call of this kind for each of these ends."""
    made = Untaught()
    for number, ends_ms_ in enumerate(ends_ms):
        made.refused(step_of(Calls(0, {}, words.get("cost", 100)), kind, f"call-{number}", 0, ends_ms_))
    return made


def test_a_refused_call_is_missing_from_when_it_would_have_ended() -> None:
    """Not before: who asked while it ran did not know it either."""
    replayed = untaught(1_000, 3_000)
    seen = [replayed.without(SIZE, "codex|gpt-5", at_ms).seen for at_ms in (999, 1_000, 2_999, 3_000)]
    assert seen == [10, 9, 9, 8]


def test_other_kinds_and_wider_evidence_are_what_they_were() -> None:
    """Only its own kind has learned less; what is known of the tool alone counts for little anyway."""
    assert untaught(1_000).without(SIZE, "codex|gpt-5-pro", 2_000) is SIZE
    wider = Size(ceiling_nanos=900, learned_nanos=100, seen=4)
    assert untaught(1_000).without(wider, "codex|gpt-5", 2_000) is wider


def test_what_showed_nothing_is_not_missing() -> None:
    """A call without a value taught nothing then; and a size that is there rests on one call at least."""
    assert untaught(1_000, cost=0).without(SIZE, "codex|gpt-5", 2_000) is SIZE
    assert untaught(*[1_000] * 30).without(SIZE, "codex|gpt-5", 2_000).own_seen == 1
