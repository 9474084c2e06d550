"""Two playgrounds at once never have the same ports, also while a host of one of them is down."""

from __future__ import annotations

import socket

import pytest

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.playground.ports import HeldPorts


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few ports to choose from that two who look meet."""
    first = limits.PLAYGROUND_PORTS[1] + 200
    monkeypatch.setattr(limits, "PLAYGROUND_PORTS", (first, first + 12))
    monkeypatch.setattr(limits, "PLAYGROUND_PORT_PROBES", 12)


def listen(address: str, port: int) -> socket.socket:
    """As our servers listen."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen()
    return server


@pytest.mark.usefixtures("few")
def test_no_port_is_given_twice() -> None:
    with HeldPorts(5) as one:
        with HeldPorts(5) as other:
            assert not set(one.ports) & set(other.ports)
            with pytest.raises(Temporary):
                HeldPorts(5)
        with HeldPorts(5) as third:
            assert not set(one.ports) & set(third.ports)


def test_a_server_listens_on_a_held_port_goes_and_comes_back() -> None:
    with HeldPorts(1) as held:
        (port,) = held.ports
        for address in ("127.0.0.10", "127.0.0.10", "127.0.0.20", "0.0.0.0"):
            with listen(address, port), socket.create_connection((address, port), 5):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), 5)
            with socket.socket() as looking, pytest.raises(OSError, match="in use"):
                looking.bind((address, port))  # meanwhile nobody else finds it free
