"""Identities (RFC 8621 §6) as what they stand for: an address that one writes as, which may be taken away."""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.accounts.addresses import normalize_address
from posthouse.store.account_model import Item

IDENTITY: Final = "Identity"
"""The kind of their items."""


class _Identity(msgspec.Struct):
    email: str


def writes_as(identity: Item, address: str) -> bool:
    """Whether an identity writes as this address (which is normalized) and no other."""
    try:
        return normalize_address(msgspec.json.decode(identity.data, type=_Identity).email) == address
    except ValueError:
        return False  # `*@domain`: any address of it
