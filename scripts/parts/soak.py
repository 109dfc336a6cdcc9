"""Show of issue 7: an hour of calls through sleep, loss of the network and changes of the policy (`tests/end_to_end/soak.py`)."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Final

from end_to_end.soak import PER_SECOND, Watched, soak

GROWTH_MB_MAX: Final = 16
STEPS: Final = 12
"""Figures of memory that are printed."""


def main() -> int:
    """Soak, print what was seen; 1 where memory grew. A lost, doubled or wrongly charged call is an AssertionError."""
    words = argparse.ArgumentParser(prog="scripts/soak")
    words.add_argument("--minutes", type=float, default=60)
    words.add_argument("--seed", type=int, default=1)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        watched, found, answers = soak(Path(folder), asked.minutes * 60, asked.seed)
    print(f"{asked.minutes:g} minutes at {PER_SECOND} calls a second, seed {asked.seed}")
    _told("faults", watched.faults)
    _told("answers by status (0: the connection ended)", {str(status): count for status, count in answers.items()})
    _told("calls, the provider's log against the ledger", found)
    print(f"not begun, too many waited: {watched.left_out}")
    return _memory(watched)


def _told(what: str, counts: dict[str, int]) -> None:
    print(f"{what}: " + ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in sorted(counts.items())))


def _memory(watched: Watched) -> int:
    every = max(1, len(watched.resident) // STEPS)
    print("resident MB: " + " ".join(f"{size / 2**20:.0f}" for _, size in watched.resident[::every]))
    print(f"open descriptors: {watched.files[0]} at first, {watched.files[-1]} at last, {max(watched.files)} at most")
    grown = watched.grown_bytes() / 2**20
    print(f"grown from the second quarter to the last: {grown:+.1f} MB, goal under {GROWTH_MB_MAX}")
    return int(grown >= GROWTH_MB_MAX)


if __name__ == "__main__":
    raise SystemExit(main())
