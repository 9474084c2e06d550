"""The control socket with broken requests: each is told so, and harms nobody."""

from __future__ import annotations

import socket
import stat

import pytest

from tests.attack.besieged import MB, Attacker, Besieged

pytestmark = pytest.mark.slow
DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    "request_line",
    [
        b"\0",
        b"\xff\xfe",
        b"{}",
        b'{"command":"x"}',
        b'{"command":"account.add","arguments":' + DEEP + b"}",
        b'{"command":"account.list","arguments":{"a":' + DEEP + b"}}",
        b'{"command":"domain.add","arguments":{"name":"\\u0000\\n"}}',
        b'{"command":"domain.add","arguments":{"name":17}}',
        b'{"command":"__init__"}',
        b'{"command":"status","octets":-1}',
        b'{"command":"status","octets":99999999999}',
        b"x" * 2 * MB,
    ],
    ids=range(12),
)
def test_broken_request_is_told_so(besieged: Besieged, request_line: bytes) -> None:
    path = besieged.folder / "data" / "run" / "control"
    with besieged.unharmed(), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        with Attacker(sock) as attacker:
            attacker.send(request_line + b"\r\n")
            assert b'"kind":"Usage"' in attacker.line()


def test_socket_is_for_its_owner_alone(besieged: Besieged) -> None:
    path = besieged.folder / "data" / "run" / "control"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
