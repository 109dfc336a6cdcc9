"""A gate in a process of its own, for a test to kill: it serves one call of alice's for each line of stdin, and tells.

python -m alerts.gate_process FOLDER POLICY NOW_MS
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from gate.world import PRICES, Time, costing, intent
from spendgate.alerts.courier import Courier
from spendgate.alerts.weekly import Weekly
from spendgate.config.policy_file import parse_policy
from spendgate.digest import Prices
from spendgate.gate.alerting import Alerting
from spendgate.gate.clock import Clock
from spendgate.gate.gate import Gate
from spendgate.gate.interface import Admitted, End
from spendgate.ledger.ledger import Ledger
from spendgate.providers.unfinished import estimate_usage


async def main(folder: Path, file: Path, now_ms: int) -> None:
    """Serve until stdin ends."""
    time, policy = Time(now_ms), parse_policy(file.read_bytes())
    ledger = Ledger.open(folder / "ledger.db", folder / "gates", now_ms)
    gate = Gate(ledger, PRICES, policy, estimate=estimate_usage, clock=Clock(now_ms=time.now_ms))
    await gate.start()
    courier = Courier(time.now_ms, lambda: 0.0, "lt-1")
    weekly = Weekly(folder / "ledger.db", "lt-1", lambda: Prices("as shipped", None))
    alerting = Alerting(folder / "ledger.db", folder / "gates", policy, time.now_ms, courier, weekly=weekly)
    alerting.start()
    print("ready", flush=True)
    for number in itertools.count():
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            break
        call = intent(prefix=f"{now_ms}-{number}")
        answer = await gate.hold(call)
        if isinstance(answer, Admitted):
            gate.sent(call.call_id)
            gate.settle(call.call_id, costing(float(line)), End(time.now_ms(), True, True, 200, 5, 40, 100, None))
            gate.backlog.write_out()
        print(type(answer).__name__, flush=True)
    await gate.stop()
    alerting.stop()
    ledger.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
