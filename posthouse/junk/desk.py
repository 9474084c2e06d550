"""`posthouse spam`: train the filters with files, and explain what would become of one.

Explaining delivers nothing and changes nothing. Without the peer's address nobody is asked about the message's origin;
with it (`peer`) the checks of port 25 run as if it came from there.
"""

from __future__ import annotations

import asyncio
import mailbox
import tempfile
from collections.abc import Awaitable, Callable, Iterator

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.junk.judge import Judge
from posthouse.junk.letter import Letter
from posthouse.junk.models import Models
from posthouse.junk.tokens import read_tokens
from posthouse.junk.verdict import Verdict
from posthouse.limits import TOKEN_SOURCE
from posthouse.store.interface import Store
from posthouse.store.judgement import HOUSE
from posthouse.store.model import Account

Authenticated = Callable[[Letter], Awaitable[Letter]]
"""The letter with what SPF, DKIM and DMARC found out about it."""

_NOBODY = Account(
    account_id=HOUSE,
    address="nobody@localhost",
    display_name="",
    password="",
    scram="",
    quota=0,
    disabled=False,
    admin=False,
    created_at=0,
)


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What training did."""

    messages: int
    junk: int
    """Messages that the filter has learnt as junk in all."""
    good: int


class SpamDesk:
    """The two commands."""

    def __init__(self, store: Store, models: Models, judge: Judge, authenticated: Authenticated) -> None:
        self._store = store
        self._models = models
        self._judge = judge
        self._authenticated = authenticated
        self.learnt: Callable[[int], None] = _nobody
        """Hears after the commit whose filter has learnt."""

    async def train(self, *, junk: bool, account: str = "", body: bytes = b"") -> Trained:
        """Learn a message or an mbox of them; without an account for the whole house. NotFound."""
        owner = (await self._account(account)).account_id
        count = 0
        async with self._models.lesson(owner) as school:
            model = school[owner]
            for raw in await asyncio.to_thread(lambda: list(messages_of(body))):
                letter = Letter.of(raw[:TOKEN_SOURCE])
                tokens = await asyncio.to_thread(
                    read_tokens, letter.content.head, letter.headers, letter.authors
                )
                model.learn(tokens.names, junk=junk)
                count += 1
            await self._store.apply(await self._models.packed(owner, model))
            self._models.taught(school)
        self.learnt(owner)
        return Trained(messages=count, junk=model.junk, good=model.good)

    async def explain(
        self, *, account: str = "", peer: str = "", helo: str = "", sender: str = "", body: bytes = b""
    ) -> Verdict:
        """The verdict on a message for an account (else for somebody who is new here). NotFound, ValueError."""
        if len(body) > limits.EXPLAIN_SIZE:
            raise ValueError(f"the message is larger than {limits.EXPLAIN_SIZE} octets")
        whom = await self._account(account)
        letter = msgspec.structs.replace(Letter.of(body), peer=peer, helo=helo, reverse_path=sender)
        if peer:
            letter = await self._authenticated(letter)
        survey = await self._judge.surveyor.look(letter)
        await self._judge.surveyor.read(survey)
        return (await self._judge.rule(survey, whom)).verdict

    async def _account(self, address: str) -> Account:
        if not address:
            return _NOBODY
        account = await self._store.account(address.lower())
        if account is None:
            raise NotFound(f"There is no account {address}.")
        return account


def _nobody(_: int) -> None:
    """There is no other process."""


def messages_of(body: bytes) -> Iterator[bytes]:
    """A message, or those of an mbox (blocking: it is unpacked to a file)."""
    if not body.startswith(b"From "):
        yield body
        return
    with tempfile.NamedTemporaryFile(prefix="posthouse-") as file:
        file.write(body)
        file.flush()
        box = mailbox.mbox(file.name, create=False)
        yield from map(box.get_bytes, box.keys())
