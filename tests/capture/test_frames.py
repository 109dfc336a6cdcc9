"""HTTP/2 frames without their spelled-out form."""

from __future__ import annotations

import inspect
from pathlib import Path

import h2
from h2.connection import H2Connection
from hyperframe.frame import DataFrame, Frame

from capture.rig import HEADERS, URL, body, rig
from spendgate.capture import frames


async def test_a_running_gate_spells_out_no_body(tmp_path: Path) -> None:
    """Calls over HTTP/2 go through, and a frame's body is not even looked at for a text."""
    async with rig(tmp_path) as it, it.client(http2=True) as client:
        answer = await client.post(URL, json=body(), headers=HEADERS)
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        frame = DataFrame(1)
        frame.data = b"secret-canary"
        assert b"secret-canary".hex()[:20] not in repr(frame)
        assert repr(frame) == object.__repr__(frame)


def test_only_a_log_line_asks_for_a_frames_text() -> None:
    """Where h2 puts it to another use, or asks for it no more, this fails."""
    frames.unspelled()
    source = Path(inspect.getfile(h2)).parent
    asked = [
        line.strip() for file in source.glob("*.py") for line in file.read_text().splitlines() if "repr(frame" in line
    ]
    assert asked == ['self.config.logger.trace("Received frame: %s", repr(frame))']
    assert asked[0] in inspect.getsource(H2Connection._receive_frame)
    assert not [kind for kind in Frame.__subclasses__() if "__repr__" in vars(kind)]
