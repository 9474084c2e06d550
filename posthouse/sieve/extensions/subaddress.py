"""`:user` and `:detail` (RFC 5233): what stands before and behind the first `+` of a local part."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import AddressPart, Extension

_SEPARATOR: Final = "+"
"""The one by which addresses find their accounts (`accounts/addresses.py`)."""


def _user(local: str, domain: str) -> str | None:
    return local.partition(_SEPARATOR)[0] if domain else None


def _detail(local: str, domain: str) -> str | None:
    """None without a separator: that is not even the empty detail (RFC 5233 §4)."""
    _, separator, detail = local.partition(_SEPARATOR)
    return detail if separator and domain else None


EXTENSION: Final = Extension(
    capabilities=("subaddress",),
    address_parts=(AddressPart("user", _user), AddressPart("detail", _detail)),
)
