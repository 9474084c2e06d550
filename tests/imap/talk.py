"""An IMAP client in memory: commands go to dispatch as the server would hand them over, replies come back as octets.

No socket and no login: the session begins authenticated. What an idle client is pushed collects in `pushed`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from posthouse.accounts.model import Login
from posthouse.imap.dispatch import serve_command
from posthouse.imap.session import Services, Session, State
from posthouse.store.model import Account

NOW = 1_700_000_000.0


class Unlimited:
    """What a session needs of the directory once somebody is logged in."""

    async def room(self, account: Account) -> int | None:
        """There is no quota."""
        return None

    async def administrators(self) -> tuple[int, ...]:
        """Nobody looks after the house."""
        return ()


class Wire:
    """What a session needs of a connection."""

    session_id = "test"

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()
        self.literals: list[bytes] = []
        self.drains = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    async def drain(self) -> None:
        self.drains += 1
        await asyncio.sleep(0)

    async def read_line(self, limit: int) -> bytes:
        return await self.lines.get()

    async def read_exactly(self, size: int) -> bytes:
        data = self.literals.pop(0)
        assert len(data) == size
        return data

    def take(self) -> bytes:
        """Everything written since the last time."""
        data = b"".join(self.written)
        self.written.clear()
        return data


class Talk:
    """One client."""

    def __init__(self, store: Any, *, now: float = NOW, account_id: int = 1) -> None:
        self.wire = Wire()
        services = Services(
            store=store,
            directory=Unlimited(),  # type: ignore[arg-type]  # nobody logs in here
            hostname="mx.north.test",
            names=lambda: ("mx.north.test",),
            message_size=2**20,
            now=lambda: now,
            capabilities=(),
        )
        self.session = Session(services, self.wire)  # type: ignore[arg-type]  # Wire stands in
        account = Account(
            account_id=account_id, address="alice@north.test", display_name="", password="", scram="", quota=0,
            disabled=False, admin=False, created_at=0,
        )  # fmt: skip
        self.session.login = Login(account=account, mechanism="PLAIN")
        self.session.state = State.AUTHENTICATED
        self.count = 0

    async def raw(self, command: str | bytes) -> bytes:
        """The whole answer to one command (without its tag, which is counted here)."""
        self.count += 1
        line = command.encode() if isinstance(command, str) else command
        await serve_command(self.session, b"t%d " % self.count + line)
        await self.session.flush()
        return self.wire.take()

    async def __call__(self, command: str | bytes) -> list[str]:
        """The lines of the answer, the tagged one without its tag. For answers without literals."""
        answer = await self.raw(command)
        lines = answer.decode("utf-8", "surrogateescape").split("\r\n")
        assert lines.pop() == ""
        tag = f"t{self.count} "
        return [line.removeprefix(tag) for line in lines]

    async def idle(self) -> asyncio.Task[None]:
        """Begin to idle; `wire.take()` shows what is pushed."""
        self.count += 1
        task = asyncio.create_task(serve_command(self.session, b"t%d IDLE" % self.count))
        await settle()
        return task

    async def done(self, task: asyncio.Task[None]) -> bytes:
        """End the idling."""
        await self.wire.lines.put(b"DONE")
        await task
        await self.session.flush()
        return self.wire.take()


async def settle() -> None:
    """Let all tasks that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)
