"""Raw DEFLATE (RFC 1951) in both directions, in bounded steps, with next to no memory while nothing is said.

Pure: no event loop, no socket. A deflated stream may go on with a fresh compressor after any flush, because a
fresh one refers to nothing older; so a compressor that rests is thrown away. An inflater that rests is thrown
away too where that is sure to be safe, and only the text behind it is kept, which its successor may be asked for.
"""

from __future__ import annotations

import zlib
from typing import Final

from posthouse.errors import RemoteProtocolError
from posthouse.limits import DEFLATE_INPUT, DEFLATE_STEP

WINDOW: Final = 32 * 1024
"""Octets back to which a deflated stream may refer (RFC 1951 §2)."""

LEVEL: Final = 3
"""Of 1 to 9. Responses shrink to 24 %, text to 34 %, at 60 MB/s and more; 6 takes thrice as long for 2-4 % less."""

WINDOW_BITS: Final = -14
"""16 KB and no wrapper. With MEMORY_LEVEL a compressor at work has 131 KB instead of 268; 2 % are lost."""

MEMORY_LEVEL: Final = 7

_FLUSH: Final = b"\x00\x00\xff\xff"
"""How a flush ends."""

_ONE_STORED: Final = b"\x00\x01\x00\xfe\xffA"
"""A stored block of one octet."""

_LAST_EMPTY: Final = b"\x03\x00"
"""An empty block that is the last one."""


class NotDeflated(RemoteProtocolError):
    """What was received is not a deflated stream, or behind its end."""


class Compressor:
    """What is sent."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state: zlib._Compress | None = None

    def compress(self, data: bytes | memoryview, *, flush: bool) -> bytes:
        """What can be sent now; all of it so far when `flush`."""
        state = self._state
        if state is None:
            state = self._state = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        out = state.compress(data)
        return out + state.flush(zlib.Z_SYNC_FLUSH) if flush else out

    def end(self) -> bytes:
        """The end of the stream, by which the peer knows that clear text follows."""
        state = self._state or zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY_LEVEL)
        self._state = None
        return state.flush(zlib.Z_FINISH)

    def rest(self) -> None:
        """Let go of all memory. Only when the last call had `flush`."""
        self._state = None


class Inflater:
    """What is received: `feed` what the socket gave, `take` while it is `waiting`."""

    __slots__ = ("_at", "_before", "_full", "_history", "_received", "_state", "ended")

    def __init__(self) -> None:
        self._state: zlib._Decompress | None = None
        self._history = b""
        """The end of what was inflated, a window at most."""
        self._received = b""
        self._at = 0
        """Where in `_received` that begins which is not inflated yet."""
        self._before = b""
        """The three octets before that: a flush may have been cut anywhere."""
        self._full = False
        """The last step ended at its limit, so the state may hold more."""
        self.ended = False
        """The peer has ended its stream: nothing more may come."""

    @property
    def waiting(self) -> bool:
        """Whether `take` may give something."""
        return self._full or self._at < len(self._received)

    @property
    def unread(self) -> bytes:
        """What was received and is not inflated."""
        return self._received[self._at :]

    @property
    def between_blocks(self) -> bool:
        """Whether clear text might follow: what was taken ends with a whole flush, or the stream has ended."""
        return self.ended or self._state is None or (not self._full and _between_blocks(self._state))

    def feed(self, data: bytes) -> None:
        """Append what the socket gave."""
        self._received = self._received[self._at :] + data
        self._at = 0

    def take(self) -> bytes:
        """One step: DEFLATE_INPUT octets received, or DEFLATE_STEP inflated, at most; it may give nothing yet.

        A step goes to the next flush at most, because clear text may follow one. Raises NotDeflated.
        """
        if self.ended:
            raise NotDeflated("octets behind the end of the deflated stream")
        state = self._state
        if state is None:
            history = self._history
            state = self._state = zlib.decompressobj(-15, history) if history else zlib.decompressobj(-15)
        piece = self._received[self._at : self._at + DEFLATE_INPUT]
        flush = (self._before + piece).find(_FLUSH)
        if flush >= 0:
            piece = piece[: flush + len(_FLUSH) - len(self._before)]
        try:
            out = state.decompress(piece, DEFLATE_STEP)
        except zlib.error as error:
            raise NotDeflated(f"not a deflated stream: {error}") from error
        taken = len(piece) - len(state.unconsumed_tail) - len(state.unused_data)
        self._at += taken
        self._before = (self._before + piece[:taken])[-3:]
        self._full = len(out) == DEFLATE_STEP
        self.ended = state.eof
        if self._at == len(self._received):
            self._received, self._at = b"", 0
        if out:
            self._history = (self._history + out)[-WINDOW:]
        return out

    def rest(self) -> None:
        """Let go of what memory can be spared; only when nothing is waiting."""
        if self._state is not None and not self.waiting and not self.ended and _between_blocks(self._state):
            self._state = None


def _between_blocks(state: zlib._Decompress) -> bool:
    """Whether the stream stands at a whole octet between two blocks, as behind a flush.

    Nothing in zlib's Python interface says so. But only there both are understood: a stored block, and an
    empty one that is the last. Its copies are thrown away.
    """
    try:
        stored, last = state.copy(), state.copy()
        if stored.decompress(_ONE_STORED) != b"A" or stored.eof or stored.unconsumed_tail:
            return False
        return last.decompress(_LAST_EMPTY) == b"" and last.eof and not last.unused_data
    except zlib.error:
        return False
