"""`spendgate service` where no systemd is needed: what it would do, a package's files, and where it cannot be."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.kit import app
from spendgate.cli import installed_program
from spendgate.errors import StateError, UsageError
from spendgate.service import machine
from spendgate.stores.system import systems

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a service is Linux for now")
installing = pytest.importorskip("spendgate.cli.installing", exc_type=ImportError)  # asks what Linux alone has
removing = pytest.importorskip("spendgate.cli.removing", exc_type=ImportError)
PROGRAM = ("--program", "/opt/spendgate/bin/spendgate")
UNIT = "usr/lib/systemd/system/spendgate.service"
ACCOUNTS = "usr/lib/sysusers.d/spendgate.conf"
BESIDE = ("spendgate-redirect.service", "spendgate-clerk.service")


def service(*words: str) -> Result:
    """The command, and how it ended."""
    return CliRunner().invoke(app, ["service", *words])


def below(root: Path) -> dict[str, str]:
    """Every file there, and its mode."""
    return {
        str(path.relative_to(root)): f"{stat.S_IMODE(path.stat().st_mode):o}"
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_dry_run_shows_all_of_it_and_does_nothing(tmp_path: Path) -> None:
    """Each account or that it is there, folder, file with its mode and every line, and what would be run."""
    shown = service("install", "--dry-run", "--root", str(tmp_path), *PROGRAM, "--port", "8099")
    assert shown.exit_code == 0, shown.output
    assert below(tmp_path) == {}

    written = service("install", "--root", str(tmp_path), *PROGRAM, "--port", "8099")
    assert written.exit_code == 0, written.output
    for file in (UNIT, ACCOUNTS):
        assert f"# writes {tmp_path / file}, mode 0644, of root\n" in shown.stdout
        assert (tmp_path / file).read_text() in shown.stdout
    for line in (
        "# systemd makes /var/lib/spendgate, mode 0711, of spendgate",
        "# systemd makes /run/spendgate, mode 0755, of spendgate",
        "# runs: systemctl daemon-reload",
        "ExecStart=/opt/spendgate/bin/spendgate run --state /var/lib/spendgate --port 8099",
    ):
        assert f"{line}\n" in shown.stdout


def test_a_dry_run_needs_neither_root_nor_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names the accounts that are missing on this machine."""
    monkeypatch.setattr(machine, "BOOTED", tmp_path / "nowhere")
    monkeypatch.setattr(machine, "is_there", lambda account: account == "group:spendgate-admin")

    shown = service("install", "--dry-run")

    assert shown.exit_code == 0, shown.output
    assert "# makes the user spendgate\n" in shown.stdout
    assert "# makes the group spendgate\n" in shown.stdout
    assert "# makes the group spendgate-admin" not in shown.stdout
    assert "Made=group:spendgate user:spendgate\n" in shown.stdout.replace("folder:/etc/sysusers.d ", "")


def test_a_dry_run_ends_with_what_would_stop_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A faulty policy, and one that is not there; a good one is named with its mode."""
    monkeypatch.setattr(machine, "is_there", lambda _: True)
    file = tmp_path / "policy.yaml"
    gone = service("install", "--dry-run", "--policy", str(file))
    assert (gone.exit_code, "policy.yaml" in str(gone.exception)) == (1, True)
    file.write_text("version: 1\nowner: lead@acme.example\nbudgts: []\n")
    faulty = service("install", "--dry-run", "--policy", str(file))
    assert faulty.exit_code == 1
    assert "did you mean budgets?" in str(faulty.exception)
    file.write_text("version: 1\nowner: lead@acme.example\n")
    assert f"the policy: {file}; mode enforce" in service("install", "--dry-run", "--policy", str(file)).stderr


def test_a_package_has_two_files_and_the_second_time_changes_none(tmp_path: Path) -> None:
    """And a removal takes both away, with the folders that are empty then."""
    root = tmp_path / "package"
    first = service("install", "--root", str(root), *PROGRAM)
    assert first.exit_code == 0, first.output
    assert below(root) == {UNIT: "644", ACCOUNTS: "644"}
    assert "systemd-sysusers" in first.stderr

    again = service("install", "--root", str(root), *PROGRAM)
    assert "nothing was changed" in again.stderr
    other = service("install", "--root", str(root), *PROGRAM, "--policy", "/etc/spendgate/policy.yaml")
    assert f"changed {root / UNIT}" in other.stderr
    assert "--policy /etc/spendgate/policy.yaml" in (root / UNIT).read_text()

    removed = service("uninstall", "--root", str(root))
    assert removed.exit_code == 0, removed.output
    assert list(root.rglob("*")) == []
    assert "nothing of the service is in" in service("uninstall", "--root", str(root)).stderr


@pytest.mark.parametrize("words", [(), ("--program", "bin/spendgate"), (*PROGRAM, "--policy", "policy.yaml")])
def test_a_package_names_what_is_on_the_other_machine(tmp_path: Path, words: tuple[str, ...]) -> None:
    """What runs here says nothing about where it is there."""
    result = service("install", "--root", str(tmp_path), *words)

    assert isinstance(result.exception, UsageError)
    assert "--program /opt/spendgate/bin/spendgate" in str(result.exception)
    assert below(tmp_path) == {}


def test_a_package_has_no_ledger_to_keep(tmp_path: Path) -> None:
    """An option that would do nothing is refused."""
    result = service("uninstall", "--root", str(tmp_path), "--keep-ledger")

    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize("words", [("install",), ("status",), ("stop",)])
def test_without_systemd_there_is_one_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """As in most containers."""
    monkeypatch.setattr(machine, "BOOTED", tmp_path / "nowhere")

    result = service(*words)

    assert isinstance(result.exception, StateError)
    assert "systemd does not run this machine" in str(result.exception)
    assert "spendgate run" in str(result.exception)


@pytest.mark.parametrize(
    "words", [("install",), ("install", "--dry-run"), ("uninstall",), ("status",), ("stop",), ("clerk",)]
)
def test_other_systems_are_said_not_to_be_built(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """Plainly, with what there is instead."""
    monkeypatch.setattr("spendgate.cli.service_.platform.system", lambda: "FreeBSD")

    result = service(*words)

    assert isinstance(result.exception, StateError)
    assert "is not built on FreeBSD; `spendgate run`" in str(result.exception)


def test_no_program_that_others_may_change_is_run_as_the_gate(tmp_path: Path) -> None:
    """The folder of a test is below one that everybody may write; the system's programs are root's alone."""
    program = tmp_path / "spendgate"
    program.touch()
    program.chmod(0o777)
    with pytest.raises(StateError, match=f"others than root may write {program},.*chown"):
        installed_program.check_program(installing.described(installing.Wanted(None, 8080, program)))
    installed_program.check_program(installing.described(installing.Wanted(tmp_path, 8080, Path("/bin/sh"))))


def test_a_state_directory_on_another_disk_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator may have put a link in its place."""
    disk, link = tmp_path / "disk", tmp_path / "spendgate"
    (disk / "private").mkdir(parents=True)
    link.symlink_to(disk)
    monkeypatch.setattr(removing.paths, "SERVICE_DIRECTORY", link)
    removing.drop_state(keep_ledger=False)
    assert list(tmp_path.iterdir()) == []


def test_trust_that_is_left_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate stays where `ca trust` put it; its state directory is gone, so the remedy needs no file."""
    debian = next(each for each in systems(tmp_path) if each.java_hook)
    debian.folder.mkdir(parents=True)
    monkeypatch.setattr(removing, "stores", lambda: (debian,))
    assert removing._trusting() == ""
    (debian.folder / "spendgate-0123456789abcdef.crt").touch()
    assert removing._trusting() == debian.name


def test_units_go_where_nft_has_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each is stopped and removed; what could not be is said, with its remedy."""
    stopped: list[str] = []

    def gone() -> None:
        raise StateError("nft is not here")

    monkeypatch.setattr(removing, "placed", tmp_path.joinpath)
    monkeypatch.setattr(removing.nftables, "remove", gone)
    monkeypatch.setattr(machine, "systemctl", lambda *words: stopped.append(words[-1]))
    monkeypatch.setattr(machine, "reset_failed", stopped.append)
    for name in BESIDE:
        (tmp_path / name).write_text("")

    [left] = removing.drop_units(BESIDE)

    assert list(tmp_path.iterdir()) == []
    assert sorted({*stopped}) == sorted(BESIDE)
    assert "`nft delete table inet spendgate`" in left


def test_a_time_of_systemds_is_read() -> None:
    """And one that never was."""
    told = machine.instant("Sun 2026-11-29 11:15:33 UTC")
    assert told is not None
    assert told.isoformat() == "2026-11-29T11:15:33+00:00"
    assert machine.instant("") is None


def test_transparent_capture_adds_two_units_and_goes_again(tmp_path: Path) -> None:
    """In a package: shown first, written, and all of it removed."""
    transparent = ("--root", str(tmp_path), *PROGRAM, "--mode", "transparent", "--redirect-port", "9443")
    shown = service("install", "--dry-run", *transparent)
    written = service("install", *transparent)

    assert (shown.exit_code, written.exit_code) == (0, 0), shown.output + written.output
    places = [f"usr/lib/systemd/system/{name}" for name in BESIDE]
    assert below(tmp_path) == dict.fromkeys((UNIT, ACCOUNTS, *places), "644")
    for place in places:
        assert (tmp_path / place).read_text() in shown.stdout
    for line in (
        "ExecStart=/opt/spendgate/bin/spendgate run --state /var/lib/spendgate --mode transparent --port 9443 --redirected"
        " --mode regular@8080",
        "ExecStart=/opt/spendgate/bin/spendgate service redirect --account spendgate --port 9443",
        "ExecStart=/opt/spendgate/bin/spendgate service clerk --account spendgate",
        "# systemd makes /run/spendgate-redirect, mode 0750, of its unit's, group spendgate",
        "# runs: systemctl enable --now spendgate-clerk.service spendgate-redirect.service spendgate.service",
    ):
        assert f"{line}\n" in shown.stdout
    assert service("uninstall", "--root", str(tmp_path)).exit_code == 0
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--redirect-port", "9443"), "belong to --mode transparent"),
        (("--containers", "172.16.0.0/12"), "belong to --mode transparent"),
        (
            ("--mode", "transparent", "--containers", "172.16.0.0/12", "--port", "8444"),
            "containers' connections come in",
        ),
        (("--mode", "transparent", "--port", "8443"), "cannot share one"),
        (("--mode", "transparent", "--port", "9443", "--redirect-port", "9443"), "cannot share one"),
    ],
)
def test_ports_that_do_not_go_together_are_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """Before anything is written."""
    result = service("install", "--root", str(tmp_path), *PROGRAM, *words)

    assert isinstance(result.exception, UsageError)
    assert said in str(result.exception)
    assert below(tmp_path) == {}


@pytest.mark.parametrize("verb", ["redirect", "clerk"])
def test_what_systemd_starts_says_so_when_a_person_does(verb: str) -> None:
    """Without the folder that systemd makes, or the account that is let in."""
    result = service(verb, "--account", "daemon")

    assert isinstance(result.exception, StateError)
    assert "service install --mode transparent" in str(result.exception)


@pytest.mark.parametrize(
    "words",
    [(), ("--mode", "regular"), ("--mode", "transparent", "--account", "x"), ("--mode", "transparent", "--port", "0")],
)
def test_a_redirected_gate_has_neither_account_nor_rules_of_its_own(words: tuple[str, ...]) -> None:
    """Those are the services' beside it."""
    result = CliRunner().invoke(app, ["run", "--redirected", *words])

    assert isinstance(result.exception, UsageError)
    assert "--redirected belongs to --mode transparent" in str(result.exception)


SAID = dict.fromkeys(machine._ASKED, "") | {"LoadState": "loaded", "ActiveState": "active", "SubState": "running"}


def test_last_words_are_of_this_start_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier installation's stood under a failed one's name."""
    asked: list[tuple[str, ...]] = []

    def ran(*words: str, check: bool = True) -> str:
        asked.append(words)
        return "it said this\n" if "--lines" in words else ""

    monkeypatch.setattr(machine, "_run", ran)
    monkeypatch.setattr(machine, "unit_said", lambda unit: SAID | {"InvocationID": "0f" * 16})
    assert machine.last_words("spendgate.service") == ("it said this",)
    assert f"_SYSTEMD_INVOCATION_ID={'0f' * 16}" in asked[-1]
    monkeypatch.setattr(machine, "unit_said", lambda unit: SAID)
    assert machine.last_words("spendgate.service") == ()


@pytest.mark.parametrize(
    ("up", "beside", "gate", "clerk"),
    [
        (True, "a gate is answered", "spendgate 0.1.0 at regular=1", "a gate is answered"),
        (True, "no gate is there", "spendgate 0.1.0 at regular=1", "starting: the gate has not asked for it yet"),
        (False, "no gate is there", "", "no gate is there"),
    ],
)
def test_status_is_of_now(up: bool, beside: str, gate: str, clerk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gate that has stopped said last is nothing of now, and one that has just started is not missing."""
    status = pytest.importorskip("spendgate.cli.service_status", exc_type=ImportError)

    def said(unit: str) -> dict[str, str]:
        if unit == BESIDE[1]:
            return SAID | {"StatusText": beside}
        return SAID | {"ActiveState": "active" if up else "inactive", "StatusText": "spendgate 0.1.0 at regular=1"}

    monkeypatch.setattr(machine, "unit_said", said)
    monkeypatch.setattr(status, "_last_call", lambda: ("none yet", ""))
    monkeypatch.setattr(status.not_led, "said", lambda _: "")
    found = status.asked()
    assert (found.running, found.clerk) == (gate, clerk)


@pytest.mark.parametrize(("verb", "offers"), [("stop", False), ("install", True), ("uninstall", True)])
def test_only_what_has_a_dry_run_offers_one(verb: str, offers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing.os, "geteuid", lambda: 1000)
    with pytest.raises(StateError, match="run it as root") as told:
        removing.check_root(verb)
    assert ("--dry-run" in str(told.value)) == offers
