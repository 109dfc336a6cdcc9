"""The two systemd units beside a gate under transparent capture, as text made from a description. Pure.

    spendgate-redirect.service   the firewall rules: CAP_NET_ADMIN and nothing else
    spendgate-clerk.service      which process holds a connection: it may look into every process, and change nothing

Neither is root: each has an account that systemd makes for as long as it runs. They are two because one with both would be
over 2.0 of 10 by systemd's own measure (2.2), and what can change the rules could look into every process. What stays
open, and why:

    the host's network           the rules are the host's, and so are the sockets that are asked about; no packet goes out or in
    clerk: CAP_SYS_PTRACE        another account's /proc/PID/fd, exe and cwd
    clerk: CAP_DAC_READ_SEARCH   /proc/PID/fd is a folder that only its account may open
    clerk: CAP_SETUID, SETGID    a person's repository configuration is read with that person's rights, not with the clerk's
    clerk: ProtectHome=read-only where the repositories are; those in /tmp it does not see
    clerk: ProcSubset=all        when the machine was booted, from which a process's start is reckoned
"""

from __future__ import annotations

from typing import Final

REDIRECT: Final = "spendgate-redirect.service"
CLERK: Final = "spendgate-clerk.service"
CAPTURING: Final = "traffic is led to the gate"
"""What the first one says of itself where all is well; anything else begins with one of the two below, and says why."""
DIRECT: Final = "traffic goes direct"
HELD: Final = "calls to providers are refused"
UNABLE: Final = "the gate has no certificate to show"
"""One of its reasons."""


def redirect_unit(mark: str, command: str, group: str, backoff: str) -> str:
    """The unit of the rules. `group`: the gate's, which alone reaches the socket."""
    return _BESIDE.format(
        mark=mark, command=command, group=group, backoff=backoff, own=_REDIRECT_OWN, name=REDIRECT.partition(".")[0],
        what="leads AI tools' traffic to the gate while it lives", abilities="CAP_NET_ADMIN",
    )  # fmt: skip


def clerk_unit(mark: str, command: str, group: str, backoff: str) -> str:
    """The unit that knows processes."""
    return _BESIDE.format(
        mark=mark, command=command, group=group, backoff=backoff, own=_CLERK_OWN, name=CLERK.partition(".")[0],
        what="tells the gate which program holds a connection",
        abilities="CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SETUID CAP_SETGID",
    )  # fmt: skip


_REDIRECT_OWN: Final = """\
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid"""

_CLERK_OWN: Final = """\
ProtectHome=read-only
SystemCallFilter=@setuid capset"""

_BESIDE: Final = """\
{mark}
[Unit]
Description=Spendgate: {what}
After=network.target nss-user-lookup.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
SyslogIdentifier={name}
DynamicUser=yes
Group={group}
RuntimeDirectory={name}
RuntimeDirectoryMode=0750
UMask=0077
TimeoutStopSec=10
WatchdogSec=15
TimeoutAbortSec=5
Restart=always
{backoff}
RestartPreventExitStatus=2
LimitCORE=0

CapabilityBoundingSet={abilities}
AmbientCapabilities={abilities}
NoNewPrivileges=yes
IPAddressDeny=any
MemoryDenyWriteExecute=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
KeyringMode=private
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
{own}

[Install]
WantedBy=multi-user.target
"""
