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


def is_public(address: str) -> bool:
    """Whether an address is somebody's on the internet, not on this machine or in the house."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        # Addresses with an IPv4 address inside lead there.
        inside = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inside is not None:
            return inside.is_global
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return False
    return found.is_global and not found.is_multicast
