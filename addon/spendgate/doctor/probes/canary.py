"""One canary call by the Python that runs this, with the standard library's own trust and proxies."""

import socket
import sys
import urllib.request

host, address, header = sys.argv[1:4]
resolve = socket.getaddrinfo


if address:
    socket.getaddrinfo = lambda name, *rest, **more: resolve(address if name == host else name, *rest, **more)
try:
    with urllib.request.urlopen(f"https://{host}/", timeout=10) as answer:
        print(f"{header}: {answer.headers.get(header)}")  # noqa: T201 - its answer
except OSError as fault:
    print(f"refused: {getattr(fault, 'reason', fault)}")  # noqa: T201 - its answer
