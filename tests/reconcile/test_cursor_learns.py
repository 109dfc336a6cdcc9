"""From Cursor's frames to its bill and back: calls without counts, its own export, and the next call by the factor."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.kit import app
from gate.world import House, budget, house, policy
from providers.connect_frames import STREAM, call, frame, last, run_request, text, tokens
from providers.feeding import pieces, read
from reconcile.taught import DAY_MS, HEAD, TODAY_MS, event
from spendgate.attribution import Attribution, Evidence
from spendgate.cli.bill import bill
from spendgate.gate.interface import Admitted, End, Intent
from spendgate.providers.cursor import Cursor
from spendgate.providers.interface import Kind, Route

AGENT = "/agent.v1.AgentService/Run"
WHO = Attribution(person="alice", machine="lt-1", tool="cursor", person_evidence=Evidence.SOCKET_OWNER)
ROUTE = Route("cursor", "cursor", Kind.BILLABLE, AGENT, prices="anthropic")


async def run(place: House, number: int) -> dict:
    """One run of an older build: text, the screen's count, and a turn that ends without counts. Its row."""
    head, first = call(AGENT), frame(run_request(f9=b"\x0a\x0fclaude-opus-4-5"))
    spoken = Cursor().spoken(head)
    ask = spoken.ask(head, first)
    intent = Intent(f"run-{number}", place.gate.clock.now_ms(), "api2.cursor.sh", ROUTE, ask, WHO, len(first))
    assert isinstance(await place.gate.hold(intent), Admitted)
    place.gate.sent(intent.call_id)
    data = frame(text("x" * 3_000)) + frame(tokens(50)) + last()
    reading = read(spoken.reader(ask, 200, STREAM), pieces(data, 5, 40))
    now_ms = place.gate.clock.now_ms()
    place.gate.settle(intent.call_id, reading, End(now_ms, True, True, 200, 5, 40, len(data)))
    return next(row for row in place.rows.calls() if row["id"] == intent.call_id)


def told(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--state", str(folder)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


async def test_cursor_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, before = [], []
    async with house(tmp_path, policy(budget(100.0))) as place:
        for day in range(8, 1, -1):
            for number in range(3):
                at_ms = TODAY_MS - day * DAY_MS + (10 + number) * 3_600_000
                place.time.wall_ms = at_ms
                row = await run(place, 10 * day + number)
                before.append(row)
                rows.append(event(at_ms, 20))
    (model,), (cost,) = (
        {row["model"] or row["model_requested"] for row in before},
        {row["cost_nanos"] for row in before},
    )
    assert {row["basis"] for row in before} == {"estimated"} and cost > 0
    file = tmp_path / "usage.csv"
    file.write_text(HEAD + "".join(rows).replace("claude-4.5-opus-high", model))
    told(tmp_path, "reconcile", "import", str(file))
    (learned,) = json.loads(told(tmp_path, "reconcile", "calibrate", "--write", "--format", "json"))
    assert (learned["tool"], learned["verdict"], learned["user_days"], learned["calls"]) == ("cursor", "better", 7, 21)
    ratio = 200_000_000 / cost
    assert abs(learned["factor_ppm"] - ratio * 1_000_000) < 2
    assert learned["before_ppm"] > 100_000 and learned["after_ppm"] < 10
    async with house(tmp_path, policy(budget(100.0))) as place:
        place.time.wall_ms = TODAY_MS
        after = await run(place, 1)
        gate = place.ledger.gate_id
        capsys.readouterr()
        bill(tmp_path / "ledger.db", gate)
    assert "estimated (calibrated)" in capsys.readouterr().err
    assert abs(after["cost_nanos"] - 200_000_000) < 200_000, "two tenths of a cent of what it is billed"
    assert f"x{learned['factor_ppm'] / 1e6:.6f} by " in after["flags"]
    shown = " ".join(told(tmp_path, "calls", "show", after["id"]).split())
    assert "estimate: calibrated" in shown and "multiplied by what bills of its tool and model have shown" in shown
    (spent,) = json.loads(told(tmp_path, "spend", "--by", "tool", "--format", "json"))
    assert spent["calibrated_nanos"] == after["cost_nanos"]
    told(tmp_path, "export", "focus", "--output", str(tmp_path / "focus.csv"))
    with (tmp_path / "focus.csv").open(newline="") as lines:
        assert sum(Decimal(row["x_CalibratedCost"]) for row in csv.DictReader(lines)) * 10**9 == after["cost_nanos"]
