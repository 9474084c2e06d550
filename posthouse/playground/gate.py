"""A gate before the SMTP port of a playground's host: it passes everything on, except where a test wants otherwise.

    host.gate.say("RCPT TO:<carol@", "451 4.7.1 later", times=1)   # the first rule whose beginning fits wins
    host.gate.say("MESSAGE", "452 4.3.1 no room")                  # what the end of the message is answered with
    host.gate.say("CONNECT", CLOSE)                                # no greeting
    host.gate.say("MESSAGE", TAKE_AND_CLOSE)                       # it is taken, and the sender never learns of it
    host.gate.say("EHLO", after=3.0)                               # as the host says, three seconds late
    host.gate.tls = TlsFault.BROKEN
    host.gate.blocked.add("127.0.0.10")                            # nobody comes from there

Rules are seen within TLS too, for the gate speaks TLS with the host's own certificate. The host sees each client
under its own address: the gate connects from there, as any address of loopback may be.
"""

from __future__ import annotations

import asyncio

from posthouse import limits
from posthouse.playground.gate_talk import Talk, Target
from posthouse.playground.misbehaviour import Misbehaviour


class Gate(Misbehaviour):
    """The gate of one host. `start` when the host accepts connections, `stop` before it ends."""

    def __init__(self, target: Target, port: int) -> None:
        """Listens on `port` of the target's address."""
        super().__init__()
        self._target = target
        self._port = port
        self._talks: dict[asyncio.Task[None], str] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. OSError."""
        self._server = await asyncio.start_server(
            self._serve, self._target.address, self._port, limit=limits.PLAYGROUND_LINE
        )

    async def stop(self) -> None:
        """Listen no more, and break off what is under way."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.break_off()
            await asyncio.gather(*self._talks, return_exceptions=True)

    def block(self, address: str) -> None:
        """Break off connections from an address, now and later."""
        self.blocked.add(address)
        self.break_off(address)

    def break_off(self, *addresses: str) -> None:
        """Break off connections under way: all, or those from some addresses."""
        for task, peer in self._talks.items():
            if not addresses or peer in addresses:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")[0]
        self._talks[task] = peer
        talk = Talk(self, self._target, reader, writer)
        try:
            if peer not in self.blocked:
                await talk.run(peer)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # either side left, or a test broke it off: so it goes on the internet
        finally:
            del self._talks[task]
            talk.abort()
