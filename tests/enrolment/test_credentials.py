"""Who may enrol and who may renew, each case of it."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from spendgate.capture.organization import new_key, new_request
from spendgate.enrolment import messages
from spendgate.enrolment.credentials import (
    Credential,
    Device,
    Issue,
    Refuse,
    hashed,
    may_enrol,
    may_renew,
    new_secret,
    proof_of,
    proves,
    spki,
)

NOW = 1_000_000
ONE = Credential("id", None, 1, made_ms=NOW - 10, until_ms=NOW + 10)
BOUND = replace(ONE, device="ann")
OLD, KEY, NEXT, OTHER = (new_key() for _ in range(4))
HELD = Device("ann", spki(KEY.public_key()), NOW + 5, spki(OLD.public_key()), NOW + 1)
OVER = replace(HELD, until_ms=NOW)
BLOCKED = replace(HELD, blocked_ms=NOW - 5)


@pytest.mark.parametrize(
    ("credential", "known", "says"),
    [
        pytest.param(ONE, None, "", id="a new name"),
        pytest.param(BOUND, None, "", id="its own"),
        pytest.param(BOUND, HELD, "", id="its own, that has certificates"),
        pytest.param(ONE, OVER, "", id="a name whose certificates have ended"),
        pytest.param(replace(BOUND, made_ms=NOW - 4), BLOCKED, "", id="made after it was blocked"),
        pytest.param(None, None, "not known", id="unknown"),
        pytest.param(replace(ONE, revoked=True), None, "revoked", id="revoked"),
        pytest.param(replace(ONE, until_ms=NOW), None, "expired", id="expired"),
        pytest.param(replace(ONE, left=0), None, "used up", id="used"),
        pytest.param(replace(ONE, device="bob"), None, "another device", id="another's"),
        pytest.param(ONE, HELD, "has certificates already", id="somebody's name"),
        pytest.param(ONE, replace(OVER, blocked_ms=1), "blocked", id="a blocked name"),
        pytest.param(BOUND, BLOCKED, "blocked", id="made before it was blocked"),
    ],
)
def test_who_may_enrol(credential: Credential | None, known: Device | None, says: str) -> None:
    """Or why not."""
    found = may_enrol(credential, "ann", known, NOW)
    assert found == Issue() if not says else isinstance(found, Refuse) and says in found.why


@pytest.mark.parametrize(
    ("known", "by", "of", "expected"),
    [
        pytest.param(HELD, KEY, NEXT, Issue(renews=True), id="another key"),
        pytest.param(HELD, KEY, KEY, Issue(NOW + 5), id="the same key: not a day more"),
        pytest.param(HELD, OLD, KEY, Issue(NOW + 5), id="an answer that was lost"),
        pytest.param(HELD, OLD, NEXT, "renewed by another", id="two have the old key"),
        pytest.param(HELD, OTHER, NEXT, "not signed by", id="no key of its"),
        pytest.param(HELD, NEXT, NEXT, "not signed by", id="the next one's own proof"),
        pytest.param(OVER, KEY, NEXT, "have ended", id="too late"),
        pytest.param(OVER, OLD, KEY, "have ended", id="a lost answer, too late"),
        pytest.param(replace(HELD, before_until_ms=NOW), OLD, KEY, "have ended", id="the old key, ended"),
        pytest.param(BLOCKED, KEY, NEXT, "blocked", id="blocked"),
        pytest.param(None, KEY, NEXT, "nothing was issued", id="unknown"),
    ],
)
def test_who_may_renew(known: Device | None, by: object, of: object, expected: Issue | str) -> None:
    """Two who have one key are told apart from one who asks twice."""
    der, _ = messages.body_of(new_request("ann", of))  # type: ignore[arg-type]
    found = may_renew(known, spki(of.public_key()), der, proof_of(by, der), NOW)  # type: ignore[attr-defined,arg-type]
    if isinstance(expected, Issue):
        assert found == expected
    else:
        assert isinstance(found, Refuse)
        assert expected in found.why
        assert found.copied is ("another" in expected)


def test_a_proof_is_of_one_request_and_one_key() -> None:
    """Another request, a signature of something else, a changed one, and what is none."""
    one, other = (messages.body_of(new_request("ann", KEY))[0] for _ in range(2))
    proof, key = proof_of(KEY, one), spki(KEY.public_key())
    assert proves(key, one, proof)
    assert not proves(key, other, proof)
    assert not proves(spki(OLD.public_key()), one, proof)
    for odd in ("", "=", "A" * 96, proof[:-4], base64.urlsafe_b64encode(one).decode()):
        assert not proves(key, one, odd)


def test_a_credential_is_kept_as_nobody_can_use_it() -> None:
    """256 bits, each another; of its hash it cannot be had back."""
    made = {new_secret() for _ in range(99)}
    assert len(made) == 99
    assert {len(base64.urlsafe_b64decode(each.removeprefix("sge_") + "=")) for each in made} == {32}
    assert len(hashed("x")) == 32
