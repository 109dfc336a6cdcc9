"""The Debian package on a clean Debian: from its installation to the first captured call, and back without a trace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import clean_debian
from service.abroad import Abroad, abroad
from service.systemd_lab import ROOT, Machine, machine, why_not
from service.test_service_installed import until

WITHIN_S = 15 * 60
HOME = "/opt/spendgate"
NEWER = "/root/spendgate-newer.deb"
pytestmark = [
    pytest.mark.heavy, pytest.mark.root, pytest.mark.xdist_group("systemd"), pytest.mark.timeout(3600),
]  # fmt: skip

# Every file of the whole root with kind, mode, owner, link and content; then rules, units, accounts, variables, packages.
# Left out, and why:
#   /proc /sys /dev /tmp         the kernel's, and others' of the moment: other file systems (-xdev)
#   /run/systemd, /run/log       what systemd and the journal note while they run
#   /run/layer, /run/netns       the test's own way in, and its provider's network
#   /var/log, /var/lib/systemd   the journal, dpkg's and apt's own logs; when timers ran
#   /var/lib/dpkg, /var/lib/apt, /var/cache/apt      dpkg's and apt's own books, whose bytes tell of each time; what they hold is
#                                compared as packages, with their state, and as the files of dpkg's `info`, by their names
#   /var/cache/ldconfig/aux-cache, /etc/ld.so.cache  libc's own index of libraries, with times; the libraries are compared
#   /var/cache/debconf           which questions the packages of Debian have asked
#   /etc/*-, /etc/.pwd.lock      the backups and the lock of the account tools
LISTING = r"""
chmod 755 /var/lib; chmod 1777 /var/tmp
find / /etc -xdev \( -path /old -o -path /var/log -o -path /var/lib/systemd -o -path /var/lib/dpkg -o -path /var/lib/apt \
  -o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/cache/ldconfig/aux-cache -o -path /etc/ld.so.cache \
  -o -path '/etc/*-' -o -path /etc/.pwd.lock \) -prune -o -printf '%p %y %m %U:%G %l\n' -type f -exec sha256sum {} +
find /var/lib/dpkg/info /run \( -path /run/layer -o -path /run/netns \
  -o -path /run/systemd -o -path /run/log \) -prune -o -printf '%p %y %m %U:%G\n'
dpkg-query --show --showformat '${Package} ${Version} ${db:Status-Abbrev}\n'
cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
command -v nft > /dev/null && nft list ruleset
systemctl list-unit-files --no-legend --no-pager; systemctl list-units --all --no-legend --plain --no-pager 'spendgate*'
systemctl show-environment
HOME=/nonexistent sh -lc env
"""


@pytest.fixture(scope="module", name="clean")
def _clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := why_not() or clean_debian.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("package")
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run([ROOT / "scripts" / "package", folder], env=env, stdin=subprocess.DEVNULL, check=True)
    (package,) = folder.glob("*.deb")
    print(f"{package.name}: {package.stat().st_size / 1e6:.1f} MB")
    clean_debian.make(folder / "debian", package)
    _newer(package, folder / "newer", folder / "debian" / NEWER[1:])
    return folder / "debian"


def _newer(package: Path, tree: Path, to: Path) -> None:
    """The same as the next version, which is what it calls itself."""
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control, (own,) = (
        tree / "DEBIAN/control",
        tree.glob("opt/spendgate/lib/python3*/site-packages/spendgate/__init__.py"),
    )
    for file in (control, own):
        file.write_text(file.read_text().replace("0.1.0", "0.1.1"))
    for compiled in (own.parent / "__pycache__").glob("__init__.*"):
        compiled.unlink()
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, to], stdout=subprocess.DEVNULL, check=True
    )
    shutil.rmtree(tree)


@pytest.fixture(name="laptop")
def _laptop(clean: Path) -> Iterator[Machine]:
    with machine(clean) as made:
        yield Machine(made.pid, "/usr/bin/spendgate", f"{HOME}/bin/python3")


def _listing(laptop: Machine) -> list[str]:
    return laptop.run("bash", "-c", LISTING).stdout.splitlines()


def _apt(laptop: Machine, *words: str) -> None:
    noninteractive = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = laptop.run("apt-get", "--quiet", "--yes", *words, env=noninteractive)
    assert done.returncode == 0, done.stdout + done.stderr


def _until_first_call(laptop: Machine, world: Abroad) -> None:
    """A policy put down, the service installed, its certificate trusted, and a call of an account that knows of no proxy."""
    laptop.run("mkdir", "-p", "/etc/spendgate", check=True)
    default = f"{HOME}/lib/python3*/site-packages/spendgate/default.yaml"
    laptop.run("sh", "-c", f"cp {default} /etc/spendgate/policy.yaml", check=True)
    world.install("--policy", "/etc/spendgate/policy.yaml")
    trusted = laptop.spendgate("ca", "trust", "--state", "/var/lib/spendgate")
    assert trusted.returncode == 0, trusted.stderr
    world.until_captured()
    until(lambda: bool(rows := world.rows()) and all(row["state"] != "open" for row in rows))
    assert {(row["account_os"], row["state"]) for row in world.rows()} == {("nobody", "settled")}


@pytest.mark.parametrize("first", ["service uninstall", "purge at once", "remove, then purge"])
def test_from_a_clean_machine_to_the_first_call_and_back(laptop: Machine, first: str) -> None:
    """Files, rules, certificates, units, accounts, variables and packages, before and after, differ in nothing."""
    before = _listing(laptop)
    began = time.monotonic()
    _apt(laptop, "install", clean_debian.PACKAGE)
    with abroad(laptop) as world:
        _until_first_call(laptop, world)
        took_s = time.monotonic() - began
        between = _listing(laptop)
        if first == "service uninstall":
            for words in (("service", "uninstall"), ("ca", "untrust", "--all")):
                done = laptop.spendgate(*words)
                assert done.returncode == 0, done.stderr
        elif first == "remove, then purge":
            _apt(laptop, "remove", "spendgate")
            kept = laptop.run("find", "/var/lib/spendgate", "-printf", "%u %f\n").stdout.split()
            assert ("ledger.db" in kept, set(kept[::2])) == (True, {"root"})
    laptop.run("rm", "-r", "/etc/spendgate", check=True)  # what the administrator has put down, who takes it back
    _apt(laptop, "purge", "--autoremove", "spendgate")
    after = _listing(laptop)

    print(f"{first}: {took_s:.0f} s from the package to the first captured call; {len(before)} lines compared")
    for each in (
        "/var/lib/spendgate/ledger.db ",
        "/usr/bin/spendgate ",
        "/etc/ssl/certs/spendgate-",
        "table inet spendgate",
    ):
        assert any(each in line for line in between), each
    assert len(before) > 5000
    assert sorted(set(after) ^ set(before)) == []
    assert took_s < WITHIN_S


def test_an_update_goes_on_and_a_removal_takes_its_own_trust_alone(laptop: Machine) -> None:
    """The gate of the new version takes over, with the ledger, the certificate and its trust; another gate's certificate is
    trusted after the removal as before."""
    _apt(laptop, "install", clean_debian.PACKAGE)
    with abroad(laptop) as world:
        _until_first_call(laptop, world)
        own = laptop.run("sh", "-c", "ls /usr/local/share/ca-certificates").stdout.split()
        before = {row["id"] for row in world.rows()}
        _apt(laptop, "install", NEWER)
        until(lambda: _status(laptop)["running"].startswith("spendgate 0.1.1 at "))
        world.until_captured()
        until(lambda: len(world.rows()) > len(before))

        assert before < {row["id"] for row in world.rows()}
        assert _status(laptop)["redirect"] == "traffic is led to the gate"
        other = laptop.run("sh", "-c", f"{ANOTHER} ls /usr/local/share/ca-certificates", check=True).stdout.split()
        _apt(laptop, "remove", "spendgate")
        left = laptop.run("sh", "-c", "ls /usr/local/share/ca-certificates").stdout.split()

    assert (len(own), len(other)) == (1, 2)
    assert left == [each for each in other if each not in own]


ANOTHER = """
mkdir -m 0700 /root/other; printf 'version: 1\nowner: it@acme.example\n' > /root/other/policy.yaml
timeout 60 spendgate run --state /root/other/state --policy /root/other/policy.yaml --port 8099 2> /root/other/said &
while ! grep -q ^ready /root/other/said; do sleep 0.2; done
kill $!
spendgate ca trust --state /root/other/state > /root/other/trusted;
"""
"""A gate of root's own beside the service."""


def _status(laptop: Machine) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        laptop.spendgate("service", "status", "--format", "json").stdout or '{"running": ""}'
    )
    return found


def test_what_is_in_it_was_made_for_no_other_folder(laptop: Machine) -> None:
    """The program comes up as any account, from its own folder alone, and writes nothing there."""
    _apt(laptop, "install", clean_debian.PACKAGE)
    before = laptop.run("find", HOME, "-printf", "%p %T@\n").stdout
    told = laptop.run(
        "setpriv", "--reuid=nobody", "--clear-groups", laptop.python, "-c", "import sys; print(*sys.path, sys.prefix)"
    ).stdout.split()
    for words in (("--help",), ("policy", "schema"), ("service", "install", "--dry-run")):
        assert laptop.spendgate(*words).returncode == 0

    assert [path for path in told if path.startswith("/")]
    assert [path for path in told if path and not path.startswith(HOME)] == []
    assert laptop.run("find", HOME, "-printf", "%p %T@\n").stdout == before
    assert str(ROOT) not in laptop.run("grep", "-rlF", str(ROOT), HOME).stdout
