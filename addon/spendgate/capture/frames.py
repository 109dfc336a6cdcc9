"""HTTP/2 frames without their spelled-out form.

h2 spells out each frame that it receives for a log line that nobody reads (h2 4.3, connection.py, `_receive_frame`): the whole
body as hexadecimal digits, of which twenty are kept. For a small frame that is 4 us, for one of 64 KiB 160 us.
"""

from __future__ import annotations

from hyperframe.frame import Frame


def unspelled() -> None:
    """Spell out no frame in this process: it is for people who debug, and no secret can get out by it. Can be done twice."""
    Frame.__repr__ = object.__repr__  # type: ignore[method-assign]  # h2 makes the frames, where none can be put in their place
