"""A machine of the test's own that systemd runs: this one's files, or another root's, with a layer over them, in namespaces of
its own.

What is installed there, changed or left behind is in the layer, which it sees as /run/layer, and goes with it. Its network is a
loopback of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
SPENDGATE, PYTHON = "/opt/venv/bin/spendgate", "/opt/venv/bin/python"
_NEEDED = ("systemd-analyze", "systemctl", "unshare", "nsenter", "mount", "pivot_root", "setpriv", "ip")
_SYSTEMD = Path("/lib/systemd/systemd")
_UP_WITHIN_S = 120

_BOOT = r"""
set -e
at=$1 root=$1/root
mount -t tmpfs none "$at"
mkdir -p "$at/up" "$at/work" "$root"
mount -t overlay overlay -o "lowerdir=$BASE,upperdir=$at/up,workdir=$at/work" "$root"
ip link set lo up
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 none "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/layer"; mount --bind "$at/up" "$root/run/layer"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
# A copy, not a layer: what other tests change in this machine's meanwhile is not seen.
cp -a "$BASE/etc" "$at/etc"; mount --bind "$at/etc" "$root/etc"
rm -rf "$root/etc/systemd/system" "$root/var/lib/spendgate" "$root/opt/venv"
mkdir -p "$root/etc/systemd/system" "$root/opt/python" "$root/opt/packages" "$root/opt/source"
mount --bind "$PYTHON" "$root/opt/python"
# A Python whose own library is shared looks for it where it was built, which may be in root's home.
echo /opt/python/lib > "$root/etc/ld.so.conf.d/lab.conf"; chroot "$root" ldconfig
mount --bind "$PACKAGES" "$root/opt/packages"
mount --bind "$SOURCE" "$root/opt/source"
mkdir -p "$root/opt/venv/bin" "$root/opt/venv/lib/$VERSION/site-packages"
ln -s "/opt/python/bin/$VERSION" "$root/opt/venv/bin/python"
echo "home = /opt/python/bin" > "$root/opt/venv/pyvenv.cfg"
printf '/opt/source/addon\n/opt/packages\n' > "$root/opt/venv/lib/$VERSION/site-packages/lab.pth"
printf '#!/opt/venv/bin/python -I\nfrom spendgate.__main__ import main\nmain()\n' > "$root/opt/venv/bin/spendgate"
chmod 755 "$root/opt/venv/bin/spendgate"
printf '[Unit]\nDescription=lab\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' \
  > "$root/etc/systemd/system/lab.target"
# An interpreter of pyenv looks for its library in its own folder alone, which a service may not see.
echo /opt/python/lib > "$root/etc/ld.so.conf.d/lab.conf"; chroot "$root" /sbin/ldconfig
for unit in systemd-udevd.service systemd-udev-trigger.service systemd-timesyncd.service systemd-modules-load.service \
  systemd-sysctl.service systemd-random-seed.service systemd-tmpfiles-setup-dev.service systemd-remount-fs.service \
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done
: > "$root/etc/fstab"
for name in spendgate spendgate-admin; do
  chroot "$root" userdel "$name" 2>/dev/null || true; chroot "$root" groupdel "$name" 2>/dev/null || true
done
# A Python of shared libraries looks for its own where it was built, which units may not see.
echo /opt/python/lib > "$root/etc/ld.so.conf.d/lab.conf"; chroot "$root" ldconfig
cd "$root"; mkdir -p old; pivot_root . old; umount -l /old; rmdir /old
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=lab.target --log-target=null
"""

_OWN_GROUP = r"""
set -e
mount -t cgroup2 none "$1"; mkdir -p "$1/$2"; echo $$ > "$1/$2/cgroup.procs"; umount "$1"
exec unshare --mount --pid --fork --kill-child --ipc --uts --net --cgroup --propagation private bash -c "$BOOT" boot "$1"
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """The running one."""

    pid: int
    """Its systemd, as this machine numbers it."""
    program: str = SPENDGATE
    """The product in there: the checkout's, or a package's."""
    python: str = PYTHON
    """What runs it."""

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """A command of root's in there."""
        inside = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **(env or {})}
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), "--all", *words],
            env=inside, capture_output=True, text=True, check=check, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def spendgate(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The product's own command line, as root."""
        return self.run(self.program, *words)


def why_not() -> str | None:
    """Why no such machine can be had here; None where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    missing = [program for program in _NEEDED if shutil.which(program) is None]
    if missing or not _SYSTEMD.exists():
        return f"needs {', '.join(missing) or 'systemd'}"
    theirs = [folder for folder in (sys.base_prefix, sysconfig.get_path("purelib"), ROOT) if Path(folder).stat().st_uid]
    if theirs:
        return f"needs {theirs[0]} to be root's: no other program is run as a service"
    tried = subprocess.run(
        ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r && "
         "mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /mnt/r && mount -t cgroup2 none /mnt/r"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"no layer over this machine's files can be made here: {tried.stderr.strip()}" if tried.returncode else None


@contextlib.contextmanager
def machine(base: Path = Path("/")) -> Iterator[Machine]:
    """One that is up, and gone afterwards. `base`: whose files are under the layer."""
    at = Path(tempfile.mkdtemp(prefix="sglab-", dir="/run"))
    env = {
        **os.environ,
        "BOOT": _BOOT,
        "BASE": str(base),
        "PYTHON": str(Path(sys.base_prefix).resolve()),
        "PACKAGES": sysconfig.get_path("purelib"),
        "SOURCE": str(ROOT),
        "VERSION": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    with tempfile.TemporaryFile("w+") as said:
        outer = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private",
             "bash", "-c", _OWN_GROUP, "own", str(at), at.name],
            env=env, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        try:
            yield _up(outer, said)
        finally:
            outer.kill()
            outer.wait()
            _forget(at)


def _up(outer: subprocess.Popen[bytes], said: IO[str]) -> Machine:
    until = time.monotonic() + _UP_WITHIN_S
    while time.monotonic() < until and outer.poll() is None:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
        if children:
            found = Machine(int(children[0]))
            state = found.run("systemctl", "is-system-running").stdout.strip()
            if state in ("running", "degraded"):
                return found
        time.sleep(0.2)
    said.seek(0)
    raise RuntimeError(f"systemd did not come up: {said.read()}")


def _forget(at: Path) -> None:
    """The control group of its own; its processes are gone or going."""
    script = 'mount -t cgroup2 none "$1" && { find "$1/$2" -depth -type d -exec rmdir {} ";"; test ! -e "$1/$2"; }'
    for _ in range(50):
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "forget", str(at), at.name], capture_output=True, check=False
        )
        if not done.returncode:
            break
        time.sleep(0.1)
    at.rmdir()
