"""What an editor marks in a value is what the reader refuses, text by text: no more, and what is less is named here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from spendgate.config import (
    alert_words,
    case_words,
    cases,
    contracts,
    domains,
    exceptions,
    forms,
    includes,
    limits,
    machines,
    policy_file,
    rates,
    receivers,
    telling,
    whole,
    words,
)
from spendgate.config.people import Known

_FAR = "is more than a ledger row holds"
_FEBRUARY = "day is out of range"
_SHARED = "under which others live"
PARSERS: Final[dict[Callable[..., Any], tuple[str, ...]]] = {
    limits._parsed: (_FAR,),
    words.amount: (_FAR,),
    words.duration_ms: (),
    words.on_failure: (_FAR,),
    words.day: (_FEBRUARY, "is not a day"),
    words.name: ("is not a name",),
    words.account: (),
    words.host: (_SHARED, "is not a host name"),
    domains.hosts_named: (_SHARED, "is not a host name", "name each host"),
    domains.hosts_left: ("is not a host name",),
    partial(policy_file._added, known=Known()): (_SHARED, "is not a host name", "name each host"),
    alert_words.percent: (),
    alert_words.threshold: (),
    alert_words.share: (),
    alert_words.spike: (),
    alert_words.burn: (_FAR,),
    alert_words.pace: (),
    alert_words.outside: (_FAR, "goes back", "a day twice", "end before they start", "nothing is outside"),
    alert_words.count: (),
    alert_words.positive: (_FAR,),
    rates.quota: (),
    rates.at_once: (),
    whole.revision_of: (),
    whole._last_day: (_FEBRUARY,),
    whole._hub: ("address", "password", _SHARED, "host name", "is no exact host"),
    whole._keep: (),
    contracts._factor: (),
    contracts._rate: (_FAR, "per million tokens"),
    contracts._day: (_FEBRUARY,),
    contracts._account: ("is not an account",),
    contracts._amount: (_FAR,),
    exceptions._more: (_FAR,),
    exceptions._prose: ("control characters",),
    partial(exceptions._instant, zone="UTC", ends=True): ("neither a day nor", "too far away"),
    machines._id: (),
    telling.minisign_key: (),
    receivers.address: ("is not a service", "cannot be read here", "has a $"),
    includes._file_name: (),
    policy_file._version: (),
    partial(cases._then, policy=None): (),
    cases._count: (),
    cases._tokens: (),
    cases._ago: ("is no length of time",),
    cases._every: ("is no length of time",),
    partial(cases._instant, policy=None): ("is not a time",),
    partial(case_words._of_the_roster, attribute="team"): (),
    partial(case_words._no_host, words=case_words.CaseWords(None, ())): (),
}
"""Each reader of a marked language, and the faults that a pattern leaves to `policy check`."""

PIECES: Final = (
    "$", "$2", "$20", "$0", "$0.0", "$1,000", "$2.000", "$2.0001", "20", "0", "8", "08", "100", "1,000", "10,000",
    "1000000", ".5", ",", ".", "-", "/", " ", " per ", " in ", " by ", " over ", " outside ", " x", "x", "4x", "0.0x",
    "1.5x", " mean of ", "7d", "2d", "90d", "91d", "%", "80%", "1001%", "day", "Day", "week", " month", "fortnight",
    "rolling ", "rolling 24h", "rolling 367d", "24h", "25h", "5m", "86400s", "ms", "600001ms", "s", "none", "None",
    "allow", "allow up to ", " per person", "minute", "2026-12-01", "2026-02-29", "2026-13-01", "0000-01-01",
    "T12:00", "T25:00", ":30", ".5", "Z", "+02:00", "mon-fri", "MON", "fri-mon", "mon,wed", " 07:00-20:00",
    "00:00-24:00", "refused", "refused by ", "would refuse", "admitted", "person/day", "llm.acme.example",
    "LLM.Acme.Example.", "co.uk", "10.0.0.1", "*.acme.example", "*.", "*.github.io", "*.a.github.io",
    "a_b.example", "https://", "slack://", "x", "days",
    " days", "people.yaml", "..", "é", "RW", "\t",
)  # fmt: skip


def name_of(parse: Callable[..., Any]) -> str:
    """`limits._parsed`."""
    plain = parse.func if isinstance(parse, partial) else parse
    return f"{plain.__module__.rpartition('.')[2]}.{plain.__name__}"


def fault_of(parse: Callable[[str], Any], text: str) -> str | None:
    """Why the reader refuses the text, which it gets without the blanks around it."""
    try:
        parse(text.strip())
    except ValueError as fault:
        return str(fault)
    return None


def one_line(text: str) -> bool:
    """A value as a reader gets one."""
    return bool(text.strip()) and text.isprintable()


def test_every_marked_language_is_compared() -> None:
    """None is left out below."""
    assert {name_of(parse) for parse in PARSERS} == {name_of(parse) for parse in forms._FORMS}


@pytest.mark.parametrize("parse", PARSERS, ids=name_of)
def test_an_editor_marks_what_the_reader_refuses(parse: Callable[[str], Any]) -> None:
    """On texts made of the languages' own pieces, and on texts of the pattern itself."""
    schema = forms.form_of(parse)
    assert schema is not None
    validator = Draft202012Validator(schema)
    patterns = [each["pattern"] for each in (schema, *schema.get("anyOf", ())) if "pattern" in each]
    made = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)
    shaped = [st.from_regex(pattern, fullmatch=True) for pattern in patterns]

    # A busy machine is slow to make texts of long patterns.
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
    @given(st.one_of(made, st.sampled_from(schema.get("examples", ["1"])), *shaped).filter(one_line))
    @example("0,000")
    @example("2026-12-01T12:00:00.5+02:00")
    @example("$20 per rolling 24h")
    @example("https://*")
    @example("https://a@b.example")
    @example("x" * 300)
    @example("refused by $")
    def compare(text: str) -> None:
        fault, fits = fault_of(parse, text), validator.is_valid(text)
        if fault is None:
            assert fits, "marked, and right"
        elif fits:
            assert any(left in fault for left in PARSERS[parse]), f"not marked: {fault}"

    compare()


@pytest.mark.parametrize(
    ("parse", "number"),
    [
        (rates.at_once, 8),
        (whole.revision_of, 42),
        (contracts._factor, 0.85),
        (cases._count, 12),
        (policy_file._version, 1),
    ],
)
def test_a_number_is_one_to_an_editor(parse: Callable[[str], Any], number: float) -> None:
    """YAML's own reading of what Spendgate reads as text; one that is out of range is marked."""
    validator = Draft202012Validator(forms.form_of(parse) or {})
    assert validator.is_valid(number)
    assert not validator.is_valid(0)
    assert not validator.is_valid(10**13)


@given(st.integers(min_value=1, max_value=10**7), st.integers(min_value=0, max_value=10**8))
def test_numbers_up_to_a_most(most: int, number: int) -> None:
    """`upto` takes 1 to `most`, and nothing else."""
    schema = {"pattern": f"^{forms.upto(most)}$"}
    assert Draft202012Validator(schema).is_valid(str(number)) == (1 <= number <= most)
