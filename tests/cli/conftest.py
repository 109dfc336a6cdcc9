"""mitmproxy is imported here once, out of the reach of `error` for warnings: its own imports use what its libraries deprecate.

The reading commands' tests read one state directory.
"""

import time
import warnings
from pathlib import Path

import pytest

from cli.kit import NOW_MS, POLICY, fill
from spendgate.cli import in_force
from spendgate.config import policies
from spendgate.config.paths import State, prepare
from spendgate.ledger.ledger import Ledger
from spendgate.window import DAY_MS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mitmproxy.addons
    import mitmproxy.master  # noqa: F401  # imported for the warnings it gives


@pytest.fixture(autouse=True)
def _as_wide_as_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs the tests (pytest-xdist says 80): a narrow table leaves columns out."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def _on_the_day_on_which_they_began() -> None:
    """What the kit writes, it writes at `NOW_MS`, and the commands ask for the day that it is: over midnight these are two."""
    if time.time_ns() // (1_000_000 * DAY_MS) != NOW_MS // DAY_MS:
        pytest.skip("midnight, UTC, has passed since these tests began")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A state directory with one settled, one open and one refused call of alice's."""
    monkeypatch.setattr("spendgate.cli.file_desk.own_account", lambda: "alice")
    found = prepare(State(tmp_path / "state"))
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    policy = policies.LastGood(found).start(file, NOW_MS).policy
    in_force.tell(
        found, in_force.InForce(policy.hash, str(file), NOW_MS, (), None, "m" * 32, "genai-prices 0", ("regular",))
    )
    ledger = Ledger.open(found.ledger, found.gates, NOW_MS)
    fill(ledger, policy)
    ledger.close()
    return found
