"""DEFLATE between a connection and its transport: to the connection a transport, to the event loop a protocol.

It is put in where compression begins, so a connection without it has no step more. Below may be TLS: what is
sent is first compressed and then encrypted (RFC 4978 §3). Every write is flushed, so the peer can always read
what was said. The loop is never held: one turn compresses DEFLATE_STEP octets and inflates as many, and the
rest waits for the next turn. A small message that would inflate to a large one (a "bomb") is inflated only as
fast as the connection takes it: while its buffer is full, what was received waits as it came, and the socket
is not read. Who says nothing for DEFLATE_REST keeps next to no memory (net.deflate).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from posthouse.limits import DEFLATE_REST, DEFLATE_STEP, DEFLATE_TURN, READ_HIGH_WATER, WRITE_HIGH_WATER
from posthouse.net.deflate import Compressor, Inflater, NotDeflated
from posthouse.net.faults import BadlyCompressed, ConnectionClosed, ConnectionFault
from posthouse.net.timers import NEVER, TimerWheel

_LINE_END: Final = 300
"""Octets at the end of what was inflated that are kept to know a line by: a command that ends compression is short."""


class Above(Protocol):
    """The connection, as its layer sees it."""

    def data_received(self, data: bytes) -> None: ...

    def eof_received(self) -> bool: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...

    def connection_lost(self, exc: Exception | None) -> None: ...

    def end_reads(self, fault: ConnectionFault) -> None:
        """Nothing more can be read: what is buffered, then `fault`."""
        ...


class DeflateLayer(asyncio.Transport, asyncio.Protocol):
    """Compression of one connection, both ways."""

    __slots__ = (
        "_above",
        "_active",
        "_behind",
        "_below",
        "_compressor",
        "_ending",
        "_eof",
        "_holding",
        "_inflated_behind",
        "_inflater",
        "_inflating",
        "_line_whole",
        "_loop",
        "_may_end",
        "_read_paused",
        "_resting",
        "_said",
        "_unwritten",
        "_unwritten_octets",
        "_wheel",
        "_writable",
        "_writing",
        "fault",
        "slot",
    )

    def __init__(
        self,
        above: Above,
        below: asyncio.Transport,
        *,
        writable: bool,
        may_end: Callable[[bytes], bool] | None = None,
    ) -> None:
        """`writable`: whether `below` takes octets now; `may_end`: see Connection.start_deflate."""
        self._above = above
        self._below: asyncio.Transport | None = below
        self._may_end = may_end
        self._said = b""
        """The end of what was inflated, where `may_end` may look."""
        self._behind: bytearray | None = None
        """What was received behind the last line that `may_end` knew: perhaps clear text."""
        self._inflated_behind = 0
        """Octets that were inflated from it."""
        self._line_whole = False
        """That line's flush was wholly there."""
        self.fault: ConnectionFault | None = None
        """Why nothing is inflated any more."""
        self._loop = asyncio.get_running_loop()
        self._wheel = TimerWheel.of(self._loop)
        self.slot = 0
        self._active = 0.0
        self._resting = True
        self._compressor = Compressor()
        self._inflater = Inflater()
        self._unwritten: deque[memoryview] = deque()
        """Written by the connection and not compressed yet."""
        self._unwritten_octets = 0
        self._writable = writable
        self._writing = False
        """A turn that compresses is due."""
        self._holding = not writable
        """The connection was told to write no more."""
        self._inflating = False
        """A turn that inflates is due."""
        self._read_paused = False
        """The connection has enough."""
        self._eof = False
        """The peer ended its side while octets waited to be inflated."""
        self._ending: Callable[[], None] | None = None
        """What to do below when all is written; from then on nothing is received."""
        below.set_protocol(self)

    # --- what the connection asks -----------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if self._below is None else self._below.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writelines((data,))

    def writelines(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:  # type: ignore[override]
        if self._below is None or self._ending is not None:
            return
        self._wake()
        for part in parts:
            if part:
                self._unwritten.append(memoryview(part))
                self._unwritten_octets += len(part)
        if not self._writing:
            self._compress_some()
        if self._unwritten_octets > WRITE_HIGH_WATER:
            self._hold()

    def get_write_buffer_size(self) -> int:
        return self._unwritten_octets + (0 if self._below is None else self._below.get_write_buffer_size())

    def pause_reading(self) -> None:
        self._read_paused = True
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        self._read_paused = False
        if self._inflater.waiting and self._ending is None:
            self._inflate_soon()
        elif self._below is not None:
            self._below.resume_reading()

    def write_eof(self) -> None:
        if self._below is not None:
            self._below.resume_reading()  # what still comes is passed over, until the peer ends its side
            self._end_with(self._below.write_eof)

    def close(self) -> None:
        if self._below is not None:
            self._end_with(self._below.close)

    def abort(self) -> None:
        if self._below is not None:
            self._below.abort()

    def _end_with(self, ending: Callable[[], None]) -> None:
        self._ending = ending
        if not self._unwritten:
            ending()

    # --- what the loop tells us -------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._ending is not None:
            return
        if self._behind is not None:
            self._behind += data
            if len(self._behind) > READ_HIGH_WATER:
                self._behind = None  # it was no such line: whoever sends so much has not waited for an answer
        if self.fault is not None:
            return
        self._wake()
        self._inflater.feed(data)
        if not self._inflating and not self._read_paused:
            self._inflate_some()

    def eof_received(self) -> bool:
        if self._inflater.waiting and self._ending is None:
            self._eof = True
            # Under TLS no event loop can keep a connection open that the peer has ended.
            return self.get_extra_info("ssl_object") is None
        return bool(self._above.eof_received())

    def pause_writing(self) -> None:
        self._writable = False
        self._hold()

    def resume_writing(self) -> None:
        self._writable = True
        if not self._writing:
            self._compress_some()

    def connection_lost(self, exc: Exception | None) -> None:
        self._below = None
        self._wheel.forget(self)
        self._unwritten.clear()
        self._unwritten_octets = 0
        self._above.connection_lost(exc)

    # --- inflating --------------------------------------------------------------------------------

    def _inflate_some(self) -> None:
        inflater, below = self._inflater, self._below
        octets = 0
        for _ in range(DEFLATE_TURN):
            try:
                out = inflater.take()
            except NotDeflated as error:
                self._fail(BadlyCompressed(error.public))
                return
            octets += len(out)
            self._note(out)
            if out:
                self._above.data_received(out)
            if inflater.ended:
                # The stream has its own end: as if the peer had ended its side.
                self._fail(ConnectionClosed("the peer ended the compressed stream"))
                return
            if not inflater.waiting or self._read_paused or octets >= DEFLATE_STEP or not out:
                break
        if inflater.waiting:
            if below is not None:
                below.pause_reading()
            if not self._read_paused:
                self._inflate_soon()
        elif self._eof:
            if not self._above.eof_received() and below is not None:
                below.close()
        elif not self._read_paused and below is not None:
            below.resume_reading()

    def _note(self, out: bytes) -> None:
        """Note where clear text may begin."""
        if self._may_end is None:
            return
        self._said = (self._said + out)[-_LINE_END:]
        again = not out and self._behind is not None and not self._line_whole  # more of that line's flush
        if again or (out and self._may_end(self._said)):
            self._behind, self._inflated_behind = bytearray(self._inflater.unread), 0
            self._line_whole = self._inflater.between_blocks
        elif self._behind is not None:
            self._inflated_behind += len(out)

    def _fail(self, fault: ConnectionFault) -> None:
        self.fault = fault
        self._above.end_reads(fault)
        if self._below is not None:
            self._below.resume_reading()  # what still comes is passed over

    def _inflate_soon(self) -> None:
        if not self._inflating:
            self._inflating = True
            self._loop.call_soon(self._inflate_turn)

    def _inflate_turn(self) -> None:
        self._inflating = False
        if self._below is not None and self._ending is None and not self._read_paused:
            self._inflate_some()

    # --- ending -------------------------------------------------------------------------------------

    @property
    def may_be_taken_out(self) -> bool:
        """Whether the peer's last flush is wholly here."""
        if self._below is None or self._behind is not None:
            return self._below is None or self._line_whole
        return self.fault is not None or self._inflater.between_blocks

    def take_out(self, unread: int) -> tuple[asyncio.Transport, bytes]:
        """End the stream that is sent; the transport below, and what was received that is not compressed.

        `unread`: octets that were inflated and nobody has read. Raises BadlyCompressed when these cannot be told
        from clear text.
        """
        below = self._below
        if below is None:
            raise ConnectionClosed("connection closed")
        if self._behind is not None and unread == self._inflated_behind:
            clear = bytes(self._behind)
        elif unread or self._inflater.waiting or self.fault is not None:
            raise BadlyCompressed("clear text does not begin behind a flush")
        else:
            clear = b""
        below.write(b"".join((*self._compressed(self._unwritten_octets), self._compressor.end())))
        self._below = None  # turns that are due do nothing any more
        self._wheel.forget(self)
        return below, clear

    # --- compressing ------------------------------------------------------------------------------

    def _compress_some(self) -> None:
        below = self._below
        if below is None or not self._writable:
            return
        if self._unwritten:
            below.write(b"".join(self._compressed(DEFLATE_STEP)))
        if self._unwritten:
            if not self._writing:
                self._writing = True
                self._loop.call_soon(self._compress_turn)
        elif self._ending is not None:
            self._ending()
        if self._holding and self._writable and self._unwritten_octets <= WRITE_HIGH_WATER // 4:
            self._holding = False
            self._above.resume_writing()

    def _compressed(self, room: int) -> list[bytes]:
        """The next `room` octets of what is unwritten."""
        out = []
        while room and self._unwritten:
            head = self._unwritten.popleft()
            if len(head) > room:
                self._unwritten.appendleft(head[room:])
                head = head[:room]
            room -= len(head)
            self._unwritten_octets -= len(head)
            out.append(self._compressor.compress(head, flush=not self._unwritten))
        return out

    def _compress_turn(self) -> None:
        self._writing = False
        self._compress_some()

    def _hold(self) -> None:
        if not self._holding:
            self._holding = True
            self._above.pause_writing()

    # --- resting ----------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._active = self._loop.time()
        if self._resting:
            self._resting = False
            self._wheel.look_at(self, self._active + DEFLATE_REST)

    def on_deadline(self, now: float) -> float:
        """For the timer wheel: rest when nothing was said for long enough."""
        due = self._active + DEFLATE_REST
        if now < due:
            return due
        if self._unwritten or self._inflater.waiting:
            return now + DEFLATE_REST
        self._resting = True
        self._compressor.rest()
        self._inflater.rest()
        return NEVER
