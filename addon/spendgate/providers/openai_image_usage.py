"""The counts of an image that OpenAI has made: by its images API, and by the image tool of Responses."""

from __future__ import annotations

from typing import Any, Final

from spendgate.providers.interface import Part
from spendgate.providers.shapes import COUNT, Fields, record
from spendgate.usage import Usage

_DETAILS: Final = record(image_tokens=COUNT, text_tokens=COUNT, cached_tokens=COUNT)
IMAGE_USAGE: Final = record(
    input_tokens=COUNT, output_tokens=COUNT, input_tokens_details=_DETAILS, output_tokens_details=_DETAILS
)


def image_part(usage: Fields | None, model: str | None = None) -> Part | None:
    """Counts in tokens, with those of images apart."""
    if usage is None:
        return None
    given: dict[str, Any] = usage
    into, out = given.get("input_tokens_details") or {}, given.get("output_tokens_details") or {}
    total_in, total_out = given.get("input_tokens"), given.get("output_tokens")
    units = {}
    if into.get("image_tokens") and total_in:
        units["input_image_tokens"] = min(into["image_tokens"], total_in)
    # Without details all output is the image: "the number of image tokens in the output image".
    drawn = total_out if out.get("image_tokens") is None else min(out["image_tokens"], total_out or 0)
    if drawn:
        units["output_image_tokens"] = drawn
    return Part(Usage(input_tokens=total_in, output_tokens=total_out), model, units=units)
