"""macOS: a script that makes a package of `install.sh`, for an MDM that takes packages; run on a Mac, by Apple's pkgbuild(1)
and productbuild(1): MDM's own command installs a product archive alone, no component.

A package is signed by an identity of the company's keychain, which is on a Mac alone. Its payload is an empty folder: one without
any leaves no receipt, by which an MDM tells whether it is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spendgate.mdm.filling import filled
from spendgate.mdm.interface import Made
from spendgate.mdm.rollout import Rollout

NAME: Final = "spendgate-settings.pkg"


def macos_package(rollout: Rollout) -> Iterator[Made]:
    """The script."""
    content = filled(_SCRIPT, {"IDENTIFIER": rollout.named("settings")}).encode()
    yield Made(
        "macos/package.sh", content, f"run on a Mac: makes {NAME}, which runs `install.sh`, signed by your identity"
    )


_SCRIPT: Final = f"""\
#!/bin/sh
# Makes a package that runs install.sh; made by `spendgate mdm make`. On a Mac: sh package.sh VERSION ["IDENTITY"]
# VERSION: higher than the last one, as 1.4. IDENTITY: of your keychain, as "Developer ID Installer: Acme GmbH (TEAMID)";
# without it the package is not signed, and an MDM that installs by Apple's own command refuses it.
set -eu
umask 077 # install.sh may hold a credential
version=${{1:-}} identity=${{2:-}}
case "$version" in
'' | *[!0-9.]* | .* | *. | *..*) echo 'usage: sh package.sh VERSION ["IDENTITY"], a version as 1.4' >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/empty" "$work/scripts"
cp "$here/install.sh" "$work/scripts/postinstall"
chmod 0755 "$work/empty" "$work/scripts" "$work/scripts/postinstall"
pkgbuild --root "$work/empty" --scripts "$work/scripts" --identifier @IDENTIFIER@ --version "$version" "$work/component.pkg"
set -- --package "$work/component.pkg"
[ -z "$identity" ] || set -- "$@" --sign "$identity"
productbuild "$@" "$here/{NAME}"
"""
