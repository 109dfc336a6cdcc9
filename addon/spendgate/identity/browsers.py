"""Whether a process is a person's web browser, by its program's file. What a browser opens is its person's own affair.

The name decides, and whose file it is says how far it is to be believed: a program that its user may write can be given any
name. An app with an engine of its own (Claude, ChatGPT, Cursor, VS Code) runs under its own name, and is none. An engine that
apps share (WebView2) is none either; WebKit's network process is one, since it is Safari's, too.
"""

from __future__ import annotations

import os
import re
import stat

from spendgate.attribution import BROWSER, NAMED_BROWSER

_NAMES = (
    "firefox", "firefox-esr", "firefox-devedition", "firefox nightly", "librewolf", "waterfox", "floorp", "zen", "mullvadbrowser",
    "tor browser", "chrome", "google chrome", "google chrome beta", "google chrome dev", "google chrome canary",
    "google chrome for testing", "chromium", "chromium-browser", "ungoogled-chromium", "thorium", "chrome-headless-shell",
    "headless_shell", "msedge", "msedge-beta", "msedge-dev", "microsoft edge", "brave", "brave browser", "opera", "opera gx",
    "vivaldi", "arc", "dia", "comet", "chatgpt atlas", "yandex_browser", "yandex", "whale", "duckduckgo", "orion",
    "ladybird", "safari", "safari technology preview", "com.apple.webkit.networking", "com.apple.safari", "epiphany",
    "gnome-web", "webkitnetworkprocess", "qtwebengineprocess", "falkon", "konqueror", "midori", "seamonkey", "palemoon",
)  # fmt: skip
"""Of Linux, macOS and Windows, in lower case; `msedgewebview2` is not among them."""
_BROWSER = re.compile(
    rf"(?:{'|'.join(map(re.escape, _NAMES))})(?:-bin|-wrapped)?(?: helper(?: \([a-z]+\))?)?(?:\.exe)?", re.IGNORECASE
)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def is_browser(program: str) -> bool:
    """Whether a program's path, or its bare name where no path is known, is a browser's by name."""
    name = re.split(r"[/\\]", program.removesuffix(" (deleted)"))[-1]
    return _BROWSER.fullmatch(name.removeprefix(".")) is not None


def browser_of(program: str, file: str | None) -> str | None:
    """`BROWSER`, `NAMED_BROWSER`, or None. `file` is where the program can be looked at; None: it may not be seen.

    Only a file of root's that nobody else may write, under its own name, is what an administrator installed. Never raises.
    """
    if not is_browser(program):
        return None
    found = _stat(file) if file else None
    installed = found is not None and found.st_uid == 0 and not found.st_mode & _OTHERS_WRITE
    return BROWSER if found is not None and installed and _bears(program, found) else NAMED_BROWSER


def _bears(name: str, found: os.stat_result) -> bool:
    """Whether the file lies at this path for us, too, or nowhere any more, as after an update of a browser that runs.

    In a mount namespace of his own anybody gives any file of root's any name (mount_namespaces(7)).
    """
    here = _stat(name)
    return not found.st_nlink or (here is not None and os.path.samestat(found, here))


def _stat(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)  # noqa: PTH116  the link below /proc leads into its own mount namespace
    except OSError:
        return None
