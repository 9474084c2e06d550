"""The house's part of `posthouse import` and `export`: mailboxes made, messages taken and given in batches.

The command line reads and writes other people's forms (`operations.transfer`) as the user who runs it; here is only the
store. A batch of an import is one commit together with the marks of its messages, so an import that is cut off goes
on where it was: what has a mark is not taken again, whatever has become of it since.
"""

from __future__ import annotations

import base64
from bisect import bisect_right
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec

from posthouse import limits
from posthouse.accounts.named import named_account
from posthouse.errors import Damaged, NotFound
from posthouse.operations.transfer.model import NUMBER_MAX
from posthouse.operations.transfer.naming import usable_keyword, usable_name
from posthouse.store.care import KeepUids, NoteTransferred
from posthouse.store.interface import AddEmail, CreateMailbox, Op, Store
from posthouse.store.model import SYSTEM_FLAGS, Account, Content, Mailbox, Role


class Incoming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message of a batch; its octets stand in the body, in order."""

    octets: Annotated[int, msgspec.Meta(ge=0)]
    received_at: Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
    flags: tuple[str, ...] = ()
    mark: str
    """Hexadecimal: what tells it from every other message that was ever imported to this account."""
    uid: Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)] = 0
    """To be kept where the mailbox lets it; 0: none."""


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox as it is exported."""

    name: str
    role: str
    uid_validity: int
    uid_next: int
    messages: int
    octets: int
    subscribed: bool


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a message that is exported; its octets follow as `Piece`s."""

    uid: int
    received_at: int
    flags: tuple[str, ...]
    octets: int


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is there and cannot be exported, because its octets are not those that were stored."""

    uid: int
    reason: str


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Octets of the message begun last, in base64."""

    base64: str


class MailTransfer:
    """Commands of imports and exports."""

    def __init__(self, store: Store, *, default_domain: str) -> None:
        self._store = store
        self._default_domain = default_domain

    async def transfer_folders(self, *, address: str) -> list[Folder]:
        """The account's mailboxes. NotFound."""
        account = await self._account(address)
        return [_folder(mailbox) for mailbox in await self._store.mailboxes(account.account_id)]

    async def transfer_known(self, *, address: str, marks: tuple[str, ...]) -> list[str]:
        """Which of these were transferred already."""
        account = await self._account(address)
        known = await self._store.transferred(account.account_id, [bytes.fromhex(mark) for mark in marks])
        return [mark.hex() for mark in known]

    async def transfer_note(self, *, address: str, marks: tuple[str, ...]) -> None:
        """Remember that these were transferred."""
        account = await self._account(address)
        noted = tuple(bytes.fromhex(mark) for mark in marks)
        await self._store.apply(NoteTransferred(account_id=account.account_id, marks=noted))

    # --- in ----------------------------------------------------------------------------------------------

    async def transfer_put(
        self,
        *,
        address: str,
        folder: str,
        messages: tuple[Incoming, ...],
        body: bytes,
        uid_validity: int = 0,
        role: str = "",
        over_quota: bool = False,
    ) -> int:
        """Take a batch into a mailbox, which is made when it is missing; how many messages were new.

        `uid_validity`: of the source, when its UIDs are to be kept; `role` (RFC 6154): the mailbox that has it here is
        taken, whatever it is called. NotFound, OverQuota (nothing of the batch is kept), ValueError.
        """
        if sum(message.octets for message in messages) != len(body):
            raise ValueError("the body is not as long as its messages")
        account = await self._account(address)
        mailbox = await self._mailbox(account, usable_name(folder), role)
        keywords = await self._store.keywords(account.account_id)
        kept = _Keywords(keywords)
        marks = [bytes.fromhex(message.mark) for message in messages]
        known = await self._store.transferred(account.account_id, marks)
        operations: list[Op[Any]] = []
        at, fresh = 0, 0
        for message, mark in zip(messages, marks, strict=True):
            raw = body[at : at + message.octets]
            at += message.octets
            if mark in known:
                continue
            fresh += 1
            if uid_validity and message.uid:
                operations.append(
                    KeepUids(
                        account_id=account.account_id,
                        mailbox_id=mailbox.mailbox_id,
                        uid_validity=uid_validity,
                        uid_next=message.uid,
                    )
                )
            operations.append(
                AddEmail(
                    account_id=account.account_id,
                    mailbox_id=mailbox.mailbox_id,
                    content=Content.of(raw),
                    flags=kept.flags(message.flags),
                    received_at=message.received_at,
                    check_quota=not over_quota,
                )
            )
        if fresh:
            noted = tuple(mark for mark in marks if mark not in known)
            await self._store.commit(*operations, NoteTransferred(account_id=account.account_id, marks=noted))
        return fresh

    async def _mailbox(self, account: Account, folder: str, role: str) -> Mailbox:
        mailboxes = await self._store.mailboxes(account.account_id)
        wanted = Role(role) if role else None
        for mailbox in mailboxes:
            if wanted is not None and mailbox.role is wanted:
                return mailbox
        found = await self._store.mailbox(account.account_id, folder)
        if found is not None:
            return found
        return await self._store.apply(
            CreateMailbox(account_id=account.account_id, name=folder, role=wanted, subscribed=True)
        )

    # --- out ---------------------------------------------------------------------------------------------

    async def transfer_get(
        self, *, address: str, folder: str, after: int = 0, limit: int = limits.TRANSFER_BATCH
    ) -> AsyncIterator[Outgoing | Piece | Unreadable]:
        """Messages with UIDs above `after`, at most so many and so large: each as it begins, then its octets. NotFound.

        Each is compared with what was stored before anything of it is given. None: there are no more.
        """
        account = await self._account(address)
        mailbox = await self._store.mailbox(account.account_id, folder)
        if mailbox is None:
            raise NotFound(f"no mailbox {folder}")
        index = await self._store.index(account.account_id, mailbox.mailbox_id)
        keywords = await self._store.keywords(account.account_id)
        names = (*SYSTEM_FLAGS, *keywords)
        first = bisect_right(index.uids, after)
        wanted = [
            (index.uids[at], index.email_ids[at], index.flags[at], index.received[at])
            for at in range(first, min(first + limit, len(index.uids)))
        ]
        places = await self._store.stored(account.account_id, [email_id for _, email_id, _, _ in wanted])
        octets = 0
        for (uid, _, bits, received_at), stored in zip(wanted, places, strict=True):
            if stored is None:
                if index.position(uid) is not None:  # else it was expunged meanwhile
                    yield Unreadable(uid=uid, reason="only its place in the mailbox is left")
                continue
            octets += stored.size
            if octets > limits.TRANSFER_OCTETS and octets != stored.size:
                return
            flags = tuple(name for bit, name in enumerate(names) if bits >> bit & 1)
            try:
                raw = await self._store.whole(stored)
            except Damaged as fault:
                yield Unreadable(uid=uid, reason=fault.public)
                continue
            except NotFound:
                continue  # expunged meanwhile
            yield Outgoing(uid=uid, received_at=received_at, flags=flags, octets=stored.size)
            for start in range(0, len(raw), limits.BLOB_CHUNK):
                chunk = raw[start : start + limits.BLOB_CHUNK]
                yield Piece(base64=base64.b64encode(chunk).decode())

    async def _account(self, address: str) -> Account:
        return await named_account(self._store, address, self._default_domain)


def _folder(mailbox: Mailbox) -> Folder:
    return Folder(
        name=mailbox.name,
        role=mailbox.role.value if mailbox.role is not None else "",
        uid_validity=mailbox.uid_validity,
        uid_next=mailbox.uid_next,
        messages=mailbox.total,
        octets=mailbox.size,
        subscribed=mailbox.subscribed,
    )


_KNOWN_FLAGS = {name.lower(): name for name in SYSTEM_FLAGS}


class _Keywords:
    """Flags as they can be kept: an account has room for so many keywords, and no import fails for lack of it."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = {name.lower() for name in known}

    def flags(self, names: tuple[str, ...]) -> frozenset[str]:
        """System flags, and keywords that are known or have room.

        \\Recent and what servers made up with a backslash go (RFC 9051 §2.3.2).
        """
        kept: set[str] = set()
        for name in names:
            if name.startswith("\\"):
                if name.lower() in _KNOWN_FLAGS:
                    kept.add(_KNOWN_FLAGS[name.lower()])
                continue
            keyword = usable_keyword(name)
            if keyword.lower() not in self._known:
                if not keyword or len(self._known) >= limits.KEYWORDS:
                    continue
                self._known.add(keyword.lower())
            kept.add(keyword)
        return frozenset(kept)
