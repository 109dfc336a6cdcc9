"""Show 8, memory: neither a 1 GB answer nor a decompression bomb grows the gate."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from end_to_end.raw import trust
from end_to_end.world import Gate, Provider, policy, running_gate
from spendgate.capture.tap import LEFT

GIGABYTE = 1 << 30
GROWTH_BYTES_MAX = 64 << 20


@pytest.mark.heavy
@pytest.mark.parametrize("stream", [pytest.param(False, id="whole"), pytest.param(True, id="stream")])
@pytest.mark.parametrize("encoding", ["", "gzip", "br", "zstd", "gzip,br"])
def test_memory_stays_flat(provider: Provider, folder: Path, encoding: str, *, stream: bool) -> None:
    """The peak of the gate's resident memory grows by less than 64 MiB. The counts at the end are still found, or the row says
    that the machine was too busy to read so far, and is charged an estimate."""
    with running_gate(folder, provider, policy(folder)) as gate:
        _fetch(gate, "size=1000", stream=stream)
        before = _peak(gate)
        request_id = _fetch(gate, f"size={GIGABYTE}; output=77; encoding={encoding}", stream=stream)
        grown = _peak(gate) - before
        row = gate.row(request_id)
    assert grown < GROWTH_BYTES_MAX
    if LEFT in row["flags"]:
        assert row["basis"] == "estimated"
        assert row["cost_nanos"] > 0
    else:
        assert (row["basis"], row["output_tokens"]) == ("reported", 77)


def _fetch(gate: Gate, script: str, *, stream: bool) -> str:
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 10,
        "stream": stream,
        "messages": [{"role": "user", "content": "hi"}],
    }
    headers = {"x-standin": script, "x-api-key": "sk-ant-api03-made-up"}
    with (
        httpx2.Client(proxy=gate.proxy, verify=trust(gate), timeout=300) as http,
        http.stream("POST", "https://api.anthropic.com/v1/messages", json=body, headers=headers) as answer,
    ):
        for _ in answer.iter_raw():
            pass
        return str(answer.headers["request-id"])


def _peak(gate: Gate) -> int:
    """Bytes: the most that was resident at once since the start."""
    status = Path(f"/proc/{gate.process.pid}/status")
    if not status.exists():
        pytest.skip("reads /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
