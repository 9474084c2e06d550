"""A Resolver that answers from zone text, as a recursive server would.

    example.test.     MX   10 mx1.example.test.
    mx1.example.test. A    192.0.2.1          ; comments and blank lines are fine
    alias.test.       CNAME example.test.
    broken.test.      FAIL                    ; every question about it: temporary failure
    mx2.example.test. AAAA FAIL               ; questions of this type only

A name without records of the asked type has NODATA, also when only names below it exist; an unknown name has
NXDOMAIN: never the internet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import TypeVar

from posthouse.resolver import AddressAnswer, Mx, MxAnswer, NameAnswer, Status, TextAnswer

A = TypeVar("A", MxAnswer, AddressAnswer, TextAnswer, NameAnswer)
CHAIN = 8


def _bare(name: str) -> str:
    return name.rstrip(".").lower()


class FakeResolver:
    """Answers from zone text; `asked` lists the questions as (type, name)."""

    def __init__(self, zone: str = "", *, secure: Iterable[str] = ()) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.names: set[str] = set()
        self.secure = {_bare(name) for name in secure}
        """Domains whose answers count as proved by DNSSEC, with all names below them."""
        self.asked: list[tuple[str, str]] = []
        self.add(zone)

    def add(self, zone: str) -> None:
        """Add records."""
        for line in zone.splitlines():
            words = line.split(";")[0].split(None, 2) if '"' not in line else line.split(None, 2)
            if not words:
                continue
            name, kind, data = _bare(words[0]), words[1].upper(), words[2].strip() if len(words) > 2 else ""
            self.records.setdefault((name, kind), []).append(data)
            labels = name.split(".")
            self.names |= {".".join(labels[i:]) for i in range(len(labels))}

    def remove(self, name: str) -> None:
        """Forget all records of a name."""
        for key in [key for key in self.records if key[0] == _bare(name)]:
            del self.records[key]
        self.names = {other for other, _ in self.records}

    def _find(self, kind: str, name: str) -> tuple[Status, str, list[str]]:
        """(status, canonical name, data) at the end of the CNAME chain."""
        for _ in range(CHAIN):
            if (name, "FAIL") in self.records or self.records.get((name, kind)) == ["FAIL"]:
                return Status.TEMPORARY, name, []
            data = self.records.get((name, kind))
            if data is not None:
                return Status.FOUND, name, data
            alias = self.records.get((name, "CNAME"))
            if alias is None:
                return (Status.NO_DATA if name in self.names else Status.NO_NAME), name, []
            name = _bare(alias[0])
        return Status.TEMPORARY, name, []

    def _answer(self, answer: type[A], kind: str, name: str, value: Callable[[str], object]) -> A:
        asked = _bare(name)
        self.asked.append((kind, asked))
        status, canonical, data = self._find(kind, asked)
        return answer(
            status=status,
            name=asked,
            canonical=canonical if canonical != asked else "",
            secure=self._is_secure(asked) and self._is_secure(canonical),
            reason="the zone says FAIL" if status is Status.TEMPORARY else "",
            records=tuple(value(text) for text in data),  # type: ignore[misc]  # `value` fits `answer`
        )

    def _is_secure(self, name: str) -> bool:
        return any(name == domain or name.endswith(f".{domain}") for domain in self.secure)

    async def mx(self, domain: str) -> MxAnswer:
        """MX records; a null MX is written `MX 0 .`"""
        return self._answer(MxAnswer, "MX", domain, _mx)

    async def a(self, host: str) -> AddressAnswer:
        """IPv4 addresses."""
        return self._answer(AddressAnswer, "A", host, str)

    async def aaaa(self, host: str) -> AddressAnswer:
        """IPv6 addresses."""
        return self._answer(AddressAnswer, "AAAA", host, str)

    async def txt(self, name: str) -> TextAnswer:
        """TXT records; each a quoted string, or several that are joined."""
        return self._answer(TextAnswer, "TXT", name, _text)

    async def shown(self, name: str, record_type: str) -> TextAnswer:
        """Any records, as the zone text has them."""
        return self._answer(TextAnswer, record_type, name, str)

    async def ptr(self, address: str) -> NameAnswer:
        """Names of an address; written `192.0.2.1 PTR host.test.` or with its in-addr.arpa name."""
        name = ipaddress.ip_address(address).reverse_pointer
        if (address, "PTR") in self.records or (address, "FAIL") in self.records:
            name = address
        return self._answer(NameAnswer, "PTR", name, _bare)


def _mx(text: str) -> Mx:
    preference, host = text.split()
    return Mx(int(preference), _bare(host))


def _text(text: str) -> str:
    return "".join(text.split('"')[1::2]) if '"' in text else text
