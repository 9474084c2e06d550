"""Greylisting (RFC 6647): who is not known is asked to come again, as every mail server does and most robots do not.

Asked at the end of the text, so that only mail that the other checks find dubious (or, when so configured, all of
strangers) is put off. Known by network, sender and recipient's account; a network that came again is free for all its
mail for weeks. Senders whom the account knows, proved domains that were seen before, and hosts that sent anything
before from a name of the same organisation (large pools try from another address each time) are spared.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from posthouse.ip_addresses import read_ip
from posthouse.junk.look_alike import registrable
from posthouse.limits import GREY_PASS, GREY_WAIT, GREY_WINDOW
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo

KIND: Final = "grey"


class _Seen(msgspec.Struct, frozen=True, array_like=True):
    first: float
    passed: bool = False


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the greylist says."""

    passes: bool
    words: str
    ops: tuple[Op[Any], ...] = ()
    """What notes it; when it doesn't pass, to be committed by itself."""


class Greylist:
    """One per house."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now

    async def ask(self, peer: str, name: str, reverse_path: str, recipient: str) -> Asked:
        """May this mail pass now? `name`: the peer's confirmed name, or empty."""
        now = self._now()
        place = registrable(name) if name else network_of(peer)
        free, wait = _key(place), _key(place, reverse_path.lower(), recipient)
        memos = {memo.key: memo for memo in await self._store.memos(HOUSE, KIND, [free, wait])}
        if free in memos:
            return Asked(passes=True, words=f"{place} came again before")
        seen = _read(memos.get(wait))
        if seen is None:
            op = _put(wait, _Seen(now), now + GREY_WINDOW)
            return Asked(passes=False, words=f"{place} is new here, asked to come again", ops=(op,))
        if now - seen.first < GREY_WAIT:
            return Asked(passes=False, words=f"{place} came again too soon")
        op = _put(free, _Seen(seen.first, passed=True), now + GREY_PASS)
        return Asked(passes=True, words=f"{place} came again", ops=(op,))


def network_of(address: str) -> str:
    """The network that counts as one peer: /24 of IPv4, /64 of IPv6."""
    try:
        ip = read_ip(address)
    except ValueError:
        return address
    return str(ip_network(f"{ip}/{24 if ip.version == 4 else 64}", strict=False))


def _key(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()


def _put(key: str, seen: _Seen, until: float) -> PutMemo:
    return PutMemo(
        memo=Memo(account_id=HOUSE, kind=KIND, key=key, data=msgspec.json.encode(seen), until=until)
    )


def _read(memo: Memo | None) -> _Seen | None:
    if memo is None:
        return None
    try:
        return msgspec.json.decode(memo.data, type=_Seen)
    except msgspec.MsgspecError:
        return None
