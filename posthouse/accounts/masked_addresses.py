"""Masked addresses for people: made up, changed, taken away; those that were never used go by themselves.

`store.masked_model` says what they are. One who knows an address, or a hundred of them, cannot tell the next.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.addresses import normalize_address
from posthouse.accounts.identities import IDENTITY, writes_as
from posthouse.accounts.masked_words import WORDS
from posthouse.errors import Conflict, NotFound, StoreUnavailable, Temporary
from posthouse.store.account_model import Item
from posthouse.store.interface import RemoveItem, Store
from posthouse.store.masked import AddMasked, PutMasked, RemoveMasked
from posthouse.store.masked_model import KIND, Masked, MaskedState, decode
from posthouse.store.model import Account

log: Final = logging.getLogger(__name__)

_PREFIX: Final = re.compile(r"[a-z0-9_]*")
_DIGITS: Final = 10_000


class PrefixUnfit(ValueError):
    """No address may begin so."""


class TooLarge(ValueError):
    """What is noted of it is too long."""


class TooManyLately(Temporary):
    """So many were made within an hour."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a masked address shall be."""

    state: MaskedState = MaskedState.ENABLED
    for_domain: str = ""
    description: str = ""
    url: str | None = None
    created_by: str = ""
    prefix: str = ""


class MaskedAddresses:
    """One per house."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self.domain = ""
        """Where they are made; empty: in the domain of the account."""

    async def make(self, account: Account, wish: Wish) -> Item:
        """A new one for an account.

        PrefixUnfit, TooLarge; NotFound: its domain is none of ours; OverQuota: the account has too many;
        TooManyLately; Conflict: the prefix is all there is room for, and somebody has it.
        """
        if not _PREFIX.fullmatch(wish.prefix) or len(wish.prefix) > limits.MASKED_LOCAL_PART:
            raise PrefixUnfit(f"a prefix has a-z, 0-9 and _, at most {limits.MASKED_LOCAL_PART}")
        domain = self.domain or account.address.rpartition("@")[2]
        for left in reversed(range(limits.MASKED_TRIES)):
            address = normalize_address(f"{made_up(wish.prefix)}@{domain}")
            try:
                return await self._store.apply(self._new(account, address, wish))
            except Conflict:
                if not left:
                    raise
            except StoreUnavailable:
                raise
            except Temporary as fault:
                raise TooManyLately(fault.public) from fault
        raise AssertionError("it is tried at least once")

    def _new(self, account: Account, address: str, wish: Wish) -> AddMasked:
        now = int(self._now())
        masked = Masked(
            email=address,
            state=wish.state,
            for_domain=wish.for_domain,
            description=wish.description,
            url=wish.url,
            created_by=wish.created_by,
            created_at=now,
        )
        _check_size(masked)
        return AddMasked(
            account_id=account.account_id,
            masked=masked,
            due_at=float(now + limits.MASKED_PENDING) if wish.state is MaskedState.PENDING else None,
            most=limits.MASKED_ADDRESSES,
            most_lately=limits.MASKED_HOURLY,
            lately=now - 3600,
        )

    async def put(self, item: Item, masked: Masked) -> Item:
        """Change one that was read. TooLarge; NotFound, Conflict: somebody else was quicker."""
        _check_size(masked)
        return await self._store.apply(
            PutMasked(
                account_id=item.account_id,
                item_id=item.item_id,
                masked=masked,
                due_at=item.due_at if masked.state is MaskedState.PENDING else None,
                unchanged_since=item.modseq,
            )
        )

    async def remove(self, account_id: int, item_id: int) -> None:
        """Take one away for good: nobody gets the address again, nor writes as it. NotFound."""
        remove = RemoveMasked(account_id=account_id, item_id=item_id)
        for left in reversed(range(limits.JMAP_RETRIES)):
            found = await self._store.items(account_id, KIND, [item_id])
            if not found:
                raise NotFound("There is no such masked address.")
            try:
                await self._take_away(found[0], remove)
                break
            except NotFound:  # one of its identities went meanwhile
                if not left:
                    raise

    async def _take_away(self, item: Item, remove: RemoveMasked) -> None:
        """With the identities that write as it: what they sent would be refused."""
        address = described(item).email
        identities = await self._store.items(item.account_id, IDENTITY)
        await self._store.commit(
            remove,
            *(
                RemoveItem(account_id=item.account_id, kind=IDENTITY, item_id=each.item_id)
                for each in identities
                if writes_as(each, address)
            ),
        )

    async def listed(self, account_id: int) -> list[Item]:
        """All of an account."""
        return await self._store.items(account_id, KIND)

    async def named(self, address: str) -> Item:
        """One by its address. NotFound; ValueError: it is no address."""
        wanted = normalize_address(address)
        known = await self._store.masked_address(wanted)
        found = await self._store.items(known.account_id, KIND, [known.item_id]) if known is not None else []
        if not found:
            raise NotFound(f"no masked address {wanted}")
        return found[0]

    async def tidy(self) -> int:
        """Take away those that were made for a form and got no mail in MASKED_PENDING seconds; how many."""
        gone = 0
        while due := await self._store.items_due(KIND, self._now(), limits.MASKED_BATCH):
            for item in due:
                gone += await self._expire(item)
        if gone:
            log.info("masked addresses unused=%d", gone)
        return gone

    async def _expire(self, item: Item) -> bool:
        remove = RemoveMasked(account_id=item.account_id, item_id=item.item_id, unchanged_since=item.modseq)
        try:
            await self._take_away(item, remove)
        except (Conflict, NotFound):
            return False  # it is wanted after all, or gone already
        return True


def made_up(prefix: str = "") -> str:
    """A local part by chance: two words and four digits, some 29 bits; behind the prefix as much as there is room."""
    chance = f"{secrets.choice(WORDS)}.{secrets.choice(WORDS)}{secrets.randbelow(_DIGITS):04}"
    return f"{prefix}.{chance}"[: limits.MASKED_LOCAL_PART].strip(".")


def described(item: Item) -> Masked:
    """What is known of one."""
    return decode(item.data)


def _check_size(masked: Masked) -> None:
    if len(masked.encoded()) > limits.MASKED_SIZE:
        raise TooLarge(f"at most {limits.MASKED_SIZE} octets are noted of a masked address")
