"""Any Python: take 127.0.0.1:PORT for NAME, trusting ROOT alone. Status 0: it passes; 1: the certificate is refused."""

import socket
import ssl
import sys

name, port, root = sys.argv[1:]
context = ssl.create_default_context(cafile=root)
try:
    plain = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    with plain, context.wrap_socket(plain, server_hostname=name):
        sys.stdout.write("passes\n")
except ssl.SSLCertVerificationError as fault:
    sys.stdout.write(f"refused: {fault.verify_message}\n")
    sys.exit(1)
