"""A PAC file that the desktop or a variable names: found where each keeps it, and told without what may be secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spendgate.doctor.autoconfig import DISCOVERED, AutoConfig, checks, configured, macos, windows
from spendgate.doctor.interface import State

URL = "https://it:secret@pac.acme.example:8443/proxy.pac?token=secret"
PLAIN = "https://pac.acme.example:8443/proxy.pac"


def none(_key: str) -> str:
    """No GNOME here."""
    return ""


@pytest.mark.parametrize(
    ("variables", "gnome", "kde", "found"),
    [
        pytest.param({}, {}, None, None, id="nothing"),
        pytest.param({"auto_proxy": URL}, {}, None, ("auto_proxy", PLAIN), id="the variable"),
        pytest.param({"auto_proxy": ""}, {}, None, ("auto_proxy", DISCOVERED), id="the variable, empty"),
        pytest.param({}, {"mode": "'auto'\n", "autoconfig-url": f"'{URL}'\n"}, None, ("GNOME's settings", PLAIN), id="GNOME"),
        pytest.param({}, {"mode": "'auto'\n", "autoconfig-url": "''\n"}, None, ("GNOME's settings", DISCOVERED), id="GNOME WPAD"),
        pytest.param({}, {"mode": "'manual'\n", "autoconfig-url": f"'{URL}'\n"}, None, None, id="GNOME, by hand"),
        pytest.param(
            {}, {}, f"Depth=3\n[Proxy Settings][$i]\nx=1\n[Proxy Settings]\nProxyType=2\nProxy Config Script={URL}\n",
            ("KDE's settings", PLAIN), id="KDE",
        ),
        pytest.param(
            {}, {}, "[Proxy Settings]\nProxy Config Script=/etc/x.pac\nProxyType=2",
            ("KDE's settings", "file:///etc/x.pac"), id="KDE, a file",
        ),
        pytest.param({}, {}, "[Proxy Settings]\nProxyType=3\n", ("KDE's settings", DISCOVERED), id="KDE, WPAD"),
        pytest.param({}, {}, f"[Proxy Settings]\nProxyType=1\nProxy Config Script={URL}\n", None, id="KDE, by hand"),
        pytest.param({}, {}, "\x00[[[\nProxyType=2", None, id="KDE, no such file's form"),
        pytest.param({"auto_proxy": "http://[::1"}, {}, None, ("auto_proxy", "an address that is none"), id="no address"),
    ],
)  # fmt: skip
def test_what_is_configured(
    tmp_path: Path, variables: dict[str, str], gnome: dict[str, str], kde: str | None, found: tuple[str, str] | None
) -> None:
    if kde is not None:
        (tmp_path / ".config").mkdir()
        (tmp_path / ".config" / "kioslaverc").write_text(kde)
    told = configured(variables, tmp_path, lambda key: gnome.get(key, ""))
    assert told == ((AutoConfig(*found),) if found else ())


@pytest.mark.parametrize("upstream", [False, True])
def test_it_is_told_and_no_finding(upstream: bool) -> None:
    """It may be the very file that leads here, which is not read: so it is said to be unseen, with what to do."""
    [told] = checks((AutoConfig("auto_proxy", PLAIN),), upstream=upstream)
    assert (told.name, told.about, told.state) == ("environment.pac", "auto_proxy", State.UNSEEN)
    assert PLAIN in told.says
    assert ("upstream:http://HOST:PORT" in told.remedy) is not upstream


def test_gnome_is_asked_by_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of PATH, in the words of gsettings(1); where it has no such settings, nothing is found."""
    program = tmp_path / "gsettings"
    program.write_text(
        '#!/bin/sh\n[ "$1 $2" = "get org.gnome.system.proxy" ] || exit 1\n'
        "case $3 in mode) echo \"'auto'\" ;; autoconfig-url) echo \"'https://a.example/p.pac'\" ;; esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert configured({}, tmp_path) == (AutoConfig("GNOME's settings", "https://a.example/p.pac"),)
    program.write_text("#!/bin/sh\nexit 1\n")
    assert configured({}, tmp_path) == ()


_MAC = """<dictionary> {
  ExceptionsList : <array> {
    0 : *.local
  }
  HTTPSEnable : 1
  HTTPSPort : 8080
  HTTPSProxy : 127.0.0.1
  ProxyAutoConfigEnable : %d
  ProxyAutoConfigURLString : https://it:secret@pac.acme.example:8443/proxy.pac?token=secret
  ProxyAutoDiscoveryEnable : %d
}
"""
_KEY = r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Internet Settings"


@pytest.mark.parametrize(
    ("found", "wheres"),
    [
        pytest.param(macos(_MAC % (1, 0)), [PLAIN], id="macOS, a file"),
        pytest.param(macos(_MAC % (0, 1)), [DISCOVERED], id="macOS, WPAD"),
        pytest.param(macos(_MAC % (0, 0)), [], id="macOS, switched off"),
        pytest.param(macos(""), [], id="macOS, no word"),
        pytest.param(windows(f"\r\n{_KEY}\r\n    AutoConfigURL    REG_SZ    {URL}\r\n\r\n"), [PLAIN], id="Windows"),
        pytest.param(
            windows("ERROR: The system was unable to find the specified registry key."), [], id="Windows, none"
        ),
    ],
)
def test_other_systems_settings(found: Iterator[AutoConfig], wheres: list[str]) -> None:
    """As their own programs print them, without what may be secret."""
    assert [each.where for each in found] == wheres
