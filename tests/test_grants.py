"""Grants: what an approver signs counts once, for its own person, budget, ledger and machine, by the policy in force."""

from __future__ import annotations

from dataclasses import replace as with_
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from spendgate.answerers import facts_of
from spendgate.config.policy_file import parse_policy
from spendgate.fitting import scopes
from spendgate.grant_texts import COMMENT, GRANT, Ask, Grant, SignedGrant
from spendgate.grants import Place, Taken, Why, counts, judge, most_at_once, raised
from spendgate.limits import Claim, limit
from spendgate.minisign import Signature
from spendgate.minisign_secret import SecretKey
from spendgate.money import NANOS_PER_DOLLAR
from spendgate.policy import Policy

KEY, OTHER = SecretKey.new(bytes(range(40))), SecretKey.new(bytes(range(1, 41)))
NOW = 1_795_312_800_000
"""2026-11-22T02:00:00Z"""
HOUR = 3_600_000
TEXT = f"""\
version: 1
owner: ops@acme.example
people:
  alice: {{team: eu}}
  bob: {{}}
  lead: {{}}
  boss: {{until: 2026-11-30}}
teams:
  payments: {{}}
  eu: {{parent: payments}}
budgets:
  - {{name: person, per: person, limit: [$1 per day, $20 per month]}}
  - {{name: session, per: [person, session], limit: $5}}
  - {{name: everybody, limit: $100 per month}}
approvers:
  - {{person: lead, key: {KEY.public}, up_to: $100, for: {{team: payments}}}}
  - {{person: boss, key: {OTHER.public}, up_to: $500}}
"""
HERE = Place("ledger-1", "lt-1", "alice")


def policy(text: str = TEXT) -> Policy:
    """The policy, or another state of it."""
    return parse_policy(text.encode())


def grant(**changes: Any) -> Grant:
    """$50 of her month for alice, by lead, for five hours."""
    made = Grant(
        id="g1", ask="a1", ledger="ledger-1", machine="lt-1", person="alice", budget="person/month", values={"person": "alice"},
        amount_nanos=50 * NANOS_PER_DOLLAR, from_ms=NOW - HOUR, until_ms=NOW + 5 * HOUR, reason="release week", approver="lead",
        issued_ms=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def signed(key: SecretKey = KEY, **changes: Any) -> SignedGrant:
    """The same, signed."""
    made = grant(**changes)
    return SignedGrant(made, key.sign(made.data(), COMMENT))


def taken(number: int = 1, **changes: Any) -> Taken:
    """One that this ledger has taken in."""
    made = signed(**{"id": f"t{number}", "ask": f"of t{number}"} | changes)
    return Taken(made, NOW, made.grant.until_ms)


def why(
    made: SignedGrant, *, text: str = TEXT, here: Place = HERE, earlier: tuple[Taken, ...] = (), now: int = NOW
) -> Why | None:
    """Why it does not count; None: it does."""
    found = judge(made, policy(text), here, earlier, now)
    return found.why if found else None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"budget": "session", "values": {"person": "alice", "session": "s-1"}}, None),
        ({"budget": "everybody", "values": {}}, None),
        ({"amount_nanos": 100 * NANOS_PER_DOLLAR}, None),
        ({"amount_nanos": 100 * NANOS_PER_DOLLAR + 1}, Why.LIMIT),
        ({"person": "bob", "values": {"person": "bob"}}, Why.PERSON),
        ({"values": {"person": "bob"}}, Why.BUDGET),
        ({"values": {}}, Why.BUDGET),
        ({"budget": "person"}, Why.BUDGET),
        ({"budget": "month"}, Why.BUDGET),
        ({"ledger": "ledger-2"}, Why.LEDGER),
        ({"machine": "lt-2"}, Why.MACHINE),
        ({"approver": "boss"}, Why.SIGNATURE),
        ({"approver": "alice"}, Why.APPROVER),
        ({"approver": "nobody"}, Why.APPROVER),
        ({"until_ms": NOW}, Why.ENDED),
        ({"until_ms": NOW + 1}, None),
        ({"issued_ms": NOW + 10 * 60_000}, None),
        ({"issued_ms": NOW + 10 * 60_000 + 1}, Why.FUTURE),
        ({"from_ms": NOW + HOUR}, None),
    ],
)
def test_what_counts(changes: dict[str, Any], expected: Why | None) -> None:
    """Each edge, signed by the approver's own key."""
    assert why(signed(**changes)) is expected


def test_another_key_signed_it() -> None:
    """A stranger's, or that of another approver under this one's name."""
    assert why(signed(OTHER)) is Why.SIGNATURE
    forged = signed(OTHER)
    own = Signature(KEY.key_id, forged.signature.signature, COMMENT, forged.signature.global_signature)
    assert why(SignedGrant(forged.grant, own)) is Why.SIGNATURE


def test_who_takes_it_in() -> None:
    """A service takes in what others were granted; a person only what is theirs."""
    bobs = signed(person="bob", values={"person": "bob"}, approver="boss", key=OTHER)
    assert why(bobs) is Why.PERSON
    assert why(bobs, here=Place("ledger-1", "lt-1")) is None


def test_not_within_the_approvers_for() -> None:
    """Bob is in no team; alice's is below payments. An approver's own budget is nobody's to raise but another's."""
    assert why(signed(person="bob", values={"person": "bob"}), here=Place("ledger-1", "lt-1")) is Why.REACH
    assert why(signed(person="lead", values={"person": "lead"}), here=Place("ledger-1", "lt-1")) is Why.OWN


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (f"  - {{person: lead, key: {KEY.public}, up_to: $100, for: {{team: payments}}}}\n", "", Why.APPROVER),
        (f"person: lead, key: {KEY.public}", f"person: lead, key: {SecretKey.new(bytes(40)).public}", Why.SIGNATURE),
        ("up_to: $100", "up_to: $49", Why.LIMIT),
        ("for: {team: payments}", "for: {person: bob}", Why.REACH),
        ("name: person, per", "name: someone, per", Why.BUDGET),
        ("name: person, per: person", "name: person, per: [person, tool]", Why.BUDGET),
        ("  lead: {}", "  lead: {until: 2026-11-01}", Why.APPROVER),
    ],
)
def test_another_policy_in_force(old: str, new: str, expected: Why) -> None:
    """It is judged by what the policy says now; one that was taken in is ended by it, and no later state brings it back."""
    assert old in TEXT
    changed = policy(TEXT.replace(old, new))
    assert why(signed(), text=TEXT.replace(old, new)) is expected
    found, stopped = raised(changed, (taken(),), HERE, NOW)
    assert [each.until_ms for each in found.grants] in ([], [NOW])
    if expected is Why.SIGNATURE:
        return
    assert len(stopped) == 1
    back, again = raised(policy(), (with_(taken(), until_ms=NOW, ended=stopped[0].ended),), HERE, NOW - 1)
    assert ([each.until_ms for each in back.grants], again) == ([NOW - 1], ())


def test_twice() -> None:
    """The same id, however its reason or amount is written."""
    assert why(signed(id="t1"), earlier=(taken(),)) is Why.TWICE


def test_an_ask_has_one_answer_at_a_time() -> None:
    """Two approvers who both answer it, or one twice, grant it once; what has ended, or nobody signed, keeps no answer away."""
    first, second = taken(1, ask="a1", amount_nanos=2 * NANOS_PER_DOLLAR), signed(OTHER, approver="boss")
    refusal = judge(second, policy(), HERE, (first,), NOW)
    assert refusal is not None
    assert refusal.why is Why.ANSWERED
    assert refusal.said.startswith("lead has answered the ask a1 with $2.00 more until ")
    assert why(signed(id="g2"), earlier=(first,)) is Why.ANSWERED
    assert why(second, earlier=(with_(first, ended="revoked by alice", until_ms=NOW),)) is None
    later = signed(OTHER, approver="boss", until_ms=NOW + 9 * HOUR)
    assert judge(later, policy(), HERE, (first,), first.until_ms) is None
    assert why(second, earlier=(taken(2, ask="a1", key=OTHER),)) is None
    assert len(raised(policy(), (first, taken(2, ask="a1", amount_nanos=1)), HERE, NOW)[0].grants) == 2


def test_the_sum_of_what_an_approver_granted() -> None:
    """All that runs at one instant counts, whoever has it; what is over before the other begins does not."""
    bobs = taken(1, person="alice", amount_nanos=60 * NANOS_PER_DOLLAR, until_ms=NOW + 2 * HOUR)
    assert why(signed(), earlier=(bobs,)) is Why.LIMIT
    assert why(signed(from_ms=NOW + 2 * HOUR), earlier=(bobs,)) is None
    assert why(signed(from_ms=NOW + 2 * HOUR - 1), earlier=(bobs,)) is Why.LIMIT
    ended = with_(bobs, until_ms=NOW - HOUR, ended="revoked")
    assert why(signed(), earlier=(ended,)) is None
    other = taken(2, approver="boss", key=OTHER, amount_nanos=60 * NANOS_PER_DOLLAR)
    assert why(signed(), earlier=(other,)) is None


spans = st.tuples(st.integers(0, 20), st.integers(1, 10), st.integers(1, 9))


@given(st.lists(spans, max_size=6), spans)
def test_the_sum_is_the_most_at_any_instant(before: list[tuple[int, int, int]], new: tuple[int, int, int]) -> None:
    """Against every instant looked at by itself."""
    earlier = tuple(
        Taken(
            SignedGrant(grant(from_ms=start, until_ms=start + length, amount_nanos=nanos), NO_SIGNATURE),
            0,
            start + length,
        )
        for start, length, nanos in before
    )
    start, length, _ = new
    own = grant(from_ms=start, until_ms=start + length)
    by_hand = [sum(n for s, k, n in before if s <= at < s + k) for at in range(start, start + length)]
    assert most_at_once(own, earlier) == max(by_hand)


NO_SIGNATURE = Signature(bytes(8), bytes(64), COMMENT, bytes(64))


def test_every_letter_of_the_text_is_signed() -> None:
    """Another letter anywhere, one less or one more: it does not parse, or nobody signed it."""
    text = signed().text()
    assert why(SignedGrant.parse(f" {text}\n")) is None
    for place in range(len(text)):
        for other in "Aw-_.\n ":
            changed = text[:place] + other + text[place + 1 :]
            if changed.strip() == text:
                continue
            try:
                found = SignedGrant.parse(changed)
            except ValueError:
                continue
            assert why(found) in (Why.SIGNATURE, Why.APPROVER, Why.ENDED, Why.FUTURE, Why.PERSON), changed
            assert counts(found, policy(), Place(found.grant.ledger, found.grant.machine), (), NOW) is not None
    for cut in range(len(text)):
        with pytest.raises(ValueError, match=r"is no grant|was changed|does not begin"):
            SignedGrant.parse(text[:cut])


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_value_error_or_a_grant(text: str) -> None:
    """Whatever is pasted."""
    for words in (text, GRANT + text, f"{GRANT}{text}.{text}"):
        with pytest.raises(ValueError, match=r"."):
            SignedGrant.parse(words)


@given(
    st.text("abc|%*?é ", max_size=40), st.integers(1, 2**63 - 1), st.integers(0, 32_503_680_000_000),
    st.text("abc \U0001f600é", max_size=120),
)  # fmt: skip
def test_a_code_is_read_back(value: str, amount: int, until_ms: int, reason: str) -> None:
    """Whatever a client named its session."""
    ask = Ask(
        id="a", ledger="l", machine="m", person="p", budget="session", values={"session": value}, amount_nanos=amount, at_ms=0,
        until_ms=until_ms, reason=reason,
    )  # fmt: skip
    assert Ask.of_code(ask.code()) == ask


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_nanos": 0}, {"amount_nanos": -1}, {"amount_nanos": 2**63}, {"until_ms": 10**15}, {"reason": "a\nb"},
        {"reason": "x" * 121}, {"person": ""}, {"values": {"colour": "red"}}, {"person": "\x1b[31m"},
    ],
)  # fmt: skip
def test_what_no_grant_can_say(changes: dict[str, Any]) -> None:
    """Also where an approver signed it."""
    with pytest.raises(ValueError, match=r"."):
        SignedGrant.parse(signed(**changes).text())


def test_a_grant_is_no_part_of_the_files_hash() -> None:
    """What decides is the file and beside it the grants; the file is the same."""
    plain = policy()
    found, stopped = raised(plain, (taken(),), HERE, NOW)
    assert (found.hash, len(found.raising), stopped) == (plain.hash, 1, ())
    assert found.granting(()) == plain


def test_a_glob_in_a_value_is_a_letter() -> None:
    """A session that calls itself `*` gets a grant for itself, not for every session."""
    found, _ = raised(policy(), (taken(budget="session", values={"person": "alice", "session": "*"}),), HERE, NOW)
    (each,) = found.grants
    assert [clause.globs for clause in each.match.clauses] == [(), ()]


def limits_of(rules: Policy, now: int) -> dict[tuple[str, str, str], int]:
    """What each allowance allows, to each person's call, where nothing is spent."""
    found: dict[tuple[str, str, str], int] = {}
    for person in ("alice", "bob", "lead"):
        for session in ("s-1", "s-2", "*"):
            facts = facts_of(rules, person, "lt-1", {"session": session}, now)
            for scope in scopes(rules, facts, now, enforced=True):
                if not scope.tally:
                    raised_to = limit(scope, None, lambda _: 0, lambda _: Claim.NONE).nanos
                    found[scope.budget, f"{person} {session}", scope.value] = raised_to
    return found


granting = st.builds(
    lambda person, about, amount, start, length: taken(
        0, person=person, budget=about[0], values={name: {"person": person}.get(name, about[1]) for name in about[2]},
        amount_nanos=amount, from_ms=NOW + start, until_ms=NOW + start + length, approver="boss", key=OTHER,
    ),
    st.sampled_from(["alice", "bob", "lead"]),
    st.sampled_from([
        ("person/day", "", ("person",)), ("person/month", "", ("person",)), ("everybody", "", ()),
        ("session", "s-1", ("person", "session")), ("session", "*", ("person", "session")),
    ]),
    st.integers(1, 60 * NANOS_PER_DOLLAR), st.integers(-HOUR, HOUR), st.integers(1, 2 * HOUR),
)  # fmt: skip


@given(st.lists(granting, max_size=4))
def test_a_grant_raises_its_own_budget_for_its_own_person_alone(made: list[Taken]) -> None:
    """Each allowance of each person's calls, with and without: nothing else moves, and that one by just what runs now."""
    named = tuple(
        with_(each, signed=signed(OTHER, **{**asdict(each.signed.grant), "id": f"g{number}"}))
        for number, each in enumerate(made)
    )
    found, _ = raised(policy(), named, Place("ledger-1", "lt-1"), NOW)
    plain = limits_of(policy(), NOW)
    for (budget, call, value), nanos in limits_of(found, NOW).items():
        person, session = call.split()
        running = [
            each.signed.grant.amount_nanos
            for each in named
            if each.signed.grant.from_ms <= NOW < each.until_ms
            and (each.signed.grant.budget, each.signed.grant.person) == (budget, person)
            and each.signed.grant.values.get("session", session) == session
        ]
        assert nanos - plain[budget, call, value] == sum(running)
