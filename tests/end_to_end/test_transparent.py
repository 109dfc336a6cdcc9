"""Shows 2 and 7 under Linux transparent capture: clients that know of no proxy, each metered as its account's."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.clients import CLIENTS, PROMPT, Client, binaries
from end_to_end.test_local_surface import told
from end_to_end.village import STANDIN, TEXT, Village, village
from end_to_end.world import PATIENCE_S, PRODUCT, ROOT, listed_nanos, until
from redirect.lab import why_not
from spendgate.usage import Usage

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("village")]


@pytest.fixture(scope="module", name="village")
def _village() -> Iterator[Village]:
    """One for the module: it takes seconds to set up."""
    if reason := why_not():
        pytest.skip(reason)
    with village() as made:
        yield made


@pytest.mark.clients
@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in CLIENTS])
def test_a_client_without_a_proxy_is_metered(village: Village, client: Client) -> None:
    """Answer unchanged, one row for each billable call with exact counts and cost, the account as the person."""
    person = village.laptop.people[0]
    home = Path(f"/home/{person}")
    trust = dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "CODEX_CA_CERTIFICATE"), str(village.ca))
    keys = {"ANTHROPIC_API_KEY": "sk-ant-api03-made-up", "OPENAI_API_KEY": "sk-made-up", "CODEX_API_KEY": "sk-made-up"}
    env = {"HOME": str(home), "PATH": f"{binaries()}:{os.environ['PATH']}", "TERM": "dumb", **trust, **keys}
    rows_before, served_before = village.ids(), len(village.served())

    asked = village.laptop.inside(
        "setpriv",
        f"--reuid={person}",
        "--clear-groups",
        *client.command,
        PROMPT,
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
    )
    out, err = asked.communicate(timeout=PATIENCE_S)

    assert asked.returncode == 0, out + err
    assert TEXT in out
    served = {one["response_id"]: one for one in village.served()[served_before:] if one["billable"]}
    rows = village.ended(rows_before)
    billed = {row["response_id"]: row for row in rows if row["state"] not in ("free", "unrecognized")}
    assert served
    assert billed.keys() == served.keys()
    for response_id, row in billed.items():
        told = served[response_id]
        usage = Usage(**told["usage"])
        assert (row["person"], row["tool"], row["state"]) == (person, client.tool, "settled")
        assert (row["input_tokens"], row["output_tokens"]) == (usage.input_tokens, usage.output_tokens)
        assert row["cost_nanos"] == listed_nanos(row["provider"], told["model"], usage, row["booked_at"])


def test_two_accounts_are_two_people(village: Village) -> None:
    """Each call on a shared host is its own account's, and root's is root's."""
    one, two = village.laptop.people

    rows = [village.ask(account) for account in (one, two, None, one)]

    assert [row["person"] for row in rows] == [one, two, "root", one]
    assert {row["state"] for row in rows} == {"settled"}


def test_a_new_account_is_known_at_its_first_call(village: Village) -> None:
    """An account that was made while the gate ran is known by its name."""
    name = f"sgn{secrets.token_hex(3)}"
    subprocess.run(["useradd", "--no-create-home", name], check=True, capture_output=True)
    try:
        row = village.ask(name)
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)

    assert (row["person"], row["state"]) == (name, "settled")


@pytest.mark.skipif(shutil.which("sudo") is None, reason="needs sudo")
def test_sudo_spends_the_callers_money(village: Village) -> None:
    """What a person runs through sudo, as root or as another, counts for that person."""
    one, two = village.laptop.people

    rows = [village.ask(one, before="sudo -n"), village.ask(one, before=f"sudo -n -u {two}")]

    assert [row["person"] for row in rows] == [one, one]
    assert [row["account_os"] for row in rows] == ["root", two]


def test_a_provider_at_another_port_is_metered(village: Village) -> None:
    """The name, the route and the price are the same; it went past the rules, and so past every budget."""
    to = f"ip daddr {STANDIN} tcp dport 8443 dnat to {STANDIN}:443"
    rules = f"table ip x {{ chain p {{ type nat hook prerouting priority -100; {to}; }}; }}"
    subprocess.run(["ip", "netns", "exec", village.provider, "nft", rules], check=True)
    try:
        row = village.ask(village.laptop.people[0], port=8443)
    finally:
        subprocess.run(["ip", "netns", "exec", village.provider, "nft", "delete table ip x"], check=True)

    assert (row["person"], row["state"], row["model"]) == (village.laptop.people[0], "settled", "claude-sonnet-4-6")


def test_another_name_at_a_providers_address_is_told(village: Village) -> None:
    """It passes unread, since it may be another site of the provider's CDN; whose it was is in `status`, also where the client
    ends at once."""
    person = village.laptop.people[1]
    asked = (
        f"import ssl, socket; c = ssl._create_unverified_context(); s = socket.create_connection(({STANDIN!r}, 443)); "
    )
    asked += "s = c.wrap_socket(s, server_hostname='innocent.example')"
    words = ("setpriv", f"--reuid={person}", "--clear-groups", "python3", "-c", asked)
    command = (*PRODUCT, "status", "--state", str(village.state), "--format", "json")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}

    def look() -> dict[str, object] | None:
        """The gate may not know the provider's addresses yet when the first of them asks."""
        village.laptop.inside(*words, cwd="/").communicate()
        told = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        rows: list[dict[str, object]] = json.loads(told.stdout)["coverage"]
        named = (row for row in rows if row["reason"] == "another name at a provider's address")
        return next((row for row in named if row["account"] == person), None)

    row = until(look)
    assert str(row["host"]).endswith(".com")


def test_a_process_that_ends_at_once_is_never_roots(village: Village) -> None:
    """Gone before its request could be answered: its account's while the kernel still tells, else unknown, never root's."""
    two = village.laptop.people[1]

    rows = [village.ask(two, gone=True) for _ in range(5)]

    assert {row["person"] for row in rows} <= {two, "unknown"}
    assert {row["account_os"] for row in rows} <= {two, None}


def test_status_asks_through_the_rules(village: Village) -> None:
    """A canary call to an address that nobody has is led to the gate by the rules alone. On a laptop that is offline no call goes
    that way, and capture is not said to be broken."""
    link = village.laptop.name.replace("sgl", "v")
    status = (*PRODUCT, "status", "--state", str(village.state), "--format", "json")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}

    def silent() -> list[str]:
        out, err = village.laptop.inside(*status, env=env, cwd="/").communicate(timeout=PATIENCE_S)
        assert out, err
        return list(json.loads(out)["gate"]["captures_nothing_through"])

    assert silent() == []
    village.laptop.inside("ip", "route", "add", "192.0.2.0/24", "dev", link).communicate(timeout=PATIENCE_S)
    assert silent() == []


def test_others_read_the_certificate_alone(village: Village) -> None:
    """Of the state directory other accounts can read the CA's certificate and nothing else, nor list what is in it."""
    files = [path for path in village.state.rglob("*") if path.is_file()]
    stranger = ("setpriv", f"--reuid={village.laptop.people[0]}", "--clear-groups", "sh", "-c")
    test = 'for path; do [ -r "$path" ] && echo "$path"; done; ls "$0" 2>/dev/null; true'

    seen = subprocess.run([*stranger, test, village.state, *files], capture_output=True, text=True, check=True).stdout

    assert len(files) > 4
    assert seen.split() == [str(village.ca)]
    assert village.ca.stat().st_mode & 0o777 == 0o644


def test_what_listens_is_in_the_table(village: Village) -> None:
    """All sockets of the laptop's namespace are the gate's, on loopback addresses; who connects to one himself gets nothing."""
    rows = village.laptop.inside("ss", "-H", "-tuln").communicate(timeout=PATIENCE_S)[0].splitlines()
    found = [(row.split()[0], *row.split()[4].rpartition(":")[::2]) for row in rows]
    assert {f"{kind} {address.strip('[]')}" for kind, address, _ in found} == told("transparent")
    asked = (
        "import socket, sys\nwire = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)\n"
        "try:\n  wire.sendall(b'GET / HTTP/1.1\\r\\nHost: evil.example\\r\\n\\r\\n'); print(wire.recv(100))\n"
        "except ConnectionError:\n  print(b'')"
    )
    other = ("setpriv", f"--reuid={village.laptop.people[1]}", "--clear-groups", "python3", "-c", asked)
    for _, address, port in found:
        said = village.laptop.inside(*other, address.strip("[]"), port, cwd="/").communicate(timeout=PATIENCE_S)
        assert said[0] == "b''\n", said
    assert "failed" not in (village.folder / "gate.log").read_text()
