#!/bin/sh
# Takes the program away, as root. macOS removes no package itself. The ledger and /etc/spendgate are not the package's: they stay.
set -eu
[ "$(id -u)" = 0 ] || { echo 'run this as root' >&2; exit 1; }
for job in /Library/LaunchDaemons/*.plist; do
    if grep -qs '<string>/opt/spendgate/bin/spendgate</string>' "$job"; then
        echo "$job starts this program: take the daemon away first, by macos/remove.sh of your rollout's material" >&2
        exit 1
    fi
done
if [ "$(readlink /usr/local/bin/spendgate)" = /opt/spendgate/bin/spendgate ]; then rm -f /usr/local/bin/spendgate; fi
rm -rf /opt/spendgate
pkgutil --forget IDENTIFIER > /dev/null 2>&1 || true # a second run has nothing to forget
