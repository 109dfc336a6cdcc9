"""What is put on machines: the scripts are run below a folder, and what they leave is read as its reader would."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import plistlib
import re
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

import own_files
from cli.kit import app
from mdm.kit import KEY, made, make, rollout, root_pem, write
from mdm.test_rollout_file import POLICY, signed
from own_files import JAVA_HOOK
from spendgate.cli.environment import surroundings
from spendgate.config import trust
from spendgate.mdm.places import PLACES, System
from spendgate.runtimes import ADDING, PROXY, REPLACING

SYSTEMS = ("macos", "linux")
CHROMIUM = shutil.which("chromium")
LOOKALIKES = (
    "api.anthropic.com.evil.example", "evil-api.anthropic.com", "a.api.anthropic.com", "anthropic.com", "apixanthropic.com",
    "example.com",
)  # fmt: skip
"""None of them is a provider's host; each has something of one."""
ADDON = str(Path(__file__).parents[2] / "addon")


def run(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script with DESTDIR."""
    env = {"PATH": os.environ["PATH"], "DESTDIR": str(folder)}
    return subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False, env=env)


def files(folder: Path) -> dict[str, bytes]:
    """Path to content."""
    return {f"/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The material of a rollout whose policy is pushed, with what its own shell could spoil."""
    folder = tmp_path_factory.mktemp("mdm")
    keys = signed(folder, f"{POLICY}mode: observe\n# $HOME `id` \\ 'x' \"y\"")  # and without a line end
    return made(folder, keys=keys, policy={"file": "policy.yaml"}, organization="O'Neil & Söhne $(id)")


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_installed_is_verified_and_goes_again(out, tmp_path, system):
    """Put down twice, checked, each file spoilt and found, mended, taken away twice: nothing is left."""
    here = out / system
    for _ in range(2):
        done = run(here / "install.sh", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert (run(here / "verify.sh", tmp_path).returncode, run(here / "verify.sh", tmp_path).stdout) == (0, "in place\n")
    every = files(tmp_path)
    assert len(every) >= 6
    for path in every:
        (tmp_path / path[1:]).write_bytes(b"x")
        found = run(here / "verify.sh", tmp_path)
        assert (found.returncode, found.stdout) == (1, f"changed: {path}\n")
        (tmp_path / path[1:]).unlink()
        found = run(here / "verify.sh", tmp_path)
        assert (found.returncode, found.stdout) == (1, f"missing: {path}\n")
        assert run(here / "install.sh", tmp_path).returncode == 0
    assert files(tmp_path) == every
    assert all(stat.S_IMODE((tmp_path / path[1:]).stat().st_mode) == 0o644 for path in every)
    for _ in range(2):
        done = run(here / "remove.sh", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
    assert files(tmp_path) == {}


STORE = f"""
rm -rf /var/lib/spendgate
rm -f {JAVA_HOOK}
update-ca-certificates --fresh >fresh.log 2>&1
printf '#!/bin/sh\\ncat >>"%s/told"\\n' "$PWD" >{JAVA_HOOK}
chmod 755 {JAVA_HOOK}
listing >before
for twice in 1 2; do sh "$MADE/install.sh" >in 2>&1; done
sh "$MADE/verify.sh" >verified
listing >installed
cp /etc/ssl/certs/ca-certificates.crt bundle
rm -f told
for twice in 1 2; do sh "$MADE/remove.sh" >out 2>&1; done
listing >after
"""


@pytest.mark.root
def test_the_systems_store_has_the_root_and_then_nothing_of_it(out, tmp_path):
    """The real programs of Debian: trusted, found to be so, and taken away to the last link; Java's hook is told of it."""
    if reason := own_files.why_not():
        pytest.skip(reason)
    text = own_files.run(tmp_path, STORE, {"MADE": str(out / "linux")})
    assert text["before"] == text["after"] != text["installed"]
    assert (out.parent / "root.pem").read_text().strip() in text["bundle"]
    assert text["verified"] == "in place\n"
    assert "-/etc/ssl/certs/spendgate-root.pem\n" in text["told"]


CERTIFICATES = """
mkdir bin; PATH=$PWD/bin:$PATH
fake() { cat > "bin/$1"; chmod 755 "bin/$1"; }
printf '#!/bin/sh\n[ "$1 $2" = "-u spendgate" ] || exec /usr/bin/id "$@"\n' | fake id
printf '#!/bin/sh\necho "$1 $2 $3" >> "%s/told"; shift 3; exec "$@"\n' "$PWD" | fake runuser
echo '#!/bin/sh' | fake update-ca-certificates
printf '#!/bin/sh\necho "systemctl $*" >> "%s/told"\n' "$PWD" | fake systemctl
rm -rf /var/lib/spendgate
mkdir -p /etc/spendgate
cp "$ISSUED" /etc/spendgate/device.pem
chmod 644 /etc/spendgate/device.pem
sh "$MADE/install.sh" > before 2>&1
leading() { find /etc -name 'spendgate.sh' -o -name '50-spendgate.*' | sort; }
leading > led-before
mkdir -m 0711 /var/lib/spendgate
printf '#!/bin/sh\nexec "%s" -m spendgate "$@"\n' "$PYTHON" | fake spendgate
for twice in 1 2; do sh "$MADE/install.sh" >> out 2>&1; done
stat -c '%a %U' /etc/spendgate/device.pem > mode
leading > led
grep -c 'BEGIN CERTIFICATE' /var/lib/spendgate/private/leaves.pem > installed
sh "$MADE/verify.sh" | grep -v '^not trusted' > verified || true
cp "$RENEWED" /etc/spendgate/device.pem
sh "$MADE/verify.sh" | grep -v '^not trusted' > verified-renewed || true
mv /var/lib/spendgate/private/leaves.pem leaves
sh "$MADE/verify.sh" | grep -v '^not trusted' > verified-none || true
mv leaves /var/lib/spendgate/private/leaves.pem
rm -f leaves
sh "$MADE/remove.sh" > removed 2>&1
ls /etc/spendgate > left 2>&1 || true
rm -r bin
"""
"""The gate's account is not needed: `runuser` says for whom, and runs it as who is here."""


@pytest.mark.root
@pytest.mark.parametrize("mode", ["transparent", "proxy"])
def test_a_devices_certificates_are_installed_where_they_lie(tmp_path, mode):
    """By the gate's account, of the root that is pushed, once the gate is here; the gate starts again the first time alone.

    Under `proxy` no variable and no tool's settings lead to the gate before.
    """
    if reason := own_files.why_not():
        pytest.skip(reason)
    (tmp_path / "words").write_text("a long passphrase")
    ca, issued, renewed = tmp_path / "ca", tmp_path / "device.pem", tmp_path / "renewed.pem"
    words = ["--passphrase-file", str(tmp_path / "words")]
    for command in (
        ["init", "--out", str(ca), "--name", "Acme GmbH"],
        ["issue", "--root", str(ca), "--device", "laptop-17", "--new-key", "--days", "4", "--out", str(issued)],
        ["issue", "--root", str(ca), "--device", "laptop-17", "--new-key", "--out", str(renewed)],
    ):
        done = CliRunner().invoke(app, ["ca", "org", *command, *words])
        assert done.exit_code == 0, done.output
    out = made(tmp_path, pem=(ca / "root.pem").read_bytes(), mode=mode)
    where = {"MADE": str(out / "linux"), "ISSUED": str(issued), "PYTHON": sys.executable, "PYTHONPATH": ADDON}
    where["RENEWED"] = str(renewed)
    text = own_files.run(tmp_path, CERTIFICATES, where)
    assert "the gate is not here yet" in text["before"]
    assert len(text["led"].splitlines()) == 3
    assert text["led-before"] == ("" if mode == "proxy" else text["led"])
    assert ("nothing leads to the gate yet" in text["before"]) is (mode == "proxy")
    assert text["told"].splitlines() == [
        "-u spendgate --", "systemctl try-restart spendgate.service", "-u spendgate --",
    ]  # fmt: skip
    assert (text["mode"], int(text["installed"]) > 10) == ("600 root\n", True), text["out"]
    assert "No such file" in text["left"]
    ends = "the gate's certificates end within 5 days, or have ended\n"
    assert text["verified"] == ends
    assert text["verified-renewed"] == f"not installed: /etc/spendgate/device.pem\n{ends}"
    assert text["verified-none"] == "no certificates: the gate has none of the organization\n"


@pytest.mark.parametrize("system", SYSTEMS)
def test_variables_come_when_what_they_name_is_there(out, system):
    """Where trust fails the script ends before: a log-in with variables that name no bundle loses every HTTPS host."""
    text = (out / system / "install.sh").read_text()
    last = [
        path
        for path in ("/etc/profile.d/", "/etc/environment.d/", "environment.sh", "managed-settings.d")
        if path in text
    ]
    trusted = text.index('if [ -z "$to" ]; then trusts; fi\n')
    assert len(last) >= 2
    assert all(trusted < text.index(path) for path in last)
    assert text.index("put /etc/spendgate/root.pem") < trusted


@pytest.mark.parametrize("system", SYSTEMS)
def test_variables_go_before_what_they_name(tmp_path, system):
    """And before the certificates go and the gate starts without: a program that starts meanwhile meets none of it."""
    office = {"office": "https://ca.acme.example:8443"}
    program = {"macos_program": "/opt/spendgate/bin/spendgate"}
    text = (made(tmp_path, mode="proxy", enrolment=office, **program) / system / "remove.sh").read_text()
    first = ["50-spendgate.json"]
    first += ["profile.d", "environment.d"] if system == "linux" else ["unsetenv", "environment.sh", "LaunchAgents/"]
    assert max(text.index(each) for each in first) < text.index("ca org remove") < text.index("/etc/spendgate/root.pem")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_pushed_policy_arrives_byte_for_byte(out, tmp_path, system):
    """A byte more, and its signature would not fit."""
    run(out / system / "install.sh", tmp_path)
    for name in ("policy.yaml", "policy.yaml.minisig"):
        assert (tmp_path / "etc/spendgate" / name).read_bytes() == (out.parent / name).read_bytes()


def test_the_trust_file_is_one_that_a_gate_believes(tmp_path):
    """At the place where it looks, with these keys, this floor and this URL."""
    (tmp_path / "to").mkdir()
    every = made(tmp_path, least_revision=42, policy={"url": "https://a.example/p.yaml", "every": "2m"})
    run(every / "linux" / "install.sh", tmp_path / "to")
    found = trust.parse_trust((tmp_path / f"to{PLACES[System.LINUX].trust}").read_bytes())
    assert [(each.name, str(each.key)) for each in found.keys] == [("platform", KEY)]
    assert (found.required, found.least_revision, found.url, found.every_s) == (
        True,
        42,
        "https://a.example/p.yaml",
        120,
    )
    assert str(trust.TRUST_FILE) == PLACES[System.LINUX].trust


def test_the_variables_are_those_of_exec(tmp_path):
    """One table: what `exec` sets for a command is what is pushed, by the same names."""
    (tmp_path / "to").mkdir()
    pem = root_pem()
    every = made(tmp_path, pem=pem, mode="proxy", port=9000)
    run(every / "linux" / "install.sh", tmp_path / "to")
    shell = tmp_path / "to/etc/profile.d/spendgate.sh"
    done = subprocess.run(["sh", "-c", f". {shell}; env -0"], capture_output=True, text=True, check=True, env={})
    held = dict(each.partition("=")[::2] for each in done.stdout.split("\0") if each)
    held = {name: value for name, value in held.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_")}
    (tmp_path / "ca.pem").write_bytes(pem)
    child = surroundings({"PATH": ""}, port=9000, ca_cert=tmp_path / "ca.pem", folder=tmp_path, hosts=())
    assert {*held} == {*child.variables} - {"PATH", "JAVA_TOOL_OPTIONS"}
    assert {held[name] for name in REPLACING} == {"/etc/spendgate/bundle.pem"}
    assert held[ADDING] == "/etc/spendgate/root.pem"
    assert {held[name] for name in PROXY} == {"http://127.0.0.1:9000"}
    own = made(tmp_path, pem=pem, mode="proxy", direct=[".acme.example", "10.0.0.0/8", "10.1.2.3"])
    for name in ("linux/install.sh", "macos/install.sh", "tools/codex/managed_config.toml"):
        assert "localhost,127.0.0.1,::1,.acme.example,10.0.0.0/8,10.1.2.3" in (own / name).read_text()
    conf = (tmp_path / "to/etc/environment.d/50-spendgate.conf").read_text()
    assert dict(re.findall(r'^(\w+)="(.*)"$', conf, re.M)) == held


def test_what_redirects_sets_no_proxy(tmp_path):
    """Under `transparent` a variable would only be one more thing that can break."""
    (tmp_path / "to").mkdir()
    run(made(tmp_path) / "linux" / "install.sh", tmp_path / "to")
    assert "PROXY" not in (tmp_path / "to/etc/profile.d/spendgate.sh").read_text().upper()


@pytest.mark.parametrize("mode", ["transparent", "proxy"])
def test_the_tools_settings_are_what_the_tools_read(tmp_path, mode):
    """JSON and TOML with the vendors' keys alone; the same values as the variables."""
    (tmp_path / "to").mkdir()
    every = made(tmp_path, mode=mode)
    run(every / "macos" / "install.sh", tmp_path / "to")
    drop_in = tmp_path / "to/Library/Application Support/ClaudeCode/managed-settings.d/50-spendgate.json"
    proxied = {"HTTPS_PROXY": "http://127.0.0.1:8080", "NO_PROXY": "localhost,127.0.0.1,::1"} if mode == "proxy" else {}
    assert json.loads(drop_in.read_text()) == {"env": {"NODE_EXTRA_CA_CERTS": "/etc/spendgate/root.pem", **proxied}}
    codex = tomllib.loads((every / "tools/codex/managed_config.toml").read_text())
    assert {*codex} == {"shell_environment_policy"}
    assert {*codex["shell_environment_policy"]["set"]} >= {*REPLACING, ADDING}
    editor = json.loads((every / "tools/editors/settings.json").read_text())
    assert editor == {
        "http.systemCertificates": True,
        **({"http.proxy": "http://127.0.0.1:8080"} if mode == "proxy" else {}),
    }
    tools = plistlib.loads(next((every / "macos/profiles").glob("*-tools.mobileconfig")).read_bytes())
    domain = tools["PayloadContent"][0]["PayloadContent"]["com.openai.codex"]
    held = domain["Forced"][0]["mcx_preference_settings"]["config_toml_base64"]
    assert tomllib.loads(base64.b64decode(held).decode()) == codex


def test_what_a_mac_starts_at_log_in_sets_the_variables(tmp_path):
    """The agent runs the script, and the script names each."""
    (tmp_path / "to").mkdir()
    run(made(tmp_path) / "macos" / "install.sh", tmp_path / "to")
    job = plistlib.loads((tmp_path / "to/Library/LaunchAgents/com.acme.spendgate.environment.plist").read_bytes())
    assert job["Label"] == "com.acme.spendgate.environment"
    script = (tmp_path / f"to{job['ProgramArguments'][1]}").read_text()
    assert {*re.findall(r"^launchctl setenv (\w+) \S+$", script, re.M)} == {*REPLACING, ADDING}


def test_another_account_than_root_is_refused_at_once(out):
    """Before anything is written; where the tests are root, by a shell that says it is not."""
    for script in sorted(out.glob("*/*.sh")):
        if script.parent.name == "jamf" or script.name == "package.sh":  # neither changes anything of a machine
            continue
        text = script.read_text().replace("$(id -u)", "1000")
        done = subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "run this as root\n"), script


def test_jamf_reads_the_result_in_its_own_form(out, tmp_path):
    """One element, whatever was found."""
    attribute = out / "jamf" / "extension-attribute.sh"
    done = run(attribute, tmp_path)
    assert re.fullmatch(r"<result>(missing: [^\n<]+\n?)+</result>\n", done.stdout)
    run(out / "macos" / "install.sh", tmp_path)
    assert run(attribute, tmp_path).stdout == "<result>in place</result>\n"


def powershell(out: Path, name: str) -> str:
    """A script's text."""
    data = (out / "windows" / "intune" / name).read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n")
    return data.decode("ascii").replace("\r\n", "\n")


def test_windows_gets_the_same_files(out):
    """As text of PowerShell: content, sums and places agree. No PowerShell was there to run them."""
    install, detect = powershell(out, "install.ps1"), powershell(out, "detect.ps1")
    held = {
        path: base64.b64decode(content) for path, content in re.findall(r"Path = '(.+?)'; Content = '(.*?)'", install)
    }
    places = PLACES[System.WINDOWS]
    assert {*held} == {
        places.root,
        places.trust,
        places.claude_code,
        places.at("policy.yaml"),
        places.at("policy.yaml.minisig"),
    }
    assert held[places.at("policy.yaml")] == (out.parent / "policy.yaml").read_bytes()
    assert json.loads(held[places.claude_code]) == {"env": {"NODE_EXTRA_CA_CERTS": places.root}}
    assert {*re.findall(r"Path = '(.+?)'; Sha256", detect)} == {*held}
    uninstall = powershell(out, "uninstall.ps1")
    assert {*re.findall(r"^    '(.+)'$", uninstall, re.M)} == {*held}
    assert rf"@('{places.folder}', 'C:\Program Files\ClaudeCode\managed-settings.d')" in uninstall
    assert 'rm -f "$to"/var/lib/spendgate-doctor/doctor.db\n' in (out / "linux/remove.sh").read_text()


def test_windows_puts_nothing_into_a_folder_that_a_person_made(out):
    """Its owner could change the trust file afterwards: the folder is looked at before it is closed, what is in it after."""
    install = powershell(out, "install.ps1")
    steps = ("\nAssert-Safe $folder\n", "icacls.exe $folder", "Get-ChildItem -LiteralPath $folder", "WriteAllBytes")
    assert [*map(install.index, steps)] == sorted(map(install.index, steps))


def test_windows_replaces_no_bundle(tmp_path):
    """Windows fetches roots as they are needed: a bundle of those at hand would break other hosts."""
    install = powershell(made(tmp_path, mode="proxy"), "install.ps1")
    names = re.findall(r"^    (\w+) = '", install.partition("$Variables = @{")[2], re.M)
    assert sorted(names) == ["HTTPS_PROXY", "HTTP_PROXY", "NODE_EXTRA_CA_CERTS", "NODE_USE_ENV_PROXY", "NO_PROXY"]


@pytest.mark.skipif(shutil.which("node") is None, reason="no JavaScript here to run a PAC file")
def test_the_pac_file_leads_providers_alone_to_the_gate(tmp_path):
    """And direct where the gate does not answer."""
    pac = (made(tmp_path, mode="proxy", port=9000) / "proxy" / "spendgate.pac").read_text()
    hosts = ["API.anthropic.com", "api.anthropic.com.", *LOOKALIKES, "constructor"]
    ask = f"{json.dumps(hosts)}.map(h => FindProxyForURL('https://' + h, h))"
    done = subprocess.run(["node", "-p", f"{pac};JSON.stringify({ask})"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["PROXY 127.0.0.1:9000; DIRECT"] * 2 + ["DIRECT"] * (len(hosts) - 2)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_goes_by_the_pac_file(tmp_path):
    """Chromium itself, whose every connection ends at one of two listeners: providers come to the gate's port, lookalikes and
    others to where it goes directly."""
    hosts = ("api.anthropic.com", "API.openai.com", "chatgpt.com.", *LOOKALIKES)
    with Listener(proxy=True) as gate, Listener(proxy=False) as elsewhere:
        pac = (made(tmp_path, mode="proxy", port=gate.port) / "proxy" / "spendgate.pac").read_bytes()
        page = "".join(f"<img src='https://{host}/'>" for host in hosts)
        asked = (
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--host-resolver-rules=MAP * 127.0.0.1:{elsewhere.port},EXCLUDE 127.0.0.1",
            f"--proxy-pac-url=data:application/x-ns-proxy-autoconfig;base64,{base64.b64encode(pac).decode()}",
            f"data:text/html,{page}",
        )  # fmt: skip
        subprocess.run(asked, capture_output=True, check=True)
    assert {host for host in hosts if gate.came(host)} == set(hosts[:3])
    assert {host for host in hosts if elsewhere.came(host)} == set(LOOKALIKES)


class Listener:
    """Takes connections on loopback, notes the first bytes of each, and ends it; a proxy says that it is connected first."""

    def __init__(self, *, proxy: bool) -> None:
        self._first: list[bytes] = []
        self._proxy = proxy
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._running = Thread(target=self._take)
        self.port = self._socket.getsockname()[1]

    def __enter__(self):
        self._running.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._running.join()
        self._socket.close()

    def came(self, host: str) -> bool:
        """Whether a connection named it: CONNECT's target, or what a TLS hello asks for, behind its length."""
        name = host.lower().encode()
        if self._proxy:
            return any(first.lower().startswith(b"connect " + name + b":443 ") for first in self._first)
        name = name.rstrip(b".")
        return any(len(name).to_bytes(2) + name in first for first in self._first)

    def _take(self) -> None:
        while True:
            try:
                wire, _ = self._socket.accept()
            except OSError:
                return
            with wire, contextlib.suppress(OSError):
                wire.settimeout(10)
                self._first.append(wire.recv(65536))
                if self._proxy:
                    wire.sendall(b"HTTP/1.1 200 ok\r\n\r\n")


def test_a_policy_that_would_lie_over_another_file_is_refused(tmp_path):
    """In the folder of the trust file a policy of its name would replace it."""
    keys = signed(tmp_path, f"{POLICY}mode: observe\n")
    for name in ("policy.yaml", "policy.yaml.minisig"):
        (tmp_path / name).rename(tmp_path / name.replace("policy", "trust"))
    done = make(write(tmp_path, rollout(keys=keys, policy={"file": "trust.yaml"})), tmp_path / "out")
    assert done.returncode == 1
    assert "policy.file: trust.yaml lies beside it on a laptop" in done.stderr
