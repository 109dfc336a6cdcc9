"""One canary call by the Python that runs this, with the standard library's own trust and proxies."""

import socket
import sys
import urllib.request

host, address, header = sys.argv[1:4]
resolve = socket.getaddrinfo


def led(name, *rest, **more):  # noqa: ANN001, ANN002, ANN003, ANN201 - any Python runs this
    """The canary's name leads where it is told to."""
    return resolve(address if name == host else name, *rest, **more)


if address:
    socket.getaddrinfo = led
try:
    with urllib.request.urlopen(f"https://{host}/", timeout=10) as answer:  # noqa: S310 - https alone
        print(f"{header}: {answer.headers.get(header)}")  # noqa: T201 - its answer
except OSError as fault:
    print(f"refused: {getattr(fault, 'reason', fault)}")  # noqa: T201 - its answer
