"""Accepts connections, counts them against the limits first of all, and runs one task for each.

Works on its own listening sockets, so that a connection is counted before its TLS handshake, a PROXY header
(proxy_protocol) is taken off before it, and lack of file descriptors is a pause and not a fault.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Final

from posthouse.counts import CONNECTIONS, TURNED_AWAY
from posthouse.errors import RemoteProtocolError
from posthouse.limits import (
    ACCEPT_BATCH,
    ACCEPT_PAUSE,
    LISTEN_BACKLOG,
    STOP_GRACE,
    STOP_TIMEOUT,
)
from posthouse.net.connection import Connection
from posthouse.net.endpoint import NOWHERE, UNIX, Endpoint, address_group, bind, endpoint_of
from posthouse.net.proxy_protocol import receive_header

log: Final = logging.getLogger(__name__)

Serve = Callable[[Connection], Awaitable[None]]
Network = IPv4Network | IPv6Network


class ConnectionGate:
    """Counts open connections, in all and by address; one gate may serve several listeners."""

    def __init__(self, total: int, per_address: int) -> None:
        """Limits; IPv6 counts by /64, loopback and Unix sockets only in the total."""
        self.total = total
        self.per_address = per_address
        self.open = 0
        self._by_address: dict[str, int] = {}

    def enter(self, peer: Endpoint) -> bool:
        """Count a connection in, or say that a limit is reached."""
        if self.open >= self.total:
            return False
        if not peer.is_loopback:
            group = address_group(peer.host)
            count = self._by_address.get(group, 0)
            if count >= self.per_address:
                return False
            self._by_address[group] = count + 1
        self.open += 1
        return True

    def leave(self, peer: Endpoint) -> None:
        """Count out a connection that was counted in."""
        self.open -= 1
        if not peer.is_loopback:
            group = address_group(peer.host)
            count = self._by_address[group] - 1
            if count:
                self._by_address[group] = count
            else:
                del self._by_address[group]


class Listener:
    """Listens on some addresses for one protocol."""

    def __init__(
        self,
        addresses: Sequence[str],
        serve: Serve,
        *,
        name: str = "",
        tls: ssl.SSLContext | None = None,
        gate: ConnectionGate,
        refusal: bytes = b"",
        proxies: Sequence[Network] = (),
        fronts: Sequence[Network] = (),
        unix_mode: int = 0o660,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """`serve` runs once for each connection, which is closed after it. `name`: under which they are counted.

        `sockets`: bound already by the process that started us, in place of `addresses`.

        `tls`: handshake from the first octet. `refusal`: the protocol's busy line, sent before closing when
        the gate is full (not under TLS). `proxies`: peers that must speak the PROXY protocol first; `fronts`: those
        that may tell within the protocol whose connection it is (`Connection.regard`).
        """
        self.addresses = tuple(addresses)
        self.name = name
        self.tls = tls
        self.bound: list[str] = []
        """Where we listen, with real port numbers; filled by `start`."""
        self._serve = serve
        self._gate = gate
        self._refusal = refusal
        self._proxies = tuple(proxies)
        self._fronts = tuple(fronts)
        self._unix_mode = unix_mode
        self._sockets: list[socket.socket] = list(sockets)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._refused = 0
        self._told_at = 0.0

    async def start(self) -> None:
        """Listen. Raises OSError or ValueError, and then listens nowhere."""
        loop = asyncio.get_running_loop()
        try:
            for address in () if self._sockets else self.addresses:
                self._sockets += await loop.run_in_executor(None, bind, address, self._unix_mode)
            for sock in self._sockets:
                sock.listen(LISTEN_BACKLOG)
        except (OSError, ValueError):
            self._unlisten()
            raise
        for sock in self._sockets:
            self.bound.append(bound_text(sock))
            loop.add_reader(sock, self._accept, sock)

    @property
    def open(self) -> int:
        """Connections now."""
        return len(self._connections)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Listen no more.

        Sessions finish their command and say goodbye, the rest is cut off after `grace` s.
        """
        self._unlisten()
        for connection in tuple(self._connections):
            connection.shut_down()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_TIMEOUT)
        await self._end_all(Connection.close)
        await self._end_all(Connection.abort)

    async def _end_all(self, end: Callable[[Connection], None]) -> None:
        for connection in tuple(self._connections):
            end(connection)
        waits = [asyncio.ensure_future(one.wait_closed()) for one in self._connections]
        if waits:
            await asyncio.wait(waits, timeout=STOP_TIMEOUT)

    def _unlisten(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
            if sock.family == socket.AF_UNIX:
                _unlink(sock.getsockname())
            sock.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, name = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._pause(listening, error)
                return
            sock.setblocking(False)
            self._take(sock, endpoint_of(name))

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        log.error("accept_failed address=%s reason=%s", bound_text(listening), error)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(ACCEPT_PAUSE, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _take(self, sock: socket.socket, peer: Endpoint) -> None:
        proxied = bool(self._proxies) and _is_in(peer, self._proxies)
        if proxied:
            peer = NOWHERE  # counted in the total alone until it has said whom it speaks for
        counted = self._counted(peer)
        if not self._gate.enter(counted):
            self._refuse(sock, peer)
            return
        CONNECTIONS.add(self.name)
        connection = Connection(secrets.token_hex(5), self._lost)
        connection.peer, connection.counted = peer, counted
        if counted is not peer:
            connection.regard = partial(self._regard, connection)
        self._connections.add(connection)
        task = asyncio.get_running_loop().create_task(self._run(connection, sock, proxied))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _counted(self, peer: Endpoint) -> Endpoint:
        """As whom a peer counts: one that speaks for others only in the total."""
        return NOWHERE if self._fronts and _is_in(peer, self._fronts) else peer

    def _regard(self, connection: Connection, peer: Endpoint) -> bool:
        """`Connection.regard`."""
        self._gate.leave(connection.counted)
        counted = self._counted(peer)
        fits = self._gate.enter(counted)
        if fits:
            connection.counted = counted
        else:
            self._gate.enter(connection.counted)
        return fits

    def _refuse(self, sock: socket.socket, peer: Endpoint) -> None:
        TURNED_AWAY.add(self.name)
        with sock:
            if self._refusal and self.tls is None:
                try:
                    sock.send(self._refusal)
                except OSError:
                    pass  # it was a courtesy
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if now >= self._told_at + 1:  # a flood of connections must not become a flood of log lines
            log.warning("connections_refused peer=%s count=%d", peer, self._refused)
            self._told_at, self._refused = now, 0

    async def _run(self, connection: Connection, sock: socket.socket, proxied: bool) -> None:
        try:
            if proxied and not await self._unwrap(connection, sock):
                return
            await connection.accept(sock, self.tls)
        except (OSError, RemoteProtocolError) as error:
            log.info(
                "connection_failed id=%s peer=%s reason=%s", connection.session_id, connection.peer, error
            )
            sock.close()
            self._lost(connection)
            return
        except BaseException:
            sock.close()
            self._lost(connection)
            raise
        try:
            await self._serve(connection)
        except ConnectionError as error:
            log.debug("connection_ended id=%s reason=%s", connection.session_id, error)
        except Exception:
            log.exception("session_failed id=%s peer=%s", connection.session_id, connection.peer)
        finally:
            connection.close()

    async def _unwrap(self, connection: Connection, sock: socket.socket) -> bool:
        """Take off the PROXY header; False: the real peer is over its limit."""
        header = await receive_header(sock)
        peer = header.peer or endpoint_of(sock.getpeername())
        counted = self._counted(peer)
        self._gate.leave(connection.counted)
        if not self._gate.enter(counted):
            self._connections.discard(connection)
            self._refuse(sock, peer)
            return False
        connection.peer, connection.counted = peer, counted
        if counted is not peer:
            connection.regard = partial(self._regard, connection)
        if header.local is not None:
            connection.local = header.local
        return True

    def _lost(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._gate.leave(connection.counted)


def _is_in(peer: Endpoint, networks: Sequence[Network]) -> bool:
    if not peer.host:
        return False
    address = ip_address(peer.host)
    return any(address in network for network in networks)


def bound_text(sock: socket.socket) -> str:
    """Where a socket is bound, as text."""
    name: Any = sock.getsockname()
    return UNIX + name if sock.family == socket.AF_UNIX else str(endpoint_of(name))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
