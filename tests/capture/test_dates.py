"""Dates of answers: what counts as a witness of the time, how often, and that no header can do harm."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.test import tflow, tutils

from spendgate.capture.dates import Dates, read

NOW_S = 1_790_000_000
HOST = "api.anthropic.com"


def answered(date: str | None = None, *, tls: bool = True, **headers: str) -> tflow.http.HTTPFlow:
    """An answer with this date."""
    flow = tflow.tflow(resp=tutils.tresp())
    flow.server_conn.timestamp_tls_setup = 1.0 if tls else None
    assert flow.response is not None
    flow.response.headers["date"] = formatdate(NOW_S, usegmt=True) if date is None else date
    for name, value in headers.items():
        flow.response.headers[name] = value
    return flow


def test_an_answer_is_a_witness_once_a_second() -> None:
    """For each host of its own."""
    dates = Dates()
    seen = [dates.of(answered(), host, ticks, verified=True) for host, ticks in
            ((HOST, 0), (HOST, 999), ("other", 999), (HOST, 1_000))]  # fmt: skip
    assert seen == [NOW_S * 1000, None, NOW_S * 1000, NOW_S * 1000]


@pytest.mark.parametrize(
    ("flow", "verified"),
    [(answered(), False), (answered(tls=False), True), (answered(age="0"), True), (answered("yesterday"), True)],
)
def test_an_answer_that_proves_nothing(flow: tflow.http.HTTPFlow, *, verified: bool) -> None:
    """Not verified, in the clear, of a cache, without a date."""
    assert Dates().of(flow, HOST, 0, verified=verified) is None


def test_hosts_are_bounded() -> None:
    """A client that names thousands fills no memory."""
    dates = Dates()
    for number in range(1_000):
        dates.of(answered(), f"host-{number}", 0, verified=True)
    assert len(dates._looked) <= 256


@given(st.integers(0, 253_402_300_799))
def test_every_http_date_is_read(seconds: int) -> None:
    """To the year 9999."""
    assert read(formatdate(seconds, usegmt=True)) == seconds * 1000


@given(st.text(max_size=60) | st.text(max_size=34).map(lambda text: f"{text} GMT"))
def test_no_header_does_harm(text: str) -> None:
    """It is a time, or none."""
    found = read(text)
    assert found is None or isinstance(found, int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GMT",
        " GMT",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sunday, 06-Nov-94 08:49:37 GMT" * 3,
        "Sun, 99 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date(text: str) -> None:
    """Or one that no provider sends."""
    assert read(text) is None
