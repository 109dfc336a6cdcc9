"""What OpenAI bills for the tools that it runs itself, beside the tokens of a response: counted from the answer's items.

File searches have a price by the call in genai-prices, web searches too (they are in `Usage`). Images that the image tool has
made are counted in `tool_usage.image_gen`, in tokens of the tool's own model; older answers leave that out, and are flagged. A
container of the code interpreter, or of a shell on OpenAI's side, is billed by its size and time, which no answer shows: it is
flagged. MCP calls cost their tokens alone. Sources: facts/wire-formats.md 2.2, 18 (#18); openai-python 3.54,
types/responses/response_function_shell_tool_call.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from spendgate.providers.openai_image_usage import IMAGE_MODEL, image_part
from spendgate.providers.reading import Part
from spendgate.providers.shapes import Fields


@dataclass(frozen=True, slots=True)
class Fees:
    """What hosted tools add to a response."""

    units: Mapping[str, int]
    """Fees by the call, by genai-prices' usage key (`Part.units`)."""
    parts: tuple[Part, ...] = ()
    flags: tuple[str, ...] = ()


_NONE: Final = Fees({})


def hosted_tools(found: Fields) -> Fees:
    """The fees of one `response` object."""
    output: list[Any] = [item for item in found.get("output") or [] if item]
    kinds = [item.get("type") for item in output]
    drawn = (found.get("tool_usage") or {}).get("image_gen") or {}
    images = (image_part(drawn, _image_model(found)),) if drawn.get("output_tokens") else ()
    searches, pictures = kinds.count("file_search_call"), kinds.count("image_generation_call")
    boxes = {item.get("container_id") for item in output if item.get("type") == "code_interpreter_call"}
    shells = {
        (item.get("environment") or {}).get("container_id") for item in output if item.get("type") == "shell_call"
    }
    shells -= {None}  # a shell that the client runs
    if not (images or searches or pictures or boxes or shells):
        return _NONE
    flags = [f"fee not priced: {len(boxes)} code_interpreter"] if boxes else []
    if shells:
        flags.append(f"fee not priced: {len(shells)} shell")
    if pictures and not images:
        flags.append(f"fee not priced: {pictures} image_generation")
    parts = tuple(part for part in images if part is not None)
    return Fees({"storage_searches": searches} if searches else {}, parts, tuple(flags))


def _image_model(found: Fields) -> str:
    named = [tool.get("model") for tool in found.get("tools") or [] if tool and tool.get("type") == "image_generation"]
    return next((name for name in named if name), IMAGE_MODEL)
