"""`spendgate ca trust` and `untrust`: this machine's own stores, in a mount namespace of their own; others' by their files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from cli.kit import app
from open_authority import open_to_all
from own_files import JAVA_HOOK, run, why_not
from spendgate.capture.ca import create
from spendgate.capture.ca_files import open_authority
from spendgate.capture.ca_next import take_next
from spendgate.config.paths import State, prepare
from spendgate.errors import StateError, UsageError
from spendgate.stores import noted, withdrawing
from spendgate.stores.here import stores
from spendgate.stores.nss import databases
from spendgate.stores.system import SystemStore, systems

ROOT = Path(__file__).parents[2]
HOSTS = ("api.anthropic.com", "api.openai.com")
FEW_STEPS = """
update-ca-certificates --fresh >fresh.log 2>&1
listing >before
$SPENDGATE ca trust >out
listing >trusted
cp /etc/ssl/certs/ca-certificates.crt bundle
$SPENDGATE ca untrust >out
listing >after
"""
STEPS = """
update-ca-certificates --fresh >fresh.log 2>&1
listing >before
$SPENDGATE ca trust --dry-run >dry
listing >after-dry
$SPENDGATE ca trust >first
listing >trusted
cp /etc/ssl/certs/ca-certificates.crt bundle
$SPENDGATE ca show --format json >shown
$SPENDGATE ca trust >again 2>again.err
listing >trusted-twice
$SPENDGATE ca untrust --dry-run >dry-out
$SPENDGATE ca untrust >out
listing >after
$SPENDGATE ca untrust >gone 2>gone.err
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = prepare(State(tmp_path / "state"))
    open_authority(made.ca_certificate, made.ca_key, HOSTS, datetime.now(UTC))
    return made


@pytest.fixture(autouse=True)
def no_store_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A refusal that does not come must not end in the trust store of whoever runs the tests."""
    monkeypatch.setattr(noted, "FILE", tmp_path / "noted")
    monkeypatch.setattr("spendgate.cli.ca_trust.stores", lambda: ())


def own_machine(state: State, steps: str) -> dict[str, str]:
    """What the steps printed, run as root with system folders of their own. Skips where that cannot be had."""
    if reason := why_not():
        pytest.skip(reason)
    variables = {
        "SPENDGATE": f"{sys.executable} -m spendgate",
        "SPENDGATE_STATE": str(state.root),
        "PYTHONPATH": str(ROOT / "addon"),
        "HOME": str(state.root.parent),
        "JAVA": "/etc/ssl/certs/java/cacerts",
    }
    return run(state.root.parent, steps, variables)


@pytest.mark.root
def test_the_systems_store_has_it_and_then_nothing_of_it(state: State) -> None:
    """The real programs: every program that reads the bundle trusts it, and then not a link of it is left."""
    text = own_machine(state, f"rm -f {JAVA_HOOK}\n{FEW_STEPS}")
    assert state.ca_certificate.read_text() in text["bundle"]
    assert text["before"] == text["after"] != text["trusted"]


@pytest.mark.root
@pytest.mark.heavy
def test_the_systems_store_step_by_step(state: State) -> None:
    """Each change told before it is made, made once, and undone to the last link and entry."""
    text = own_machine(state, f"rm -f {JAVA_HOOK}\n{STEPS}")
    pem = state.ca_certificate.read_text()
    assert "would write /usr/local/share/ca-certificates/spendgate-" in text["dry"]
    assert text["after-dry"] == text["before"] == text["after"] != text["trusted"]
    assert text["first"].startswith("done: write ")
    assert pem in text["bundle"]
    assert json.loads(text["shown"])["trusted_in"] == ["the system's store (/usr/local/share/ca-certificates)"]
    assert "trusted already" in text["again.err"]
    assert text["trusted-twice"] == text["trusted"]
    assert "would remove /usr/local/share/ca-certificates/spendgate-" in text["dry-out"]
    assert "nothing to change" in text["gone.err"]


@pytest.mark.root
@pytest.mark.heavy
def test_java_forgets_it_too(state: State) -> None:
    """Debian's hook is told of additions alone: what was taken out of the folder stayed in Java's store."""
    if not Path(JAVA_HOOK).exists() or not shutil.which("keytool"):
        pytest.skip("needs Java with Debian's ca-certificates-java")
    entries = 'keytool -list -keystore "$JAVA" -storepass changeit 2>/dev/null'
    entries += " | cut -d, -f1 | sort"  # after the name stands when it was made
    steps = "update-ca-certificates --fresh >fresh.log 2>&1\n"
    steps += f"{entries} >before\n$SPENDGATE ca trust\n{entries} >with\n$SPENDGATE ca untrust\n{entries} >without\n"
    text = own_machine(state, steps)
    assert "debian:spendgate-" in text["with"]
    assert "debian:" in text["without"]
    assert text["without"] == text["before"]


def test_the_hook_of_javas_store_is_told_of_a_removal(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the hook's own words, after the system's program has run; a stand-in for both, since Java's takes a minute."""
    (debian,) = (each for each in systems(tmp_path / "machine") if each.java_hook)
    assert debian.java_hook is not None
    programs = tmp_path / "programs"
    for folder in (debian.folder, debian.java_hook.parent, programs):
        folder.mkdir(parents=True)
    for program, line in ((programs / debian.after[0], "echo update"), (debian.java_hook, "cat")):
        program.write_text(f"#!/bin/sh\n{line} >>{tmp_path}/called\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr("spendgate.cli.ca_trust.stores", lambda: (debian,))
    monkeypatch.setattr("spendgate.cli.ca_trust._is_root", lambda: True)
    assert ran(state, "trust").exit_code == 0
    (file,) = debian.folder.iterdir()
    assert ran(state, "untrust").exit_code == 0
    assert (tmp_path / "called").read_text() == f"update\nupdate\n-/etc/ssl/certs/{file.stem}.pem\n"


@pytest.fixture
def debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SystemStore:
    """Debian's store, with stand-ins for its program and for the hook of Java's: the hook fails where it would start dpkg."""
    (found,) = (each for each in systems(tmp_path / "machine") if each.java_hook)
    assert found.java_hook is not None
    programs = tmp_path / "programs"
    for folder in (found.folder, found.java_hook.parent, programs):
        folder.mkdir(parents=True)
    (programs / found.after[0]).write_text("#!/bin/sh\nexit 0\n")
    found.java_hook.write_text('#!/bin/sh\n[ -n "$DPKG_MAINTSCRIPT_PACKAGE" ] || { echo dpkg is locked; exit 1; }\n')
    for program in (programs / found.after[0], found.java_hook):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr("spendgate.cli.ca_trust.stores", lambda: (found,))
    monkeypatch.setattr("spendgate.stores.withdrawing.stores", lambda: (found,))
    monkeypatch.setattr("spendgate.cli.ca_trust._is_root", lambda: True)
    return found


def test_a_service_leaves_none_of_its_certificates_trusted(
    state: State, debian: SystemStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those from before a rotation, too, which root has noted; another gate's stays. In a removal by dpkg as by hand."""
    monkeypatch.setenv("DPKG_MAINTSCRIPT_PACKAGE", "spendgate")
    other = prepare(State(tmp_path / "other"))
    open_authority(other.ca_certificate, other.ca_key, HOSTS, datetime.now(UTC))
    for each in (state, other):
        assert ran(each, "trust").exit_code == 0
    before = debian.trusted()
    assert ran(state, "rotate").exit_code == 0
    assert ran(state, "trust").exit_code == 0
    assert len(debian.trusted() - before) == 1
    assert take_next(state.ca_certificate, state.ca_key, datetime.now(UTC))
    state.ca_certificate.write_bytes(other.ca_certificate.read_bytes())  # by the gate's account: whose file this is
    names = withdrawing.names_of(state.root, state.ca_certificate)
    said: list[str] = []
    assert withdrawing.withdraw(names, said.append) == ()
    (left,) = debian.trusted()
    assert noted.noted() == {left: str(other.root)}
    assert len(said) == 1
    assert ran(other, "untrust").exit_code == 0
    assert not noted.FILE.exists()


def test_what_cannot_be_taken_out_is_said_and_raises_nothing(state: State, debian: SystemStore) -> None:
    """Without dpkg's word the stand-in for Java's hook fails, as the real one did in a removal."""
    assert ran(state, "trust").exit_code == 0
    noted.FILE.unlink()  # as of a version that noted nothing
    names = withdrawing.names_of(state.root, state.ca_certificate)
    assert names == debian.trusted() != frozenset()
    (left,) = withdrawing.withdraw(names, lambda line: None)
    assert "is still trusted in the system's store" in left
    assert "dpkg is locked" in left
    for bad in (b"no certificate", b""):
        state.ca_certificate.write_bytes(bad)
        assert withdrawing.names_of(state.root, state.ca_certificate) == frozenset()


def nss(folder: Path) -> Path:
    """A new database, as a browser makes it. Skips where certutil is missing."""
    if not shutil.which("certutil"):
        pytest.skip("needs certutil (libnss3-tools)")
    folder.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"], check=True)
    return folder


def listed(folder: Path) -> str:
    return subprocess.run(["certutil", "-L", "-d", f"sql:{folder}"], capture_output=True, text=True, check=True).stdout


def ran(state: State, *words: str) -> Result:
    return CliRunner().invoke(app, ["ca", *words, "--state", str(state.root)])


@pytest.fixture
def browsers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Chromium's database and one profile of Firefox, in a home where nothing else is a store."""
    home = tmp_path / "home"
    found = (nss(home / ".pki" / "nssdb"), nss(home / ".mozilla" / "firefox" / "x.default"))
    monkeypatch.setattr("spendgate.cli.ca_trust.stores", lambda: databases(home))
    return found


def test_browsers_databases_have_it_for_servers_alone_and_then_not(state: State, browsers: tuple[Path, Path]) -> None:
    before = [listed(folder) for folder in browsers]
    assert ran(state, "trust", "--dry-run").stdout.count("would add ") == 2
    assert [listed(folder) for folder in browsers] == before
    assert ran(state, "trust").exit_code == 0
    for folder in browsers:
        (line,) = [line for line in listed(folder).splitlines() if "spendgate-" in line]
        assert line.split()[-1] == "C,,"
    again = ran(state, "trust")
    assert (again.exit_code, again.stdout) == (0, "")
    assert len(json.loads(ran(state, "show", "--format", "json").stdout)["trusted_in"]) == 2
    assert ran(state, "untrust").stdout.count("done: remove ") == 2
    assert [listed(folder) for folder in browsers] == before
    assert ran(state, "untrust").exit_code == 0


def test_what_a_lost_state_left_is_taken_out_by_all(state: State, browsers: tuple[Path, Path]) -> None:
    """The old file is gone; its entries are found by their names. Another's certificate stays."""
    other = create(["api.openai.com"], datetime.now(UTC)).pem
    words = ["certutil", "-A", "-d", f"sql:{browsers[0]}", "-n", "of a company", "-t", "C,,", "-a"]
    subprocess.run(words, input=other, check=True)
    assert ran(state, "trust").exit_code == 0
    state.ca_certificate.unlink()
    missing = ran(state, "untrust")
    assert isinstance(missing.exception, StateError)
    assert "--all" in str(missing.exception)
    assert ran(state, "untrust", "--all").exit_code == 0
    assert all("spendgate-" not in listed(folder) for folder in browsers)
    assert "of a company" in listed(browsers[0])


def test_a_rotation_overlaps(state: State, browsers: tuple[Path, Path]) -> None:
    """The new certificate is trusted beside the old one before the gate shows it, and until `--old` takes the old one out."""
    assert ran(state, "trust").exit_code == 0
    shown, key = state.ca_certificate.read_bytes(), state.ca_key.read_bytes()
    for _ in range(2):  # again: what nobody has taken gives way
        assert ran(state, "rotate").exit_code == 0
    assert (state.ca_certificate.read_bytes(), state.ca_key.read_bytes()) == (shown, key)
    said = ran(state, "trust")
    assert "restart the gate" in said.stderr
    assert [listed(folder).count("spendgate-") for folder in browsers] == [2, 2]
    assert "nothing to change" in ran(state, "untrust", "--old").stderr
    assert take_next(state.ca_certificate, state.ca_key, datetime.now(UTC))
    open_authority(state.ca_certificate, state.ca_key, HOSTS, datetime.now(UTC))
    assert state.ca_certificate.read_bytes() != shown
    assert not take_next(state.ca_certificate, state.ca_key, datetime.now(UTC))
    assert ran(state, "untrust", "--old").exit_code == 0
    assert [listed(folder).count("spendgate-") for folder in browsers] == [1, 1]
    assert len(json.loads(ran(state, "show", "--format", "json").stdout)["trusted_in"]) == 2
    assert isinstance(ran(state, "untrust", "--old", "--all").exception, UsageError)


def test_anothers_home_is_let_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under sudo with HOME kept, root would write where somebody else arranged what lies there."""
    nss(tmp_path / ".pki" / "nssdb")
    assert len(databases(tmp_path)) == 1
    monkeypatch.setattr("spendgate.stores.nss.os.geteuid", lambda: os.getuid() + 1)
    assert databases(tmp_path) == ()


def test_a_certificate_that_could_sign_for_more_is_not_trusted(state: State) -> None:
    """Whoever swapped the file would have the machine trust a CA for every site."""
    swapped = open_to_all(HOSTS, datetime.now(UTC), root_constrained=False)
    state.ca_certificate.write_bytes(swapped.root.public_bytes(Encoding.PEM))
    answer = ran(state, "trust")
    assert isinstance(answer.exception, StateError)
    assert "has no name constraints" in str(answer.exception)


@pytest.mark.parametrize("domain", ["com", ".com"])
def test_a_certificate_for_a_whole_top_level_domain_is_not_trusted(state: State, domain: str) -> None:
    """With a dot in front, too, which OpenSSL and others read as all that is below."""
    state.ca_certificate.write_bytes(create([domain], datetime.now(UTC)).pem)
    answer = ran(state, "trust")
    assert isinstance(answer.exception, StateError)
    assert f"may sign for all of {domain}" in str(answer.exception)


@pytest.mark.parametrize("domain", ["co.uk", ".co.uk", "s3.amazonaws.com", "azurewebsites.net"])
def test_a_certificate_for_what_others_have_names_below_is_not_trusted(state: State, domain: str) -> None:
    state.ca_certificate.write_bytes(create([*HOSTS, domain], datetime.now(UTC)).pem)
    answer = ran(state, "trust")
    assert isinstance(answer.exception, StateError)
    assert f"others have below {domain};" in str(answer.exception)


def test_a_name_that_is_no_known_providers_is_told(state: State) -> None:
    """A policy may name a company's own host, and whoever owns the state directory a bank: root must see which."""
    state.ca_certificate.write_bytes(create([*HOSTS, "www.bank.example"], datetime.now(UTC)).pem)
    dry = ran(state, "trust", "--dry-run")
    assert "can sign for www.bank.example, too, no provider's host" in dry.stderr
    assert "api.openai.com" not in dry.stderr


SYSTEMS = {
    "fedora": ("etc/pki/ca-trust/source/anchors", "update-ca-trust", "extract"),
    "arch": ("etc/ca-certificates/trust-source/anchors", "update-ca-trust", "extract"),
    "suse": ("etc/pki/trust/anchors", "update-ca-certificates", ""),
    "debian": ("usr/local/share/ca-certificates", "update-ca-certificates", "--fresh"),
}


@pytest.fixture(params=SYSTEMS)
def other(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, str]:
    """(its anchors, its program, what that is told at a removal): a distribution's folder, with a program that writes down how
    it was called. The real ones are not run here but for Debian's, above."""
    folder, program, told = SYSTEMS[request.param]
    root, programs = tmp_path / "machine", tmp_path / "programs"
    (root / folder).mkdir(parents=True)
    programs.mkdir()
    (programs / program).write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/called\n')
    (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(
        "spendgate.cli.ca_trust.stores", lambda: tuple(each for each in systems(root) if each.is_here())
    )
    monkeypatch.setattr("spendgate.cli.ca_trust._is_root", lambda: True)
    return root / folder, programs / program, told


def test_each_distributions_folder_has_it_and_then_not(
    state: State, other: tuple[Path, Path, str], tmp_path: Path
) -> None:
    folder, _, told = other
    assert ran(state, "trust").exit_code == 0
    (file,) = folder.iterdir()
    assert file.read_bytes() == state.ca_certificate.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o644
    assert ran(state, "trust").exit_code == 0
    assert ran(state, "untrust").exit_code == 0
    assert not list(folder.iterdir())
    assert ran(state, "untrust").exit_code == 0
    called = (tmp_path / "called").read_text().splitlines()
    assert len(called) == 2, "once for each change"
    assert called[1] == told


def test_where_the_systems_program_fails_nothing_has_changed(state: State, other: tuple[Path, Path, str]) -> None:
    """Else the next attempt would find its work done."""
    folder, program, _ = other
    works = program.read_text()
    fails = "#!/bin/sh\necho the disk is full\nexit 3\n"
    program.write_text(fails)
    answer = ran(state, "trust")
    assert isinstance(answer.exception, StateError)
    assert "the disk is full" in str(answer.exception)
    assert not list(folder.iterdir())
    program.write_text(works)
    assert ran(state, "trust").exit_code == 0
    program.write_text(fails)
    assert isinstance(ran(state, "untrust").exception, StateError)
    (file,) = folder.iterdir()
    assert file.read_bytes() == state.ca_certificate.read_bytes()


def test_without_root_the_systems_store_is_named_and_left(
    state: State, other: tuple[Path, Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spendgate.cli.ca_trust._is_root", lambda: False)
    assert ran(state, "trust", "--dry-run").stdout.rstrip().endswith("as root")
    answer = ran(state, "trust")
    assert answer.exit_code == 1
    assert "needs root" in answer.stderr
    assert not list(other[0].iterdir())


@pytest.mark.parametrize(("platform", "word"), [("darwin", "configuration profile"), ("win32", "profile puts it")])
def test_elsewhere_a_profile_does_it(state: State, monkeypatch: pytest.MonkeyPatch, platform: str, word: str) -> None:
    monkeypatch.setattr("spendgate.cli.ca_trust.stores", lambda: stores(platform))
    for verb in ("trust", "untrust"):
        answer = ran(state, verb)
        assert answer.exit_code == 1
        assert isinstance(answer.exception, StateError)
        assert word in str(answer.exception)
    assert json.loads(ran(state, "show", "--format", "json").stdout)["trusted_in"] is None


def test_a_machine_without_stores_is_told_what_to_install(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spendgate.cli.ca_trust.stores", lambda: ())
    answer = ran(state, "trust")
    assert isinstance(answer.exception, StateError)
    assert "ca-certificates" in str(answer.exception)
