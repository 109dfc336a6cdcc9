"""The scripts of a rollout that names an enrolment office: a device enrols once the gate is there, and a removal ends it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

import own_files
from end_to_end.test_enrolment import Company
from mdm.kit import HOSTS, made, make, rollout, root_pem, write
from mdm.test_launchd import PROGRAM, STAND_INS, STATE, Mac
from mdm.test_on_machines import ADDON
from spendgate.name_constraints import CANARY_HOST

OFFICE = "https://ca.acme.example:8443"
FLEETS = "sge_" + "f" * 43

STEPS = """
mkdir bin; PATH=$PWD/bin:$PATH
fake() { cat > "bin/$1"; chmod 755 "bin/$1"; }
printf '#!/bin/sh\n[ "$1 $2" = "-u spendgate" ] || exec /usr/bin/id "$@"\n' | fake id
printf '#!/bin/sh\nshift 3; exec "$@"\n' | fake runuser
echo '#!/bin/sh' | fake update-ca-certificates
printf '#!/bin/sh\necho "$*" >> "%s/restarts"\n' "$PWD" | fake systemctl
printf '#!/bin/sh\ncat "%s/name"\n' "$PWD" | fake uname
token=/etc/spendgate/enrolment-token
rm -rf /var/lib/spendgate /etc/spendgate
installs() { if sh "$MADE/linux/install.sh" 2> "$1"; then echo 0 >> "$1"; else echo "failed $?" >> "$1"; fi; }
puts() { mkdir -p /etc/spendgate; echo "$1" > "$token"; chmod 644 "$token"; }
echo laptop-17.acme.example > name
installs 1-no-gate
mkdir -m 0711 /var/lib/spendgate
printf '#!/bin/sh\nexec "%s" -m spendgate "$@"\n' "$PYTHON" | fake spendgate
installs 2-no-credential
sh "$MADE/linux/verify.sh" > 3-verified || true
puts "$ONE"
installs 4-enrolled
ls /etc/spendgate > 5-files
sh "$MADE/linux/verify.sh" >> 5-files || true
installs 6-daily
puts "$ONE"
installs 7-put-down-again
puts "$USED_UP"
installs 8-refused
rm "$token"
MADE=$FLEET
installs 9-fleet-enrolled-already
sh "$MADE/linux/remove.sh" 2> A-removed
find /etc/spendgate /var/lib/spendgate -name '*.pem' -o -name 'enrol*' > B-left 2> errors || true
rm -r bin
"""
"""The gate's account is not needed: `runuser` runs it as who is here."""


@pytest.mark.root
def test_a_device_enrols_once_and_a_removal_ends_it(tmp_path: Path) -> None:
    """By the real office: once the gate is there, by the credential that the MDM put down, and not again the next day."""
    if reason := own_files.why_not():
        pytest.skip(reason)
    (tmp_path / "office").mkdir()
    company = Company(tmp_path / "office")
    with company.open():
        one, fleet, used = company.secret("laptop-17"), company.secret(uses=3), "sge_" + "x" * 43
        outs = {}
        for name, more in {"MADE": {}, "FLEET": {"token": "fleet-token"}}.items():
            folder = tmp_path / name
            folder.mkdir()
            (folder / "fleet-token").write_text(f"{fleet}\n")
            enrolment = {"office": company.url, **more}
            outs[name] = str(made(folder, pem=company.root.read_bytes(), enrolment=enrolment))
        trust = {"SSL_CERT_FILE": str(company.server_ca), "PYTHON": sys.executable, "PYTHONPATH": ADDON}
        text = own_files.run(tmp_path, STEPS, {**outs, **trust, "ONE": one, "USED_UP": used})
    assert [text[step].splitlines()[-1] for step in sorted(text) if step[0] in "1246789"] == [
        "0", "failed 1", "0", "0", "0", "0", "0",
    ], text  # fmt: skip
    assert "the gate is not here yet" in text["1-no-gate"]
    assert "no credential: put one down as /etc/spendgate/enrolment-token" in text["2-no-credential"]
    assert "not enrolled: the gate has no certificates" in text["3-verified"]
    assert "certificates of laptop-17 for 3 hosts" in text["4-enrolled"]
    assert "enrolled-by" in text["5-files"]
    assert "enrolment-token" not in text["5-files"]
    assert "not enrolled" not in text["5-files"]
    assert text["6-daily"] == text["7-put-down-again"] == text["9-fleet-enrolled-already"] == "0\n"
    assert "not known" in text["8-refused"]
    assert "the certificates that are installed stay" in text["8-refused"]
    assert "by `spendgate ca org revoke --device laptop-17`" in text["A-removed"]
    assert text["B-left"] == ""
    assert [each.device for each in company.trail()] == ["laptop-17"]
    assert text["restarts"] == "try-restart spendgate.service\n" * 2  # enrolled, removed
    assert not [step for step, said in text.items() for secret in (one, fleet) if secret in said]


def test_a_mac_enrols_as_the_daemons_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its serial number; the credential by a pipe, nothing of it in what others can list; the job is started anew once."""
    sudo = """
        shift 3; shift; echo "asked $*" >> "$LOG"; read -r secret; echo "$secret" > "$MAC/secret"
        mkdir -p "$MAC/STATE/private"; touch "$MAC/STATE/private/leaves.pem"
        echo '{"device": "C02X", "url": "x"}' > "$MAC/STATE/private/enrolment.json"
    """.replace("STATE", STATE[1:])
    more = {
        "sudo": f'case "$*" in *" remove "*) echo "removed $1 $2" >> "$LOG" ;; *) {sudo} ;; esac',
        "ioreg": """echo '    "IOPlatformSerialNumber" = "C02X"'""",
        "launchctl": f'[ "$1" != kickstart ] || echo "$*" >> "$LOG"\n{STAND_INS["launchctl"]}',
    }
    for name, body in more.items():
        monkeypatch.setitem(STAND_INS, name, body)
    (tmp_path / "fleet-token").write_text(f"{FLEETS}\n")
    enrolment = {"office": OFFICE, "device": "serial", "token": "fleet-token"}
    out = made(tmp_path, mode="proxy", macos_program=PROGRAM, enrolment=enrolment) / "macos"
    mac = Mac(tmp_path)
    done = mac.run(out / "install.sh")
    assert (done.returncode, done.stderr) == (0, "")
    root, state = f"{mac.root}/etc/spendgate/root.pem", f"{mac.root}{STATE}"
    asked = f"asked ca org enroll {OFFICE} --device C02X --root {root} --token-file - --state {state}\n"
    assert mac.log.read_text().endswith(f"{asked}kickstart -k system/com.acme.spendgate.gate\n")
    assert (mac.root / "secret").read_text() == f"{FLEETS}\n"
    assert mac.run(out / "install.sh").returncode == 0
    assert "asked" not in mac.log.read_text()
    done = mac.run(out / "remove.sh")
    assert "revoke --device C02X" in done.stderr
    assert mac.log.read_text().startswith("removed -u _spendgate\n")


def test_a_fleets_credential_is_kept_from_others_and_told(tmp_path: Path) -> None:
    """The scripts that hold it are their owner's alone, also where they lay there before; no other file has it."""
    (tmp_path / "fleet-token").write_text(f"{FLEETS}\n")
    made(tmp_path, enrolment={"office": OFFICE})
    done = make(write(tmp_path, rollout(enrolment={"office": OFFICE, "token": "fleet-token"})), tmp_path / "out")
    assert "linux/install.sh: with the fleet's credential" in done.stderr
    having = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and FLEETS.encode() in path.read_bytes()]
    assert {*having} == {tmp_path / "out" / each for each in ("linux/install.sh", "fleet/spendgate-linux-install.sh")}
    assert {stat.S_IMODE(each.stat().st_mode) for each in having} == {0o600}
    assert "No private\nkey is in here, but a credential is." in (tmp_path / "out/README.md").read_text()


def test_the_roots_own_hosts_may_be_named(tmp_path: Path) -> None:
    """A host that no policy captures by itself comes with the root: certificates for it are taken, by file or by enrolment."""

    pem = root_pem((*HOSTS, "ai.acme.example", CANARY_HOST))
    out = made(tmp_path, pem=pem, hosts=[*HOSTS, "ai.acme.example"], enrolment={"office": OFFICE})
    script = (out / "linux/install.sh").read_text()
    assert script.count("--root /etc/spendgate/root.pem --host ai.acme.example --") == 2
