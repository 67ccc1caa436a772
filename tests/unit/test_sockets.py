"""How listening sockets are closed that belong to a library."""

import socket

import pytest

from leasehold.rpc import sockets


def test_a_closed_listener_takes_no_connections_and_keeps_those_that_there_are() -> None:
    """Its descriptor stays open for the library that owns it, and its port is free."""
    others = sockets.listening()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as caller, listener.accept()[0] as accepted:
            (found,) = sockets.listening() - others
            assert found == listener.fileno()
            # Both ends are ours; that of the caller has another port.
            assert sockets.connections(address[1]) == 1

            sockets.close([found])

            assert sockets.listening() == others
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
            caller.sendall(b"x")
            assert accepted.recv(1) == b"x"
        assert sockets.connections(address[1]) == 0
        with socket.create_server(address):
            pass
