"""A headless Chromium that opens a file from disk with the network off, over the pipe of its debugging protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 120


class Page:
    """One page of it. `said` are errors and logs of the page, `asked` what it wanted to load."""

    def __init__(self, into: int, out: int) -> None:
        self._into, self._out, self._kept, self._number = into, out, b"", 0
        self.said: list[str] = []
        self.asked: list[str] = []
        self._session: str | None = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)

    def ask(self, method: str, **params: object) -> Any:
        """One command, and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._into, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, told
                return told["result"]

    def open(self, file: Path, width: int, *, dark: bool = False, paper: bool = False, scripts: bool = True) -> None:
        """Load it, as wide as this."""
        self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 700)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media="print" if paper else "", features=[scheme])
        self.loaded = False
        self.ask("Page.navigate", url=file.as_uri())
        while not self.loaded:
            self._next()

    def value(self, expression: str) -> Any:
        """What a line of JavaScript is, asked from outside the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page, PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._kept:
            ready, _, _ = select([self._out], [], [], PATIENCE_S)
            assert ready, "Chromium says nothing"
            read = os.read(self._out, 1 << 20)
            assert read, "Chromium has ended"
            self._kept += read
        first, self._kept = self._kept.split(b"\0", 1)
        told: dict[str, Any] = json.loads(first)
        self._heard(told.get("method"), told.get("params", {}))
        return told

    def _heard(self, method: str | None, params: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded":
                self.said.append(json.dumps(params))
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
            case "Page.loadEventFired":
                self.loaded = True


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """One that is ended with the block."""
    assert CHROMIUM is not None
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    flags = [
        "--headless=new",
        "--no-first-run",
        "--disable-gpu",
        "--remote-debugging-pipe",
        f"--user-data-dir={folder}",
    ]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", CHROMIUM, *flags],
        pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(ours_in, ours_out)
    finally:
        process.kill()
        process.wait()
        os.close(ours_in)
        os.close(ours_out)
