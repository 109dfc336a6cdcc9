"""Show 2 in namespaces: programs that know of no proxy, on a laptop that nothing but a company's proxy lets out."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.canaries import CANARIES, leaks
from end_to_end.corporate import Running, company
from end_to_end.village import STANDIN, Village, village
from end_to_end.world import PATIENCE_S, PRODUCT, ROOT
from redirect.lab import OTHER4, PROVIDER6, why_not

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("village")]
LOGIN = f"kiebitz:{CANARIES['key']}"
PROXY4, PROXY6, PORT = "198.51.100.9", "2001:db8::9", 3128
_ASK = """
    import json, socket, ssl, sys
    address, name, trusted, path = sys.argv[1:]
    body = json.dumps({"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]})
    with socket.create_connection((address, 443), 60) as plain:
        with ssl.create_default_context(cafile=trusted).wrap_socket(plain, server_hostname=name) as wire:
            head = f"POST {path} HTTP/1.1\\r\\nhost: {name}\\r\\nx-api-key: k\\r\\ncontent-type: application/json\\r\\n"
            wire.sendall(f"{head}connection: close\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n{body}".encode())
            print(b"".join(iter(lambda: wire.recv(65536), b"")).decode())
"""
"""By an address that the client has, and a name."""


@contextlib.contextmanager
def _let_out(made: Village, company_: list[Running], host: str) -> Iterator[None]:
    """The proxy, beside the provider; the laptop reaches nothing else there."""
    link = made.laptop.name.replace("sgl", "w")
    inside = ("ip", "netns", "exec", made.provider)
    for address in (f"{PROXY4}/24", f"{PROXY6}/64"):
        more = ("nodad",) if ":" in address else ()
        subprocess.run([*inside, "ip", "address", "add", address, "dev", link, *more], check=True)
    rules = "add table inet w\nadd chain inet w in { type filter hook input priority 0; }\n"
    rules += f'add rule inet w in iifname "{link}" tcp dport != {PORT} reject with tcp reset\n'
    subprocess.run([*inside, "nft", "-f", "-"], input=rules, text=True, check=True)
    words = ("--credentials", LOGIN, "--port", str(PORT), "--lead", f"api.anthropic.com={STANDIN}:443")
    leads = ("--lead", f"llm.acme.example={STANDIN}:443")
    with company(made.folder / "proxy.jsonl", *words, *leads, host=host, before=inside) as running:
        company_.append(running)
        yield


@pytest.fixture(scope="module", params=[PROXY4, PROXY6], ids=["IPv4", "IPv6"])
def there(request: pytest.FixtureRequest) -> Iterator[tuple[Village, Running]]:
    """The laptop, and its company's proxy at an address of either kind."""
    if reason := why_not():
        pytest.skip(reason)
    host, found = str(request.param), list[Running]()
    shown = f"[{host}]" if ":" in host else host
    mode = ("--mode", f"upstream:http://{shown}:{PORT}@8080")
    with village(*mode, beyond=lambda made: _let_out(made, found, host), SPENDGATE_UPSTREAM_AUTH=LOGIN) as made:
        yield made, found[0]


def _ask(made: Village, address: str, name: str, trusted: Path, path: str = "/v1/messages") -> str:
    who = ("setpriv", f"--reuid={made.laptop.people[0]}", "--clear-groups")
    code = ("python3", "-c", textwrap.dedent(_ASK), address, name, str(trusted), path)
    out, err = made.laptop.inside(*who, *code, cwd="/").communicate(timeout=5 * PATIENCE_S)
    return out or err


def test_there_is_no_other_way_out(there: tuple[Village, Running]) -> None:
    """What no rule leads to the gate, its own account's, is refused."""
    said = there[0].laptop.ask(OTHER4, account=there[0].laptop.gate_account)
    assert said["by"] == "nobody"


def test_a_redirected_call_goes_through_the_proxy(there: tuple[Village, Running]) -> None:
    """Asked for by its name, whatever address it had; metered as its account's."""
    made, proxy = there
    before = len(proxy.asked)
    row = made.ask(made.laptop.people[0])
    assert (row["person"], row["state"], row["basis"]) == (made.laptop.people[0], "settled", "reported")
    assert proxy.asked[before:] == [("CONNECT", "api.anthropic.com:443", 200)]


def test_one_by_ipv6_too(there: tuple[Village, Running]) -> None:
    """The client's address is of the other kind than the proxy's, or of the same."""
    made, proxy = there
    before, rows = len(proxy.asked), made.ids()
    assert "HTTP/1.1 200" in _ask(made, PROVIDER6, "api.anthropic.com", made.ca)
    (row,) = made.ended(rows)
    assert row["state"] == "settled"
    assert proxy.asked[before:] == [("CONNECT", "api.anthropic.com:443", 200)]


def test_what_is_no_providers_goes_there_untouched(there: tuple[Village, Running]) -> None:
    """By its name, with its own certificate; without TLS by the address that it was for, byte for byte."""
    made, proxy = there
    before, rows = len(proxy.asked), made.ids()
    assert "HTTP/1.1 " in _ask(made, STANDIN, "llm.acme.example", made.folder / "standin-ca.pem")
    assert made.laptop.ask(OTHER4, account=made.laptop.people[0])["by"] == "provider"
    assert proxy.asked[before:] == [("CONNECT", "llm.acme.example:443", 200), ("CONNECT", f"{OTHER4}:443", 200)]
    assert made.ids() == rows


def test_the_canary_comes_back(there: tuple[Village, Running]) -> None:
    """Every way is shown to capture, and no canary call goes out."""
    made, proxy = there
    link = made.laptop.name.replace("sgl", "v")
    made.laptop.inside("ip", "route", "add", "192.0.2.0/24", "dev", link).communicate(timeout=PATIENCE_S)
    before = len(proxy.asked)
    words = (*PRODUCT, "status", "--state", str(made.state), "--format", "json")
    env = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    out, err = made.laptop.inside(*words, env=env, cwd="/").communicate(timeout=5 * PATIENCE_S)
    assert out, err
    assert json.loads(out)["gate"]["captures_nothing_through"] == []
    assert proxy.asked[before:] == []


def test_the_password_is_nowhere(there: tuple[Village, Running]) -> None:
    """Neither on the laptop's disk nor on a command line there."""
    made, _ = there
    found = {str(file): file.read_bytes() for file in made.state.rglob("*") if file.is_file()}
    found["log"] = (made.folder / "gate.log").read_bytes()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes()
            if b"--credentials" not in line:  # the proxies' own have it
                found[str(process)] = line
    assert any(str(made.state).encode() in line for line in found.values())
    assert leaks(found) == []
