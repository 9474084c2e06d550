"""Everything of the junk filter, joined: what is kept over reloads, and what each configuration makes anew."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from posthouse import limits
from posthouse.config import Junk
from posthouse.config import Sending as SendingSettings
from posthouse.errors import NotFound
from posthouse.junk.block_lists import BlockList, BlockLists, ListKind
from posthouse.junk.clamav import ClamAv
from posthouse.junk.desk import Authenticated, SpamDesk
from posthouse.junk.greylist import Greylist
from posthouse.junk.guard import Guard
from posthouse.junk.history import History
from posthouse.junk.judge import Judge
from posthouse.junk.models import Models
from posthouse.junk.rejects import expire_rejects
from posthouse.junk.rspamd import Rspamd
from posthouse.junk.sending import Sending, Tell
from posthouse.junk.survey import Surveyor
from posthouse.junk.trainer import Trainer
from posthouse.junk.verdict import Thresholds
from posthouse.resolver import Resolver
from posthouse.store.interface import ChangeQueued, Store
from posthouse.store.judgement import HOUSE, PruneMemos
from posthouse.store.model import RecipientState
from posthouse.store.queue_pages import queue_pages

log: Final = logging.getLogger(__name__)


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What releasing an account did."""

    address: str
    was_held: bool
    recipients: int
    """In the queue, that may go now."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An account whose mail waits."""

    address: str
    why: str


class JunkOffice:
    """One per house. `furnish` at the start and at each reload; `start` and `stop` while serving."""

    def __init__(
        self,
        store: Store,
        tell: Tell,
        now: Callable[[], float],
        may_do: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`may_do`: whether a duty of the house is this node's."""
        self._store = store
        self._now = now
        self.history = History(store, now)
        self.models = Models(store)
        self.guard = Guard(store, now)
        self.trainer = Trainer(store, self.models, self.history, may_do)
        self.sending = Sending(store, self.history, SendingSettings(), tell, now)
        self._rspamd: Rspamd | None = None
        self._kept = 0.0

    def furnish(
        self, settings: Junk, sending: SendingSettings, resolver: Resolver, authenticated: Authenticated
    ) -> None:
        """Build what depends on the configuration."""
        self.guard.furnish(rate=settings.rate, traps=settings.traps)
        self.sending.settings = sending
        self._kept = settings.rejects_kept if settings.rejects else 0.0
        lists = BlockLists(
            [
                *(BlockList(zone.strip("."), ListKind.ADDRESS) for zone in settings.address_lists),
                *(BlockList(zone.strip("."), ListKind.DOMAIN) for zone in settings.domain_lists),
                *(BlockList(zone.strip("."), ListKind.HASH) for zone in settings.hash_lists),
            ],
            resolver,
        )
        self._rspamd = Rspamd(settings.rspamd) if settings.rspamd else None
        self.judge = Judge(
            Surveyor(lists, self._rspamd, ClamAv(settings.clamav) if settings.clamav else None),
            self.models,
            self.history,
            Thresholds(junk_at=settings.junk_at, refuse_at=settings.refuse_at),
            greylist=Greylist(self._store, self._now) if settings.greylist != "off" else None,
            grey_all=settings.greylist == "strangers",
        )
        # What is explained must change nothing: no greylist hears of it, and nobody's notes are committed.
        explaining = Judge(
            self.judge.surveyor,
            self.models,
            self.history,
            Thresholds(junk_at=settings.junk_at, refuse_at=settings.refuse_at),
        )
        self.desk = SpamDesk(self._store, self.models, explaining, authenticated)
        self.desk.learnt = self.trainer.learnt

    def share(
        self,
        tell: Callable[[str, tuple[str, ...]], None],
        hear: Callable[[str, Callable[[tuple[str, ...]], None]], None],
    ) -> None:
        """Count and learn together with the other processes of the house (`storage.Gossip`)."""
        self.sending.spread = partial(tell, "sending")
        hear("sending", self.sending.heard)
        for topic, counters in (("rates", self.guard.messages), ("guesses", self.guard.guesses)):
            counters.spread = partial(tell, topic)
            hear(topic, counters.heard)
        self.trainer.learnt = lambda account_id: tell("learnt", (str(account_id),))
        hear("learnt", self._learnt_elsewhere)

    def _learnt_elsewhere(self, words: tuple[str, ...]) -> None:
        account_id = int(words[0])
        self.models.forget(account_id)
        self.models.forget(HOUSE)
        self.history.forget(account_id)

    def start(self) -> None:
        """Begin to learn."""
        self.trainer.start()

    async def stop(self) -> None:
        """Stop learning, let go of connections."""
        await self.trainer.stop()
        if self._rspamd is not None:
            await self._rspamd.close()

    async def tidy(self) -> None:
        """Forget what has ended: memos, and what has been in Rejects long enough."""
        while await self._store.apply(PruneMemos(now=self._now())) >= limits.PIECE_ROWS:
            pass  # a flood of strangers leaves more in an hour than one piece
        if self._kept:
            removed = await expire_rejects(self._store, self._kept, self._now)
            if removed:
                log.info("rejects expired=%d", removed)

    # --- commands ---------------------------------------------------------------------------------------

    async def account_held(self) -> list[Held]:
        """Accounts whose outgoing mail waits for `account release`."""
        return [Held(address=address, why=why) for address, why in (await self.sending.held()).items()]

    async def account_release(self, *, address: str) -> Released:
        """Let an account's held mail go, and let it send again. NotFound."""
        account = await self._store.account(address.lower())
        if account is None:
            raise NotFound(f"There is no account {address}.")
        was_held = await self.sending.release(account)
        recipients = 0
        async for page in queue_pages(self._store):
            for message in page:
                waits = any(one.state is RecipientState.HELD for one in message.recipients)
                if waits and message.account_id == account.account_id:
                    change = ChangeQueued(queue_id=message.queue_id, action="release", now=self._now())
                    with contextlib.suppress(NotFound):  # it was dropped meanwhile
                        recipients += await self._store.apply(change)
        return Released(address=account.address, was_held=was_held, recipients=recipients)
