"""`spendgate service install --mode transparent`: clients that know of no proxy, and what becomes of their traffic when a part of
the service is killed or hangs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from service.abroad import Abroad, abroad
from service.systemd_lab import PYTHON, Machine, machine, why_not
from service.test_service_installed import LISTING, asked, until
from service.test_unit import EXPOSURE_MOST

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("systemd"), pytest.mark.timeout(1800)]
UNITS = ("spendgate.service", "spendgate-redirect.service", "spendgate-clerk.service")


@pytest.fixture(scope="module", name="world")
def _world() -> Iterator[Abroad]:
    if reason := why_not():
        pytest.skip(reason)
    with machine() as made:
        for name in ("ada", "ben"):
            made.run("useradd", "--create-home", name, check=True)
        with abroad(made) as there:
            yield there


@pytest.fixture(name="laptop")
def _laptop(world: Abroad) -> Iterator[Machine]:
    yield world.laptop
    world.laptop.spendgate("service", "uninstall")


def _pid(laptop: Machine, unit: str) -> int:
    return int(laptop.run("systemctl", "show", "--value", "--property=MainPID", unit).stdout)


def test_captured_and_then_nothing_is_left(world: Abroad, laptop: Machine) -> None:
    """A program that knows of no proxy is captured as its account's, with its tool; after the removal files, rules, units,
    accounts and variables are as before, and traffic goes its direct way."""
    before = laptop.run("bash", "-c", LISTING).stdout.splitlines()
    world.install()
    world.until_captured()
    assert world.ask("ada")["by"] == "gate"
    until(lambda: any(row["person"] == "ada" for row in world.rows()))
    row = next(row for row in world.rows() if row["person"] == "ada")
    assert (row["tool"], row["account_os"]) == ("python", "ada")

    removed = laptop.spendgate("service", "uninstall")
    assert removed.returncode == 0, removed.stderr
    after = laptop.run("bash", "-c", LISTING).stdout.splitlines()
    assert sorted(set(after) ^ set(before)) == []
    assert laptop.run("nft", "list", "ruleset").stdout == ""


def test_a_container_is_captured_by_the_installed_service(world: Abroad, laptop: Machine) -> None:
    """Behind a bridge that is made while the gate runs, within what its units allow; installed again without, it is not."""
    world.install("--containers", "172.20.0.0/16=ada")
    world.until_captured()
    laptop.run("bash", "-c", _CONTAINER, check=True)
    try:
        assert world.ask_in("container")["by"] == "gate"
        until(lambda: any("person=policy" in row["evidence"] for row in world.rows()))
        row = next(row for row in world.rows() if "person=policy" in row["evidence"])
        assert (row["person"], row["account_os"]) == ("ada", "ada")
        world.install()
        world.until_captured()
        assert world.ask_in("container")["by"] == "provider"
    finally:
        laptop.run("bash", "-c", "ip link delete br-test; ip netns delete container")


_CONTAINER = """
set -e
ip netns add container
ip link add br-test type bridge; ip address add 172.20.0.1/16 dev br-test; ip link set br-test up
ip link add near type veth peer name eth0 netns container
ip link set near master br-test up
ip -n container link set eth0 up; ip -n container address add 172.20.0.2/16 dev eth0
ip -n container route add default via 172.20.0.1
ip -n abroad route replace 172.20.0.0/16 via 198.51.100.1
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


@pytest.mark.heavy
@pytest.mark.parametrize("how", ["KILL", "STOP"])
@pytest.mark.parametrize("unit", ["spendgate.service", "spendgate-redirect.service"])
def test_whatever_dies_or_hangs_traffic_goes_direct_and_is_captured_again(
    world: Abroad, laptop: Machine, unit: str, how: str, record_property: pytest.RecordProperty
) -> None:
    """A client that connects again and again: the provider itself answers, until systemd has started anew what was hit. The trail
    has that once, with its reason."""
    world.install()
    world.until_captured()
    was = _pid(laptop, unit)

    with world.asking("ada") as told:
        assert next(told)["by"] == "gate"
        laptop.run("kill", f"-{how}", str(was), check=True)
        hit = next(told)
        direct = next(one for one in told if one["by"] == "provider")
        again = next(one for one in told if one["by"] == "gate")

    print(
        f"{how} of {unit}: direct after {direct['at_s'] - hit['at_s']:.1f} s, captured after {again['at_s'] - hit['at_s']:.1f} s"
    )
    record_property("direct_after_s", direct["at_s"] - hit["at_s"])
    assert _pid(laptop, unit) not in (0, was)
    until(lambda: _lapses(laptop) != [])
    [lapse] = _lapses(laptop)
    assert f": {_WHY.get((unit, how), 'what redirects was gone')}" in lapse
    assert lapse.endswith("traffic went direct")


_WHY = {
    ("spendgate.service", "KILL"): "no gate was there",
    ("spendgate.service", "STOP"): "no sign of life in time",
}


def _lapses(laptop: Machine) -> list[str]:
    said = laptop.spendgate("audit", "list", "--format", "json")
    return [line["detail"] for line in json.loads(said.stdout) if line["what"] == "capture lapsed"]


REFUSING = "version: 1\nowner: it@acme.example\non_failure: refuse\n"


@pytest.mark.heavy
def test_calls_are_held_where_the_policy_refuses_until_a_gate_is_back(world: Abroad, laptop: Machine) -> None:
    """Killed and hung: never direct, and captured again; it is told; `service stop` lets calls go, and so does a policy that
    allows, without a new gate."""
    laptop.run(
        "sh", "-c", "mkdir -p /etc/spendgate; printf '%s' \"$0\" > /etc/spendgate/policy.yaml", REFUSING, check=True
    )
    world.install("--policy", "/etc/spendgate/policy.yaml")
    world.until_captured()
    until(lambda: "elements" in laptop.run("nft", "list", "set", "inet", "spendgate", "hold4").stdout)
    for how in ("KILL", "STOP"):
        with world.asking("ada") as told:
            assert next(told)["by"] == "gate"
            laptop.run("kill", f"-{how}", str(_pid(laptop, UNITS[0])), check=True)
            refused = next(one for one in told if "refused" in one.get("why", ""))
            said = laptop.spendgate("service", "status", "--format", "json")
            after = []
            while not after or after[-1]["by"] != "gate":
                after.append(next(told))
        assert {one["by"] for one in after} == {"nobody", "gate"}, (refused, after)
        assert json.loads(said.stdout)["redirect"].startswith("calls to providers are refused (")

    laptop.run("sh", "-c", "sed -i s/refuse/allow/ /etc/spendgate/policy.yaml", check=True)
    until(lambda: "elements" not in laptop.run("nft", "list", "set", "inet", "spendgate", "hold4").stdout)
    laptop.run("sh", "-c", "sed -i s/allow/refuse/ /etc/spendgate/policy.yaml", check=True)
    until(lambda: "elements" in laptop.run("nft", "list", "set", "inet", "spendgate", "hold4").stdout)

    laptop.run("systemctl", "kill", "--signal=STOP", UNITS[0], check=True)
    until(lambda: "refused" in world.ask("ada").get("why", ""))
    doctor = json.loads(laptop.spendgate("doctor", "--format", "json").stdout)
    [held] = [check for check in doctor["checks"] if check["check"] == "hold"]
    assert (held["state"], "spendgate service stop" in held["remedy"]) == ("finding", True)
    stopped = laptop.spendgate("service", "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert world.ask("ada")["by"] == "provider"
    assert laptop.run("nft", "list", "ruleset").stdout == ""


@pytest.mark.heavy
def test_an_uninstall_without_nft_removes_all_the_rest(world: Abroad, laptop: Machine) -> None:
    """And says what is left, with the remedy."""
    world.install()
    world.until_captured()
    laptop.run("mv", "/usr/sbin/nft", "/usr/sbin/nft.away", check=True)
    try:
        done = laptop.spendgate("service", "uninstall")
    finally:
        laptop.run("mv", "/usr/sbin/nft.away", "/usr/sbin/nft", check=True)

    assert done.returncode == 1
    assert "nft delete table inet spendgate" in done.stderr
    assert laptop.run("sh", "-c", "ls /etc/systemd/system/spendgate* /var/lib/spendgate").stdout == ""
    assert laptop.run("getent", "passwd", "spendgate").stdout == ""
    laptop.run("nft", "delete", "table", "inet", "spendgate")


@pytest.mark.heavy
def test_a_call_without_the_clerk_is_its_accounts_all_the_same(world: Abroad, laptop: Machine) -> None:
    """Its process is not known; it is again when systemd has started the clerk again, without a new gate."""
    world.install()
    world.until_captured()
    gate = _pid(laptop, UNITS[0])
    laptop.run("systemctl", "stop", UNITS[2], check=True)
    world.ask("ada")
    until(lambda: any(row["person"] == "ada" for row in world.rows()))
    assert [row["process"] for row in world.rows() if row["person"] == "ada"] == [None]

    laptop.run("systemctl", "start", UNITS[2], check=True)
    world.ask("ben")
    until(lambda: any(row["person"] == "ben" for row in world.rows()))

    assert [row["tool"] for row in world.rows() if row["person"] == "ben"] == ["python"]
    assert _pid(laptop, UNITS[0]) == gate


@pytest.mark.heavy
def test_the_clerk_reads_a_repository_with_its_persons_rights(world: Abroad, laptop: Machine) -> None:
    """One's own is named; one that is another's and closed is not, whoever points to it."""
    world.install()
    world.until_captured()
    make = """
        set -e; umask 077
        mkdir -p /home/ada/work/.git /home/ben/work
        printf '[remote "origin"]\n url = https://github.com/acme/canal.git\n' > /home/ada/work/.git/config
        printf 'gitdir: /home/ada/work/.git\n' > /home/ben/work/.git
        chown -R ada:ada /home/ada/work; chown -R ben:ben /home/ben/work
    """
    laptop.run("sh", "-c", make, check=True)

    world.ask("ada", folder="/home/ada/work")
    world.ask("ben", folder="/home/ben/work")
    until(lambda: {"ada", "ben"} <= {row["person"] for row in world.rows()})

    found = {row["person"]: (row["tool"], row["project"]) for row in world.rows()}
    assert found["ada"] == ("python", "github.com/acme/canal")
    assert found["ben"] == ("python", None)


@pytest.mark.heavy
def test_neither_is_root_and_each_has_its_own_capabilities_alone(world: Abroad, laptop: Machine) -> None:
    """What changes rules cannot look into processes, what looks into processes changes no rule, the gate does neither."""
    world.install()
    world.until_captured()

    held = {}
    for unit in UNITS:
        status = laptop.run("cat", f"/proc/{_pid(laptop, unit)}/status").stdout
        lines = dict(line.split(":\t", 1) for line in status.splitlines())
        assert "0" not in lines["Uid"].split()
        assert lines["NoNewPrivs"] == "1"
        assert lines["CapEff"] == lines["CapPrm"] == lines["CapBnd"]
        held[unit] = int(lines["CapBnd"], 16)
    assert held == {UNITS[0]: 0, UNITS[1]: 1 << 12, UNITS[2]: 1 << 19 | 1 << 2 | 1 << 7 | 1 << 6}
    for unit in UNITS:
        said = laptop.run("systemd-analyze", "security", "--no-pager", unit).stdout
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        assert found
        assert float(found[1]) <= EXPOSURE_MOST


@pytest.mark.heavy
def test_nobody_but_the_gate_keeps_the_rules_alive(world: Abroad, laptop: Machine) -> None:
    """Another account does not get as far as the sockets; root does, and is turned away."""
    world.install()
    world.until_captured()
    code = "import sys; from socket import *; s = socket(AF_UNIX, SOCK_SEQPACKET); s.connect(sys.argv[1]); print(s.recv(9))"

    for place in ("/run/spendgate-redirect/gate.sock", "/run/spendgate-clerk/gate.sock"):
        stranger = laptop.run("setpriv", "--reuid=ada", "--clear-groups", PYTHON, "-c", code, place)
        assert "PermissionError" in stranger.stderr
        root = laptop.run(PYTHON, "-c", code, place)
        assert (root.returncode, root.stdout) == (0, "b''\n")
    assert world.ask("ada")["by"] == "gate"


@pytest.mark.heavy
def test_status_says_whether_traffic_is_led_here(world: Abroad, laptop: Machine) -> None:
    """And why it is not, with exit status 1."""
    world.install()
    world.until_captured()
    up = asked(laptop)
    laptop.run("systemctl", "stop", UNITS[1], check=True)
    down = laptop.spendgate("service", "status", "--format", "json")

    assert (up["redirect"], up["clerk"]) == ("traffic is led to the gate", "a gate is answered")
    assert up["running"] == "spendgate 0.1.0 at transparent=127.0.0.1:8443 transparent=::1:8443 regular=127.0.0.1:8080"
    assert down.returncode == 1
    assert json.loads(down.stdout)["redirect"].startswith("does not run: inactive")
    assert laptop.run("nft", "list", "ruleset").stdout == ""


_SQUATTER = """
import socket, time
kept = [socket.create_server((host, 8443), family=family) for host, family in (("127.0.0.1", 2), ("::1", 10))]
open("/home/ada/listens", "w").close()
time.sleep(3600)
"""


@pytest.mark.heavy
def test_a_squatter_in_a_restart_takes_nobody_from_the_gate(world: Abroad, laptop: Machine) -> None:
    """The rules lead to where the gate is, and to its own port again when that is free; status says who it was."""
    world.install()
    world.until_captured()
    laptop.run("systemctl", "stop", UNITS[0], check=True)
    squats = ("systemd-run", "--unit=squatter", "--uid=ada", PYTHON, "-I", "-c", _SQUATTER)
    laptop.run(*squats, check=True)
    until(lambda: not laptop.run("test", "-e", "/home/ada/listens").returncode)
    laptop.run("systemctl", "start", UNITS[0], check=True)
    try:
        world.until_captured()
        assert world.ask("ben")["by"] == "gate"
        said = str(asked(laptop)["running"])
        assert " (WARNING port 8443 of 127.0.0.1 is taken by account ada (uid " in said
        assert "transparent=127.0.0.1:8443" not in said
    finally:
        laptop.run("systemctl", "stop", "squatter")
    laptop.run("systemctl", "restart", UNITS[0], check=True)
    world.until_captured()
    assert world.ask("ben")["by"] == "gate"
    assert asked(laptop)["running"].endswith("regular=127.0.0.1:8080")


@pytest.mark.heavy
def test_nothing_is_led_to_a_gate_that_waits_for_its_organizations_certificates(world: Abroad, laptop: Machine) -> None:
    """As a rollout leaves it for some minutes: the organization's root is down. Clients reach their provider meanwhile."""
    laptop.run("sh", "-c", "mkdir -p /etc/spendgate && touch /etc/spendgate/root.pem", check=True)
    try:
        world.install()
        until(lambda: asked(laptop)["redirect"] == "traffic goes direct: the gate has no certificate to show")
        assert world.ask("ada")["by"] == "provider"
        assert "transparent capture leads none to it" in str(asked(laptop)["waits"])
        assert _lapses(laptop) == []
    finally:
        laptop.run("rm", "/etc/spendgate/root.pem", check=True)
    world.until_captured()
    until(lambda: _lapses(laptop) != [])
    [lapse] = _lapses(laptop)
    assert lapse.endswith("the gate had no certificate to show; traffic went direct")


@pytest.mark.heavy
def test_the_proxy_alone_takes_the_rules_away_again(world: Abroad, laptop: Machine) -> None:
    """Installed again without `--mode transparent`, also where what set the rules was killed."""
    world.install()
    world.until_captured()
    laptop.run("systemctl", "kill", "--signal=KILL", UNITS[1], check=True)

    done = laptop.spendgate("service", "install")

    assert done.returncode == 0, done.stderr
    assert "removed /etc/systemd/system/spendgate-redirect.service" in done.stderr
    assert laptop.run("nft", "list", "ruleset").stdout == ""
    assert "spendgate-" not in laptop.run("systemctl", "list-unit-files", "--no-legend", "spendgate-*").stdout
    assert asked(laptop)["redirect"] == ""


@pytest.mark.heavy
def test_an_uninstall_after_a_kill_leaves_no_rule(world: Abroad, laptop: Machine) -> None:
    """The table of a process that was killed goes, too."""
    world.install()
    world.until_captured()
    for unit in UNITS:
        laptop.run("systemctl", "kill", "--signal=KILL", unit, check=True)

    assert laptop.spendgate("service", "uninstall").returncode == 0

    assert laptop.run("nft", "list", "ruleset").stdout == ""
    assert laptop.run("getent", "passwd", "spendgate").stdout == ""
