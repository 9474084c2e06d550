"""Messages copied or moved from one account into another, or into a mailbox where not all their flags may be set.

The octets are read and added anew, so that neither account holds anything of the other's. Many messages are several
commits. A COPY that fails takes back what it has added (RFC 9051 §6.4.7); a MOVE takes each message out of its mailbox
in the commit that adds it, and says what it has moved when it fails (RFC 6851 §3.3). Rights are looked at before each
commit.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import msgspec

from posthouse import limits
from posthouse.errors import Damaged, NotFound, PosthouseError
from posthouse.imap import acl
from posthouse.imap.mailboxes_seen import Seen, opened
from posthouse.imap.refusal import No
from posthouse.imap.rows import Rows
from posthouse.imap.session import Session
from posthouse.imap.view import View
from posthouse.ranges import Ranges
from posthouse.store.interface import Added, AddEmail, Copied, Expunge, Op, Staging
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import SYSTEM_FLAGS, Content


class _Some(msgspec.Struct, frozen=True):
    """Messages that are added in one commit, as columns of equal length."""

    uids: list[int]
    email_ids: list[int]
    sizes: list[int]
    flags: list[int]
    received: list[int]

    @classmethod
    def of(cls, rows: Rows, index: MailboxIndex) -> _Some:
        """The columns as they are now."""
        columns = (index.uids, index.email_ids, index.sizes, index.flags, index.received)
        return cls(*(list(rows.column(column)) for column in columns))

    def parts(self) -> Iterator[_Some]:
        """Parts that hold few enough octets; a large message stands alone."""
        first = octets = 0
        for place, size in enumerate(self.sizes):
            if place > first and octets + size > limits.IMAP_FETCH_BYTES:
                yield self._part(first, place)
                first, octets = place, 0
            octets += size
        yield self._part(first, len(self.sizes))

    def _part(self, first: int, last: int) -> _Some:
        return _Some(*(column[first:last] for column in msgspec.structs.astuple(self)))


class Across:
    """One COPY or MOVE under way."""

    def __init__(self, session: Session, view: View, target: Seen, *, move: bool) -> None:
        self._session = session
        self._view = view
        self._target = target
        self._move = move
        self._source: list[int] = []
        self._added: list[Added] = []

    @property
    def copied(self) -> Copied | None:
        """What has been done so far."""
        if not self._added:
            return None
        return Copied(
            uid_validity=self._added[0].uid_validity,
            source=Ranges.of_sorted(self._source),
            target=Ranges.of_sorted(each.uid for each in self._added),
        )

    async def run(self, uids: Ranges) -> None:
        """Do it for all messages that are there. Raises what went wrong; of a COPY nothing is left then."""
        try:
            async with aclosing(self._parts(uids)) as parts:
                async for part in parts:
                    await self._transfer(part)
            self._view.need("r")  # where it is shared no more, there were fewer
        except BaseException:
            if not self._move and self._added:
                await self._undo()
            raise

    async def _parts(self, uids: Ranges) -> AsyncGenerator[_Some]:
        for rows in self._view.rows(uids, limits.IMAP_COPY_ACROSS):
            for part in _Some.of(rows, self._view.index).parts():
                yield part

    async def _undo(self) -> None:
        box = self._target.mailbox
        gone = Ranges.of_sorted(each.uid for each in self._added)
        self._added.clear()
        try:
            await self._session.store.apply(
                Expunge(account_id=box.account_id, mailbox_id=box.mailbox_id, uids=gone, force=True)
            )
        except NotFound:
            pass  # the mailbox is gone, and the copies with it

    async def _transfer(self, part: _Some) -> None:
        staged: list[Staging] = []
        try:
            contents = await self._contents(part, staged)
            await self._check()
            keywords = await self._session.store.keywords(self._view.index.account_id)
            kept = [place for place, content in enumerate(contents) if content is not None]
            ops: list[Op[Any]] = [
                self._added_as(content, part, place, keywords)
                for place, content in enumerate(contents)
                if content is not None
            ]
            source = [part.uids[place] for place in kept]
            if self._move and source:
                index, gone = self._view.index, Ranges.of_sorted(source)
                box_id = index.mailbox_id
                ops.append(Expunge(account_id=index.account_id, mailbox_id=box_id, uids=gone, force=True))
            results = await self._session.store.commit(*ops)
        except BaseException:
            for each in staged:
                await each.discard()
            raise
        self._source += source
        self._added += results[: len(source)]

    async def _check(self) -> None:
        """The rights as they are now. No."""
        if self._view.in_doubt:
            await self._view.look()
        self._view.need("rte" if self._move else "r")
        if self._target.owner is not None:
            now = await opened(self._session, self._target.name, "i")
            if now.mailbox.mailbox_id != self._target.mailbox.mailbox_id:
                raise No(b"NONEXISTENT", "No such mailbox")
            self._target = now

    def _added_as(self, content: Content, part: _Some, place: int, keywords: tuple[str, ...]) -> AddEmail:
        bits = part.flags[place]
        flags = {name for bit, name in enumerate((*SYSTEM_FLAGS, *keywords)) if bits >> bit & 1}
        return AddEmail(
            account_id=self._target.mailbox.account_id,
            mailbox_id=self._target.mailbox.mailbox_id,
            content=content,
            # RFC 4314 §4: flags for which there is no right are left out
            flags=acl.settable(self._target.rights, flags),
            received_at=part.received[place],
        )

    async def _contents(self, part: _Some, staged: list[Staging]) -> list[Content | None]:
        """The messages; None for one that has been expunged by others. Damaged."""
        store, account_id = self._session.store, self._view.index.account_id
        if part.sizes[0] > limits.IMAP_APPEND_MEMORY and len(part.sizes) == 1:
            return [await self._staged(account_id, part.email_ids[0], staged)]
        raws = await store.messages(account_id, part.email_ids)
        for uid, raw in zip(part.uids, raws, strict=True):
            if raw is None and self._view.index.position(uid) is not None:
                raise Damaged("A message cannot be read.")
        return [None if raw is None else Content.of(raw) for raw in raws]

    async def _staged(self, account_id: int, email_id: int, staged: list[Staging]) -> Content | None:
        store = self._session.store
        (stored,) = await store.stored(account_id, [email_id])
        if stored is None:
            return None
        staging = store.stage()
        staged.append(staging)
        async for chunk in store.chunks(stored):
            await staging.write(chunk)
        return await staging.finish()


async def transfer(session: Session, view: View, uids: Ranges, target: Seen, *, move: bool) -> Copied | None:
    """Copy or move; None: there was nothing. What a MOVE had done when it failed is told before it fails."""
    across = Across(session, view, target, move=move)
    try:
        await across.run(uids)
    except PosthouseError:
        if move and across.copied is not None:
            session.send(b"* OK [%b] Moved so far\r\n" % copyuid(across.copied))
            await view.tell(session, expunges=True)
        raise
    return across.copied


def copyuid(copied: Copied) -> bytes:
    """resp-code-copy: both sets ascend, so they are told pairwise (RFC 4315 §3)."""
    return f"COPYUID {copied.uid_validity} {copied.source} {copied.target}".encode("ascii")
