"""A gate that asks for signatures: what is unsigned, altered, wrongly signed or older never decides, also not by a restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.signing import KEY, PEOPLE, STRANGER, TRUST, put, sign, text
from spendgate.config.bundle import Bundle
from spendgate.config.last_good import InForce, LastGood
from spendgate.config.paths import State, prepare
from spendgate.config.signed import comment, said
from spendgate.errors import PolicyError, Why
from spendgate.minisign import FILE_BYTES_MAX


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A prepared state directory."""
    return prepare(State(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Revision 42 with people.yaml, signed."""
    return put(tmp_path / "etc", text(includes=True))


def decides(found: InForce) -> int:
    """The limit in force, in dollars."""
    return found.policy.budgets[0].limit_nanos // 10**9


def signature(file: Path) -> Path:
    """Where the signature lies."""
    return file.with_name("policy.yaml.minisig")


def test_a_signed_policy_takes_force_and_says_by_whom(state: State, file: Path) -> None:
    """The copy keeps the signature, and decides when the file is gone."""
    found = LastGood(state, TRUST).start(file, 1000)
    assert (decides(found), found.signed_by, found.refused) == (5, "platform (0706050403020100)", ())
    file.unlink()
    again = LastGood(state, TRUST).start(file, 2000)
    assert (decides(again), again.signed_by, bool(again.refused)) == (5, found.signed_by, True)


def flipped(path: Path, at: int) -> None:
    """One bit of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def by_hand(policy: str, key: object = KEY, words: str | None = None) -> Callable[[Path], None]:
    """Another policy in the same place."""
    return lambda file: void(put(file.parent, policy, key=key, said=words))  # type: ignore[arg-type]


def void(_: object) -> None:
    """Nothing."""


def swapped(file: Path) -> None:
    """The signature of another policy by the same key."""
    made = sign(put(file.parent, text(50, includes=True)))
    put(file.parent, text(43, 6, includes=True))
    signature(file).write_bytes(made)


NEWER = text(43, 6, includes=True)


def unsigned(file: Path) -> None:
    """A newer policy alone."""
    put(file.parent, NEWER)
    signature(file).unlink()


def no_file(file: Path) -> None:
    """Something else where the signature should be."""
    signature(file).unlink()
    signature(file).mkdir()


S, R = Why.SIGNATURE, Why.REVISION
TAMPERED = [
    pytest.param(by_hand(NEWER, None), "is not what the key", S, id="the signature of the one before"),
    pytest.param(unsigned, "is missing; /etc/spendgate/trust.yaml asks", S, id="unsigned"),
    pytest.param(by_hand(NEWER, STRANGER), "which is not known here; allowed: 0706050403020100", S, id="key unknown"),
    pytest.param(swapped, "is not what the key 0706050403020100 signed", S, id="signature swapped"),
    pytest.param(lambda file: flipped(file, 30), "is not what the key", S, id="a byte of the policy"),
    pytest.param(
        lambda file: flipped(file.with_name("people.yaml"), 9),
        "people.yaml is not what was signed", S, id="a byte of an included file",
    ),
    pytest.param(lambda file: flipped(signature(file), 90), "policy.yaml.minisig: is", S, id="a byte of the signature"),
    pytest.param(
        lambda file: signature(file).write_bytes(b"x" * (FILE_BYTES_MAX + 9)), "at most 16,384", S, id="a huge signature"
    ),
    pytest.param(no_file, "minisig: cannot be read: it is a directory", S, id="no file as signature"),
    pytest.param(by_hand(text(41, 6, includes=True)), "41 is lower than 42", R, id="an older signed policy"),
    pytest.param(
        by_hand(text(42, 6, includes=True)),
        "42 has been in force with other content", R, id="same revision, other bytes",
    ),
    pytest.param(by_hand(text(None, 6)), "revision: is missing", R, id="no revision"),
    pytest.param(
        by_hand(NEWER, words=comment(44, (("people.yaml", PEOPLE.encode()),))),
        "covers revision 44, and the policy has 43", S, id="another revision in the comment",
    ),
    pytest.param(by_hand(NEWER, words="timestamp:1"), "people.yaml is not in", S, id="an included file not signed"),
    pytest.param(
        by_hand(text(43, 6), words=comment(43, (("people.yaml", b""),))),
        "covers people.yaml, which the policy does not", S, id="a signed file not included",
    ),
    pytest.param(by_hand(NEWER, words="revision:43\trevision:43"), "two revisions", S, id="two revisions"),
    pytest.param(by_hand(NEWER.replace("budgets", "budgetz")), "budgetz: unknown key", Why.FAULTS, id="with a fault"),
]  # fmt: skip


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restart"])
@pytest.mark.parametrize(("tamper", "fault", "why"), TAMPERED)
def test_what_is_not_signed_as_it_must_be_never_decides(
    state: State, file: Path, tamper: Callable[[Path], object], fault: str, why: Why, *, restart: bool
) -> None:
    """The last good one goes on, in a running gate and after a restart, and the fault is named; without a copy nothing starts."""
    first = LastGood(state, TRUST).start(file, 1000)
    tamper(file)
    kept = LastGood(state, TRUST)
    assert kept.would_start(file).hash == first.policy.hash
    found = kept.start(file, 2000) if restart else kept.replaced(first, file, 2000)
    assert (decides(found), found.signed_by, found.why) == (5, first.signed_by, why)
    assert any(fault in line for line in found.refused), found.refused
    assert all(line.startswith(str(file.parent)) for line in found.refused)
    if why is not Why.REVISION or "missing" in fault:
        state.last_good_policy.with_suffix(".json").unlink()
        with pytest.raises(PolicyError, match=r"polic"):
            LastGood(state, TRUST).start(file, 3000)


def test_every_flipped_byte_is_refused(state: State, file: Path) -> None:
    """Of the policy, of what it includes, and of its signature but for the comment that nobody signs."""
    kept = LastGood(state, TRUST)
    first = kept.start(file, 1000)
    made = signature(file).read_bytes()
    free = range(len(b"untrusted comment: "), made.index(b"\n"))
    for path in (file, file.with_name("people.yaml"), signature(file)):
        whole = path.read_bytes()
        for at in range(len(whole)):
            flipped(path, at)
            found = kept.replaced(first, file, 2000)
            assert bool(found.refused) != (path == signature(file) and at in free), (path, at)
            assert found.policy.hash == first.policy.hash
            path.write_bytes(whole)
    assert not kept.replaced(first, file, 3000).refused


def test_a_signature_of_minisign_itself_will_do(state: State, tmp_path: Path) -> None:
    """Where nothing is included the file says its revision, so that its default comment is enough."""
    file = put(tmp_path / "etc", text(7), said="timestamp:1795869941\tfile:policy.yaml\thashed")
    assert decides(LastGood(state, TRUST).start(file, 1000)) == 5


def test_a_new_signature_of_the_same_bytes_changes_nothing(state: State, file: Path) -> None:
    """Signed again, by a second key too: the same policy goes on, and who signed it is told."""
    both = replace(TRUST, keys=(*TRUST.keys, replace(TRUST.keys[0], name="security", key=STRANGER.public)))
    kept = LastGood(state, both)
    first = kept.start(file, 1000)
    sign(file, STRANGER)
    found = kept.replaced(first, file, 2000)
    assert (found.refused, found.since_ms, found.signed_by) == ((), 1000, "security (0807060504030201)")
    assert found.digest != first.digest


EDITS = [
    pytest.param(lambda told: told.update(text=text(99, 900, includes=True)), id="another policy"),
    pytest.param(lambda told: told.update(signature=None), id="no signature"),
    pytest.param(lambda told: told.update(signature=KEY.sign(b"x", "revision:99").file().decode()), id="another"),
    pytest.param(
        lambda told: told.update(signature=STRANGER.sign(told["text"].encode(), "").file().decode()), id="a stranger's"
    ),
    pytest.param(lambda told: told["included"].update({"people.yaml": "people: {eve: {}}\n"}), id="included file"),
    pytest.param(lambda told: told.update(signature=7), id="no text as signature"),
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_never_decides(state: State, file: Path, edit: Callable[[dict[str, object]], None]) -> None:
    """Whoever may write the state directory, and makes its digest fit, has no signature: the copy is none."""
    LastGood(state, TRUST).start(file, 1000)
    about = state.last_good_policy.with_suffix(".json")
    told = json.loads(about.read_text())
    edit(told)
    included = tuple((name, data.encode()) for name, data in told["included"].items())
    told["sha256"] = Bundle(told["text"].encode(), included).digest
    about.write_text(json.dumps(told))
    policy = file.read_text()
    file.unlink()
    with pytest.raises(PolicyError, match="cannot be read"):
        LastGood(state, TRUST).start(file, 2000)
    file.write_text(policy)
    assert decides(LastGood(state, TRUST).start(file, 3000)) == 5


def test_a_copy_from_before_signatures_were_asked_for_never_decides(state: State, file: Path) -> None:
    """The trust file came later: what was kept until then is signed by nobody."""
    LastGood(state).start(file, 1000)
    signature(file).unlink()
    with pytest.raises(PolicyError, match="is missing"):
        LastGood(state, TRUST).start(file, 2000)


def test_a_deleted_copy_is_no_way_back_below_the_floor(state: State, file: Path) -> None:
    """Without the copy nothing on this machine knows which revision was in force; what root wrote does."""
    floor = replace(TRUST, least_revision=42)
    LastGood(state, floor).start(file, 1000)
    state.last_good_policy.with_suffix(".json").unlink()
    put(file.parent, text(41, 900))
    assert decides(LastGood(state, TRUST).start(file, 2000)) == 900
    with pytest.raises(PolicyError, match=r"41 is lower than least_revision in /etc/spendgate/trust.yaml; allowed: 42"):
        LastGood(state, floor).start(file, 2000)
    with pytest.raises(PolicyError, match="lower than least_revision"):  # the copy that was just kept is older, too
        LastGood(state, floor).start(file, 3000)


def test_another_path_is_no_way_back(state: State, file: Path, tmp_path: Path) -> None:
    """A signed policy is the same policy wherever it lies."""
    LastGood(state, TRUST).start(file, 1000)
    other = put(tmp_path / "other", text(41, 900))
    with pytest.raises(PolicyError, match="41 is lower than 42"):
        LastGood(state, TRUST).start(other, 2000)


def test_no_policy_at_all_is_none_that_is_signed(state: State) -> None:
    """The embedded default has no signature."""
    with pytest.raises(
        PolicyError, match=r"policies/default.yaml: has no signature, and /etc/spendgate/trust.yaml asks"
    ):
        LastGood(state, TRUST).start(None, 1000)
    assert LastGood(state, replace(TRUST, required=False)).start(None, 1000).signed_by == ""


def test_a_machine_may_begin_without(state: State, file: Path) -> None:
    """`require_signature: false`: an unsigned policy takes force, a wrongly signed one does not."""
    kept = LastGood(state, replace(TRUST, required=False))
    first = kept.start(file, 1000)
    put(file.parent, text(43, 6), key=STRANGER)
    assert "which is not known here" in kept.replaced(first, file, 2000).refused[0]
    signature(file).unlink()
    found = kept.replaced(first, file, 3000)
    assert (decides(found), found.signed_by, found.refused) == (6, "", ())


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["revision:1", "revision:01", "a.yaml:" + "0" * 64, "x"])).map("\t".join)
)
def test_any_comment_is_read_or_refused(words: str) -> None:
    """It is signed, and may still hold anything: what it tells is told once."""
    try:
        revision, digests = said(words)
    except ValueError as fault:
        assert "twice" in str(fault) or "two revisions" in str(fault)
        return
    assert revision is None or words.split("\t").count(f"revision:{revision}") == 1
    assert all(f"{name}:{digest}" in words for name, digest in digests.items())


def test_the_comment_says_what_it_covers() -> None:
    """Words that are none of ours are for people."""
    words = comment(42, (("people.yaml", b"x"), ("a.yml", b"")), "timestamp:1\trelease")
    assert said(words) == (
        42,
        {"people.yaml": words.split("people.yaml:")[1][:64], "a.yml": words.split("a.yml:")[1][:64]},
    )
    assert said("timestamp:1\tfile:policy.yaml\thashed\trevision:0\tx.yaml:00") == (None, {})
    with pytest.raises(ValueError, match=r"names a.yml twice"):
        said(f"{words}\ta.yml:{'0' * 64}")
