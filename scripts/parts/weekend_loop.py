"""A week of one developer, and the agent that was left alone at its end: recorded calls, repeated in simulated time.

Recorded are the calls themselves, in `tests/recordings/agent-loop.json`: the size of each request, and the tokens that the
provider counted. Made up is how they are repeated: an agent that never finishes goes on as from the first turn to the last, each
turn adding to its context what the recorded turns added, and begins anew where a context is compacted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

RECORDING: Final = Path(__file__).parents[2] / "tests" / "recordings" / "agent-loop.json"
ZONE: Final = ZoneInfo("America/New_York")
"""Where the developer works."""
FRIDAY: Final = datetime(2026, 11, 20, 18, tzinfo=ZONE)
"""The loop begins."""
SATURDAY: Final = datetime(2026, 11, 21, 3, tzinfo=ZONE)
"""The loop begins, where it is told who hears of it."""
MONDAY: Final = datetime(2026, 11, 23, 9, tzinfo=ZONE)
"""Somebody comes and looks."""
DAYS: Final = range(16, 21)
"""The working days before, in November: Monday to Friday."""
RUNS: Final = range(9, 17)
"""On each of them an agent is started at every full hour from nine on."""
TURNS: Final = 60
"""Turns of a run that finishes."""
BETWEEN_MS: Final = 12_000
"""From one request to the next: the answer, and the tool that the agent runs."""
ANSWER_MS: Final = 4_000
COMPACTS_AT: Final = 170_000
"""Tokens of context at which the agent begins anew with a short one."""
LOOP: Final = "weekend"
"""The session of the loop."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of an agent and its answer. Bytes, tokens."""

    request_bytes: int
    output_max: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Run:
    """Turns of one session, one every `BETWEEN_MS`. Epoch milliseconds."""

    session: str
    begins_ms: int
    turns: tuple[Turn, ...]


@cache
def recorded() -> dict[str, Any]:
    """The recording."""
    return dict(json.loads(RECORDING.read_text()))


def model() -> str:
    """The model that was recorded."""
    return str(recorded()["model"])


def agent() -> Iterator[Turn]:
    """An agent's turns, without end: the recorded ones, then each as much larger than the one before as they were."""
    turns = [
        Turn(each["request_bytes"], each["max_tokens"], each["input_tokens"], each["output_tokens"])
        for each in recorded()["turns"]
    ]
    first, *rest = turns
    while True:
        size, context = first.request_bytes, first.input_tokens
        yield first
        while context < COMPACTS_AT:
            for before, after in zip(turns, rest, strict=False):
                size += after.request_bytes - before.request_bytes
                context += after.input_tokens - before.input_tokens
                # The last recorded turn asks for no tool; one that goes on does, as the turns before it.
                yield Turn(size, first.output_max, context, before.output_tokens)


def runs(begins_loop: datetime = FRIDAY) -> list[Run]:
    """The week, then the loop from that moment until Monday."""
    made = []
    for day in DAYS:
        for hour in RUNS:
            begins = datetime(FRIDAY.year, FRIDAY.month, day, hour, tzinfo=ZONE)
            made.append(Run(f"run-{day}-{hour}", _ms(begins), tuple(islice(agent(), TURNS))))
    weekend = (_ms(MONDAY) - _ms(begins_loop)) // BETWEEN_MS
    return [*made, Run(LOOP, _ms(begins_loop), tuple(islice(agent(), weekend)))]


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000
