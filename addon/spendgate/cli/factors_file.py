"""Factors of estimates as a file: what `reconcile calibrations --format json` writes, and `reconcile calibrate --take` reads."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, MsgspecError, Struct, field, json

from spendgate.calibration import LEAST_PPM, MOST_PPM
from spendgate.errors import StateError
from spendgate.ledger.calibrations import Calibration
from spendgate.model_names import family

IN_FORCE: Final = "in force"
_BYTES_MAX: Final = 1 << 20
_Word = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-+\--~]+$")]
"""Without blanks and commas, by which the ledger parts the names of imports."""
_Count = Annotated[int, Meta(ge=0, le=2**40)]


class _Given(Struct, frozen=True):
    """One row of `calibrations --format json`, as far as it is taken over. Whoever wrote it, its factor has our bounds."""

    tool: _Word
    model: _Word
    state: str
    factor_ppm: Annotated[int, Meta(ge=LEAST_PPM, le=MOST_PPM)]
    before_ppm: _Count
    after_ppm: _Count
    user_days: _Count
    calls: _Count
    from_: date = field(name="from")
    until: date
    imports: Annotated[tuple[_Word, ...], Meta(max_length=1_000)]


def read(file: Path) -> list[Calibration]:
    """What is in force in it. Raises StateError."""
    try:
        with file.open("rb") as opened:
            given = json.decode(opened.read(_BYTES_MAX + 1), type=list[_Given])
    except OSError as fault:
        raise StateError(f"{file}: {fault.strerror}") from fault
    except MsgspecError as fault:
        raise StateError(f"{file}: not what `reconcile calibrations --format json` writes: {fault}") from fault
    kept = [each for each in given if each.state == IN_FORCE]
    named: dict[tuple[str, str], str] = {}
    for each in kept:
        at = each.tool, family(each.model)
        other = named.get(at)
        named[at] = each.model
        if other is not None:
            raise StateError(
                f"{file}: two factors of {each.tool} for one model ({other}, {each.model}): keep one of them"
            )
    return [_calibrated(each) for each in kept]


def _calibrated(each: _Given) -> Calibration:
    began, ended = (
        int(datetime(at.year, at.month, at.day, tzinfo=UTC).timestamp() * 1000) for at in (each.from_, each.until)
    )
    return Calibration(
        each.tool, family(each.model), each.factor_ppm, each.before_ppm, each.after_ppm, each.user_days, each.calls, began,
        ended, each.imports,
    )  # fmt: skip
