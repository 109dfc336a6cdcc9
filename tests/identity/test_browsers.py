"""Programs that are a person's browser, by name and by whose file they are."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spendgate.attribution import BROWSER, NAMED_BROWSER
from spendgate.identity import browsers
from spendgate.identity.browsers import browser_of, is_browser


@pytest.mark.parametrize(
    "program",
    [
        "/usr/lib/firefox-esr/firefox-esr",
        "/snap/firefox/5751/usr/lib/firefox/firefox",
        "/usr/lib/chromium/chromium",
        "/opt/google/chrome/chrome",
        "/opt/google/chrome/chrome (deleted)",
        "/opt/microsoft/msedge/msedge",
        "/opt/brave.com/brave/brave",
        "/opt/vivaldi/vivaldi-bin",
        "/nix/store/x-firefox-145/lib/firefox/.firefox-wrapped",
        "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/WebKitNetworkProcess",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Google Chrome.app/Contents/Frameworks/x/Google Chrome Helper",
        "/Applications/Brave Browser.app/x/Brave Browser Helper (Renderer)",
        "/Applications/Arc.app/Contents/MacOS/Arc",
        "/Applications/Safari.app/Contents/MacOS/Safari",
        "/System/Library/Frameworks/WebKit.framework/x/com.apple.WebKit.Networking",
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
        r"C:\Program Files\Mozilla Firefox\firefox.exe",
        r"C:\Users\a\AppData\Local\Programs\Opera\opera.exe",
        "firefox",
    ],
)
def test_browsers(program: str) -> None:
    """Of three systems."""
    assert is_browser(program)


@pytest.mark.parametrize(
    "program",
    [
        "/usr/lib/claude-desktop/claude",
        "/Applications/Claude.app/Contents/Frameworks/x/Claude Helper",
        "/Applications/ChatGPT.app/Contents/MacOS/ChatGPT",
        "/usr/bin/codex",
        "/usr/share/cursor/cursor",
        "/usr/share/code/code",
        "/usr/lib/electron38/electron",
        "/usr/bin/python3.13",
        "/home/a/firefox/node",
        "/opt/chrome/tool",
        r"C:\Program Files (x86)\Microsoft\EdgeWebView\Application\msedgewebview2.exe",
        "chromedriver",
        "firefoxy",
        "",
    ],
)
def test_programs_that_are_none(program: str) -> None:
    """Apps with a browser's engine under their own name, what lies in a folder called so, what drives one."""
    assert not is_browser(program)
    assert browser_of(program, "/bin/sh") is None


def test_only_roots_file_makes_a_browser_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another may write can be anything, and so can what may not be seen, or bears that name in a mount namespace alone."""
    shell = os.path.realpath("/bin/sh")
    assert browser_of("/opt/google/chrome/chrome", shell) == NAMED_BROWSER
    with monkeypatch.context() as named_so:
        named_so.setattr(browsers, "_BROWSER", re.compile(".*"))
        assert browser_of(shell, shell) == BROWSER
        updated = SimpleNamespace(st_uid=0, st_mode=0o755, st_nlink=0)
        named_so.setattr(browsers, "_stat", {"/proc/7/exe": updated}.get)
        assert browser_of(f"{shell} (deleted)", "/proc/7/exe") == BROWSER
    for others in (0o775, 0o757):
        own = tmp_path / "chrome"
        own.write_bytes(b"")
        own.chmod(others)
        assert browser_of(str(own), str(own)) == NAMED_BROWSER
    assert browser_of("chrome", None) == NAMED_BROWSER
    assert browser_of("/gone/chrome", "/gone/chrome") == NAMED_BROWSER
    assert browser_of(sys.executable, sys.executable) is None
