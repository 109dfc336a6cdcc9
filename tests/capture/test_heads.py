"""Heads without mitmproxy's check of its own fields, asked for a name in one pass."""

from __future__ import annotations

import gc
import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http import _http1

from capture.rig import HEADERS, URL, body, rig
from spendgate.capture import heads

_STOCK = "from mitmproxy import http; print(hasattr(http.MessageData, '__post_init__'))"
_NAMES = ["transfer-encoding", "content-length", "Content-Length", "TRANSFER-ENCODING", "x", "\u212aelvin", "\udcff"]
_VALUES = ["chunked", "Chunked", "gzip, chunked", "identity", "gzip", "7", "07", "-1", "7, 7", "", "\u0131", "\udcff"]
Fields = list[tuple[bytes, bytes]]


def _raw(texts: list[str]) -> st.SearchStrategy[bytes]:
    return st.sampled_from([text.encode("utf-8", "surrogateescape") for text in texts]) | st.binary(max_size=3)


_FIELDS = st.lists(st.tuples(_raw(_NAMES), _raw(_VALUES)), max_size=6)


def _fresh() -> ModuleType:
    """mitmproxy's module as it is on disk, whatever was done to the one that is loaded."""
    spec = importlib.util.spec_from_file_location("stock_http", http.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look their types up there
    spec.loader.exec_module(module)
    return module


_THEIRS = _fresh().Headers


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


@given(_FIELDS, _raw(_NAMES) | st.sampled_from(_NAMES))
@example([(b"A", b"1"), (b"a", b"2")], "a")
def test_a_name_finds_what_mitmproxy_finds(fields: Fields, name: str | bytes) -> None:
    """All values in their order, folded or none, in whatever spelling, also where bytes are no text."""
    heads.quick()
    ours, theirs = http.Headers(fields), _THEIRS(fields)
    assert ours.get_all(name) == theirs.get_all(name)
    assert ours.get(name) == theirs.get(name)
    assert ours.get(name, "else") == theirs.get(name, "else")
    assert (name in ours) == (name in theirs)


@pytest.mark.parametrize("name", [7, None])
@pytest.mark.parametrize("question", ["get_all", "get", "__contains__"])
def test_what_is_no_name_raises_what_mitmproxy_raises(name: object, question: str) -> None:
    """A fault in a caller is not taken for an absent field."""
    heads.quick()
    raised = []
    for kind in (http.Headers, _THEIRS):
        with pytest.raises((TypeError, AttributeError)) as caught:
            getattr(kind([(b"a", b"b")]), question)(name)
        raised.append(caught.type)
    assert raised[0] is raised[1]


@given(_FIELDS, st.booleans())
def test_a_bodys_length_is_mitmproxys_over_odd_heads(fields: Fields, answered: bool) -> None:
    """The same length, or the same refusal in the same words: what keeps smuggled requests out rests on it."""
    heads.quick()
    ours = _size(http1.expected_http_body_size, http.Headers(fields), answered, "POST", 200)
    assert ours == _size(heads.stock_size, _THEIRS(fields), answered, "POST", 200)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "CONNECT", "head"])
@pytest.mark.parametrize("status", [101, 200, 204, 304, 429])
@pytest.mark.parametrize("fields", [[], [(b"Content-Length", b"7")], [(b"transfer-encoding", b"chunked")]])
def test_a_body_that_cannot_be_is_none(fields: Fields, method: str, status: int) -> None:
    """Whatever length its head states: as mitmproxy has it, for every method and status."""
    ours = _size(heads.body_size, http.Headers(fields), True, method, status)
    assert ours == _size(heads.stock_size, _THEIRS(fields), True, method, status)


def _size(
    how: Callable[[http.Request, http.Response | None], int | None], headers: http.Headers, answered: bool,
    method: str, status: int,
) -> int | str | None:  # fmt: skip
    request, response = http.Request.make(method, "http://a.example/"), http.Response.make(status)
    (response if answered else request).data.headers = headers
    try:
        return how(request, response if answered else None)
    except ValueError as fault:
        return str(fault)


async def test_a_running_gate_looks_names_up_in_one_pass(tmp_path: Path) -> None:
    """The launcher puts it in place; what finds all else, and sets, is mitmproxy's."""
    async with rig(tmp_path):
        assert http.Headers.get_all is heads._get_all
        assert http.Headers.get is heads._get
        assert http.Headers.__contains__ is heads._contains
        assert http1.expected_http_body_size is heads.body_size
        assert _http1.http1.expected_http_body_size is heads.body_size
        assert layers.expected_http_body_size is heads.body_size
    assert http.Headers.__getitem__ is _THEIRS.__getitem__
