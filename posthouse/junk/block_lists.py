"""Block lists in the DNS (RFC 5782): addresses of peers, domains, and hashes of addresses.

A list is believed only while it passes its own test (RFC 5782 §5: it lists what it must list and does not list what it
must not), looked at again every hour; one that is down or lists the whole world costs nobody mail. Answers outside
127.0.0.0/8, and 127.255.255.0/24 (by which lists say "you may not ask"), are no listing. Answers are kept a few
minutes, names that are asked for are bounded per message, and all are asked at once.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv6Address
from itertools import zip_longest
from typing import Final

import msgspec

from posthouse.ip_addresses import read_ip
from posthouse.junk.look_alike import registrable
from posthouse.limits import (
    BLOCK_LIST_CACHE,
    BLOCK_LIST_CACHED,
    BLOCK_LIST_QUESTIONS,
    BLOCK_LIST_TEST,
    BLOCK_LIST_TIMEOUT,
)
from posthouse.message.address import normalize_domain
from posthouse.resolver import AddressAnswer, Resolver, Status

log: Final = logging.getLogger(__name__)


class ListKind(enum.StrEnum):
    """What a list is about."""

    ADDRESS = "address"
    DOMAIN = "domain"
    HASH = "hash"


class BlockList(msgspec.Struct, frozen=True):
    """One list."""

    zone: str
    kind: ListKind


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is listed."""

    zone: str
    kind: ListKind
    what: str
    code: str
    """The list's answer: 127.0.0.2 and the like; each list explains its own."""


_TESTS: Final = {
    # RFC 5782 §5: 127.0.0.2 must be listed, 127.0.0.1 must not; TEST and INVALID for lists of domains.
    ListKind.ADDRESS: ("2.0.0.127", "1.0.0.127"),
    ListKind.DOMAIN: ("test", "invalid"),
}


class BlockLists:
    """Asks all configured lists. One per house."""

    def __init__(
        self, lists: Iterable[BlockList], resolver: Resolver, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lists = tuple(lists)
        self._resolver = resolver
        self._now = now
        self._answers: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._tested: dict[BlockList, tuple[float, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._lists)

    def asks(self, kind: ListKind) -> bool:
        """Whether there is a list of this kind."""
        return any(one.kind is kind for one in self._lists)

    async def look(
        self, address: str, domains: Sequence[str], mail_addresses: Sequence[str]
    ) -> tuple[list[Listing], list[str]]:
        """What is listed, and what could not be asked (in words). Takes at most BLOCK_LIST_TIMEOUT seconds."""
        questions: dict[BlockList, list[tuple[str, str]]] = {}
        for one, question in _in_turn(self._lists, address, domains, mail_addresses)[:BLOCK_LIST_QUESTIONS]:
            questions.setdefault(one, []).append(question)
        looks = {asyncio.ensure_future(self._look_in(one, asked)): one for one, asked in questions.items()}
        if not looks:
            return [], []
        found: list[Listing] = []
        silent: list[str] = []
        try:
            await asyncio.wait(looks, timeout=BLOCK_LIST_TIMEOUT)
            for look, one in looks.items():
                # One list that says nothing does not hide what the others said.
                listings, why = look.result() if look.done() else ([], self._late(one))
                found += listings
                silent += [f"{one.zone}: {why}"] if why else []
        finally:
            for look in looks:
                look.cancel()
        return found, silent

    async def _look_in(self, one: BlockList, asked: list[tuple[str, str]]) -> tuple[list[Listing], str]:
        """What one list lists, or why it is not believed."""
        why = await self._trouble(one)
        if why:
            return [], why
        codes = await asyncio.gather(*(self._ask(f"{name}.{one.zone}") for _, name in asked))
        listed = {what: code for (what, _), code in zip(asked, codes, strict=True) if code}
        return [
            Listing(zone=one.zone, kind=one.kind, what=what, code=code) for what, code in listed.items()
        ], ""

    def _late(self, one: BlockList) -> str:
        """A list that did not answer in time; one that did not even pass its test is left alone for a while."""
        if self._known(one) is None:
            self._learn(one, "it does not answer")
        return "it did not answer in time"

    def _known(self, one: BlockList) -> str | None:
        """What its last test said; None: it must be tested."""
        known = self._tested.get(one)
        return known[1] if known is not None and known[0] > self._now() else None

    def _learn(self, one: BlockList, why: str) -> None:
        if why:
            log.warning("block list zone=%s is not believed: %s", one.zone, why)
        self._tested[one] = (self._now() + (BLOCK_LIST_CACHE if why else BLOCK_LIST_TEST), why)

    async def _trouble(self, one: BlockList) -> str:
        """Why a list is not believed now; empty: it is."""
        known = self._known(one)
        if known is not None:
            return known
        why = ""
        if one.kind in _TESTS:
            listed, unlisted = _TESTS[one.kind]
            answers = await asyncio.gather(
                self._resolver.a(f"{listed}.{one.zone}"), self._resolver.a(f"{unlisted}.{one.zone}")
            )
            if any(answer.status is Status.TEMPORARY for answer in answers):
                why = "it does not answer"
            elif not _code(answers[0]):
                why = "it does not list what every list must"
            elif _code(answers[1]):
                why = "it lists the whole world"
        self._learn(one, why)
        return why

    async def _ask(self, name: str) -> str:
        known = self._answers.get(name)
        if known is not None and known[0] > self._now():
            return known[1]
        answer = await self._resolver.a(name)
        code = _code(answer)
        if answer.status is not Status.TEMPORARY:
            self._answers[name] = (self._now() + BLOCK_LIST_CACHE, code)
            self._answers.move_to_end(name)
            while len(self._answers) > BLOCK_LIST_CACHED:
                self._answers.popitem(last=False)
        return code


def _code(answer: AddressAnswer) -> str:
    """The first answer that means "listed" (RFC 5782 §2.1: within 127.0.0.0/8)."""
    for record in answer.records if answer.status is Status.FOUND else ():
        if record.startswith("127.") and not record.startswith("127.255.255."):
            return record
    return ""


def _in_turn(
    lists: Sequence[BlockList], address: str, domains: Sequence[str], mail_addresses: Sequence[str]
) -> list[tuple[BlockList, tuple[str, str]]]:
    """All questions, each list's first one first: a message full of domains takes no list its turn."""
    each = [[(one, q) for q in _questions(one.kind, address, domains, mail_addresses)] for one in lists]
    return [question for turn in zip_longest(*each) for question in turn if question is not None]


def _questions(
    kind: ListKind, address: str, domains: Sequence[str], mail_addresses: Sequence[str]
) -> list[tuple[str, str]]:
    """(what, the name in front of the zone): of a host its own and its domain's, for some lists have only those."""
    if kind is ListKind.ADDRESS:
        name = reversed_address(address)
        return [(address, name)] if name else []
    if kind is ListKind.HASH:
        # The usual form of such lists: SHA-1 of the address in lower case, as hexadecimal digits.
        return [
            (one, hashlib.sha1(one.encode(), usedforsecurity=False).hexdigest()) for one in mail_addresses
        ]
    found = []
    for domain in domains:
        try:
            name = normalize_domain(domain.rstrip("."))
            base = normalize_domain(registrable(name))
        except ValueError:
            continue
        # An address is no domain; some lists answer such a question with an error that looks like a listing.
        if "." in name and not name.rpartition(".")[2].isdigit():
            found += [(base, name), (base, base)]
    return list(dict.fromkeys(found))


def reversed_address(address: str) -> str:
    """RFC 5782 §2.1, §2.4: octets of IPv4, nibbles of IPv6, the last in front; empty for what is no address."""
    try:
        ip = read_ip(address)
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
