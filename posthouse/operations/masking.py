"""Commands on people's masked addresses."""

from __future__ import annotations

import msgspec

from posthouse.accounts.masked_addresses import MaskedAddresses, Wish, described
from posthouse.accounts.named import named_account
from posthouse.operations.administration import Method
from posthouse.store.account_model import Item
from posthouse.store.interface import Store
from posthouse.store.masked_model import MaskedState


class MaskedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One as it is listed."""

    address: str
    state: str
    site: str
    note: str
    made_by: str
    created_at: int
    last_mail_at: int
    """0: none came."""


class Masking:
    """The commands for them."""

    def __init__(self, store: Store, addresses: MaskedAddresses) -> None:
        self._store = store
        self._addresses = addresses

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {
            "masked.list": self.masked_list,
            "masked.add": self.masked_add,
            "masked.set": self.masked_set,
            "masked.remove": self.masked_remove,
        }

    async def masked_list(self, *, address: str) -> list[MaskedRow]:
        """All of an account, the latest first. NotFound."""
        account = await named_account(self._store, address)
        found = map(_row, await self._addresses.listed(account.account_id))
        return sorted(found, key=lambda row: row.created_at, reverse=True)

    async def masked_add(
        self, *, address: str, site: str = "", note: str = "", prefix: str = ""
    ) -> MaskedRow:
        """Make one for an account. NotFound, OverQuota; ValueError: the prefix cannot be, the note is too long."""
        account = await named_account(self._store, address)
        wish = Wish(for_domain=site, description=note, prefix=prefix, created_by="posthouse account")
        return _row(await self._addresses.make(account, wish))

    async def masked_set(self, *, masked: str, state: str) -> MaskedRow:
        """Say what becomes of its mail: "enabled", "disabled" (to Trash) or "deleted" (refused). NotFound."""
        wanted = MaskedState(state)
        if wanted is MaskedState.PENDING:
            raise ValueError("it is pending only when a program makes it so")
        item = await self._addresses.named(masked)
        changed = msgspec.structs.replace(described(item), state=wanted)
        return _row(await self._addresses.put(item, changed))

    async def masked_remove(self, *, masked: str) -> None:
        """Take it away for good: its mail is refused, and nobody gets it again. NotFound."""
        item = await self._addresses.named(masked)
        await self._addresses.remove(item.account_id, item.item_id)


def _row(item: Item) -> MaskedRow:
    known = described(item)
    return MaskedRow(
        address=known.email,
        state=known.state.value,
        site=known.for_domain,
        note=known.description,
        made_by=known.created_by,
        created_at=known.created_at,
        last_mail_at=known.last_message_at or 0,
    )
