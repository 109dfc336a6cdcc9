"""`spendgate service` where systemd runs the machine: installed, asked, hung, killed, and taken away again without a trace."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator

import pytest

from service.systemd_lab import SPENDGATE, Machine, machine, why_not

PATIENCE_S = 600
pytestmark = [pytest.mark.root, pytest.mark.xdist_group("systemd"), pytest.mark.timeout(1800)]

# What `install` may not leave behind: files that were written over this machine's since the start (/run/layer), each with kind,
# mode and owner, those of /etc with their content, rules, units, accounts, variables.
# Left out is what any command leaves: systemd's and the journal's own notes, and the backups that the account tools write.
LISTING = r"""
chmod 755 /var/lib; chmod 1777 /var/tmp; cd /run/layer
find . \( -path ./etc -o -path ./tmp -o -path ./var/log -o -path ./var/lib/systemd -o -name __pycache__ \) -prune \
  -o -printf '/%P %y %m %U:%G\n' | sort
find /etc -xdev \( -path '/etc/*-' -o -path /etc/.pwd.lock \) -o -printf '%p %y %m %U:%G\n' | sort
find /run \( -path /run/layer -o -path /run/systemd -o -path /run/log \) -prune -o -printf '%p %y %m %U:%G\n' | sort
find /etc -xdev -type f ! -path '/etc/*-' ! -name .pwd.lock -exec sha256sum {} + | sort -k2
cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
nft list ruleset
systemctl list-unit-files --no-legend --no-pager; systemctl list-units --all --no-legend --plain --no-pager 'spendgate*'
systemctl show-environment
HOME=/nonexistent sh -lc env
"""


@pytest.fixture(scope="module", name="lab")
def _lab() -> Iterator[Machine]:
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(machine())
        except RuntimeError as reason:
            pytest.skip(f"no systemd of its own can be had here: {reason}")
        yield made


@pytest.fixture(name="laptop")
def _laptop(lab: Machine) -> Iterator[Machine]:
    """Without a service, before and after."""
    yield lab
    lab.spendgate("service", "uninstall")


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it has not come about"
        time.sleep(0.2)


def asked(laptop: Machine) -> dict[str, object]:
    """What `service status` says."""
    found: dict[str, object] = json.loads(laptop.spendgate("service", "status", "--format", "json").stdout)
    return found


def test_nothing_is_left_of_it(laptop: Machine) -> None:
    """Files, rules, units, accounts, certificates and variables, before and after, differ in nothing."""
    before = laptop.run("bash", "-c", LISTING, check=False).stdout.splitlines()

    installed = laptop.spendgate("service", "install")
    assert installed.returncode == 0, installed.stderr
    between = laptop.run("bash", "-c", LISTING, check=False).stdout.splitlines()
    removed = laptop.spendgate("service", "uninstall")
    assert removed.returncode == 0, removed.stderr

    after = laptop.run("bash", "-c", LISTING, check=False).stdout.splitlines()
    assert any("/var/lib/spendgate/ledger.db " in line for line in between)
    assert any(line.startswith("spendgate:") for line in between)
    assert sorted(set(after) ^ set(before)) == []


def test_the_gate_runs_as_its_own_account_without_a_capability(laptop: Machine) -> None:
    """Neither root nor able to become it; its ledger and its key are nobody else's to read."""
    laptop.spendgate("service", "install")

    pid = asked(laptop)["pid"]
    status = laptop.run("cat", f"/proc/{pid}/status").stdout
    uid = laptop.run("id", "-u", "spendgate").stdout.strip()
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
    for which in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert f"Cap{which}:\t{0:016x}\n" in status
    assert "NoNewPrivs:\t1\n" in status
    for closed in ("ledger.db", "private/ca-key.pem", "policy/in-force.json"):
        tried = laptop.run("setpriv", "--reuid=nobody", "--clear-groups", "cat", f"/var/lib/spendgate/{closed}")
        assert "Permission denied" in tried.stderr
    shown = laptop.run("setpriv", "--reuid=nobody", "--clear-groups", "cat", "/var/lib/spendgate/ca/ca-cert.pem")
    assert "BEGIN CERTIFICATE" in shown.stdout


@pytest.mark.heavy
def test_a_hung_gate_is_started_again(laptop: Machine) -> None:
    """Stopped, so that it answers nothing: systemd kills it and starts another."""
    laptop.spendgate("service", "install")
    first = asked(laptop)["pid"]

    laptop.run("kill", "-STOP", str(first))

    until(lambda: asked(laptop)["restarts"] == 1 and asked(laptop)["state"] == "active (running)")
    assert asked(laptop)["pid"] != first


@pytest.mark.heavy
def test_a_killed_gate_is_started_again(laptop: Machine) -> None:
    """Its service answers clients again."""
    laptop.spendgate("service", "install")
    first = asked(laptop)["pid"]

    laptop.run("kill", "-KILL", str(first))

    until(lambda: asked(laptop)["pid"] not in (0, first) and asked(laptop)["last_call"] == "none yet")


def test_status_tells_all_that_it_promises(laptop: Machine) -> None:
    """To any account, once clients are answered."""
    laptop.spendgate("service", "install", "--port", "8099")
    until(lambda: not asked(laptop)["fault"])

    found = asked(laptop)
    table = laptop.run("setpriv", "--reuid=nobody", "--clear-groups", SPENDGATE, "service", "status")

    assert (found["state"], found["enabled"], found["restarts"]) == ("active (running)", "enabled", 0)
    assert found["unit"] == "/etc/systemd/system/spendgate.service"
    assert found["running"] == "spendgate 0.1.0 at regular=127.0.0.1:8099"
    assert (found["ledger"], found["last_call"]) == ("/var/lib/spendgate/ledger.db", "none yet")
    assert table.returncode == 0
    assert "regular=127.0.0.1:8099" in table.stdout


@pytest.mark.heavy
def test_installing_again_changes_what_differs_and_nothing_else(laptop: Machine) -> None:
    """The second time nothing, the third the port: told, and in force."""
    laptop.spendgate("service", "install")
    first = asked(laptop)["pid"]

    again = laptop.spendgate("service", "install")
    assert (again.returncode, asked(laptop)["pid"]) == (0, first)
    told, policy = again.stderr.splitlines()
    assert told == "spendgate: spendgate.service runs as it should; nothing was changed"
    assert "the policy: the one that is built in" in policy

    other = laptop.spendgate("service", "install", "--port", "8098")
    assert "changed /etc/systemd/system/spendgate.service\n  - ExecStart=" in other.stderr
    assert "--port 8098\n" in other.stderr
    assert "spendgate.service restarted" in other.stderr
    assert str(asked(laptop)["running"]).endswith(":8098")


@pytest.mark.heavy
def test_the_ledger_can_be_kept(laptop: Machine) -> None:
    """It is root's alone then, and the next service's again; the account and the key are gone."""
    laptop.spendgate("service", "install")
    until(lambda: not asked(laptop)["fault"])
    ledger = json.loads(laptop.spendgate("status", "--format", "json").stdout)["ledger"]["id"]

    kept = laptop.spendgate("service", "uninstall", "--keep-ledger")

    assert "kept /var/lib/spendgate/ledger.db" in kept.stderr
    owners = laptop.run("find", "/var/lib/spendgate", "-printf", "%p %u %m\n").stdout.splitlines()
    assert {line.split()[1] for line in owners} == {"root"}
    assert not [line for line in owners if "pem" in line or "policy" in line]
    read = laptop.spendgate("calls", "--state", "/var/lib/spendgate", "--format", "json")
    assert (read.returncode, json.loads(read.stdout)) == (0, [])

    installed = laptop.spendgate("service", "install")
    assert installed.returncode == 0, installed.stderr
    until(lambda: not asked(laptop)["fault"])
    assert json.loads(laptop.spendgate("status", "--format", "json").stdout)["ledger"]["id"] == ledger
    laptop.spendgate("service", "uninstall")
    assert laptop.run("test", "-e", "/var/lib/spendgate").returncode


@pytest.mark.heavy
def test_an_account_that_was_there_before_stays(laptop: Machine) -> None:
    """Only what the installation made goes with it."""
    laptop.run("groupadd", "--system", "spendgate-admin", check=True)
    try:
        laptop.spendgate("service", "install")
        laptop.spendgate("service", "uninstall")

        assert laptop.run("getent", "group", "spendgate-admin").returncode == 0
        assert laptop.run("getent", "passwd", "spendgate").returncode != 0
    finally:
        laptop.run("groupdel", "spendgate-admin")


@pytest.mark.heavy
def test_a_gate_that_does_not_start_is_told_with_its_own_words(laptop: Machine) -> None:
    """A port that another program has: what is wrong, and what to do."""
    holds = (laptop.python, "-m", "http.server", "--bind", "127.0.0.1", "8097")
    laptop.run("systemd-run", "--quiet", "--unit=holds", *holds, check=True)
    try:
        until(lambda: ":8097 " in laptop.run("ss", "-ltnH").stdout)
        done = laptop.spendgate("service", "install", "--port", "8097")
    finally:
        laptop.run("systemctl", "stop", "holds.service", check=True)

    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "8097" in done.stderr.partition("install again")[2]


@pytest.mark.heavy
def test_a_policy_that_cannot_take_force_is_told_before_anything_is_written(laptop: Machine) -> None:
    """Its fault, with its place; or that the gate's account cannot read it."""
    file = "/etc/spendgate/policy.yaml"
    put = f"mkdir -p /etc/spendgate; printf 'version: %s\\nowner: it@acme.example\\n' $0 > {file}; chmod $1 {file}"
    tries = (("7", "644", f"{file}:1:"), ("1", "600", f"chmod 644 {file}"))
    try:
        for version, mode, says in tries:
            laptop.run("sh", "-c", put, version, mode, check=True)
            done = laptop.spendgate("service", "install", "--policy", file)
            assert (done.returncode, says in done.stderr) == (1, True), done.stderr
            assert laptop.run("test", "-e", "/etc/systemd/system/spendgate.service").returncode != 0
    finally:
        laptop.run("rm", "-r", "/etc/spendgate", check=True)


@pytest.mark.heavy
def test_a_program_that_others_may_change_is_not_run_as_the_gate(laptop: Machine) -> None:
    """Its own folder or one above: the account that owns it could read ledger and key by it. Nothing is changed then."""
    laptop.run("sh", "-c", "mkdir -p /srv/theirs/bin && cp /bin/true /srv/theirs/bin/spendgate", check=True)
    for spoil, mend in (("chown nobody", "chown root"), ("chmod o+w", "chmod o-w"), ("chgrp games", "chgrp root")):
        for part in ("/srv/theirs", "/srv/theirs/bin", "/srv/theirs/bin/spendgate"):
            laptop.run("sh", "-c", f"chmod g+w {part} && {spoil} {part}", check=True)
            done = laptop.spendgate("service", "install", "--program", "/srv/theirs/bin/spendgate")
            assert done.returncode == 1
            assert f"others than root may write {part}," in done.stderr
            laptop.run("sh", "-c", f"{mend} {part} && chmod g-w {part}", check=True)
    assert laptop.run("getent", "passwd", "spendgate").returncode != 0
    assert laptop.run("test", "-e", "/etc/systemd/system/spendgate.service").returncode != 0


@pytest.mark.heavy
def test_a_foreign_unit_of_that_name_is_left_alone(laptop: Machine) -> None:
    """Neither overwritten nor removed."""
    unit = "/etc/systemd/system/spendgate.service"
    laptop.run("sh", "-c", f"printf '[Service]\nExecStart=/bin/true\n' > {unit}", check=True)
    try:
        for verb in ("install", "uninstall"):
            done = laptop.spendgate("service", verb)
            assert (done.returncode, "was not made by" in done.stderr) == (1, True)
        assert "/bin/true" in laptop.run("cat", unit).stdout
    finally:
        laptop.run("rm", unit, check=True)


@pytest.mark.heavy
def test_none_of_its_certificates_is_trusted_after_it(laptop: Machine) -> None:
    """Not the one from before a rotation either; by the system's own programs."""
    anchors = ("sh", "-c", "ls /usr/local/share/ca-certificates /etc/ssl/certs | grep -c '^spendgate-'")
    laptop.spendgate("service", "install")
    for words in (("trust",), ("rotate",), ("trust",)):
        done = laptop.spendgate("ca", *words, "--state", "/var/lib/spendgate")
        assert done.returncode == 0, done.stderr
    assert int(laptop.run(*anchors).stdout) >= 4
    laptop.run("systemctl", "restart", "spendgate", check=True)

    removed = laptop.spendgate("service", "uninstall")

    assert removed.returncode == 0, removed.stderr
    assert int(laptop.run(*anchors).stdout) == 0
    assert laptop.run("test", "-e", "/var/lib/spendgate-trusted").returncode != 0
