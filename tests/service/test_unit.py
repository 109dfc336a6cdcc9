"""The unit that `service install` writes, read by systemd's own tools, and what a description becomes."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from spendgate.errors import UsageError
from spendgate.service import machine
from spendgate.service.unit import UNIT, Description, files, hidden, made_by, sysusers, unit

ABOUT = Description(
    program=("/bin/true",),
    state=PurePosixPath("/var/lib/spendgate"),
    socket=PurePosixPath("/run/spendgate/gate.sock"),
    account="daemon",
    backs_off=False,
)
EXPOSURE_MOST = 2.0
OFFLINE_SINCE = 250
systemd = pytest.mark.skipif(
    machine.version() < OFFLINE_SINCE or shutil.which("systemd-analyze") is None,
    reason=f"needs systemctl and systemd-analyze of systemd {OFFLINE_SINCE} or later",
)


def _written(folder: Path, about: Description) -> Path:
    file = folder / UNIT
    file.write_text(unit(about))
    return file


@systemd
def test_systemd_finds_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    """Every word in it is one that systemd knows."""
    done = subprocess.run(
        ["systemd-analyze", "verify", str(_written(tmp_path, ABOUT))], capture_output=True, text=True, check=False
    )

    about_it = [line for line in (done.stdout + done.stderr).splitlines() if UNIT in line]
    assert (about_it, done.returncode) == ([], 0)


@systemd
def test_the_unit_is_little_exposed(tmp_path: Path) -> None:
    """By systemd's own measure, from 0 to 10."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(_written(tmp_path, ABOUT))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found
    print(found[0])
    assert float(found[1]) <= EXPOSURE_MOST


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/etc/spendgate/policy.yaml", "/etc/spendgate/policy.yaml"),
        ("/etc/our policy.yaml", '"/etc/our policy.yaml"'),
        ("/etc/100%$HOME.yaml", '"/etc/100%%$$HOME.yaml"'),
        ('/etc/a"b\\c.yaml', '"/etc/a\\"b\\\\c.yaml"'),
    ],
)
def test_a_path_is_one_word_whatever_its_letters(path: str, word: str) -> None:
    """Neither split, nor a specifier, nor a variable."""
    text = unit(replace(ABOUT, policy=PurePosixPath(path)))

    assert f" --policy {word} --port 8080\n" in text


def test_a_path_cannot_bring_lines_of_its_own() -> None:
    """A line break would begin another setting of the unit."""
    with pytest.raises(UsageError, match="control characters"):
        unit(replace(ABOUT, policy=PurePosixPath("/etc/a\nUser=root")))


def test_what_was_made_is_found_again() -> None:
    """It stands in the unit, so that removing takes away no account that was there before; a foreign unit says nothing."""
    made = ("group:spendgate", "user:spendgate")

    assert made_by(unit(replace(ABOUT, made=made))) == made
    assert made_by(unit(ABOUT)) == ()
    assert made_by("[Service]\nExecStart=/bin/true\n[X-Spendgate]\nMade=user:root\n") is None


def test_a_newer_systemd_waits_longer_after_each_failure() -> None:
    """An older one would warn of words that it does not know."""
    assert "RestartMaxDelaySec=60\n" in unit(replace(ABOUT, backs_off=True))
    assert "RestartSteps" not in unit(ABOUT)


def test_the_account_has_no_shell_and_no_home() -> None:
    """As sysusers.d has it."""
    assert 'u daemon - "Spendgate gate" - /usr/sbin/nologin\n' in sysusers(ABOUT)


def test_a_package_brings_its_files_as_a_distributor() -> None:
    """Those in /etc are the administrator's."""
    assert [str(file.path) for file in files(ABOUT, packaged=True)] == [
        "/usr/lib/sysusers.d/spendgate.conf",
        "/usr/lib/systemd/system/spendgate.service",
    ]
    assert all(str(file.path).startswith("/etc/") for file in files(ABOUT))


@pytest.mark.parametrize(
    ("path", "folder"),
    [("/home/ada/venv/bin/python", "/home"), ("/root/x", "/root"), ("/opt/spendgate", ""), ("/homes/x", "")],
)
def test_what_the_unit_cannot_see_is_known(path: str, folder: str) -> None:
    """Home folders and temporary ones are empty for it."""
    assert hidden(PurePosixPath(path)) == folder


@pytest.mark.parametrize(
    ("redirect_port", "words"),
    [
        pytest.param(None, "--mode upstream:http://proxy.acme.example:3128 --port 8080", id="by the proxy alone"),
        pytest.param(
            8443,
            "--mode transparent --port 8443 --redirected --mode upstream:http://proxy.acme.example:3128@8080",
            id="redirected",
        ),
    ],
)
def test_a_gate_behind_a_proxy(tmp_path: Path, redirect_port: int | None, words: str) -> None:
    """What its password is comes from systemd's store, and is in no file that everybody reads."""
    proxy = "http://proxy.acme.example:3128"
    about = replace(ABOUT, upstream=proxy, credentials=("SPENDGATE_UPSTREAM_AUTH",), redirect_port=redirect_port)
    text = unit(about)
    assert words in text
    assert "\nLoadCredential=SPENDGATE_UPSTREAM_AUTH:/etc/credstore/SPENDGATE_UPSTREAM_AUTH\n" in text
    assert "LoadCredential" not in unit(ABOUT)
    if machine.version() >= OFFLINE_SINCE and shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", str(_written(tmp_path, about))], capture_output=True, text=True, check=False
        )
        assert [line for line in (done.stdout + done.stderr).splitlines() if UNIT in line] == []
