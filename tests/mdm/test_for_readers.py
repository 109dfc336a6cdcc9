"""What people and MDM servers read: the page, the index, the forms of Iru, Fleet and Ansible; and that no secret is in any."""

from __future__ import annotations

import json
import plistlib
import re
import sqlite3
import subprocess
from contextlib import closing
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cli.kit import NOW_MS, app
from mdm.kit import HOSTS, made, make, rollout, root_pem, write
from mdm.test_rollout_file import POLICY, signed
from spendgate.config.credentials import UPSTREAM_AUTH
from spendgate.ledger.ledger import Ledger
from spendgate.ledger.mine import Whose, kept
from spendgate.mdm.notice import KEPT
from spendgate.mdm.profiles import TEAM
from spendgate.name_constraints import CANARY_HOST


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The material of an organization whose name is no plain text."""
    folder = tmp_path_factory.mktemp("mdm")
    contact = {"name": "Ann <b>", "address": "it+ai@acme.example"}
    return made(folder, organization='A & B "<script>alert(1)</script>', contact=contact)


class Page(HTMLParser):
    """Its elements, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append(tag)
        self.attributes += attrs


def test_the_page_needs_nothing_and_runs_nothing(out):
    """One file: no script, no picture, no style from elsewhere; names are text."""
    text = (out / "for-people.html").read_text()
    page = Page(text)
    assert not {"script", "img", "link", "iframe", "form", "object"} & {*page.tags}
    assert not [name for name, _ in page.attributes if name in ("src", "style") or name.startswith("on")]
    assert [value for name, value in page.attributes if name == "href"] == ["mailto:it+ai@acme.example"]
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert "<script>" not in text
    assert "A &amp; B" in text
    assert "Ann &lt;b&gt;" in text


def test_the_page_tells_every_column_of_a_call(tmp_path):
    """What the ledger keeps and the page does not tell would be kept in secret."""
    Ledger.open(tmp_path / "ledger.db", tmp_path / "gates", NOW_MS).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        columns = {row[1] for row in conn.execute("PRAGMA table_info(calls)")}
    told = [column for _, _, group in KEPT for column in group]
    assert len(told) == len({*told})
    assert {*told} == columns


def test_the_page_has_each_table_that_a_person_is_shown(out, tmp_path):
    """What `spendgate me` has, in its words; and that it answers people on Linux alone."""
    Ledger.open(tmp_path / "ledger.db", tmp_path / "gates", NOW_MS).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as conn:
        conn.row_factory = sqlite3.Row
        shown = [(each.table, each.what) for each in kept(conn, Whose("alice", "alice"))]
    text = (out / "for-people.html").read_text()
    rows = [(table, unescape(what)) for table, what in re.findall(r"<tr><td>(\w+)</td><td>(.*?)</td>", text)]
    assert rows == shown
    assert "On macOS and Windows the gate answers administrators alone" in text


def test_the_page_says_where_to_look(out):
    """Each host, the stage, the commands."""
    text = (out / "for-people.html").read_text()
    assert "<td>keep" not in text
    for word in (
        "administrators can read",
        "as said above after its window is over",
        "api.anthropic.com",
        "Nothing is refused",
        "<code>spendgate me</code>",
        "no prompt, no answer",
    ):
        assert word in text


def test_the_page_does_not_promise_less_than_the_root_can(tmp_path):
    """A root that could stand for more providers than are read: people are told so."""
    text = (
        made(tmp_path, hosts=["api.openai.com"], pem=root_pem([*HOSTS, CANARY_HOST])) / "for-people.html"
    ).read_text()
    assert "for 2 hosts of AI providers, of which those below are read" in text
    assert "<summary>1 host of providers</summary>" in text


def test_the_index_names_every_file(out):
    """And no file that is not there."""
    text = (out / "README.md").read_text()
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} - {"README.md", "SHA256SUMS"}
    assert {*re.findall(r"^\| `([^`]+)` \|", text.partition("## Files")[2], re.M)} == there
    for word in ("## Order", "## Kill switch", "## Removal", "## Not run", "stage", TEAM):
        assert word in text
    assert re.findall(r".?<script>", text) == ["\\<script>"]  # Markdown shows it as text


def test_the_index_tells_the_hosts_that_are_left_out(tmp_path):
    """By name."""
    text = (made(tmp_path, pem=root_pem([*HOSTS, CANARY_HOST])) / "README.md").read_text()
    assert "**Not read**" in text
    assert "`claude.ai`" in text
    assert "| hosts | 2," in text


def test_the_index_tells_how_a_gate_is_started_on_linux(tmp_path):
    """In each mode by a command that there is, with the port and the policy of the rollout; and how it gets its certificates."""
    text = (made(tmp_path) / "README.md").read_text()
    steps = [
        "apt install ./spendgate_",
        "`linux/install.sh` as root",
        "`spendgate service install`",
        "its certificates, as below",
    ]
    steps += [
        "`spendgate service install --mode transparent`",
        "## Kill switch",
        "the machine's next start, which captures again",
    ]
    steps += ["## Removal", "`apt purge spendgate`", "/etc/codex/managed_config.toml", "/etc/osquery/osquery.conf.d"]
    found = [text.index(step) for step in steps]
    assert found == sorted(found)  # nothing is led to a gate without certificates
    assert "| Windows | the Win32 app that `scripts/package --windows` makes" in text
    assert "`spendgate ca org issue` where the root's key is" in text
    keys = signed(tmp_path, f"{POLICY}mode: observe\n")
    pushed = made(tmp_path, mode="proxy", port=9000, keys=keys, policy={"file": "policy.yaml"})
    words = re.search(r"`spendgate (service install [^`]*)`", (pushed / "README.md").read_text())
    assert words is not None
    assert words[1] == "service install --port 9000 --policy /etc/spendgate/policy.yaml"
    unit = CliRunner().invoke(app, [*words[1].split(), "--dry-run"])
    assert unit.exception is None or "policy.yaml" in str(unit.exception)  # this machine may have none
    assert "--policy /etc/spendgate/policy.yaml --port 9000\n" in unit.stdout
    assert "| questions | IT desk, `it@acme.example`" in (pushed / "README.md").read_text()
    proxied = (made(tmp_path, upstream="http://proxy.acme.example:3128") / "README.md").read_text()
    assert "`spendgate service install --mode transparent --upstream http://proxy.acme.example:3128`" in proxied
    assert f"/etc/credstore/{UPSTREAM_AUTH}" in proxied


def test_the_kill_switch_is_one_for_this_rollout(tmp_path):
    """A pushed policy goes by the MDM, and not without its stage; what mends is ended before anything is taken away."""
    fetched = (made(tmp_path, stage="enforce") / "README.md").read_text()
    assert "; the first needs no MDM." in fetched
    assert "publish it and its signature at `https://policy.acme.example/policy.yaml`" in fetched
    keys = signed(tmp_path, f"{POLICY}mode: enforce\n")
    more = {"mode": "proxy", "stage": "enforce", "keys": keys, "policy": {"file": "policy.yaml"}}
    text = (made(tmp_path, **more) / "README.md").read_text()
    assert "needs no MDM" not in text
    assert "write `stage: observe` into the rollout file" in text
    assert "end what runs `install.sh`" in text
    removal = text.partition("## Removal")[2]
    assert removal.index("the daily run of `install.sh`") < removal.index("Capture, as") < removal.index("remove.sh`,")
    more["keys"] = signed(tmp_path, f"{POLICY}mode: observe\n")
    refused = make(write(tmp_path, rollout(**more)), tmp_path / "observe")
    assert "stage is enforce" in refused.stderr  # so the stage goes with it


def test_no_text_of_the_rollout_is_markup(tmp_path):
    """Neither a column of a table, nor HTML, nor a word of a shell."""
    address, url = "https://a.example/x|y$(id)", "https://p.example/<b>|$(id)/p.yaml"
    text = (made(tmp_path, contact={"name": "IT", "address": address}, policy={"url": url}) / "README.md").read_text()
    for row in ("questions", "policy"):
        (line,) = re.findall(rf"^\| {row} \|.*$", text, re.M)
        assert len(re.findall(r"(?<!\\)\|", line)) == 3
        assert not re.search(r"(?<!\\)<b>", line)
    done = make(write(tmp_path, rollout(upstream="http://a;touch:3128")), tmp_path / "again")
    assert "upstream: write http://HOST:PORT" in done.stderr


def test_the_sums_are_those_of_the_files(out):
    """As a person checks them."""
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK") == sum(path.is_file() for path in out.rglob("*")) - 1


def test_iru_has_each_profile_in_a_folder_of_its_own(out):
    """One info.yaml and one profile, the same as for the others; inactive."""
    profiles = {path.stem: path.read_bytes() for path in (out / "macos/profiles").iterdir()}
    folders = sorted((out / "iru/profiles").iterdir())
    assert [folder.name for folder in folders] == sorted(profiles)
    seen = set()
    for folder in folders:
        assert (folder / "profile.mobileconfig").read_bytes() == profiles[folder.name]
        info = yaml.safe_load((folder / "info.yaml").read_text())
        assert (info["active"], info["runs_on_mac"], info["runs_on_iphone"]) == (False, True, False)
        assert info["mdm_identifier"] == f"com.kandji.profile.custom.{info['id']}"
        seen.add(info["id"])
    assert len(seen) == len(folders)


def test_fleet_and_ansible_name_files_that_are_there(out):
    """By paths from where they lie."""
    fleet = yaml.safe_load((out / "fleet/spendgate.yml").read_text())
    controls = fleet["controls"]
    named = [each["path"] for each in (*controls["apple_settings"]["configuration_profiles"], *controls["scripts"])]
    assert len(named) == 5 + 6
    scripts = [Path(each["path"]).name for each in controls["scripts"]]
    assert len(set(scripts)) == len(scripts)  # Fleet refuses two of one name
    assert (out / "fleet/spendgate-linux-install.sh").read_bytes() == (out / "linux/install.sh").read_bytes()
    options = yaml.safe_load((out / "fleet/agent-options.yml").read_text())
    assert options["config"] == json.loads((out / "linux/osquery.conf").read_text())
    assert [each["platform"] for each in fleet["policies"]] == ["darwin", "linux"]
    anchor = re.search(r"one /etc/spendgate/root.pem (\w{64})", (out / "linux/verify.sh").read_text())
    assert anchor is not None
    assert anchor[1] in fleet["policies"][1]["query"]
    for play in ("install", "remove"):
        (found,) = yaml.safe_load((out / f"ansible/{play}.yml").read_text())
        named += [task["ansible.builtin.script"] for task in found["tasks"]]
        assert found["become"] is True
    assert all((out / "fleet" / each).is_file() for each in named)
    root = plistlib.loads((out / "macos/profiles/1-root.mobileconfig").read_bytes())["PayloadContent"][0][
        "PayloadContent"
    ]
    digest = subprocess.run(["sha1sum"], input=root, capture_output=True, check=True).stdout.split()[0].decode()
    assert digest in fleet["policies"][0]["query"]


def test_no_private_key_is_in_any_file(out):
    """Nor a word of one."""
    assert not [path for path in out.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
