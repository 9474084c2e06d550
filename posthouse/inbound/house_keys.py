"""Keys of the house that sign addresses: kept in the store, so that they come back from a backup."""

from __future__ import annotations

import hmac

from posthouse.store.interface import Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo


async def house_key(store: Store, kind: str, secret: bytes, purpose: bytes) -> bytes:
    """The key that a memo of this kind has.

    The first one follows from the secret that all nodes share, so that two that begin at once agree.
    """
    memos = await store.memos(HOUSE, kind, [""])
    if memos:
        return memos[0].data
    key = hmac.digest(secret, purpose, "sha256")
    await store.apply(PutMemo(memo=Memo(account_id=HOUSE, kind=kind, key="", data=key)))
    return key
