"""The way of incoming mail without the rest of the house: real store, directory, pipeline and SMTP servers.

`example.test` is local, with alice, bob, admin, a disabled and a small account; `backup.test` is a domain we are
backup MX for. Notices that would be written are only collected, since writing them is another part's duty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import argon2
import msgspec

from posthouse.accounts.directory import Directory
from posthouse.config import MsgAuth
from posthouse.errors import StoreUnavailable
from posthouse.inbound.authenticate import Authenticate, prove_sender
from posthouse.inbound.checks import Check
from posthouse.inbound.deliver import Deliverer
from posthouse.inbound.mail import Mail, MailRecipient, Via, new_trace_id
from posthouse.inbound.notices import Notice
from posthouse.inbound.pipeline import Pipeline, standard_checks
from posthouse.inbound.policy import Policy
from posthouse.inbound.refusals import Refusals
from posthouse.net.certificates import ensure_pair
from posthouse.net.listener import ConnectionGate, Listener
from posthouse.net.tls import server_context
from posthouse.resolver import Resolver
from posthouse.smtp.events import Settings
from posthouse.smtp.extensions import Role
from posthouse.smtp.reception import MemoryBudget
from posthouse.smtp.server import Services, SmtpServer
from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, AddEmail, PutAccount, PutAlias, PutDomain
from posthouse.store.model import Account, Alias, Content, Domain, DomainKind
from posthouse.store.sqlite.store import SqliteStore

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NOW = 1_793_613_600.0
PASSWORDS = {"alice": "wonderland", "bob": "builder", "admin": "steward", "off": "sleeping", "small": "tiny"}
SMALL_QUOTA = 2000

HELLO = b"From: eve@elsewhere.test\r\nSubject: hello\r\n\r\ntext\r\n"

ALIASES = {
    "team": ("alice@example.test", "bob@example.test"),
    "one": ("alice@example.test",),
    "away": ("friend@elsewhere.test",),
    "mixed": ("alice@example.test", "friend@elsewhere.test", "off@example.test"),
    "loop": ("loop2@example.test",),
    "loop2": ("loop@example.test",),
    "nested": ("team@example.test", "admin@example.test"),
}


class Faulty:
    """A store that fails where it is told to; everything else is the real one's."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.faults: dict[str, Exception] = {}

    def __getattr__(self, name: str) -> Any:
        if name in self.faults:
            raise self.faults[name]
        return getattr(self._store, name)


@dataclass
class SmallHouse:
    """Everything between a socket and the store."""

    folder: Path
    store: Any
    real_store: SqliteStore
    directory: Directory
    policy: Policy
    deliverer: Deliverer
    pipeline: Pipeline
    refusals: Refusals
    budget: MemoryBudget
    notices: list[tuple[Mail, tuple[Notice, ...]]]
    primary: dict[str, str]
    """What the primary of backup.test says of an address; others are "unknown"."""
    accounts: dict[str, Account] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        trusted: tuple[str, ...] = (),
        show_clients: bool = False,
        resolver: Resolver | None = None,
        msgauth: MsgAuth | None = None,
        authserv: str = "",
        our_names: Callable[[], Iterable[str]] | None = None,
    ) -> SmallHouse:
        """`resolver`: senders are checked (SPF, DKIM, DMARC) as `msgauth` says; without one they are not."""
        real = await SqliteStore.open(folder / "mail.db", folder / "blobs", derive=derive)
        store: Any = Faulty(real)
        directory = Directory(store)
        primary: dict[str, str] = {}
        notices: list[tuple[Mail, tuple[Notice, ...]]] = []

        async def verify(address: str) -> str:
            return primary.get(address, "unknown")

        async def notify(mail: Mail, told: tuple[Notice, ...]) -> None:
            if "notify" in store.faults:
                raise store.faults["notify"]
            notices.append((mail, told))

        proving = partial(prove_sender, resolver) if resolver is not None else None
        policy = Policy(directory, trusted=trusted, verify_recipient=verify, prove_sender=proving)
        deliverer = Deliverer(store, directory, notify)
        refusals = Refusals(store)
        strangers: tuple[Check, ...] = ()
        if resolver is not None:
            strangers = (
                Authenticate(resolver, msgauth or MsgAuth(), hostname="mx.example.test", authserv=authserv),
            )
        pipeline = Pipeline(
            hostname="mx.example.test",
            our_names=our_names,
            store=store,
            policy=policy,
            deliverer=deliverer,
            refusals=refusals,
            checks=standard_checks(policy, directory, *strangers),
            show_clients=show_clients,
        )
        house = cls(
            *(folder, store, real, directory, policy, deliverer, pipeline, refusals),
            *(MemoryBudget(), notices, primary),
        )
        await house._furnish()
        return house

    async def _furnish(self) -> None:
        store = self.real_store
        await store.apply(PutDomain(domain=Domain(name="example.test"), new=True))
        await store.apply(PutDomain(domain=Domain(name="backup.test", kind=DomainKind.BACKUP), new=True))
        for name, password in PASSWORDS.items():
            self.accounts[name] = await store.apply(
                AddAccount(
                    address=f"{name}@example.test",
                    password=CHEAP.hash(password),
                    quota=SMALL_QUOTA if name == "small" else 0,
                    admin=name == "admin",
                    created_at=0,
                )
            )
        off = msgspec.structs.replace(self.accounts["off"], disabled=True)
        await store.apply(PutAccount(account=off))
        for name, targets in ALIASES.items():
            await store.apply(
                PutAlias(alias=Alias(address=f"{name}@example.test", targets=targets), new=True)
            )

    def break_at(self, step: str, fault: Exception | None = None) -> None:
        """Let a method of the store (or "notify") fail from now on."""
        self.store.faults[step] = fault or RuntimeError("injected")
        self.directory.forget()

    def mend(self) -> None:
        """Let everything work again."""
        self.store.faults.clear()

    def fill_the_disk(self) -> None:
        """Let every commit fail as a full disk does."""
        self.break_at("commit", StoreUnavailable("disk full"))

    async def inbox(self, name: str, folder: str = "INBOX") -> list[bytes]:
        """The messages in somebody's INBOX, whole."""
        account = self.accounts[name].account_id
        mailbox = await self.real_store.mailbox(account, folder)
        assert mailbox is not None
        index = await self.real_store.index(account, mailbox.mailbox_id)
        return [m for m in await self.real_store.messages(account, list(index.email_ids)) if m is not None]

    async def fill_up(self, name: str, room: int = 100) -> None:
        """Leave an account room for so many octets only, with room for much more in its quota."""
        account = msgspec.structs.replace(self.accounts[name], quota=100_000)
        mailbox = await self.real_store.mailbox(account.account_id, "INBOX")
        assert mailbox is not None
        content = Content.of(b"From: eve@elsewhere.test\r\n\r\n".ljust(account.quota - room, b"x"))
        await self.real_store.commit(
            PutAccount(account=account),
            AddEmail(
                account_id=account.account_id,
                mailbox_id=mailbox.mailbox_id,
                content=content,
                received_at=int(NOW),
            ),
        )

    async def story(self, trace_id: str) -> list[tuple[str, str, str]]:
        """The timeline of a message as (kind, address, detail)."""
        return [(e.kind, e.address, e.detail) for e in await self.real_store.events(trace_id=trace_id)]

    def mail(self, *recipients: str | MailRecipient, raw: bytes = HELLO, **changes: Any) -> Mail:
        """A mail to recipients of example.test (or to whole addresses)."""
        values: dict[str, Any] = {
            "trace_id": new_trace_id(NOW),
            "reverse_path": "eve@elsewhere.test",
            "recipients": tuple(
                r if isinstance(r, MailRecipient) else MailRecipient(r if "@" in r else f"{r}@example.test")
                for r in recipients
            ),
            "content": Content.of(raw),
            "received_at": NOW,
            "helo": "client.elsewhere.test",
            "peer": "192.0.2.1",
            "via": Via.MX,
            "protocol": "ESMTP",
        }
        return Mail(**values | changes)

    async def listen(
        self, role: Role = Role.MX, *, tls: bool = False, size: int = 1_000_000, **more: Any
    ) -> int:
        """Start a server of a role; `tls`: from the first octet. The port."""
        paths = self.folder / "cert.pem", self.folder / "key.pem"
        starttls = more.pop("starttls", False)
        if tls or starttls:
            from datetime import UTC, datetime

            ensure_pair(*paths, "localhost", datetime.now(UTC))
        context = server_context(*paths) if paths[0].exists() else None
        settings = Settings(
            hostname="mx.example.test",
            role=role,
            message_size=size,
            recipients=more.pop("recipients", 100),
            tls_available=context is not None,
            login_required=role is Role.SUBMISSION,
        )
        services = Services(
            directory=self.directory,
            policy=self.policy,
            pipeline=self.pipeline,
            refusals=self.refusals,
            store=self.store,
            budget=self.budget,
        )
        fronts = [ip_network(each) for each in more.pop("fronts", ())]
        gate = more.pop("gate", None) or ConnectionGate(1000, 1000)
        server = SmtpServer(settings, services, tls_context=context, **more)
        listener = Listener(
            ["127.0.0.1:0"], server.serve, tls=context if tls else None, gate=gate, fronts=fronts
        )
        await listener.start()
        self.listeners.append(listener)
        return int(listener.bound[0].rpartition(":")[2])

    async def close(self) -> None:
        """Stop all."""
        for listener in self.listeners:
            await listener.stop(grace=0.1)
        await self.refusals.close()
        self.directory.close()
        await self.real_store.close()


class Client:
    """A peer that sends octets and reads replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**22))

    async def reply(self) -> str:
        """One whole reply, its lines joined by LF; empty at the end of the connection."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, *lines: str) -> str:
        """Send lines one by one and give the last reply."""
        reply = ""
        for line in lines:
            self.writer.write(line.encode() + b"\r\n")
            reply = await self.reply()
        return reply

    async def send(self, octets: bytes) -> str:
        """Send octets and give the next reply."""
        self.writer.write(octets)
        return await self.reply()

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 10)

    def close(self) -> None:
        self.writer.close()
