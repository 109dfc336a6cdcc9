"""The kernel's own word on live sockets: exact for every address family, and honest about sockets nobody holds."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator

import pytest

from spendgate.identity.interface import Endpoints, address

if sys.platform != "linux":
    pytest.skip("sock_diag is Linux", allow_module_level=True)

from spendgate.identity.sock_diag import SockDiag


@pytest.fixture
def diag() -> Iterator[SockDiag]:
    """A netlink socket, given back."""
    made = SockDiag()
    yield made
    made.close()


@contextlib.contextmanager
def connected(family: int, listen: str, to: str) -> Iterator[tuple[socket.socket, socket.socket, Endpoints]]:
    """A connection on loopback: client, server side, and the client's view of both ends."""
    with socket.create_server((listen, 0), family=socket.AF_INET6 if ":" in listen else socket.AF_INET,
                              dualstack_ipv6=listen == "::") as server, socket.socket(family) as client:  # fmt: skip
        client.connect((to, server.getsockname()[1]))
        with server.accept()[0] as accepted:
            yield client, accepted, Endpoints(client.getsockname()[:2], client.getpeername()[:2])


@pytest.mark.parametrize(
    ("family", "listen", "to"),
    [
        pytest.param(socket.AF_INET, "127.0.0.1", "127.0.0.1", id="IPv4"),
        pytest.param(socket.AF_INET6, "::1", "::1", id="IPv6"),
        pytest.param(socket.AF_INET6, "::", "::ffff:127.0.0.1", id="IPv4 mapped into IPv6"),
        pytest.param(socket.AF_INET, "::", "127.0.0.1", id="IPv4 to an IPv6 listener"),
    ],
)
def test_the_owner_is_the_process_that_connected(diag: SockDiag, family: int, listen: str, to: str) -> None:
    """Uid and inode are those of the client's socket, not of the server's side of the same connection."""
    with connected(family, listen, to) as (client, _, ends):
        owner = diag.owner(ends)

        assert owner is not None
        assert (owner.uid, owner.inode) == (os.getuid(), os.fstat(client.fileno()).st_ino)


def test_a_mapped_address_is_filed_as_ipv4(diag: SockDiag) -> None:
    """A dual-stack listener sees `::ffff:…` where the client has a plain IPv4 socket."""
    with connected(socket.AF_INET, "::", "127.0.0.1") as (client, accepted, _):
        seen = Endpoints(accepted.getpeername()[:2], accepted.getsockname()[:2])
        owner = diag.owner(seen)

        assert seen.local[0] == "::ffff:127.0.0.1"
        assert owner is not None
        assert owner.inode == os.fstat(client.fileno()).st_ino


def test_a_closed_socket_is_held_by_nobody(diag: SockDiag) -> None:
    """After close the kernel still knows the connection, with inode 0; later not at all. Never another's inode."""
    with connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as (client, accepted, ends):
        client.close()
        lingering = diag.owner(ends)
        accepted.close()
        gone = diag.owner(ends)

    assert lingering is not None
    assert lingering.inode == 0
    assert gone is None or gone.inode == 0


def test_a_connection_that_is_not_there_has_no_owner(diag: SockDiag) -> None:
    """Also where a listener is bound to the address asked about, which the kernel would offer instead."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listening = server.getsockname()

        assert diag.owner(Endpoints(listening, ("127.0.0.1", 1))) is None
        assert diag.owner(Endpoints(("192.0.2.1", 1), ("192.0.2.2", 2))) is None
        assert diag.owner(Endpoints(("2001:db8::1", 1), ("2001:db8::2", 2))) is None


def test_what_is_not_an_address_is_a_value_error(diag: SockDiag) -> None:
    """A host name or a Unix path is the caller's fault, told as such."""
    with pytest.raises(ValueError, match="does not appear"):
        diag.owner(Endpoints(("localhost", 1), ("127.0.0.1", 2)))


@pytest.mark.parametrize(
    ("text", "filed"),
    [
        pytest.param("fe80::1%eth0", "fe80::1", id="zone"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="mapped"),
        pytest.param("::1", "::1", id="loopback"),
    ],
)
def test_addresses_are_filed_as_the_kernel_does(text: str, filed: str) -> None:
    """No zone, and IPv4 where it is IPv4."""
    assert str(address(text)) == filed
