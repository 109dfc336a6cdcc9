"""Where mitmproxy lives, and nowhere else. This file runs before any module of mitmproxy is imported."""

import os

# mitmproxy writes every session's TLS secrets to the file that these name, read once when it is imported. Who set them
# for a browser did not mean the gate's connections, which carry other people's keys.
for _name in ("SSLKEYLOGFILE", "MITMPROXY_SSLKEYLOGFILE"):
    os.environ.pop(_name, None)
