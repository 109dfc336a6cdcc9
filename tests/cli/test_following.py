"""What changes while a gate runs is followed for as long as it runs."""

from __future__ import annotations

import pytest

from spendgate.cli import following


async def test_a_fault_that_nobody_foresaw_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, without the fault's text, and begins anew; what ends by itself has ended."""
    monkeypatch.setattr(following, "AGAIN_S", 0)
    tries: list[int] = []

    async def run() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise RuntimeError("sk-secret")

    await following._lasting("following the policy", run)
    assert tries == [0, 1, 2]
    assert capsys.readouterr().err.count("following the policy failed (RuntimeError), and begins anew") == 2
