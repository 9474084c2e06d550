"""IP addresses as values, remembered: the same peers come again, and each message asks about its peer several times."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from posthouse.limits import IP_ADDRESSES_KEPT

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(IP_ADDRESSES_KEPT)
def read_ip(text: str) -> Address:
    """The address that a text spells, without the zone behind a "%". ValueError: it is none."""
    return ipaddress.ip_address(text.partition("%")[0])


@lru_cache(IP_ADDRESSES_KEPT)
def reverse_name(text: str) -> str:
    """Where the DNS has the names of an address (RFC 1035 §3.5). ValueError: it is none."""
    return read_ip(text).reverse_pointer
