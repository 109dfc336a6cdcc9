"""The package of the gate for macOS: what is asked of Apple's tools, and its scripts at folders of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts/parts/macos"
sys.path.insert(0, str(ROOT / "scripts"))
try:
    from parts import package_macos
finally:
    sys.path.pop(0)

TREE = Path("/build/tree")
OURS = f"""\
{TREE}/opt/spendgate/bin/python3.13:
\t@executable_path/../lib/libpython3.13.dylib (compatibility version 3.13.0, current version 3.13.0)
\t/usr/lib/libSystem.B.dylib (compatibility version 1.0.0, current version 1345.100.2)
{TREE}/opt/spendgate/lib/libpython3.13.dylib:
\t/Users/me/.local/share/uv/python/lib/libpython3.13.dylib (compatibility version 3.13.0, current version 3.13.0)
\t/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation (compatibility version 150.0.0, current version 1)
{TREE}/opt/spendgate/lib/_a.so (architecture x86_64):
\t@loader_path/../b.dylib (compatibility version 1.0.0, current version 1.0.0)
{TREE}/opt/spendgate/lib/_a.so (architecture arm64):
\t/usr/lib/libz.1.dylib (compatibility version 1.0.0, current version 1.2.12)
"""
THEIRS = "\t/opt/homebrew/opt/openssl@3/lib/libssl.3.dylib (compatibility version 3.0.0, current version 3.0.0)\n"


def test_a_part_may_take_what_lies_beside_it_and_the_systems() -> None:
    """A library of this Mac's alone is told with who takes it; a library's name for itself is none."""
    package_macos.check(OURS, TREE)
    with pytest.raises(
        ValueError, match=r"opt/spendgate/lib/_a\.so takes /opt/homebrew/opt/openssl@3/lib/libssl\.3\.dylib"
    ):
        package_macos.check(OURS + THEIRS, TREE)


def test_the_newest_system_that_a_part_asks_for_is_asked_for() -> None:
    """As `otool -l` has it, in the words of both times; versions are numbers."""
    older = "Load command 8\n      cmd LC_VERSION_MIN_MACOSX\n  cmdsize 16\n  version 10.9\n      sdk 11.1\n"
    newer = "Load command 9\n      cmd LC_BUILD_VERSION\n  cmdsize 32\n platform 1\n    minos {}\n      sdk 15.0\n   ntools 1\n"
    assert package_macos.needed("") == package_macos.needed(older) == "11.0"
    assert package_macos.needed(older + newer.format("9.10") + newer.format("12.3") + newer.format("11.0")) == "12.3"


@pytest.mark.parametrize("signer", ["", "Developer ID Installer: Acme GmbH (ABCDE12345)"])
def test_apples_tools_are_asked_for_a_product_archive(tmp_path: Path, signer: str) -> None:
    """Of the one component, at its place, root's; signed where an identity is named; for this processor and system alone."""
    component, product = package_macos.commands(tmp_path, tmp_path / "made.pkg", "1.4", signer)
    words = dict(zip(component[1:-1:2], component[2:-1:2], strict=True))
    assert words == {
        "--root": f"{tmp_path}/tree", "--scripts": f"{tmp_path}/scripts", "--identifier": package_macos.IDENTIFIER,
        "--version": "1.4", "--install-location": "/", "--ownership": "recommended",
    }  # fmt: skip
    assert (component[0], component[-1]) == ("pkgbuild", f"{tmp_path}/component.pkg")
    assert [*product] == [
        "productbuild", "--distribution", f"{tmp_path}/distribution.xml", "--package-path", str(tmp_path),
        *(["--sign", signer] if signer else []), f"{tmp_path}/made.pkg",
    ]  # fmt: skip
    script = ElementTree.fromstring(package_macos.distribution("1.4", "arm64", "12.3"))  # noqa: S314 - our own words
    found = {each.tag: each.attrib for each in script.iter()}
    assert found["options"]["hostArchitectures"] == "arm64"
    assert found["os-version"] == {"min": "12.3"}
    [inside] = [each for each in script.findall("pkg-ref") if each.text]
    assert (inside.text, inside.attrib["id"]) == ("component.pkg", package_macos.IDENTIFIER)


@pytest.mark.parametrize(
    ("content", "name", "yes"),
    [(b"\xcf\xfa\xed\xfe..", "a.so", True), (b"\xca\xfe\xba\xbe..", "a.dylib", True), (b"\xca\xfe\xba\xbe..", "A.class", False),
     (b"\x7fELF", "a.so", False), (b"", "a", False)],
)  # fmt: skip
def test_what_is_looked_at_is_a_program(tmp_path: Path, content: bytes, name: str, yes: bool) -> None:
    """By its first bytes."""
    (tmp_path / name).write_bytes(content)
    assert package_macos.is_macho(tmp_path / name) is yes


@pytest.fixture(name="at")
def _at(tmp_path: Path) -> Path:
    """A Mac with the program, its daemon, another's, and Apple's tools that say what they were asked."""
    for file, text in (
        ("opt/spendgate/bin/spendgate", "old"),
        ("opt/spendgate/lib/gone.py", "old"),
        (
            "Library/LaunchDaemons/com.acme.spendgate.gate.plist",
            f"<string>{tmp_path}/opt/spendgate/bin/spendgate</string>",
        ),
        ("Library/LaunchDaemons/com.other.plist", "<string>/opt/other/bin/spendgate</string>"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    for name in ("launchctl", "pkgutil"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n')
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def _ran(at: Path, script: str, *words: str) -> tuple[int, list[str], str]:
    """Exit status, what Apple's tools were asked, what was said. Its folders are the test's."""
    text = package_macos._script(script)
    for top in ("/opt/spendgate", "/usr/local", "/Library/LaunchDaemons"):
        text = text.replace(f"/{top.lstrip('/')}", f"{at}{top}")
    text = text.replace(f"${{3%/}}{at}", "${3%/}").replace('"$(id -u)" = 0', "0 = 0")
    env = {**os.environ, "PATH": f"{at}/bin:/usr/bin:/bin"}
    done = subprocess.run(["sh", "-c", text, script, *words], env=env, capture_output=True, text=True, check=False)
    asked = at / "asked"
    return done.returncode, asked.read_text().splitlines() if asked.exists() else [], done.stderr


def test_an_update_leaves_nothing_of_the_old_one_and_starts_the_daemon_again(at: Path) -> None:
    """That of this program alone; nothing is started on another volume."""
    assert _ran(at, "preinstall", "made.pkg", "/", f"{at}/")[0] == 0
    assert not (at / "opt/spendgate").exists()
    assert _ran(at, "postinstall", "made.pkg", "/", "/Volumes/Other")[:2] == (0, [])
    for _ in range(2):
        assert _ran(at, "postinstall", "made.pkg", "/", "/")[0] == 0
    assert (
        _ran(at, "postinstall", "made.pkg", "/", "/")[1]
        == ["launchctl kickstart -k system/com.acme.spendgate.gate"] * 3
    )
    assert (at / "usr/local/bin/spendgate").readlink() == at / "opt/spendgate/bin/spendgate"


def test_removal_waits_for_the_daemon_to_be_taken_away(at: Path) -> None:
    """Then nothing of the package is left, and another program of that name is."""
    status, asked, said = _ran(at, "uninstall.sh")
    assert (status, asked) == (1, [])
    assert "macos/remove.sh" in said
    assert (at / "opt/spendgate/bin/spendgate").exists()
    (at / "Library/LaunchDaemons/com.acme.spendgate.gate.plist").unlink()
    (at / "usr/local/bin").mkdir(parents=True)
    for link, left in (("/opt/other/spendgate", True), (f"{at}/opt/spendgate/bin/spendgate", False)):
        (at / "usr/local/bin/spendgate").unlink(missing_ok=True)
        (at / "usr/local/bin/spendgate").symlink_to(link)
        assert _ran(at, "uninstall.sh")[0] == 0
        assert (at / "usr/local/bin/spendgate").is_symlink() is left
    assert not (at / "opt/spendgate").exists()
    assert _ran(at, "uninstall.sh")[1][-1] == f"pkgutil --forget {package_macos.IDENTIFIER}"
