"""A provider that cannot be reached: its connection is accepted and reset at once, as by a middlebox or a network that goes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from end_to_end.raw import trust
from end_to_end.soak import Line, Provided
from end_to_end.storm import MODEL, post
from end_to_end.world import Gate, Provider, policy, running_gate

CALLS = 20
"""Whether the reset is there before the client's hello is chance: mitmproxy's own layers hung in every other call."""


async def _ask(gate: Gate, *, stream: bool) -> int:
    body = {"model": MODEL, "max_tokens": 20, "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
    return (await post(gate.port, trust(gate), json.dumps(body).encode(), "input=10; output=5", "one"))[0]


async def _without_then_with(folder: Path, provider: Provider) -> tuple[list[int], list[int], list[dict[str, object]]]:
    line = Line(provider.port)
    async with line.up():
        with running_gate(folder, Provided(line.port, provider.ca), policy(folder)) as gate:  # type: ignore[arg-type]  # port and CA are all it needs
            line.gone = True
            without = [await _ask(gate, stream=bool(number % 2)) for number in range(CALLS)]
            line.gone = False
            again = [await _ask(gate, stream=False)]
            await asyncio.to_thread(gate.stop)
            return without, again, gate.calls()


def test_each_call_is_told_at_once_and_costs_nothing(provider: Provider, folder: Path) -> None:
    """502 for each, none hangs; a row for each, `failed`; and the first call after the network is back is answered."""
    without, again, rows = asyncio.run(_without_then_with(folder, provider))
    assert (without, again) == ([502] * CALLS, [200])
    assert Counter((row["state"], row["cost_nanos"] or 0) for row in rows[:CALLS]) == {("failed", 0): CALLS}
    assert [row["state"] for row in rows[CALLS:]] == ["settled"]
