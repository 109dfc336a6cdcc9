"""The counts of an image that OpenAI has made: by its images API, and by the image tool of Responses, which also says what of its
input was cached. Sources: openai-python 3.54, types/images_response.py, types/responses/response.py (`ToolUsageImageGen`)."""

from __future__ import annotations

from typing import Any, Final

from spendgate.providers.reading import Part
from spendgate.providers.shapes import COUNT, TEXT, Fields, record
from spendgate.usage import Usage

IMAGE_MODEL: Final = "gpt-image-1"
"""What has made an image where neither request nor answer names a model; of those that OpenAI lists none costs more."""
SVG_USAGE: Final = record(model=TEXT, input_tokens=COUNT, output_tokens=COUNT, reasoning_tokens=COUNT)
_DETAILS: Final = record(image_tokens=COUNT, text_tokens=COUNT, cached_tokens=COUNT)
IMAGE_USAGE: Final = record(
    input_tokens=COUNT,
    output_tokens=COUNT,
    input_tokens_details=_DETAILS,
    output_tokens_details=_DETAILS,
    cached_tokens=COUNT,
    cached_tokens_details=record(cached_image_tokens=COUNT, cached_text_tokens=COUNT),
)


def drawn_parts(found: Fields | None) -> tuple[Part, ...]:
    """What another model used to draw a picture as text (`svg_usage`)."""
    if found is None:
        return ()
    usage = Usage(
        input_tokens=found.get("input_tokens"),
        output_tokens=found.get("output_tokens"),
        reasoning_tokens=found.get("reasoning_tokens"),
    )
    return (Part(usage, found.get("model")),)


def image_part(usage: Fields | None, model: str | None = None) -> Part | None:
    """Counts in tokens, with those of images apart. What was cached of no kind is text's, which costs less to begin with."""
    if usage is None:
        return None
    given: dict[str, Any] = usage
    into, out = given.get("input_tokens_details") or {}, given.get("output_tokens_details") or {}
    total_in, total_out = given.get("input_tokens"), given.get("output_tokens")
    units = {}
    seen = min(into.get("image_tokens") or 0, total_in or 0)
    if seen:
        units["input_image_tokens"] = seen
    cached = min(given.get("cached_tokens") or into.get("cached_tokens") or 0, total_in or 0)
    if cached and seen:
        told = (given.get("cached_tokens_details") or {}).get("cached_image_tokens") or 0
        units["cache_image_read_tokens"] = min(max(told, cached - ((total_in or 0) - seen)), seen, cached)
    # Without details all output is the image: "the number of image tokens in the output image".
    drawn = total_out if out.get("image_tokens") is None else min(out["image_tokens"], total_out or 0)
    if drawn:
        units["output_image_tokens"] = drawn
    fresh = None if total_in is None else total_in - cached
    return Part(
        Usage(input_tokens=fresh, cache_read_tokens=cached or None, output_tokens=total_out), model, units=units
    )
