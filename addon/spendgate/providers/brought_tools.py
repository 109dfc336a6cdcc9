"""Tools that a conversation brings along: in a message, beside those of the request's own `tools`.

OpenAI's input items `additional_tools` and `tool_search_output` hold a list of them, Anthropic's `tool_addition` (also as kept in
a `compaction` block) one by value. What runs at the provider, and a model that a tool names, counts as in `tools`. Only where a
mark says that there may be some is the request looked through for them. Sources: openai-python 3.54,
types/responses/response_input_item_param.py; anthropic 2.12, types/beta/beta_tool_change_tool_definition_param.py.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from functools import cached_property
from typing import Final

from msgspec.structs import replace
from pydantic_core import CoreSchema

from spendgate.errors import WireError
from spendgate.providers.jsonscan import ESCAPED, Scanner, Steps, spellings
from spendgate.providers.jsonspace import FAR, REACH_BYTES
from spendgate.providers.jsonwalk import value_end
from spendgate.providers.shapes import Fields, Shape, items

TOOLS_MAX: Final = 1_024
"""So many places of a conversation are looked at; no client has a hundredth of them."""
_BYTES_MAX: Final = 1024 * 1024
_OBJECTS_MAX: Final = 10_000
"""Nor longer tools, all together, or of more objects: to parse them would hold everybody else up."""
UNREAD: Final[Fields] = {"type": "advisor_00000000"}
"""In place of those that are not looked at: one may run at the provider, or ask any model."""
_STEP_BYTES: Final = 128 * 1024


class ToolScanner(Scanner):
    """A scanner whose `tools` are also those that stand elsewhere in the document."""

    def __init__(
        self,
        shape: Shape,
        keys: Iterable[str],
        marks: bytes,
        *,
        telling: bytes,
        key: str,
        opening: bytes,
        tool: CoreSchema,
    ) -> None:
        """`telling`: the marks of a conversation that brings tools; they are the values of its members `key` that open with this
        bracket: one, or a list of them."""
        super().__init__(shape, keys, marks)
        self._telling = frozenset({*telling.split(b"|"), ESCAPED})
        self._named = spellings(key) + rb'"(?:\s*+:\s*+(' + re.escape(opening) + rb")|" + FAR + rb")"
        self._tools = Shape(tools=items(tool))

    @cached_property
    def _place(self) -> re.Pattern[bytes]:
        return re.compile(rb'"(?<!\\")' + self._named)

    def steps(self, body: bytes) -> Steps:
        """As for any scanner."""
        scan = yield from super().steps(body)
        if not scan.marks & self._telling:
            return scan
        try:
            brought = yield from self._brought(body)
        except WireError:
            brought = [UNREAD]
        return replace(scan, fields={**scan.fields, "tools": [*(scan.fields.get("tools") or ()), *brought]})

    def _brought(self, body: bytes) -> Generator[None, None, list[Fields | None]]:
        """Those tools, looked for in steps. Raises WireError: more than are looked at, or not to be seen."""
        found: list[bytes] = []
        at = size = objects = 0
        while at < len(body):
            stop = at + _STEP_BYTES
            hit = self._place.search(body, at, stop + REACH_BYTES)
            yield
            if hit is None:
                at = stop
                continue
            if hit[1] is None:
                raise WireError("tools in a conversation that stand too far from their key")
            at = yield from value_end(body, hit.end(), _BYTES_MAX, _OBJECTS_MAX)
            size += at - hit.start(1)
            objects += body.count(b"{", hit.start(1), at)
            if size > _BYTES_MAX or objects > _OBJECTS_MAX or len(found) == TOOLS_MAX:
                raise WireError("more tools in a conversation than are looked at")
            value = body[hit.start(1) : at]
            found.append(value if hit[1] == b"{" else value[1:-1])
        read = self._tools.read(b'{"tools":[' + b",".join([each for each in found if each.strip()]) + b"]}")
        return list(read.get("tools") or ())
