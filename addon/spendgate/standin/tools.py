"""Tool calls of an answer: whether this request gets one, and the call in each provider's shape.

An agent asks, is answered with a call, carries it out and asks again with the result. So the same script answers both: the
first request that offers the tool with the call, every later one of the conversation, which holds the call's id, with text.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from spendgate.standin.script import Script

CALL_ID: Final = "call_standin"
_DONE: Final = (CALL_ID.encode(), b'"functionResponse"')
"""What a request holds that has a call's result. Gemini's need not name the call."""


def turn(script: Script, body: bytes) -> Script:
    """The script as it answers this request (its decoded body): without the tool where that is not to be called."""
    if not script.tool:
        return script
    name = script.tool.rpartition("/")[2]
    offered = f'"{name}"'.encode() in body and script.when.encode() in body
    return script if offered and not any(mark in body for mark in _DONE) else replace(script, tool="")


def anthropic(script: Script) -> dict[str, object]:
    """The content block that calls the tool."""
    return {"type": "tool_use", "id": CALL_ID, "name": script.tool, "input": json.loads(script.arguments)}


def chat(script: Script) -> dict[str, object]:
    """Chat Completions' call, whole or as the one delta of a stream."""
    function = {"name": script.tool, "arguments": script.arguments}
    return {"index": 0, "id": CALL_ID, "type": "function", "function": function}


def responses(script: Script, response_id: str, arguments: str, status: str = "completed") -> dict[str, object]:
    """The Responses API's output item, with as much of its arguments as there is yet."""
    space, _, name = script.tool.rpartition("/")
    head = {"id": f"fc_{response_id}", "type": "function_call", "status": status, "call_id": CALL_ID}
    return {**head, **({"namespace": space} if space else {}), "name": name, "arguments": arguments}


def gemini(script: Script) -> dict[str, object]:
    """The part that calls the tool."""
    return {"functionCall": {"name": script.tool, "args": json.loads(script.arguments)}}
