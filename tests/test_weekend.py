"""An agent that loops over a weekend: what it costs without a limit, and what the tripwires of `policies/` make of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
import yaml

from gate.world import Rows
from spendgate.config.known import KNOWN
from spendgate.config.policies import load
from spendgate.money import NANOS_PER_DOLLAR

# The simulation takes half a minute: one worker plays it for all of these tests.
pytestmark = pytest.mark.xdist_group("weekend")

ROOT = Path(__file__).parents[1]
CASSETTE = (
    ROOT.parent
    / "shared/corpus/pydantic-ai/tests/models/cassettes/test_anthropic/test_anthropic_lazy_advertisement_live.yaml"
)
HOUR_MS = 3_600_000
HOURLY = ("default", "tripwires", "adaptive-tripwire", "session-cap")
"""What is to stop a loop within its first hour."""


class Played(NamedTuple):
    """The week and the weekend, played once; what each policy makes of them."""

    script: ModuleType
    ledger: Path
    lines: list[str]
    found: dict[str, object]

    def under(self, name: str) -> object:
        """Its `Weekend`, replayed once."""
        if name not in self.found:
            self.found[name] = self.script.replayed(self.ledger, self.policy(name))
        return self.found[name]

    def policy(self, name: str) -> object:
        """As shipped."""
        return load(next(file for file in self.script.TRIPWIRES if file.stem == name), KNOWN)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """`scripts/weekend` as a module, and its run."""
    folder = tmp_path_factory.mktemp("weekend")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        script = import_module("parts.weekend")
        yield Played(script, folder / "ledger.db", script.table(script.TRIPWIRES, folder), {})


def test_without_a_limit_it_costs_eight_thousand_dollars(played: Played) -> None:
    """Each call is in the ledger, none was refused, and nobody was told."""
    found = played.under("observe-only")
    assert 7_750 < found.loop_nanos / NANOS_PER_DOLLAR < 8_250
    assert found.stopped is None and not found.told
    assert found.calls == sum(len(each.turns) for each in played.script.weekend_loop.runs())


@pytest.mark.parametrize("name", [*HOURLY, "off-hours-page"])
def test_a_tripwire_stops_it_at_its_limit(played: Played, name: str) -> None:
    """What the loop cost until its first refusal is within the limit, and less than a call below it, but for what the day's
    work had spent; the week before was not held back."""
    found = played.under(name)
    at_ms, refuse = found.stopped
    assert found.working == 0
    assert found.loop_nanos <= refuse.settled_nanos <= refuse.limit_nanos
    # A ceiling holds the most that a call can cost, which is a few times what it did.
    assert refuse.limit_nanos - refuse.settled_nanos < (1 if name != "session-cap" else 5) * found.dearest_nanos
    assert (at_ms - played.script.LOOP_MS < HOUR_MS) is (name in HOURLY)
    assert found.loop_nanos < 205 * NANOS_PER_DOLLAR


@pytest.mark.parametrize(("name", "most"), [("tripwires", 60), ("session-cap", 25)])
def test_asking_on_does_not_help_it(played: Played, name: str, most: int) -> None:
    """Started anew after each refusal until Monday, it spends what one session may."""
    found = played.under(name)
    assert found.loop_nanos <= found.asked_on_nanos <= most * NANOS_PER_DOLLAR + found.dearest_nanos


@pytest.mark.parametrize("name", ["tripwires", "adaptive-tripwire", "off-hours-page"])
def test_somebody_is_paged_before_it_is_stopped(played: Played, name: str) -> None:
    """Within the hour, on the way that wakes; the person is told, too."""
    found = played.under(name)
    alert, told = found.heard(pages=True)[0]
    assert alert.at_ms - played.script.LOOP_MS < HOUR_MS
    assert alert.at_ms < found.stopped[0]
    assert told == ("dana", "pagerduty")
    assert all(each.at_ms <= found.stopped[0] for each, _ in found.heard(pages=False))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.heavy] * (name != "tripwires")) for name in (*HOURLY, "off-hours-page")],
)
def test_a_live_gate_stops_it_at_the_same_call(played: Played, tmp_path: Path, name: str) -> None:
    """The same week and loop played to a gate under the policy itself: the same sum, the same rule, the same figures."""
    played.script.play(tmp_path, played.policy(name), played.script.weekend_loop.runs())
    rows = Rows(tmp_path / "ledger.db").calls()
    (refused,) = [row for row in rows if row["state"] == "refused"]
    found = played.under(name)
    loop = [row for row in rows if row["session"] == "weekend" and row["state"] == "settled"]
    assert sum(row["cost_nanos"] for row in loop) == found.loop_nanos
    figures = (refused["refused_by"], refused["refused_settled_nanos"], refused["refused_hold_nanos"])
    assert figures == (found.stopped[1].rule, found.stopped[1].settled_nanos, found.stopped[1].hold_nanos)


def test_who_is_told_on_a_saturday_at_three(played: Played, tmp_path: Path) -> None:
    """A live gate's own alerts, each on its channels, before the loop is refused; once; as the documentation has it."""
    found = played.script.weekend_told.night(played.policy("tripwires"), tmp_path / "night", played.script.play)
    (page,) = found.told
    assert page.to == ("pagerduty", "desktop of dana")
    assert page.at_ms < found.refused_ms
    assert page.at_ms - played.script.weekend_told.LOOP_MS < HOUR_MS
    assert page.cost_nanos < found.cost_nanos < 30 * NANOS_PER_DOLLAR
    lines = (ROOT / "policies" / "README.md").read_text()
    assert "Sat 03:40:17    $15.04  page    pagerduty, desktop of dana: burn of weekend" in lines
    assert f"Sat 03:52:24    $24.84  refused by {found.refused_by}" in lines


@pytest.mark.heavy
def test_the_table_is_the_same_each_time(played: Played, tmp_path: Path) -> None:
    """Nothing in it depends on when, where or how fast it is made."""
    assert played.script.table(played.script.TRIPWIRES, tmp_path) == played.lines


def test_the_table_of_the_documentation_is_the_one_that_is_printed(played: Played) -> None:
    """As it stands in policies/README.md."""
    assert "\n".join(played.lines) in (ROOT / "policies" / "README.md").read_text()


@pytest.mark.skipif(not CASSETTE.is_file(), reason="the recordings of others are not beside this repository")
def test_the_recorded_calls_are_those_of_the_recording(played: Played) -> None:
    """Sizes and counts of each turn, read from the cassette itself."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    recorded = played.script.weekend_loop.recorded()
    found = []
    for each in yaml.load(CASSETTE.read_text(), Loader=loader)["interactions"]:  # noqa: S506 - safe loaders both
        answer, asked = each["response"]["parsed_body"], each["request"]
        assert answer["model"] == recorded["model"]
        found.append(
            {
                "request_bytes": int(asked["headers"]["content-length"][0]),
                "max_tokens": asked["parsed_body"]["max_tokens"],
                "input_tokens": answer["usage"]["input_tokens"],
                "output_tokens": answer["usage"]["output_tokens"],
                "stop_reason": answer["stop_reason"],
            }
        )
    assert found == recorded["turns"]
