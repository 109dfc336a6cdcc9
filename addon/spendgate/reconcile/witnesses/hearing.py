"""All witnesses of this account heard at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from spendgate.reconcile.witnesses.interface import Seen, Told, Witness
from spendgate.reconcile.witnesses.table import TELEMETRY, WITNESSES


class Hearing(Struct, frozen=True):
    """What one witness says."""

    witness: Witness
    seen: tuple[Seen, ...]
    told: Told

    @property
    def there(self) -> bool:
        """Whether it keeps a log on this laptop."""
        return bool(self.told.files)


def hear(
    home: Path, environ: Mapping[str, str], since_ms: int, telemetry: tuple[Path, ...] = ()
) -> tuple[Hearing, ...]:
    """Every witness, from `since_ms` on; `telemetry` are files or folders that a person names."""
    hearings = []
    for witness in WITNESSES:
        places = telemetry if witness is TELEMETRY else witness.places(home, environ)
        told = Told()
        hearings.append(Hearing(witness, tuple(witness.read(places, since_ms, told)), told))
    return tuple(hearings)
