"""Whom an account has written to: what its composer offers beside the contacts that the person made.

Learnt in the commit that sends, from every door that wants a login, with the name that the header gives. Kept as memos,
apart from contacts; they can be forgotten one by one or all, end by themselves when nobody writes there any more, and
are not learnt where the account's preference `learnAddresses` is false. Automatic and mass mail teaches nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse.inbound.mail import Mail
from posthouse.inbound.rulings import Leave, LeaveFor, Outgoing
from posthouse.limits import LEARNT_ADDRESSES, LEARNT_CACHED, LEARNT_KEPT, LEARNT_NAME, LEARNT_PER_MESSAGE
from posthouse.message.automatic import is_automatic
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import Memo, PutMemo, RemoveMemo

KIND: Final = "learnt-address"
PREFERENCES: Final = "Preferences"
SETTING: Final = "learnAddresses"
"""The name among the account's preferences; learnt unless it is false."""
_COUNTED: Final = 5
"""Messages that are counted one by one; then one a day, so that most sending writes nothing here."""
_DAY: Final = 86400.0


class LearntAddress(msgspec.Struct, frozen=True, kw_only=True):
    """An address that the account has written to."""

    email: str
    """As it was written."""
    name: str = ""
    written: int = 1
    """Messages (a lower bound)."""
    at: float = 0.0
    """The latest, POSIX seconds."""


class LearntAddresses:
    """Those of all accounts. One per house."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._known: OrderedDict[tuple[int, str], LearntAddress] = OrderedDict()
        self._willing: OrderedDict[int, tuple[int, bool]] = OrderedDict()

    async def of(self, account_id: int) -> list[LearntAddress]:
        """An account's learnt addresses, best first: often, then lately written to."""
        memos = await self._store.memos(account_id, KIND, limit=LEARNT_ADDRESSES)
        return sorted((_read(memo) for memo in memos), key=lambda each: (-each.written, -each.at, each.email))

    async def forget(self, account_id: int, addresses: Sequence[str] | None) -> list[str]:
        """Forget these (None: all); those that were known."""
        keys = None if addresses is None else [each.lower() for each in addresses]
        found = await self._store.memos(account_id, KIND, keys, limit=LEARNT_ADDRESSES)
        gone = [RemoveMemo(account_id=account_id, kind=KIND, key=memo.key) for memo in found]
        if gone:
            await self._store.commit(*gone)
        for memo in found:
            self._known.pop((account_id, memo.key), None)
        return [_read(memo).email for memo in found]

    def beside(self, outgoing: Outgoing) -> Outgoing:
        """`outgoing`, and what is learnt from a message that may leave goes into its commit."""

        def watch(mail: Mail) -> LeaveFor | None:
            ask = outgoing(mail)
            login = mail.login
            if login is None or not mail.reverse_path:
                return ask

            async def leave(everybody: Sequence[str], elsewhere: Sequence[str]) -> Leave:
                found = await ask(everybody, elsewhere) if ask is not None else Leave()
                if found.reply is not None or found.held:
                    return found
                ops = await self.operations(login.account.account_id, mail)
                return msgspec.structs.replace(found, ops=(*found.ops, *ops))

            return leave

        return watch

    async def operations(self, account_id: int, mail: Mail) -> list[Op[Any]]:
        """What notes the recipients of a message, as its sender named them."""
        if len(mail.recipients) > LEARNT_PER_MESSAGE:
            return []
        now = self._now()
        wanted = {one.address.lower(): one.address for one in mail.recipients}
        stale = [each for each in wanted.values() if not self._is_fresh(account_id, each, now)]
        if not stale or not await self._is_willing(account_id):
            return []
        headers = Headers.scan(mail.content.head)
        if is_automatic(headers):
            return []
        names = _names(headers)
        keys = [each.lower() for each in stale]
        before = {memo.key: _read(memo) for memo in await self._store.memos(account_id, KIND, keys)}
        ops: list[Op[Any]] = []
        if any(key not in before for key in keys):
            ops += await self._make_room(account_id)
        for address, key in zip(stale, keys, strict=True):
            old = before.get(key)
            new = LearntAddress(
                email=address,
                name=names.get(key) or (old.name if old is not None else ""),
                written=old.written + 1 if old is not None else 1,
                at=now,
            )
            memo = Memo(
                account_id=account_id,
                kind=KIND,
                key=key,
                data=msgspec.json.encode(new),
                until=now + LEARNT_KEPT,
            )
            ops.append(PutMemo(memo=memo))
            self._known[account_id, key] = new
        while len(self._known) > LEARNT_CACHED:
            self._known.popitem(last=False)
        return ops

    def _is_fresh(self, account_id: int, address: str, now: float) -> bool:
        """Whether it was noted so lately and often that nothing need be written."""
        known = self._known.get((account_id, address.lower()))
        return known is not None and known.written >= _COUNTED and now - known.at < _DAY

    async def _is_willing(self, account_id: int) -> bool:
        """The account's setting; remembered until its preferences change."""
        state = (await self._store.states(account_id)).kinds.get(PREFERENCES, 0)
        if not state:
            return True
        held = self._willing.get(account_id)
        if held is None or held[0] != state:
            items = await self._store.items(account_id, PREFERENCES)
            chosen: dict[str, Any] = msgspec.json.decode(items[0].data, type=dict[str, Any]) if items else {}
            held = self._willing[account_id] = (state, chosen.get(SETTING) is not False)
            while len(self._willing) > LEARNT_CACHED:
                self._willing.popitem(last=False)
        return held[1]

    async def _make_room(self, account_id: int) -> list[Op[Any]]:
        """When there are as many as may be: the least of them go, some at a time."""
        memos = await self._store.memos(account_id, KIND, limit=LEARNT_ADDRESSES)
        if len(memos) + LEARNT_PER_MESSAGE < LEARNT_ADDRESSES:
            return []
        least = sorted(memos, key=lambda memo: (_read(memo).written, _read(memo).at))
        going = least[: LEARNT_PER_MESSAGE * 2]
        return [RemoveMemo(account_id=account_id, kind=KIND, key=memo.key) for memo in going]


def _names(headers: Headers) -> dict[str, str]:
    """Address in lower case → the name that stands beside it."""
    found: dict[str, str] = {}
    for field in ("to", "cc"):
        for value in headers.all(field):
            for mailbox in flat(parse_mailbox_list(value)):
                name = " ".join(mailbox.display_name.split())
                if name and mailbox.domain:
                    found[mailbox.address.lower()] = name[:LEARNT_NAME]
    return found


def _read(memo: Memo) -> LearntAddress:
    try:
        return msgspec.json.decode(memo.data, type=LearntAddress)
    except msgspec.MsgspecError:
        return LearntAddress(email=memo.key)
