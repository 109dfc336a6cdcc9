"""Transparent capture with real rules, in network namespaces of the test's own: who is captured, and as whom."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from redirect.lab import OTHER4, PROVIDER4, PROVIDER6, Lab

pytestmark = pytest.mark.root


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


@pytest.mark.parametrize("host", [pytest.param(PROVIDER4, id="IPv4"), pytest.param(PROVIDER6, id="IPv6")])
def test_a_client_that_knows_of_no_proxy_is_captured(laptop: Lab, host: str) -> None:
    """The gate sees the connection, its original destination and the account behind it."""
    laptop.gate()

    told = laptop.ask(host, account=laptop.people[0])

    assert (told["by"], told["to"]) == ("gate", host)
    assert told["peer"]["account"] == laptop.people[0]


def test_the_gate_runs_as_its_own_account(laptop: Lab) -> None:
    """Not root, and no way back: no capability, no new privilege."""
    status = _status(laptop.gate().pid)

    assert "0" not in status["Uid"].split()
    assert int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_root_keeps_only_what_the_rules_need(laptop: Lab) -> None:
    """The root process that minds the rules holds CAP_NET_ADMIN and CAP_KILL and nothing else."""
    status = _status(laptop.gate().root.pid)

    assert int(status["CapPrm"], 16) == 1 << 12 | 1 << 5
    assert int(status["CapBnd"], 16) == 1 << 12 | 1 << 5


def test_accounts_are_told_apart(laptop: Lab) -> None:
    """Two people and root on one host are three owners, each with its process."""
    laptop.gate(process=True)

    owners = [laptop.ask(account=name)["peer"] for name in (*laptop.people, None)]

    assert [owner["account"] for owner in owners] == [*laptop.people, "root"]
    assert all(owner["pid"] and owner["tool"] == "python" for owner in owners)


def test_the_gates_own_traffic_is_never_captured(laptop: Lab) -> None:
    """The gate's account reaches the provider itself."""
    laptop.gate()

    assert laptop.ask(account=laptop.gate_account)["by"] == "provider"


def test_an_account_made_after_the_gate_started_is_known(laptop: Lab) -> None:
    """No miss is remembered: an account is known by its name from its first call on."""
    laptop.gate(process=True)
    number = 61_000 + secrets.randbelow(1000)
    before = laptop.ask(account=str(number))["peer"]
    name = f"sgn{number}"
    subprocess.run(["useradd", "--uid", str(number), "--no-create-home", name], check=True, capture_output=True)
    try:
        after = laptop.ask(account=name)["peer"]
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)

    assert before["account"] == f"uid:{number}"
    assert after["account"] == name


@pytest.mark.skipif(shutil.which("sudo") is None, reason="needs sudo")
def test_sudo_counts_for_who_called_it(laptop: Lab) -> None:
    """A connection that root or another owns through sudo belongs to the account of the shell that called it."""
    laptop.gate(process=True)
    one, two = laptop.people

    root = laptop.ask(account=one, before="sudo -n")["peer"]
    other = laptop.ask(account=one, before=f"sudo -n -u {two}")["peer"]

    assert (root["account"], root["login_account"]) == ("root", one)
    assert (other["account"], other["login_account"]) == (two, one)


def test_sudo_user_alone_is_not_believed(laptop: Lab) -> None:
    """An environment variable that anyone can set moves nothing to another person's account."""
    laptop.gate(process=True)

    peer = laptop.ask(account=laptop.people[1], before=f"SUDO_USER={laptop.people[0]}")["peer"]

    assert (peer["account"], peer["login_account"]) == (laptop.people[1], None)


def test_the_repository_is_read_with_the_persons_own_rights(laptop: Lab) -> None:
    """A person's repository is found in a closed home; a `.git` file that points into another's home tells nothing."""
    one, two = laptop.people
    for name in laptop.people:
        script = f"""
            umask 077; cd /home/{name}; chmod 700 .; mkdir -p work/.git thief; cat > work/.git/config
            echo 'gitdir: /home/{one}/work/.git' > thief/.git
        """
        config = f'[remote "origin"]\n\turl = https://{name}:secret@git.example.com/{name}/work.git\n'
        command = ["setpriv", f"--reuid={name}", "--clear-groups", "sh", "-c", script]
        subprocess.run(command, input=config, text=True, check=True)
    laptop.gate(process=True)

    own = laptop.ask(account=one, before=f"cd /home/{one}/work; ")["peer"]
    stolen = laptop.ask(account=two, before=f"cd /home/{two}/thief; ")["peer"]

    assert own["project"] == f"git.example.com/{one}/work"
    assert (stolen["account"], stolen["project"]) == (two, None)


def test_quic_to_a_provider_is_rejected_at_once(laptop: Lab) -> None:
    """The client learns it from an error, not from a timeout; other hosts' QUIC and the gate's own pass."""
    laptop.gate(quic=(PROVIDER4, PROVIDER6))
    person = laptop.people[0]

    assert laptop.quic(PROVIDER4, person) == "rejected"
    assert laptop.quic(PROVIDER6, person) == "rejected"
    assert laptop.quic(OTHER4, person) == "provider"
    assert laptop.quic(PROVIDER4, laptop.gate_account) == "provider"


def test_every_port_of_a_provider_is_captured(laptop: Lab) -> None:
    """IPv4 and IPv6, from the moment that its address is known; other hosts' other ports and the gate's own pass."""
    laptop.gate(quic=(PROVIDER4, PROVIDER6))
    person = laptop.people[0]

    led = [laptop.ask(host, account=person, port=2053) for host in (PROVIDER4, PROVIDER6)]

    assert [(told["by"], told.get("to")) for told in led] == [("gate", PROVIDER4), ("gate", PROVIDER6)]
    assert laptop.ask(OTHER4, account=person, port=2053)["by"] == "provider"
    assert laptop.ask(account=laptop.gate_account, port=2053)["by"] == "provider"


def test_only_the_named_cgroup_is_captured(laptop: Lab) -> None:
    """With a cgroup named, its processes are captured, also below it, and no others."""
    group = f"sgtest{secrets.token_hex(3)}"
    folder = f"/sys/fs/cgroup/{group}"
    if laptop.inside("mkdir", "-p", f"{folder}/below").wait():
        pytest.skip("no cgroup v2 here")
    try:
        laptop.gate(cgroups=(group,))
        told = [laptop.ask(before=f"echo $$ > {at}/cgroup.procs; ")["by"] for at in (folder, f"{folder}/below")]
        outside = laptop.ask()["by"]
    finally:
        laptop.end_gates()
        laptop.inside("rmdir", f"{folder}/below", folder).wait()

    assert told == ["gate", "gate"]
    assert outside == "provider"


def test_other_tables_stay_as_they_are(laptop: Lab) -> None:
    """Installing, acting and removing leave another table byte for byte as it was."""
    laptop.nft("table inet other { chain c { type filter hook output priority 10; tcp dport 80 accept; }; }")
    before = laptop.rules()
    gate = laptop.gate()
    during = laptop.rules()
    gate.root.terminate()
    gate.root.wait()

    assert before.strip() in during
    assert laptop.rules() == before


@pytest.mark.parametrize(
    ("account", "says"),
    [
        pytest.param("sg-nobody-has-this", "useradd --system", id="no such account"),
        pytest.param("root", "never captured", id="root"),
        pytest.param("person", "never captured", id="a person's account"),
    ],
)
def test_an_account_that_the_gate_may_not_use_is_refused(laptop: Lab, account: str, says: str) -> None:
    """Before any rule is set, with the remedy."""
    name = laptop.people[0] if account == "person" else account

    said = laptop.python(_START, name).communicate()[0]

    assert says in said
    assert laptop.rules().strip() == ""


def test_a_product_that_the_gate_cannot_read_is_refused(laptop: Lab) -> None:
    """It would fail at its first late import, as the account; so it does not start, and says where to install it."""
    closed = Path(f"/home/{laptop.people[0]}/closed")
    closed.mkdir(mode=0o700)

    said = laptop.python(f"import sys; sys.path.append({str(closed)!r})\n{_START}", laptop.gate_account).communicate()[
        0
    ]

    assert f"cannot read {closed}" in said
    assert laptop.rules().strip() == ""


_START = textwrap.dedent("""
    import sys
    from spendgate.errors import SpendgateError
    from spendgate.redirect.supervisor import Settings, supervise
    try:
        supervise(Settings(account=sys.argv[1]), lambda side: 0)
    except SpendgateError as error:
        print(type(error).__name__, error)
""")


def test_the_state_directory_is_made_for_the_gate(laptop: Lab, tmp_path: Path) -> None:
    """Where it is not there yet, root makes it and gives it to the account: others pass through it and list nothing."""
    laptop.gate(state=str(tmp_path / "state"))

    made = (tmp_path / "state").stat()

    assert made.st_mode & 0o777 == 0o711
    assert made.st_uid != 0
