"""By which variables programs trust a certificate and use a proxy: each runtime by its own convention. Values only.

`exec` sets them for one command, what an MDM pushes for a whole machine: from this one table.
"""

from __future__ import annotations

from typing import Final

REPLACING: Final = (
    "SSL_CERT_FILE",  # OpenSSL, Python ssl and httpx, Go, rustls-native-certs, Bun, uv
    "REQUESTS_CA_BUNDLE",  # Python requests
    "CURL_CA_BUNDLE",  # curl
    "GIT_SSL_CAINFO",  # git
    "CODEX_CA_CERTIFICATE",  # Codex, HTTP and WebSocket
    "AWS_CA_BUNDLE",  # botocore, AWS CLI
    "CARGO_HTTP_CAINFO",  # cargo
    "DENO_CERT",  # Deno
    "PIP_CERT",  # pip
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",  # gRPC
)
"""What they name *replaces* what a program trusts: it must hold everything that was trusted before, too."""
ADDING: Final = "NODE_EXTRA_CA_CERTS"
"""What it names is trusted *beside* the rest: Node, and Bun, of which Claude Code is made."""
PROXY: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
PROXY_SWITCH: Final = {"NODE_USE_ENV_PROXY": "1"}
"""Node from 22.21 and 24 on: its own fetch then honours HTTPS_PROXY."""
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
"""What goes past a proxy on this machine."""
