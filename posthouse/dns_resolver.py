"""The real Resolver: questions to recursive name servers, by dnspython's packets over our own sockets.

EDNS0 with DO is sent, so a validating server tells by AD whether DNSSEC proved the answer; it is believed as
`dns.trust_ad` says. Answers are cached for their TTL within clamps (RFC 2308 for "none"), equal questions
under way are asked once, a failing server is passed over for the next. Nothing blocks the loop: dnspython is
imported, and the system's list of servers read, in a thread at the first question.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from posthouse import limits
from posthouse.config import Dns
from posthouse.dns_exchange import ask_by_tcp, ask_by_udp
from posthouse.dns_shares import DnsShares
from posthouse.ip_addresses import reverse_name
from posthouse.name_servers import NameServer
from posthouse.resolver import AddressAnswer, Mx, MxAnswer, NameAnswer, Status, TextAnswer

if TYPE_CHECKING:
    import dns.message
    import dns.name

RESOLV_CONF: Final = Path("/etc/resolv.conf")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An answer before it gets its type; `ttl` is the seconds it may be kept, already clamped."""

    status: Status
    name: str
    canonical: str = ""
    secure: bool = False
    reason: str = ""
    records: tuple[Any, ...] = ()
    ttl: float = limits.DNS_TTL_LEAST


def _name_text(name: dns.name.Name) -> str:
    text = name.to_text(omit_final_dot=True).lower()
    return "" if text == "." else text


VALUES: Final[Mapping[str, Callable[[Any], object]]] = MappingProxyType(
    {
        "A": lambda record: record.address,
        "AAAA": lambda record: record.address,
        "MX": lambda record: Mx(record.preference, _name_text(record.exchange)),
        # RFC 7208 §3.3: the strings of one record are joined without spaces.
        "TXT": lambda record: b"".join(record.strings).decode("latin-1"),
        "PTR": lambda record: _name_text(record.target),
        "CNAME": lambda record: _name_text(record.target),
        "NS": lambda record: _name_text(record.target),
        "SRV": lambda record: record.to_text(),
        "TLSA": lambda record: record.to_text(),
        "CAA": lambda record: record.to_text(),
    }
)
"""How a record of each type becomes a value; a new type is a row here and a method below."""


def system_servers(path: Path = RESOLV_CONF) -> tuple[NameServer, ...]:
    """The name servers of resolv.conf(5); this machine's own when it names none. Reads a file: blocking."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    found = []
    for line in lines:
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            ipaddress.ip_address(words[1])
        except ValueError:
            continue
        found.append(NameServer(words[1]))
    return tuple(found[: limits.DNS_SYSTEM_SERVERS]) or (NameServer("127.0.0.1"),)


class DnsResolver:
    """Answers from the domain name system (see `resolver.Resolver`)."""

    def __init__(self, settings: Dns, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError when a configured server is no address."""
        self._settings = settings
        self._clock = clock
        self._configured = tuple(NameServer.parse(text) for text in settings.servers)
        self._servers = self._configured
        self._servers_read_at = 0.0
        self._ready = bool(self._configured)
        self._imported = False
        self._cache: OrderedDict[tuple[str, str], tuple[float, Found]] = OrderedDict()
        self._under_way: dict[tuple[str, str], asyncio.Task[Found]] = {}
        self._shares = DnsShares()

    async def mx(self, domain: str) -> MxAnswer:
        """MX records of a domain."""
        return _typed(MxAnswer, await self.ask(domain, "MX"))

    async def a(self, host: str) -> AddressAnswer:
        """IPv4 addresses of a host."""
        return _typed(AddressAnswer, await self.ask(host, "A"))

    async def aaaa(self, host: str) -> AddressAnswer:
        """IPv6 addresses of a host."""
        return _typed(AddressAnswer, await self.ask(host, "AAAA"))

    async def txt(self, name: str) -> TextAnswer:
        """TXT records."""
        return _typed(TextAnswer, await self.ask(name, "TXT"))

    async def ptr(self, address: str) -> NameAnswer:
        """Names of an address; something that is no address has none."""
        try:
            name = reverse_name(address)
        except ValueError:
            return NameAnswer(status=Status.NO_NAME, name=address, reason="not an IP address")
        return _typed(NameAnswer, await self.ask(name, "PTR"))

    async def shown(self, name: str, record_type: str) -> TextAnswer:
        """CNAME, SRV, TLSA, CAA records as zone text shows them."""
        return _typed(TextAnswer, await self.ask(name, record_type))

    async def servers(self) -> tuple[NameServer, ...]:
        """Whom we ask, for `trace`."""
        await self._prepare()
        return self._servers

    def forget(self) -> None:
        """Empty the cache (reload, tests)."""
        self._cache.clear()

    async def ask(self, name: str, record_type: str) -> Found:
        """Answer one question from the cache or the servers. Never raises for what servers do."""
        key = (name.rstrip(".").lower(), record_type)
        kept = self._cache.get(key)
        if kept is not None:
            if kept[0] > self._clock():
                self._cache.move_to_end(key)
                return kept[1]
            del self._cache[key]
        task = self._under_way.get(key)
        if task is None:
            task = self._begin(key)
        # Others may wait for the same question: our caller's end must not be theirs.
        return await asyncio.shield(task)

    def prefetch(self, name: str, record_type: str) -> None:
        """Begin to ask a question that will be asked soon; nothing happens when its answer is known."""
        key = (name.rstrip(".").lower(), record_type)
        kept = self._cache.get(key)
        if (kept is None or kept[0] <= self._clock()) and key not in self._under_way:
            self._begin(key)

    def _begin(self, key: tuple[str, str]) -> asyncio.Task[Found]:
        task = asyncio.get_running_loop().create_task(self._ask_servers(*key))
        self._under_way[key] = task
        task.add_done_callback(lambda done: self._finish(key, done))
        return task

    def _finish(self, key: tuple[str, str], task: asyncio.Task[Found]) -> None:
        self._under_way.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        found = task.result()
        if len(key[0]) + sum(map(_size, found.records)) > limits.DNS_ANSWER_KEPT:
            return  # strangers choose what we ask: a memory full of their largest records is not to be had
        self._cache[key] = (self._clock() + found.ttl, found)
        while len(self._cache) > limits.DNS_CACHE:
            self._cache.popitem(last=False)

    async def _ask_servers(self, name: str, record_type: str) -> Found:
        try:
            async with asyncio.timeout(self._settings.timeout), self._shares.turn(name):
                await self._prepare()
                return await self._follow(name, record_type)
        except TimeoutError:
            return Found(status=Status.TEMPORARY, name=name, reason="no name server answered in time")

    async def _prepare(self) -> None:
        """Import dnspython and read the system's servers, in a thread."""
        if not self._imported:
            await asyncio.to_thread(_import_dnspython)
            self._imported = True
        now = self._clock()
        if self._configured or (self._ready and now - self._servers_read_at < limits.DNS_SYSTEM_REREAD):
            return
        self._servers = await asyncio.to_thread(system_servers)
        self._servers_read_at = now
        self._ready = True

    async def _follow(self, name: str, record_type: str) -> Found:
        """Ask, and go on where a server gives only the first links of a CNAME chain."""
        import dns.exception
        import dns.name

        try:
            current = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError, ValueError):
            return Found(status=Status.NO_NAME, name=name, reason="not a valid domain name")
        secure, ttl, canonical = True, limits.DNS_TTL_MOST, ""
        for _ in range(limits.DNS_CNAME_CHAIN):
            response = await self._exchange(current, record_type)
            if isinstance(response, str):
                return Found(status=Status.TEMPORARY, name=name, reason=response)
            message, server = response
            secure = secure and self._is_proved(message, server)
            found, onward = _read(message, current, name, record_type)
            ttl = min(ttl, found.ttl)
            if onward is None or onward == current:
                proved = secure and found.status is not Status.TEMPORARY
                canonical = found.canonical or canonical
                return msgspec.structs.replace(found, canonical=canonical, secure=proved, ttl=ttl)
            canonical = found.canonical
            current = onward
        return Found(status=Status.TEMPORARY, name=name, reason="the chain of CNAME records is too long")

    async def _exchange(
        self, name: dns.name.Name, record_type: str
    ) -> tuple[dns.message.QueryMessage, NameServer] | str:
        """One server's usable answer, or why there is none."""
        wait = limits.DNS_TRY_TIMEOUT
        problem = "no name server"
        refused = 0
        while refused < len(self._servers):
            refused = 0
            for server in self._servers:
                try:
                    async with asyncio.timeout(wait):
                        message = await exchange(server, name, record_type)
                except TimeoutError:
                    problem = f"{server} did not answer"
                    continue
                except OSError as error:
                    problem = f"{server}: {error}"
                    refused += 1
                    continue
                if message.rcode() in (0, 3):  # NOERROR, NXDOMAIN (RFC 1035 §4.1.1)
                    self._prefer(server)
                    return message, server
                problem = f"{server} answered {_rcode_text(message)}"
                refused += 1
            wait *= 2
        return problem

    def _prefer(self, server: NameServer) -> None:
        """Ask the one that answered first from now on, so a dead server costs its wait only once."""
        if self._servers[0] != server:
            self._servers = (server, *(other for other in self._servers if other != server))

    def _is_proved(self, message: dns.message.QueryMessage, server: NameServer) -> bool:
        import dns.flags

        if not message.flags & dns.flags.AD or self._settings.trust_ad == "never":
            return False
        # RFC 4035 §4.9.3: AD means something only from a server, and over a path, that one trusts.
        return self._settings.trust_ad == "always" or ipaddress.ip_address(server.address).is_loopback


def _import_dnspython() -> None:
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype
    import dns.rdtypes.ANY.CAA
    import dns.rdtypes.ANY.CNAME
    import dns.rdtypes.ANY.MX
    import dns.rdtypes.ANY.PTR
    import dns.rdtypes.ANY.SOA
    import dns.rdtypes.ANY.TLSA
    import dns.rdtypes.ANY.TXT
    import dns.rdtypes.IN.A
    import dns.rdtypes.IN.AAAA
    import dns.rdtypes.IN.SRV  # noqa: F401


T = TypeVar("T", MxAnswer, AddressAnswer, TextAnswer, NameAnswer)


def _size(record: object) -> int:
    """About what a record takes in memory: most of one of a few characters is not its text."""
    text = record.host if isinstance(record, Mx) else record
    return limits.DNS_RECORD_EXTRA + (len(text) if isinstance(text, str) else 0)


def _typed(kind: type[T], found: Found) -> T:
    return kind(
        status=found.status,
        name=found.name,
        canonical=found.canonical,
        secure=found.secure,
        reason=found.reason,
        records=found.records,
    )


_CUT_SHORT: Final = object()


async def exchange(
    server: NameServer, name: dns.name.Name, record_type: str, *, recurse: bool = True
) -> dns.message.QueryMessage:
    """One question to one server: UDP, then TCP when cut short. Raises OSError; the caller bounds the time.

    `recurse` False asks the server only for what it knows itself (`trace` walks from the root so).
    """
    import dns.rcode

    message = await _exchange_once(server, name, record_type, recurse=recurse, edns=True)
    if message.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
        # RFC 6891 §7: a server that does not know EDNS answers so; ask again without.
        message = await _exchange_once(server, name, record_type, recurse=recurse, edns=False)
    return message


async def _exchange_once(
    server: NameServer, name: dns.name.Name, record_type: str, *, recurse: bool, edns: bool
) -> dns.message.QueryMessage:
    import dns.exception
    import dns.flags
    import dns.message

    query = dns.message.make_query(
        name, record_type, want_dnssec=edns, payload=limits.DNS_UDP_SIZE if edns else None
    )
    if not recurse:
        query.flags &= ~dns.flags.RD
    packet = query.to_wire()

    def accept(data: bytes) -> object | None:
        if data[:2] == packet[:2] and len(data) >= 12 and data[2] & 0x82 == 0x82:
            return _CUT_SHORT  # RFC 1035 §4.1.1: QR and TC are set.
        try:
            message = dns.message.from_wire(data)
            good = isinstance(message, dns.message.QueryMessage) and query.is_response(message)
            return message if good else None
        except (dns.exception.DNSException, ValueError, IndexError):
            return None

    answer = await ask_by_udp(server, packet, accept)
    if answer is _CUT_SHORT:
        # RFC 7766 §5: all implementations must support TCP.
        answer = await ask_by_tcp(server, packet, accept)
    if not isinstance(answer, dns.message.QueryMessage):
        raise OSError("cut short even over TCP")
    return answer


def _read(
    message: dns.message.QueryMessage, asked: dns.name.Name, name: str, record_type: str
) -> tuple[Found, dns.name.Name | None]:
    """What an answer with NOERROR or NXDOMAIN says, and the name to ask next when its chain is not complete."""
    import dns.exception
    import dns.rcode
    import dns.rdatatype

    try:
        chain = message.resolve_chaining()
    except (dns.exception.DNSException, ValueError):
        return Found(status=Status.TEMPORARY, name=name, reason="the answer contradicts itself"), None
    canonical = _name_text(chain.canonical_name) if chain.canonical_name != asked or chain.cnames else ""
    canonical = "" if canonical == name else canonical
    has_soa = any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)
    if chain.answer is not None:
        records = tuple(VALUES[record_type](record) for record in chain.answer)
        ttl = _clamped(chain.minimum_ttl, limits.DNS_TTL_MOST)
        return Found(status=Status.FOUND, name=name, canonical=canonical, records=records, ttl=ttl), None
    # RFC 2308 §5: "none" is kept for the SOA's minimum (dnspython has it in minimum_ttl), and without SOA not at all.
    ttl = _clamped(chain.minimum_ttl, limits.DNS_TTL_NONE) if has_soa else limits.DNS_TTL_LEAST
    if message.rcode() == dns.rcode.NXDOMAIN:
        return Found(status=Status.NO_NAME, name=name, canonical=canonical, ttl=ttl), None
    onward = chain.canonical_name if chain.cnames and not has_soa else None
    return Found(status=Status.NO_DATA, name=name, canonical=canonical, ttl=ttl), onward


def _clamped(ttl: float, most: float) -> float:
    return min(max(ttl, limits.DNS_TTL_LEAST), most)


def _rcode_text(message: dns.message.QueryMessage) -> str:
    import dns.rcode

    return dns.rcode.to_text(message.rcode())
