"""The tour: four chapters that show how mail travels, with real hosts and their real conversations.

1. Submission with login; a colleague's copy is delivered locally, the other goes out by DNS and MX.
2. A stranger may neither relay nor send as one of ours.
3. POP3 downloads and changes nothing; IMAP keeps two devices in step, and JMAP the browser with them.
4. The primary MX is away: the backup holds the mail and hands it on, once.

Each chapter checks what it tells. Temporary is raised when something is otherwise than told.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.playground.browser import Browser
from posthouse.playground.conversation import Conversation, Say
from posthouse.playground.host import Host
from posthouse.playground.network import Playground
from posthouse.playground.scenarios import PASSWORD

ALICE, DORA = "alice@north.test", "dora@north.test"
BOB, CAROL = "bob@south.test", "carol@south.test"


async def tour(net: Playground, say: Say) -> None:
    """Tell all four chapters on a running standard playground."""
    await Tour(net, say).tell()


class Tour:
    """The story on one network."""

    def __init__(self, net: Playground, say: Say) -> None:
        self._net = net
        self._say = say
        self._north = net.host("mx.north.test")
        self._south = net.host("mx.south.test")
        self._backup = net.host("backup.south.test")

    async def tell(self) -> None:
        """All chapters in order."""
        await self._submission_and_routing()
        await self._strangers()
        await self._reading()
        await self._backup_mx()
        self._say("\nThe end: every message arrived, once.")

    # --- 1 -------------------------------------------------------------------------------------------

    async def _submission_and_routing(self) -> None:
        self._chapter(1, "alice writes to carol in another domain, and to a colleague")
        self._say("Sending outward needs a login: port 465, TLS from the first byte.\n")
        await self._submit("Lunch on Friday", (CAROL, DORA))
        await self._arrives(self._north, DORA, 1)
        self._say("\ndora is in alice's own domain: her copy was delivered locally, no DNS was asked.")
        self._say("\nFor carol, DNS is asked which host takes mail for south.test (lowest number first):\n")
        self._show(await self._north.command("mx", "south.test"))
        self._say("\nThe whole route, step by step:\n")
        self._show(await self._north.command("trace", CAROL))
        await self._arrives(self._south, CAROL, 1)
        self._say("\nIt has arrived. The life of the message, as north tells it:\n")
        self._show(await self._north.command("message", "log", CAROL))

    # --- 2 -------------------------------------------------------------------------------------------

    async def _strangers(self) -> None:
        self._chapter(2, "a stranger at the counter")
        self._say(
            "Plain SMTP lets anybody claim any sender. First: relaying through north to somebody elsewhere.\n"
        )
        talk = await self._stranger("mallory@nowhere.test")
        self._expect(await talk.smtp(f"RCPT TO:<{BOB}>"), "550 5.7.1")
        await talk.smtp("QUIT")
        self._say("\nSecond: claiming to be alice.\n")
        talk = await self._stranger(ALICE, refused=True)
        await talk.smtp("QUIT")

    async def _stranger(self, sender: str, *, refused: bool = False) -> Conversation:
        talk = await Conversation.open(self._north.address, self._net.ports["smtp"], self._say)
        await talk.smtp("")
        await talk.smtp("EHLO nowhere.test")
        reply = await talk.smtp(f"MAIL FROM:<{sender}>")
        if refused and reply.startswith("250"):
            reply = await talk.smtp(f"RCPT TO:<{BOB}>")
        self._expect(reply, "550 5.7.1" if refused else "250")
        return talk

    # --- 3 -------------------------------------------------------------------------------------------

    async def _reading(self) -> None:
        self._chapter(3, "bob downloads by POP3, carol reads on two devices by IMAP and in the browser")
        await self._submit("Minutes of the meeting", (BOB, CAROL))
        await self._arrives(self._south, BOB, 1)
        await self._arrives(self._south, CAROL, 2)
        self._say("\nbob's program downloads. What he deletes on his own machine changes nothing here.\n")
        await self._download(BOB)
        await self._arrives(self._south, BOB, 1)
        self._say(
            "\nThe server still has bob's mail. Now carol: her phone waits (IDLE), her desk sets a flag.\n"
        )
        await self._two_devices(CAROL)

    async def _download(self, user: str) -> None:
        talk = await Conversation.open(self._south.address, self._net.ports["pop3s"], self._say, tls=True)
        await talk.pop3("")
        await talk.pop3(f"USER {user}")
        self._expect((await talk.pop3(f"PASS {PASSWORD}", shown="PASS ********"))[0], "+OK")
        self._expect((await talk.pop3("STAT"))[0], "+OK 1 ")
        self._expect((await talk.pop3("RETR 1", multi=True))[0], "+OK")
        await talk.pop3("QUIT")

    async def _two_devices(self, user: str) -> None:
        phone = await self._imap_session(user, "phone")
        desk = await self._imap_session(user, "desk")
        self._say("   (phone)")
        phone.send("p3 IDLE")
        self._expect(await phone.line(), "+")
        self._say("   (desk)")
        await desk.imap("d3", "STORE 1 +FLAGS (\\Flagged)")
        self._say("   (phone, without asking)")
        self._expect(await phone.line(), "* 1 FETCH")
        await self._browser(user, phone)
        phone.send("DONE")
        self._expect(await phone.line(), "p3 OK")
        phone.close()
        desk.close()

    async def _browser(self, user: str, phone: Conversation) -> None:
        self._say("   (browser, by JMAP)")
        browser = Browser(self._south.address, self._net.ports["https"], user, PASSWORD, self._say)
        await browser.open()
        email = await browser.flagged()
        if email is None:
            raise Temporary("the browser does not see the flag")
        await browser.call("Email/set", {"update": {email["id"]: {"keywords/$answered": True}}})
        self._say("   (phone, without asking)")
        self._expect(await phone.line(), "* 1 FETCH")

    async def _imap_session(self, user: str, device: str) -> Conversation:
        self._say(f"   ({device})")
        tag = device[0]
        talk = await Conversation.open(self._south.address, self._net.ports["imaps"], self._say, tls=True)
        await talk.line()
        login = await talk.imap(f"{tag}1", f"LOGIN {user} {PASSWORD}", shown=f"LOGIN {user} ********")
        self._expect(login[-1], f"{tag}1 OK")
        self._expect((await talk.imap(f"{tag}2", "SELECT INBOX"))[-1], f"{tag}2 OK")
        return talk

    # --- 4 -------------------------------------------------------------------------------------------

    async def _backup_mx(self) -> None:
        self._chapter(4, "the primary MX of south.test is away")
        self._say("mx.south.test (MX 10) is stopped. alice writes to carol.\n")
        await self._south.stop()
        await self._submit("While you were away", (CAROL,))
        await self._until(lambda: self._held(self._backup), "the backup holds the message")
        self._say("\nNorth could not reach MX 10, so it went to MX 20, which holds it:\n")
        self._show(await self._backup.command("queue", "list"))
        self._say("\nmx.south.test returns.\n")
        await self._south.start()
        await self._arrives(self._south, CAROL, 3)
        self._say("carol has it.")
        await self._until(lambda: self._empty(self._backup), "the backup's queue is empty")
        await self._arrives(self._south, CAROL, 3)
        self._say("The backup handed it on, and keeps nothing. Its story, as the backup tells it:\n")
        self._show(await self._backup.command("message", "log", CAROL))

    async def _held(self, host: Host) -> bool:
        return len(await host.ask("queue.list")) == 1

    async def _empty(self, host: Host) -> bool:
        return not await host.ask("queue.list")

    # --- shared steps -------------------------------------------------------------------------------

    async def _submit(self, subject: str, recipients: tuple[str, ...]) -> None:
        talk = await Conversation.open(
            self._north.address, self._net.ports["submissions"], self._say, tls=True
        )
        await talk.smtp("")
        await talk.smtp("EHLO desk.north.test")
        secret = base64.b64encode(f"\0{ALICE}\0{PASSWORD}".encode()).decode()
        self._expect(await talk.smtp(f"AUTH PLAIN {secret}", shown="AUTH PLAIN ********"), "235")
        self._expect(await talk.smtp(f"MAIL FROM:<{ALICE}>"), "250")
        for recipient in recipients:
            self._expect(await talk.smtp(f"RCPT TO:<{recipient}>"), "250")
        self._expect(await talk.smtp("DATA"), "354")
        for line in (
            f"From: {ALICE}",
            f"To: {', '.join(recipients)}",
            f"Subject: {subject}",
            "",
            "See you.",
            ".",
        ):
            talk.send(line)
        self._expect(await talk.smtp(""), "250")
        await talk.smtp("QUIT")

    async def _count(self, host: Host, user: str) -> int:
        talk = await Conversation.open(host.address, self._net.ports["imaps"], _silent, tls=True)
        try:
            await talk.line()
            await talk.imap("a", f"LOGIN {user} {PASSWORD}")
            status = await talk.imap("b", "STATUS INBOX (MESSAGES)")
            return int(status[0].rpartition("MESSAGES ")[2].strip("() "))
        finally:
            talk.close()

    async def _arrives(self, host: Host, user: str, count: int) -> None:
        async def there() -> bool:
            return await self._count(host, user) == count

        await self._until(there, f"{user} has {count} in INBOX")

    async def _until(self, true: Callable[[], Awaitable[bool]], what: str) -> None:
        async with asyncio.timeout(limits.PLAYGROUND_WAIT):
            while not await true():  # noqa: ASYNC110  # another process's state can only be asked for
                await asyncio.sleep(0.1)
        self._say(f"   [{what}]")

    def _chapter(self, number: int, title: str) -> None:
        self._say(f"\n{number}. {title[0].upper()}{title[1:]}\n{'─' * 78}\n")

    def _show(self, text: str) -> None:
        for line in text.rstrip().splitlines():
            self._say(f"   {line}")

    def _expect(self, line: str, beginning: str) -> None:
        if not line.startswith(beginning):
            raise Temporary(f"expected {beginning!r}, heard {line!r}")


def _silent(_: str) -> None:
    """Say nothing."""
