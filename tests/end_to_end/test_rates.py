"""Rates through the whole product: a real client is slowed, told the true wait, and served by its own library's retry."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx2

from end_to_end.raw import trust
from end_to_end.world import PATIENCE_S, PRODUCT, Gate, Provider, calls, environment, policy, running_gate, until

ONLY_THREE = "rates:\n  - {name: loop, per: person, requests: 3 per hour, tokens: '1,000,000 per minute'}\n"
TWO_AT_ONCE = "rates:\n  - {name: loop, per: person, parallel: 2, wait: 2m}\n"


def client(gate: Gate) -> httpx2.Client:
    """A client that trusts this gate."""
    return httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=PATIENCE_S)


def ask(http: httpx2.Client, script: str = "", *, text: str = "hi", stream: bool = False) -> httpx2.Response:
    """One message."""
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 10,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }
    headers = {"x-standin": script, "x-api-key": "sk-ant-api03-made-up"}
    return http.post("https://api.anthropic.com/v1/messages", json=body, headers=headers)


def status(gate: Gate, folder: Path) -> dict[str, Any]:
    """What `spendgate status` says."""
    command = [*PRODUCT, "status", "--state", str(gate.state), "--format", "json"]
    done = subprocess.run(command, env=environment(folder), capture_output=True, timeout=PATIENCE_S, check=True)
    return dict(json.loads(done.stdout))


def test_three_an_hour(provider: Provider, folder: Path) -> None:
    """Three calls pass; the fourth gets a 429 that may be retried after the true wait; `status` says what is used; after a
    restart the gate goes on counting."""
    file = policy(folder, more=ONLY_THREE)
    with running_gate(folder, provider, file) as gate, client(gate) as http:
        began = time.monotonic()
        assert [ask(http).status_code for _ in range(3)] == [200] * 3
        refused = ask(http, text="one more")
        rates = {row["what"]: row for row in status(gate, folder)["rates"]}
    assert refused.status_code == 429
    waited = time.monotonic() - began
    assert 3_600 - waited - 1 <= int(refused.headers["retry-after"]) <= 3_600
    assert refused.headers["x-should-retry"] == "true"
    error = refused.json()["error"]
    assert error["type"] == "rate_limit_error"
    assert "on this machine 3 of 3 requests per hour are used. Try again in 60 minutes." in error["message"]
    assert error["message"].endswith("Ask in #ai-budget.")
    assert (rates["requests"]["used"], rates["requests"]["limit"], rates["requests"]["per"]) == (3, 3, "hour")
    assert rates["requests"]["room_in_ms"] > 0
    assert rates["tokens"]["used"] == 3 * (12 + 7)
    with running_gate(folder, provider, file) as gate, client(gate) as http:
        assert ask(http).status_code == 429
    rows = [row for row in calls(gate.state) if row["state"] == "refused"]
    assert {(row["refused_why"], row["refused_by"]) for row in rows} == {("rule", "loop")}


def test_who_repeats_a_refused_request_costs_no_row_for_each(provider: Provider, folder: Path) -> None:
    """A client in a tight loop is answered from memory within the wait; and the repeats are told in a later row."""
    with running_gate(folder, provider, policy(folder, more=ONLY_THREE)) as gate, client(gate) as http:
        for _ in range(3):
            ask(http)
        assert {ask(http).status_code for _ in range(200)} == {429}
        refused = [row for row in gate.calls() if row["state"] == "refused"]
    assert 3 <= len(refused) < 100


def test_two_at_once(provider: Provider, folder: Path) -> None:
    """Twelve clients at once over two gates on one ledger are all served, and the provider never sees more than two at a time."""
    provider.set()
    before = len(provider.served)
    file = policy(folder, more=TWO_AT_ONCE)
    with (
        running_gate(folder, provider, file) as one,
        running_gate(folder, provider, file) as two,
        concurrent.futures.ThreadPoolExecutor(12) as pool,
    ):

        def call(number: int) -> int:
            with client((one, two)[number % 2]) as http:
                return ask(http, "delay_ms=100", text=f"call {number}").status_code

        assert list(pool.map(call, range(12))) == [200] * 12
    served = [each for each in provider.served[before:] if each.billable]
    moments = sorted([(each.started_ms, 1) for each in served] + [(each.ended_ms or 0, -1) for each in served])
    running = most = 0
    for _, step in moments:
        running += step
        most = max(most, running)
    assert len(served) == 12
    assert most <= 2


def test_a_client_that_leaves_the_line_and_a_gate_that_is_killed(provider: Provider, folder: Path) -> None:
    """Who hangs up while waiting never reaches the provider; after `kill -9` of a gate with all places taken the next serves."""
    file = policy(folder, more=TWO_AT_ONCE)
    with running_gate(folder, provider, file) as gate:
        before = len([each for each in provider.served if each.billable])
        for number in range(2):
            threading.Thread(target=_until_the_end, args=(gate, f"long {number}"), daemon=True).start()
        until(lambda: True if sum(row["state"] == "open" for row in gate.calls()) == 2 else None)
        with httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=0.5) as http:
            try:
                ask(http, text="impatient")
                raise AssertionError("it was served")
            except httpx2.TimeoutException:
                pass
        until(lambda: True if any(row["state"] == "failed" for row in gate.calls()) else None)
        assert len([each for each in provider.served if each.billable]) == before + 2
        gate.process.kill()
        gate.process.wait()
    with running_gate(folder, provider, file) as gate, client(gate) as http:
        assert ask(http, text="after the kill").status_code == 200
        until(lambda: True if not [row for row in gate.calls() if row["state"] == "open"] else None)
        assert sum("orphan" in row["flags"] for row in gate.calls()) == 2


def _until_the_end(gate: Gate, text: str) -> None:
    """A call whose answer takes longer than the test; the gate dies under it."""
    try:
        with client(gate) as http:
            ask(http, "delay_ms=50000", text=text)
    except httpx2.HTTPError:
        pass  # its gate was killed
