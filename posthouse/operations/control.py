"""The control socket: a running server does what `posthouse account …` and its kin ask, at once.

A Unix socket of mode 0600 in the data folder. A request is one line of JSON, `{"command", "arguments", "octets"}`,
then that many octets of body; the answer is a line `{"item": …}` for each result, then `{"end": true}` or
`{"error": {"kind", "text"}}`. Everything is bounded, and a broken request harms only its own connection.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import PosthouseError, RemoteProtocolError, told_to_administrators
from posthouse.net.connection import Connection
from posthouse.net.faults import ConnectionFault
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.operations.administration import Administration

log: Final = logging.getLogger(__name__)
MODE: Final = 0o600


class Request(msgspec.Struct, frozen=True):
    """One command."""

    command: str
    arguments: dict[str, Any] = {}
    octets: int = 0


class ControlServer:
    """Answers on the control socket."""

    def __init__(self, path: str, administration: Callable[[], Administration]) -> None:
        """`administration` gives the commands in force, which a reload replaces."""
        self._administration = administration
        self._listener = Listener(
            [f"unix:{path}"],
            self._serve,
            gate=ConnectionGate(limits.CONTROL_CONNECTIONS, limits.CONTROL_CONNECTIONS),
            unix_mode=MODE,
        )
        self._read = msgspec.json.Decoder(Request)

    async def start(self) -> None:
        """Listen. OSError when the socket cannot be made."""
        await self._listener.start()

    async def stop(self) -> None:
        """Answer what is being asked, then listen no more."""
        await self._listener.stop()

    async def _serve(self, connection: Connection) -> None:
        connection.set_idle_timeout(limits.CONTROL_IDLE)
        while True:
            try:
                line = await connection.read_line(limits.CONTROL_LINE)
            except ConnectionFault:
                return
            except RemoteProtocolError as fault:
                _write(connection, {"error": {"kind": "Usage", "text": str(fault)}})
                return
            try:
                request = self._read.decode(line)
            except (msgspec.DecodeError, RecursionError) as fault:
                _write(connection, {"error": {"kind": "Usage", "text": f"not a request: {fault}"}})
                return
            if not 0 <= request.octets <= limits.CONTROL_BODY:
                _write(connection, {"error": {"kind": "Usage", "text": "the body is too large"}})
                return
            body = await connection.read_exactly(request.octets) if request.octets else b""
            await self._answer(connection, request, body)

    async def _answer(self, connection: Connection, request: Request, body: bytes) -> None:
        log.info("control command=%s", request.command)
        try:
            async for item in self._administration().run(request.command, request.arguments, body):
                _write(connection, {"item": item})
                await connection.drain()
            _write(connection, {"end": True})
        except (PosthouseError, ValueError) as fault:
            kind = type(fault).__name__ if isinstance(fault, PosthouseError) else "Usage"
            _write(connection, {"error": {"kind": kind, "text": told_to_administrators(fault)}})
        except ConnectionFault:
            raise
        except Exception:
            fault_id = secrets.token_hex(4)
            log.exception("control_failed fault=%s command=%s", fault_id, request.command)
            text = f"internal fault {fault_id}; the log says more"
            _write(connection, {"error": {"kind": "Fault", "text": text}})
        await connection.drain()


def _write(connection: Connection, value: Any) -> None:
    connection.write(msgspec.json.encode(value) + b"\r\n")


def socket_path(folder: Path) -> str:
    """Where the control socket of a data folder is. A path too long for a socket goes by /proc (Linux).

    The folder's descriptor is then left open, once per process.
    """
    direct = folder / "run" / "control"
    if len(os.fsencode(direct)) < limits.SOCKET_PATH:
        return str(direct)
    descriptor = os.open(direct.parent, os.O_RDONLY | os.O_DIRECTORY)
    return f"/proc/self/fd/{descriptor}/control"
