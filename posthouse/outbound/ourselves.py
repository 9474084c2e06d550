"""By which names and addresses we may be known: what RFC 5321 §5.1 has a relay look for among the MX records.

Only listeners on the port that mail is sent to count. A listener on all addresses means every address of this
machine; whether one is ours is asked of the kernel by binding to it, which neither waits nor sends anything.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Container, Iterable
from typing import Final

_ANY: Final = {"0.0.0.0": 4, "::": 6, "*": 6, "": 6}


class Ourselves:
    """Tells with `in` whether a host name or an address (as text) is this server."""

    def __init__(
        self,
        names: Iterable[str],
        addresses: Iterable[str] = (),
        families: Iterable[int] = (),
        also: Callable[[], Container[str]] = frozenset,
    ) -> None:
        """`families`: 4 and 6 when every address of this machine of that family is ours; `also`: names of the house's
        other hosts, lower case."""
        self._also = also
        self._names = frozenset(name.rstrip(".").lower() for name in names)
        self._addresses = frozenset(str(ipaddress.ip_address(address)) for address in addresses)
        self._families = frozenset(families)

    @classmethod
    def of(
        cls, hostname: str, listen: Iterable[str], port: int, also: Callable[[], Container[str]] = frozenset
    ) -> Ourselves:
        """From our host name, where we listen for SMTP ("address:port"), and the port that mail is sent to."""
        addresses, families = set(), set()
        for text in listen:
            address, _, number = text.rpartition(":")
            address = address.strip("[]")
            if text.startswith("unix:") or number != str(port):
                continue
            if address in _ANY:
                # A socket on :: takes IPv4 as well, unless the system says otherwise.
                families |= {4, _ANY[address]}
            else:
                addresses |= _addresses(address)
        return cls([hostname], addresses, families, also)

    def __contains__(self, name: object) -> bool:
        """Whether a host name or an address is ours."""
        if not isinstance(name, str):
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            plain = name.rstrip(".").lower()
            return plain in self._names or plain in self._also()
        if str(address) in self._addresses:
            return True
        return address.version in self._families and _is_of_this_machine(address)


def _addresses(listening: str) -> set[str]:
    """A listener's address; those of a name such as localhost, which the listener binds as well."""
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(listening, None, type=socket.SOCK_STREAM)}
    except OSError:  # then nothing can listen there either, and that is told with its key
        return set()


def _is_of_this_machine(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return not address.is_multicast
