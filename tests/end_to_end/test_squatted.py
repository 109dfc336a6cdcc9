"""Somebody listens at the gate's ports before it starts: calls are captured and metered all the same, and who it was is told."""

from __future__ import annotations

import contextlib
import json
import os
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from end_to_end.village import Village, village
from end_to_end.world import PRODUCT, ROOT
from redirect.lab import why_not
from redirect.test_ports import SQUAT

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("village")]


@contextlib.contextmanager
def _squatter(made: Village) -> Iterator[None]:
    """At the port of redirected traffic, over both families, and at the proxy's."""
    who = ("setpriv", f"--reuid={made.laptop.people[0]}", "--clear-groups", "python3", "-c", textwrap.dedent(SQUAT))
    started = made.laptop.inside(*who, "127.0.0.1@8443", "::1@8443", "127.0.0.1@8080", cwd="/")
    assert started.stdout is not None
    assert started.stdout.readline() == "listens\n"
    yield
    started.kill()
    started.communicate()


def test_a_squatter_takes_nobody_away_from_the_gate() -> None:
    """No account can: the call has its row, the audit trail and `status` say who has the ports, and on what the gate listens."""
    if reason := why_not():
        pytest.skip(reason)
    with village("--mode", "regular", beyond=_squatter) as made:
        row = made.ask(made.laptop.people[1])
        assert (row["person"], row["state"]) == (made.laptop.people[1], "settled")

        trail = [line["detail"] for line in _asked(made, "audit", "list") if line["what"] == "port taken"]
        status = _asked(made, "status")
        assert status["gate"]["ports_taken"] == trail
        log = (made.folder / "gate.log").read_text()
        for line, port in zip(trail, (8443, 8080), strict=True):
            assert line.startswith(f"port {port} of 127.0.0.1 is taken by account {made.laptop.people[0]} (uid ")
            assert "python3" in line
            assert f"WARNING {line}" in log
        assert status["gate"]["captures_nothing_through"] == []


def _asked(made: Village, *words: str) -> Any:
    command = (*PRODUCT, *words, "--state", str(made.state), "--format", "json")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    return json.loads(made.laptop.inside(*command, env=env, cwd="/").communicate()[0])
