"""Heads without mitmproxy's check of its own fields."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
from pathlib import Path

from mitmproxy import http

from capture.rig import HEADERS, URL, body, rig

_STOCK = "from mitmproxy import http; print(hasattr(http.MessageData, '__post_init__'))"


def _left_to_the_collector() -> int:
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        http.Request("a.example", 443, b"POST", b"https", b"", b"/", b"HTTP/1.1", http.Headers(), b"", None, 1.0, None)
        http.Response(b"HTTP/1.1", 200, b"OK", http.Headers(), None, None, 1.0, 1.0)
        return len(gc.get_objects()) - before
    finally:
        gc.enable()


async def test_a_running_gates_heads_leave_nothing_to_the_collector(tmp_path: Path) -> None:
    """Each is gone when nobody holds it; the check would leave some forty objects of both."""
    async with rig(tmp_path) as it, it.client() as client:
        assert (await client.post(URL, json=body(), headers=HEADERS)).status_code == 200
        assert _left_to_the_collector() == 0


def test_what_is_left_out_is_what_python_leaves_out_without_assertions() -> None:
    """mitmproxy itself makes the method for debugging only, and it does nothing but compare types."""
    said = subprocess.run([sys.executable, "-O", "-c", _STOCK], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
    source = inspect.getsource(http.MessageData).partition("def __post_init__")[2].partition("def ")[0]
    assert "check_option_type" in source
    assert len(source.strip().splitlines()) == 4, source
