"""Calibration: by what an estimate from bytes is multiplied, learned from bills, for tools whose wire shows no counts.

One factor for a tool and a model's family. It scales the counts that were estimated, all alike, so that what they cost is scaled
with them: what is calibrated is the cost, not each class of tokens. A call that was charged so has a flag that names the factor
and the calibration; nothing that has been settled is ever changed by a later one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from spendgate.model_names import family
from spendgate.usage import Usage

ONE_PPM: Final = 1_000_000
"""A factor of 1, in millionths."""
LEAST_PPM: Final = ONE_PPM // 5
MOST_PPM: Final = 5 * ONE_PPM
"""What no factor goes beyond: an estimate that is further off is not mended by multiplying."""
CALIBRATED: Final = "estimate: calibrated"
"""How the flag of a calibrated call begins."""
_FLAG: Final = re.compile(rf"{CALIBRATED} x(\d+)\.(\d{{6}}) by ([0-9a-f]+)")


class Factor(Struct, frozen=True):
    """The factor of one tool and model that is in force, and the calibration that it comes from."""

    tool: str
    model: str
    """The family name."""
    ppm: int
    name: str
    """The calibration's, as `reconcile calibrations` lists it."""

    @property
    def flag(self) -> str:
        """What a call's row says: `estimate: calibrated x1.830000 by 5d0c9a1e`."""
        return f"{CALIBRATED} x{self.ppm // ONE_PPM}.{self.ppm % ONE_PPM:06d} by {self.name}"

    def scaled(self, estimated: Usage, reported: Usage) -> Usage:
        """An estimate's counts multiplied. What the provider reported stands, and output is never below what it reported."""
        output = max(self._times(estimated.output_tokens) or 0, reported.output_tokens or 0)
        if reported.input_tokens is not None:
            return replace(estimated, output_tokens=output)
        return replace(estimated, input_tokens=self._times(estimated.input_tokens), output_tokens=output)

    def _times(self, count: int | None) -> int | None:
        return None if count is None else -(-count * self.ppm // ONE_PPM)


class Factors:
    """Those in force, by tool and family. Immutable."""

    def __init__(self, found: Iterable[Factor] = ()) -> None:
        self._by = {(each.tool, each.model): each for each in found if each.ppm != ONE_PPM}

    def of(self, tool: str | None, model: str | None) -> Factor | None:
        """The factor for estimates of this tool and model; None: they stand as they are."""
        return self._by.get((tool or "", family(model or ""))) if self._by else None

    def __len__(self) -> int:
        return len(self._by)


UNCALIBRATED: Final = Factors()


def charged_by(flags: str) -> int:
    """The factor, in millionths, that a call with these flags was charged by; `ONE_PPM` where it was not calibrated."""
    found = _FLAG.search(flags)
    return int(found[1]) * ONE_PPM + int(found[2]) if found else ONE_PPM


def as_estimated(nanos: int, flags: str) -> Fraction:
    """What such a call's estimate came to before it was calibrated."""
    return Fraction(nanos * ONE_PPM, charged_by(flags))
