"""Each cause by itself, from evidence made by hand: its dollars to the nano-dollar, and nothing beside it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconcile.kit_explain import (
    DAY,
    KEY,
    MODEL,
    NOON,
    NOW,
    USAGE,
    billed,
    by_cause,
    call,
    calls,
    only,
    price,
    run,
    statement,
    times,
)  # fmt: skip
from spendgate.reconcile.facts import Facts, Interval, Key, Person, Role, Unread, Witnessed
from spendgate.reconcile.result import Cause, Confidence, State
from spendgate.reconcile.run import Options, Version, compare
from spendgate.statement import DAY_MS, Axes, Billed, Charge, Line, TokenClass, Who
from spendgate.usage import NO_USAGE, Usage

ONE = price(USAGE)
HOUR = 3_600_000
MINUTE = 60_000
NAMED = "apikey_alice"
REGISTRY = (Key("anthropic", NAMED, (KEY,), "alice"),)


def test_nothing_to_explain() -> None:
    """The bill has what was captured."""
    result = run(calls(3), billed(times(USAGE, 3), 3))

    assert result.gap_nanos == 0
    assert not result.findings
    assert result.state is State.FINAL


def test_uncaptured() -> None:
    """Requests that the ledger has none of."""
    found = only(run(calls(3), billed(times(USAGE, 5), 5)), Cause.UNCAPTURED)

    assert (found.requests, found.nanos) == (2, 2 * ONE)


def test_more_tokens_of_some_class_without_requests_stay_unexplained() -> None:
    """A bill that counts no requests does not show that any escaped where it has no more of what is read from a cache."""
    more = replace(times(USAGE, 3), input_tokens=5_000, output_tokens=1_500)
    result = run(calls(3), billed(more, None))

    assert by_cause(result) == {}
    assert result.unexplained_nanos == result.gap_nanos == ONE


def test_late_data() -> None:
    """Captured late on a day that the provider had no time to finish."""
    result = run(calls(5), billed(times(USAGE, 3), 3), refreshed=DAY + DAY_MS + HOUR)

    assert only(result, Cause.LATE_DATA).nanos == -2 * ONE
    assert result.state is State.SETTLING


def test_calls_that_a_bill_older_than_the_delay_has_not_are_not_billed() -> None:
    """Two requests fewer than were captured, and nothing more to come."""
    result = run(calls(5), billed(times(USAGE, 3), 3))

    assert only(result, Cause.CAPTURED_NOT_BILLED).nanos == -2 * ONE
    assert (result.under_nanos, result.over_nanos) == (0, -2 * ONE)


def test_fewer_tokens_of_as_many_requests_stay_unexplained() -> None:
    """Nothing shows why."""
    result = run(calls(5), billed(times(USAGE, 3), 5))

    assert (by_cause(result), result.unexplained_nanos) == ({}, -2 * ONE)


def test_open_days_are_not_compared() -> None:
    """Data that end within the day."""
    result = run(calls(5), billed(times(USAGE, 3), 3), refreshed=DAY + HOUR)

    assert (result.billed_nanos, result.captured_nanos, result.days) == (0, 0, ())
    assert any("still open" in note for note in result.notes)


def test_cutoff() -> None:
    """Two calls minutes before midnight, which the bill has on the next day."""
    late = [call(20 + number, started_ms=DAY + DAY_MS - number * MINUTE) for number in (1, 2)]
    other = [call(number, started_ms=NOON + DAY_MS) for number in range(10, 13)]
    lines = billed(times(USAGE, 3), 3) + billed(times(USAGE, 5), 5, day=DAY + DAY_MS)

    result = run([*calls(3), *late, *other], lines, days=2)

    assert result.gap_nanos == result.unexplained_nanos == 0
    assert sorted(each.nanos for each in result.findings) == [-ONE, -ONE, ONE, ONE]
    assert {each.cause for each in result.findings} == {Cause.CUTOFF}


def test_cutoff_at_the_end_of_the_run() -> None:
    """The day after is not compared, but this one is off by nothing but its last calls."""
    late = replace(call(7), started_ms=DAY + DAY_MS - MINUTE)

    assert only(run([*calls(3), late], billed(times(USAGE, 3), 3)), Cause.CUTOFF).nanos == -ONE


def test_revision() -> None:
    """The version before had what was captured."""
    result = run(calls(3), billed(times(USAGE, 4), 4), older=billed(times(USAGE, 3), 3))

    found = only(result, Cause.REVISION)
    assert (found.nanos, found.confidence) == (ONE, Confidence.EXACT)
    assert "import v2 has another sum than v1" in found.evidence


def test_a_newer_download_of_a_part_is_not_surely_the_providers_change() -> None:
    """A filter leaves lines out: nothing says that the provider did."""
    whole = billed(times(USAGE, 3), 3)

    found = only(run(calls(3), whole[:-1], older=whole), Cause.REVISION)

    assert found.confidence is Confidence.RESIDUAL
    assert "1 line of the earlier one" in found.evidence
    assert "with a filter" in found.evidence


def test_a_revision_towards_the_ledger_is_none() -> None:
    """It explains nothing of a gap that it made smaller."""
    result = run(calls(3), billed(times(USAGE, 4), 4), older=billed(times(USAGE, 9), 9))

    assert only(result, Cause.UNCAPTURED).nanos == ONE


@pytest.mark.parametrize("complete", [True, False])
def test_scope_key(*, complete: bool) -> None:
    """A billed key that the registry does not have."""
    lines = billed(times(USAGE, 3), 3) + billed(USAGE, 1, key="apikey_ci")

    found = only(run(calls(3), lines, Facts(keys=REGISTRY, complete=complete)), Cause.SCOPE_KEY)

    assert (found.key, found.nanos) == ("apikey_ci", ONE)
    assert found.confidence is (Confidence.EXACT if complete else Confidence.RESIDUAL)


def test_scope_key_of_a_registered_server() -> None:
    """One that the registry has, as used elsewhere."""
    facts = Facts(keys=(*REGISTRY, Key("anthropic", "apikey_ci", role=Role.ELSEWHERE)))

    assert (
        only(
            run(calls(3), billed(times(USAGE, 3), 3) + billed(USAGE, 1, key="apikey_ci"), facts), Cause.SCOPE_KEY
        ).nanos
        == ONE
    )


ALICE = Key("anthropic", NAMED, (KEY,), "alice")
CI = Key("anthropic", "apikey_ci", name="ci", hint="sk-ant-...CiCi", role=Role.ELSEWHERE)


@pytest.mark.parametrize("entries", [(ALICE, CI), (CI, ALICE)])
@pytest.mark.parametrize(
    ("who", "cause"),
    [
        (Who(key="apikey_ci", key_name="renamed"), Cause.SCOPE_KEY),
        (Who(key_name="ci"), Cause.SCOPE_KEY),
        (Who(key_hint="sk-ant-...CiCi"), Cause.SCOPE_KEY),
        (Who(key=NAMED, key_name="ci"), Cause.UNCAPTURED),
        (Who(key=NAMED, key_hint="sk-ant-...CiCi"), Cause.UNCAPTURED),
    ],
)
def test_an_id_decides_whose_a_key_is_whatever_it_is_called(entries: tuple[Key, ...], who: Who, cause: Cause) -> None:
    """A developer who names a key like the servers' does not take its bill out of scope; nor does the map's order."""
    lines = billed(times(USAGE, 3), 3) + billed(USAGE, 1, who=who)
    found = only(run(calls(3), lines, Facts(keys=entries)), cause)
    assert found.key == (NAMED if cause is Cause.UNCAPTURED else "apikey_ci")


def test_a_key_that_no_entry_names_by_its_id_is_not_one_that_is_called_alike() -> None:
    lines = [*billed(times(USAGE, 3), 3), *billed(USAGE, 1, who=Who(key="apikey_other", key_name="ci"))]
    found = only(run(calls(3), lines, Facts(keys=(ALICE, CI))), Cause.SCOPE_KEY)
    assert (found.key, found.confidence) == ("apikey_other", Confidence.RESIDUAL)


def test_an_entry_without_an_id_is_the_one_key_that_is_called_so() -> None:
    """Of two with that name nobody knows which is meant."""
    named = Key("anthropic", "ci", role=Role.ELSEWHERE)
    one = billed(times(USAGE, 3), 3) + billed(USAGE, 1, who=Who(key="apikey_1", key_name="ci"))
    assert only(run(calls(3), one, Facts(keys=(ALICE, named))), Cause.SCOPE_KEY).confidence is Confidence.EXACT
    both = one + billed(USAGE, 1, who=Who(key="apikey_2", key_name="ci"))
    found = run(calls(3), both, Facts(keys=(ALICE, named))).findings
    assert {each.key: each.confidence for each in found if each.nanos} == {
        "apikey_1": Confidence.RESIDUAL,
        "apikey_2": Confidence.RESIDUAL,
    }


def test_a_call_with_a_key_of_elsewhere_is_of_the_account_that_it_is_billed_to() -> None:
    entries = (ALICE, replace(CI, fingerprints=("fp-ci",)))
    lines = billed(times(USAGE, 3), 3) + billed(times(USAGE, 2), 2, who=Who(key="apikey_ci", key_name="ci"))
    made = run([*calls(3), call(9, api_key="fp-ci")], lines, Facts(keys=entries))
    assert only(made, Cause.SCOPE_KEY).nanos == ONE


def test_scope_key_that_the_ledger_never_saw() -> None:
    """Without a registry: every key of the ledger is another one of the bill's."""
    found = only(run(calls(3), billed(times(USAGE, 3), 3) + billed(USAGE, 1, key="apikey_ci")), Cause.SCOPE_KEY)

    assert found.confidence is Confidence.RESIDUAL


@pytest.mark.parametrize(("lines", "cause"), [([], Cause.UNCAPTURED), (billed(USAGE, 1, key=""), Cause.SCOPE_KEY)])
def test_calls_without_a_key_may_be_those_of_a_key_that_no_call_shows(lines: list[Line], cause: Cause) -> None:
    """Where the bill has no line without a key, they are billed under some: nobody is told to revoke it."""
    said = [*billed(times(USAGE, 3), 3), *billed(USAGE, 1, key="apikey_login"), *lines]
    made = run([*calls(3), call(9, api_key="", response_id=None)], said)
    assert [each.cause for each in made.findings if each.key == "apikey_login"] == [cause]


def test_scope_product() -> None:
    """A product that runs at the provider."""
    lines = billed(times(USAGE, 3), 3, product="claude_code") + billed(USAGE, 1, product="cowork")

    assert only(run(calls(3), lines), Cause.SCOPE_PRODUCT).nanos == ONE


def test_scope_keyless() -> None:
    """Used in the console."""
    assert only(run(calls(3), billed(times(USAGE, 3), 3) + billed(USAGE, 1, key="")), Cause.SCOPE_KEYLESS).nanos == ONE


def test_gateway_leg() -> None:
    """The gateway's key is billed; what laptops sent to it is in the ledger at its own estimate."""
    facts = Facts(keys=(*REGISTRY, Key("anthropic", "apikey_gw", role=Role.GATEWAY)))
    sent = [replace(call(number), billing="gateway", cost_nanos=ONE + 7, api_key="") for number in range(10, 12)]

    result = run([*calls(3), *sent], billed(times(USAGE, 3), 3) + billed(times(USAGE, 2), 2, key="apikey_gw"), facts)

    assert only(result, Cause.GATEWAY_LEG)
    assert result.gap_nanos == -14


def test_a_gateways_log_names_what_laptops_sent_to_it() -> None:
    """No host says that they went to a gateway: its log does, and the key that it is billed by is known for its own."""
    facts = Facts(keys=(*REGISTRY, Key("anthropic", "apikey_gw", role=Role.GATEWAY)))
    rows = [
        Line(NOON, NOON + 1, "litellm", MODEL, usage=USAGE, requests=1, billed_nanos=5, response_id=f"msg_{n}")
        for n in (10, 11)
    ]
    lines = billed(times(USAGE, 3), 3) + billed(times(USAGE, 2), 2, key="apikey_gw")
    versions = [
        Version("bill", NOW, statement(lines)), Version("gw", NOW, statement(rows, source="litellm-spend-logs")),
    ]  # fmt: skip
    sent = [replace(call(number), api_key="sk-llm:77", response_id=f"msg_{number}") for number in (10, 11)]

    result = compare([*calls(3), *sent], versions, facts, Options(DAY, DAY + DAY_MS, NOW))

    assert {each.cause for each in result.findings} == {Cause.GATEWAY_LEG}
    assert (sum(each.nanos for each in result.findings), result.gap_nanos) == (0, 0)


def test_a_map_whose_fingerprints_no_call_has_is_told() -> None:
    facts = Facts(keys=(Key("anthropic", NAMED, ("sk-ant-api03:000000000000",), "alice"),))
    result = run([replace(each, api_key="sk-ant:1") for each in calls(3)], billed(times(USAGE, 3), 3, key=NAMED), facts)
    told = f"{NAMED} is billed, and no call of these days has one of the fingerprints that `--map` gives it; calls have sk-ant:1"
    assert any(told in note for note in result.notes)
    assert not any("fingerprints" in note for note in run(calls(3), billed(times(USAGE, 3), 3, key=NAMED)).notes)


def test_gateway_rows() -> None:
    """A key that a gateway shares: its own ledger says which requests were its."""
    rows = [
        Line(NOON, NOON + 1, "litellm", MODEL, usage=USAGE, requests=1, billed_nanos=5, response_id=f"msg_{n}")
        for n in (1, 9)
    ]
    versions = [
        Version("bill", NOW, statement(billed(times(USAGE, 4), 4))),
        Version("gw", NOW, statement(rows, source="litellm-spend-logs")),
    ]

    result = compare(calls(3), versions, Facts(), Options(DAY, DAY + DAY_MS, NOW))

    assert only(result, Cause.GATEWAY_LEG).nanos == ONE


@pytest.mark.parametrize("shared", ["apikey_alice", "apikey_bob"])
@pytest.mark.parametrize("beside", [0, 2])
def test_a_gateways_rows_are_found_whichever_key_it_shares(shared: str, beside: int) -> None:
    """Two keys of one day and model: the rows are of the one that lacks them, not of the one that is asked about first;
    also where the other lacks more than they are."""
    keys = (NAMED, "apikey_bob")
    facts = Facts(keys=(*REGISTRY, Key("anthropic", "apikey_bob", ("fp-bob",), "bob")))
    lines = []
    for key in keys:
        number = 4 if key == shared else 3 + beside
        lines += billed(times(USAGE, number), number, key=key)
    rows = [Line(NOON, NOON + 1, "litellm", MODEL, usage=USAGE, requests=1, billed_nanos=5, response_id="msg_far")]
    versions = [
        Version("bill", NOW, statement(lines)),
        Version("gw", NOW, statement(rows, source="litellm-spend-logs")),
    ]
    bobs = [replace(each, api_key="fp-bob", person="bob", response_id=None) for each in calls(3)]

    result = compare([*calls(3), *bobs], versions, facts, Options(DAY, DAY + DAY_MS, NOW))

    found = [each for each in result.findings if each.cause is Cause.GATEWAY_LEG]
    assert [(each.key, each.nanos) for each in found] == [(shared, ONE)]
    assert sum(each.nanos for each in result.findings) == result.gap_nanos == (1 + beside) * ONE


def test_other_device() -> None:
    """No machine of hers was on."""
    facts = Facts(presence=(Interval("lt-1", DAY - DAY_MS, DAY - HOUR, "alice"),), keys=REGISTRY)

    found = only(run([], billed(times(USAGE, 2), 2), facts), Cause.OTHER_DEVICE)

    assert "alice" in found.evidence


def test_bypass_on_device() -> None:
    """The tool's own log has a request that the ledger has not."""
    seen = [
        Witnessed("anthropic", NOON, "Claude Code's session log", response_id=f"msg_{n}", model=MODEL, usage=USAGE)
        for n in range(4)
    ]

    found = only(run(calls(3), billed(times(USAGE, 4), 4), Facts(witnessed=tuple(seen))), Cause.BYPASS_ON_DEVICE)

    assert found.confidence is Confidence.EXACT
    assert "msg_3" in found.evidence
    none_ran = [replace(each, gateless=True, why="no gate was running") for each in seen]
    found = only(run(calls(3), billed(times(USAGE, 4), 4), Facts(witnessed=tuple(none_ran))), Cause.CAPTURE_DOWN)
    assert found.evidence.endswith("no gate was running")
    untold = [replace(each, untold=True, why="not known") for each in seen]
    found = only(run(calls(3), billed(times(USAGE, 4), 4), Facts(witnessed=tuple(untold))), Cause.UNCAPTURED)
    assert (found.confidence, found.nanos) == (Confidence.EXACT, ONE), (
        "that it is missing is sure, not that it went around"
    )


def test_a_witness_whose_request_is_not_billed_takes_nothing() -> None:
    """Its counts do not fit what is left."""
    seen = Witnessed("anthropic", NOON, "a log", response_id="msg_x", model=MODEL, usage=times(USAGE, 9))

    assert only(run(calls(3), billed(times(USAGE, 4), 4), Facts(witnessed=(seen,))), Cause.UNCAPTURED).nanos == ONE


def test_connections_that_could_not_be_read() -> None:
    """They are why, as far as anything shows."""
    unread = Unread("alice", "pinned-tool", "api.anthropic.com", "pinned", 4, DAY, DAY + HOUR)

    assert only(run(calls(3), billed(times(USAGE, 4), 4), Facts(unread=(unread,))), Cause.BYPASS_ON_DEVICE).nanos == ONE


def test_capture_down() -> None:
    """The gate had failed for some of the day."""
    down = Interval("lt-1", NOON, NOON + HOUR, "alice", "the gate failed")

    found = only(run(calls(3), billed(times(USAGE, 5), 5), Facts(outages=(down,))), Cause.CAPTURE_DOWN)

    assert "60 minutes" in found.evidence
    assert found.requests == 2


def test_capture_down_by_the_minute() -> None:
    """Buckets of minutes say that it was then, with one stamped a minute late."""
    down = Interval("lt-1", NOON + 30 * MINUTE, NOON + 40 * MINUTE, "alice", "the gate failed")
    made = [replace(call(n), started_ms=NOON + n * 10 * MINUTE) for n in range(3)]
    lines: list[Line] = []
    for minute in (0, 11, 20, 35):
        for each in billed(USAGE, 1):
            at = NOON + minute * MINUTE
            lines.append(replace(each, starts_ms=at, ends_ms=at + MINUTE))

    found = only(run(made, lines, Facts(outages=(down,))), Cause.CAPTURE_DOWN)

    assert (found.nanos, found.confidence) == (ONE, Confidence.EXACT_BUCKET)


def test_an_outage_at_another_minute_explains_nothing() -> None:
    """The bill says when it was."""
    down = Interval("lt-1", DAY, DAY + HOUR, "alice", "the gate failed")
    lines = [replace(each, starts_ms=NOON, ends_ms=NOON + MINUTE) for each in billed(USAGE, 1)]

    assert only(run([], lines, Facts(outages=(down,))), Cause.UNCAPTURED).nanos == ONE


def test_parse_miss() -> None:
    """A row without counts: as many requests, fewer tokens."""
    unread = replace(call(5), usage=NO_USAGE, cost_nanos=0, basis=None, flags="an answer without usage")

    found = only(run([*calls(3), unread], billed(times(USAGE, 4), 4)), Cause.PARSE_MISS)

    assert (found.nanos, found.calls) == (ONE, ("call-5",))


def test_parse_miss_charged_by_guess() -> None:
    """What it was charged is taken off."""
    unread = replace(call(5), usage=NO_USAGE, cost_nanos=9, basis="estimated", flags="no counts")

    assert only(run([*calls(3), unread], billed(times(USAGE, 4), 4)), Cause.PARSE_MISS).nanos == ONE - 9


def test_estimate() -> None:
    """A wire without counts."""
    guess = replace(call(5), cost_nanos=ONE + 100, basis="estimated", flags="no counts on this wire")

    assert only(run([*calls(3), guess], billed(times(USAGE, 4), 4)), Cause.ESTIMATE).nanos == -100


def test_subcalls_that_a_witness_shows() -> None:
    """The tool's own log has what compaction used."""
    sub = Usage(input_tokens=5_000, output_tokens=900)
    seen = Witnessed("anthropic", NOON, "a log", response_id="msg_1", model=MODEL, usage=USAGE + sub, subcalls=sub)

    found = only(run(calls(3), billed(times(USAGE, 3) + sub, 3), Facts(witnessed=(seen,))), Cause.SUBCALL_TOKENS)

    assert (found.nanos, found.confidence, found.calls) == (price(sub), Confidence.EXACT, ("call-1",))


def test_subcalls_by_counts() -> None:
    """As many requests, each counted to its end, more tokens."""
    sub = Usage(input_tokens=5_000, output_tokens=900)

    assert only(run(calls(3), billed(times(USAGE, 3) + sub, 3)), Cause.SUBCALL_TOKENS).confidence is Confidence.RESIDUAL


def test_aborted_stream() -> None:
    """A lower bound."""
    cut = call(5, state="interrupted", usage=replace(USAGE, output_tokens=12))

    found = only(run([*calls(3), cut], billed(times(USAGE, 4), 4)), Cause.ABORTED_STREAM)

    assert found.nanos == 288 * 25_000


def test_failed_billed() -> None:
    """An error that cost nothing here."""
    failed = replace(call(5), state="failed", usage=NO_USAGE, cost_nanos=0, http_status=500, basis=None)

    assert only(run([*calls(3), failed], billed(times(USAGE, 4), 4)), Cause.FAILED_BILLED).nanos == ONE


def test_captured_not_billed() -> None:
    """Charged here, an error there."""
    errored = replace(call(5), http_status=529)

    assert only(run([*calls(3), errored], billed(times(USAGE, 3), 3)), Cause.CAPTURED_NOT_BILLED).nanos == -ONE


def test_captured_not_billed_by_the_bill_itself() -> None:
    """The bill lists it, and does not charge it."""
    free = [replace(each, billed=Billed.NOT_CHARGED, requests=1) for each in billed(USAGE, 1)[:1]]

    assert only(run(calls(4), billed(times(USAGE, 3), 3) + free), Cause.CAPTURED_NOT_BILLED).nanos == -ONE


def test_retry_dup() -> None:
    """Two rows of one response."""
    double = replace(call(5), response_id="msg_1")

    found = only(run([*calls(3), double], billed(times(USAGE, 3), 3)), Cause.RETRY_DUP)

    assert (found.nanos, found.calls, found.confidence) == (-ONE, ("call-5",), Confidence.EXACT)


def test_price_list() -> None:
    """The same counts at another price, always."""
    result = run(calls(3), billed(times(USAGE, 3), 3, factor=(107, 100)))

    assert by_cause(result) == {Cause.PRICE_LIST: result.gap_nanos}


@pytest.mark.parametrize(
    ("factor", "axes"), [((1, 2), Axes(tier="batch")), ((11, 10), Axes(geo="us")), ((1, 2), Axes()), ((11, 10), Axes())]
)
def test_price_multiplier(factor: tuple[int, int], axes: Axes) -> None:
    """Billed as batch, or by a ratio that only it has."""
    result = run(calls(3), billed(times(USAGE, 3), 3, factor=factor, axes=axes))

    assert by_cause(result) == {Cause.PRICE_MULTIPLIER: result.gap_nanos}


def test_price_multiplier_of_cache_writes() -> None:
    """Written for an hour, taken for five minutes."""
    hour = replace(USAGE, cache_write_5m_tokens=None, cache_write_1h_tokens=400)

    result = run(calls(3), billed(times(hour, 3), 3))

    assert by_cause(result) == {Cause.PRICE_MULTIPLIER: 3 * 400 * (10_000 - 6_250)}


def test_price_change_in_the_period() -> None:
    """From one day on, and not before."""
    made = [replace(call(n), started_ms=NOON + n * DAY_MS, id=f"c{n}") for n in range(4)]
    lines = [
        line for n in range(4) for line in billed(USAGE, 1, day=DAY + n * DAY_MS, factor=(1, 1) if n < 2 else (13, 10))
    ]

    result = run(made, lines, days=4)

    assert by_cause(result) == {Cause.PRICE_CHANGE_MIDPERIOD: result.gap_nanos}


def test_unpriced_model() -> None:
    """Counted, and no price list has it."""
    made = [replace(each, model="claude-new-9", cost_nanos=0, prices="") for each in calls(3)]

    result = run(made, billed(times(USAGE, 3), 3, model="claude-new-9"))

    assert only(result, Cause.UNPRICED_MODEL).nanos == 3 * ONE


def test_discount() -> None:
    """Net below list."""
    assert only(run(calls(3), billed(times(USAGE, 3), 3, net=(17, 20))), Cause.DISCOUNT).confidence is Confidence.EXACT


@pytest.mark.parametrize(
    ("charge", "cause"),
    [
        (Charge.CREDIT, Cause.CREDIT_COMMIT), (Charge.WEB_SEARCH, Cause.NON_TOKEN_FEE), (Charge.TAX, Cause.NON_TOKEN_FEE),
        (Charge.SEAT, Cause.SUBSCRIPTION_INCLUDED), (Charge.ROUNDING, Cause.FX_ROUNDING),
    ],
)  # fmt: skip
def test_lines_that_are_no_tokens(charge: Charge, cause: Cause) -> None:
    """Explained by what they are for."""
    extra = Line(
        DAY,
        DAY + DAY_MS,
        "anthropic",
        who=Who(key=KEY),
        charge=charge,
        billed_nanos=-77 if charge is Charge.CREDIT else 77,
    )

    assert abs(only(run(calls(3), [*billed(times(USAGE, 3), 3), extra]), cause).nanos) == 77


def test_subscription_included() -> None:
    """A plan pays: charged here."""
    included = [replace(each, billed=Billed.INCLUDED) for each in billed(times(USAGE, 2), 2)]

    assert only(run(calls(5), billed(times(USAGE, 3), 3) + included), Cause.SUBSCRIPTION_INCLUDED).nanos == -2 * ONE


def test_calls_of_a_plan_cost_nothing() -> None:
    """Neither here nor there."""
    plan = [replace(call(9), billing="subscription", cost_nanos=0, api_key="")]

    assert run([*calls(3), *plan], billed(times(USAGE, 3), 3)).gap_nanos == 0


def test_rounding() -> None:
    """Lines in whole cents."""
    lines = billed(times(USAGE, 3), 3)
    cents = [
        each
        if each.billed_nanos is None
        else replace(each, billed_nanos=round(each.billed_nanos, -7), list_nanos=None, amount="0.09 USD")
        for each in lines
    ]

    result = run(calls(3), cents)

    assert set(by_cause(result)) == {Cause.FX_ROUNDING}
    assert result.unexplained_nanos == 0


@pytest.mark.parametrize(
    ("written", "also"),
    [
        pytest.param("3 USD", "", id="whole dollars are rounded by nobody"),
        pytest.param("0.5 USD", "", id="nor are tenths"),
        pytest.param("1E-7 USD", "", id="an exponent counts as digits"),
        pytest.param("0.13 USD", "0.123456789 USD", id="beside longer amounts a short one is exact"),
    ],
)
def test_a_short_amount_is_no_rounding(written: str, also: str) -> None:
    """Floats are written without their last zeros: what differs by more than their digits is no rounding."""
    money = 3 * ONE + 12_000_000
    whole = replace(billed(times(USAGE, 3), 3)[0], usage=NO_USAGE, requests=None)
    lines = [replace(whole, billed_nanos=money, amount=written)]
    if also:
        lines.append(replace(whole, billed_nanos=0, amount=also))

    result = run(calls(3), lines)

    assert result.gap_nanos == 12_000_000
    assert Cause.FX_ROUNDING not in by_cause(result)


def test_by_id() -> None:
    """A bill of single requests: one was never captured, one was cut off, one is not charged, one is not on it."""
    lines = [
        Line(
            NOON + n,
            NOON + n,
            "anthropic",
            MODEL,
            who=Who(key=KEY),
            usage=USAGE,
            billed_nanos=ONE,
            response_id=f"msg_{n}",
        )
        for n in range(4)
    ]
    lines[2] = replace(lines[2], billed=Billed.NOT_CHARGED)
    made = [call(0), call(1, state="interrupted", usage=replace(USAGE, output_tokens=10)), call(2), call(8)]

    result = run(made, lines)

    assert by_cause(result) == {
        Cause.UNCAPTURED: ONE, Cause.ABORTED_STREAM: 290 * 25_000, Cause.CAPTURED_NOT_BILLED: -2 * ONE,
    }  # fmt: skip
    assert {each.confidence for each in result.findings if each.cause is not Cause.UNCAPTURED} == {Confidence.EXACT}
    total = next(each for each in result.coverage if each.what == "total")
    assert (total.ids, total.billed_ids) == (3, 4)


def test_keys_are_joined_by_what_they_used() -> None:
    """No registry: a day that is alike to the token joins a billed key to a fingerprint; another day then shows a gap."""
    made = [replace(call(n), api_key="sk-ant:aa", started_ms=NOON + (n % 2) * DAY_MS) for n in range(4)]
    made += [replace(call(n + 20, usage=times(USAGE, 2)), api_key="sk-ant:bb") for n in range(2)]
    lines = (
        billed(times(USAGE, 2), 2, key="k1")
        + billed(times(USAGE, 4), 2, key="k2")
        + billed(times(USAGE, 3), 3, key="k1", day=DAY + DAY_MS)
    )

    found = only(run(made, lines, days=2), Cause.UNCAPTURED)

    assert (found.key, found.nanos) == ("k1", ONE)


def test_keys_that_nothing_joins_are_compared_together() -> None:
    """And the result says so."""
    made = [replace(call(n), api_key=f"sk-ant:{n}") for n in range(3)]
    lines = billed(times(USAGE, 2), 2, key="k1") + billed(times(USAGE, 2), 2, key="k2")

    result = run(made, lines)

    assert only(result, Cause.UNCAPTURED).nanos == ONE
    assert {each.key for each in result.findings} == {"(keys not told apart)"}


def test_people_by_e_mail() -> None:
    """A bill by user."""
    who = Who(email="A.Liddell@example.com")
    facts = Facts(people=(Person("alice", ("a.liddell@example.com",)),))

    assert only(run(calls(3), billed(times(USAGE, 4), 4, key=None, who=who), facts), Cause.UNCAPTURED).key == "alice"


def test_display_names_of_models() -> None:
    """`Claude Opus 4.5` is claude-opus-4-5."""
    assert run(calls(3), billed(times(USAGE, 3), 3, model="Claude Opus 4.5")).gap_nanos == 0
    assert not run(calls(3), billed(times(USAGE, 3), 3, model="Claude Opus 4.5")).findings


def test_money_without_counts() -> None:
    """A ratio that one day has may be requests that are missing; one that three different amounts have is a price's."""
    total = Line(DAY, DAY + DAY_MS, "anthropic", MODEL, who=Who(key=KEY), billed_nanos=3 * ONE // 2)
    days = [
        replace(total, starts_ms=at, ends_ms=at + DAY_MS, billed_nanos=number * ONE // 2)
        for number, at in ((2, DAY), (4, DAY + DAY_MS), (6, DAY + 2 * DAY_MS))
    ]
    made = [
        replace(call(at), started_ms=NOON + day * DAY_MS + at, ended_ms=NOON + day * DAY_MS + at + 9, id=f"{day}-{at}",
                response_id=f"{day}-{at}")
        for day in range(3) for at in range(2 * (day + 1))
    ]  # fmt: skip

    assert only(run(made, days, days=3), Cause.PRICE_MULTIPLIER)
    assert run(calls(3), [replace(total, billed_nanos=2 * ONE)]).unexplained_nanos == -ONE


@pytest.mark.parametrize(("captured", "charged"), [(10, 11), (2, 4), (2, 1), (10, 9), (20, 17)])
def test_money_alone_whose_ratio_missing_requests_have_is_unexplained(captured: int, charged: int) -> None:
    lines = [each for each in billed(times(USAGE, charged), None) if each.token_class is not None]
    made = run(calls(captured), lines)

    assert by_cause(made) == {}
    assert made.unexplained_nanos == (charged - captured) * ONE
    assert any("requests may be missing from one side, or prices are others" in each for each in made.notes)


def test_two_sources_of_the_same_money_are_one() -> None:
    """A file beside the API."""
    lines = billed(times(USAGE, 3), 3)
    versions = [Version(name, NOW, statement(lines, source=name)) for name in ("anthropic", "anthropic-cost-csv")]

    result = compare(calls(3), versions, Facts(), Options(DAY, DAY + DAY_MS, NOW))

    assert result.gap_nanos == 0
    assert any("is taken" in note for note in result.notes)


def test_token_classes_are_told_in_evidence() -> None:
    """Which class is dearer."""
    lines = [
        replace(each, billed_nanos=each.billed_nanos * 107 // 100, list_nanos=None)
        if each.token_class is TokenClass.OUTPUT and each.billed_nanos
        else each
        for each in billed(times(USAGE, 3), 3)
    ]

    assert "output_tokens" in only(run(calls(3), lines), Cause.PRICE_LIST).evidence


def test_a_request_that_the_provider_did_not_take_is_not_what_is_missing() -> None:
    """A 429 beside a request that is on the bill and not in the ledger."""
    refused = call(9, usage=NO_USAGE, cost_nanos=0, value_nanos=0, http_status=429, response_id=None)
    result = run([*calls(2), refused], billed(times(USAGE, 3), 3))

    assert only(result, Cause.UNCAPTURED).nanos == ONE


def test_writes_that_are_billed_for_an_hour() -> None:
    """The split was not told and taken for five minutes: the same tokens at another of the list's prices."""
    longer = replace(USAGE, cache_write_5m_tokens=0, cache_write_1h_tokens=400)
    result = run(calls(2, flags="split of cache writes assumed"), billed(times(longer, 2), 2))

    assert only(result, Cause.PRICE_MULTIPLIER).nanos == 2 * 400 * (10_000 - 6_250)


def test_web_searches_that_no_call_has() -> None:
    """All tokens and requests are there: the searches are a fee of their own."""
    lines = billed(replace(times(USAGE, 2), web_searches=3), 2)
    lines.append(
        replace(lines[-1], charge=Charge.WEB_SEARCH, token_class=None, billed_nanos=30_000_000, list_nanos=None)
    )
    result = run(calls(2), lines)

    assert only(result, Cause.NON_TOKEN_FEE).nanos == 30_000_000
