"""The script that makes a package on a Mac, with stand-ins for Apple's tools that keep what they were given."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mdm.kit import made

PRODUCTBUILD = """#!/bin/sh
printf '%s\\n' "$@" > "$KEPT/product"
[ -f "$2" ] || exit 1
for last; do :; done
touch "$last"
"""
PKGBUILD = """#!/bin/sh
printf '%s\\n' "$@" > "$KEPT/words"
cp -R "$4" "$KEPT/scripts"
ls -A "$2" > "$KEPT/payload"
for last; do :; done
touch "$last"
"""


@pytest.mark.parametrize("identity", ["", "Developer ID Installer: Acme GmbH (ABCDE12345)"])
def test_the_package_runs_the_installer(tmp_path: Path, identity: str) -> None:
    """`install.sh` as it is, as postinstall; signed where an identity is named; nothing of the work is left."""
    out = made(tmp_path) / "macos"
    done, kept = package(tmp_path, out, "1.4", *([identity] if identity else []))
    assert (done.returncode, done.stderr) == (0, "")
    words = (kept / "words").read_text().splitlines()
    assert words[4:8] == ["--identifier", "com.acme.spendgate.settings", "--version", "1.4"]
    assert [words[0], words[2], len(words)] == ["--root", "--scripts", 9]
    product = (kept / "product").read_text().splitlines()
    assert product == [
        "--package",
        words[-1],
        *(["--sign", identity] if identity else []),
        str(out / "spendgate-settings.pkg"),
    ]
    assert (out / "spendgate-settings.pkg").exists()
    (script,) = (kept / "scripts").iterdir()
    assert (script.name, script.read_bytes()) == ("postinstall", (out / "install.sh").read_bytes())
    assert script.stat().st_mode & 0o111
    assert (kept / "payload").read_text() == ""
    assert not Path(words[1]).exists()


@pytest.mark.parametrize("version", ["", "1.4-beta", ".1", "1.", "1..2", "$(id)"])
def test_what_is_no_version_makes_nothing(tmp_path: Path, version: str) -> None:
    """An MDM compares versions."""
    done, kept = package(tmp_path, made(tmp_path) / "macos", version)
    assert (done.returncode, "usage: sh package.sh VERSION" in done.stderr) == (2, True)
    assert not (kept / "words").exists()


def package(folder: Path, out: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What came of it, and what the stand-in kept."""
    bin_, kept = folder / "bin", folder / "kept"
    bin_.mkdir()
    kept.mkdir()
    for name, content in (("pkgbuild", PKGBUILD), ("productbuild", PRODUCTBUILD)):
        (bin_ / name).write_text(content)
        (bin_ / name).chmod(0o755)
    env = {"PATH": f"{bin_}:/usr/bin:/bin", "KEPT": str(kept)}
    command = ["sh", str(out / "package.sh"), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False), kept
