"""The systemd unit of a gate, word for word but for what a description fills in.

The gate needs the network, its state directory and nothing else: no capability, no home folder, no device, no new privilege.
What is left out, and why:

    MemoryDenyWriteExecute   cffi makes callbacks for TLS in memory that is written and executed
    PrivateUsers             the kernel would name every client's account `nobody`, and spend is told apart by account
    ProcSubset=pid           the boot's id, by which clocks are compared, is in /proc/sys
    @resources               of it `setpriority` and `setrlimit` stay: the process that answers clients bounds itself
"""

from __future__ import annotations

from typing import Final

HANDED_OVER: Final = "LoadCredential={name}:/etc/credstore/{name}\nSetCredential={name}:-\n"
"""The second stands in where the file is not there: without it the unit would not start."""
TEXT: Final = """\
{mark}
[Unit]
Description=Spendgate: what AI tools on this machine spend
After=network.target nss-user-lookup.target
{beside}StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
SyslogIdentifier=spendgate
User={account}
Group={account}
{credentials}StateDirectory={state}
StateDirectoryMode=0711
RuntimeDirectory={run}
RuntimeDirectoryMode=0755
UMask=0077
TimeoutStartSec=300
TimeoutStopSec=30
# A hung gate is killed and started again: its loop answers, or nothing does.
WatchdogSec=15
TimeoutAbortSec=5
Restart=always
{backoff}
# Wrong usage is not mended by trying again.
RestartPreventExitStatus=2
LimitNOFILE=65536
# Memory of a gate holds keys: none of it goes to a core file.
LimitCORE=0

CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
KeyringMode=private
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=setpriority setrlimit

[Install]
WantedBy=multi-user.target

[X-Spendgate]
Made={made}
"""
