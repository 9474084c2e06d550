"""Frames between a worker and the process that has the store: four octets of length, then a pickled value.

Both ends are this very program; one started the other and gave it its end of a socket pair, which nobody else can
reach. That is why a pickle may be believed here, and nowhere else in this program.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable
from struct import Struct
from typing import Any, Final, Self, cast

from posthouse.errors import LocalProtocolError
from posthouse.limits import LINK_FRAME

_LENGTH: Final = Struct(">I")


class Link(asyncio.Protocol):
    """One end. `heard` gets each value in order; `lost` is called once, when the other end is gone."""

    def __init__(self, heard: Callable[[Any], None], lost: Callable[[], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._received = bytearray()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, sock: socket.socket, heard: Callable[[Any], None], lost: Callable[[], None]) -> Self:
        """Over one end of a socket pair."""
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(heard, lost), sock=sock)
        return link

    @property
    def closed(self) -> bool:
        """Nothing more can be sent."""
        return self._transport is None or self._transport.is_closing()

    def send(self, value: Any) -> None:
        """Send a value; nothing happens when the other end is gone. LocalProtocolError: it is too large."""
        raw = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        if len(raw) > LINK_FRAME:
            raise LocalProtocolError("A value is too large for the link to the store.")
        if not self._unsent:  # what is sent in one turn of the loop goes out in one system call
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent += (_LENGTH.pack(len(raw)), raw)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.writelines(unsent)

    def close(self) -> None:
        """End it; the other side sees that."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # --- what the loop calls ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begun."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take apart what has come."""
        received = self._received
        received += data
        at, end = 0, len(received)
        while end - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, at)
            if length > LINK_FRAME:
                self.close()
                return
            if end - at < _LENGTH.size + length:
                break
            start = at + _LENGTH.size
            at = start + length
            self._heard(pickle.loads(memoryview(received)[start:at].tobytes()))
        if at:
            del received[:at]

    def connection_lost(self, fault: Exception | None) -> None:
        """Ended."""
        self._transport = None
        self._lost()
