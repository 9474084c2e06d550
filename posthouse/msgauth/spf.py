"""SPF: may this address send mail in the name of this domain? (RFC 7208)

`check_spf` answers for a reverse-path or a HELO name. Pure but for the injected Resolver. Every limit of §4.6.4
holds, so that no record can make us ask for long: 10 terms that ask the DNS, 10 names a term, 2 questions without
an answer. The caller bounds the time.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

import msgspec

from posthouse.ip_addresses import Address, read_ip
from posthouse.limits import (
    DOMAIN,
    DOMAIN_LABEL,
    SPF_ADDRESSES,
    SPF_EXPLANATION,
    SPF_LOOKUPS,
    SPF_NAMES,
    SPF_VOID_LOOKUPS,
)
from posthouse.message.address import AddressError, normalize_domain
from posthouse.msgauth.results import Result, Spf
from posthouse.msgauth.spf_macro import DOMAIN_LETTERS, EXP_LETTERS, MacroError, address_values, expand, fit
from posthouse.msgauth.spf_record import ASKS, Directive, Kind, SpfRecord, SpfSyntaxError, is_spf, parse_spf
from posthouse.resolver import AddressAnswer, Resolver, Status


class SpfQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to send."""

    address: str
    """The peer's IP address."""
    reverse_path: str
    """The address of MAIL; empty: the HELO name is asked (RFC 7208 §2.4)."""
    helo: str
    receiver: str = "unknown"
    """Our host name, for %{r}."""
    now: int = 0
    """POSIX seconds, for %{t}."""


class _Stop(Exception):
    """Evaluation ends with an error (RFC 7208 §2.6.6, §2.6.7)."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


async def check_spf(question: SpfQuestion, resolver: Resolver) -> Spf:
    """Evaluate SPF for the reverse-path, or for HELO when that is empty."""
    scope = "mailfrom" if question.reverse_path else "helo"
    local, _, domain = question.reverse_path.rpartition("@")
    if not question.reverse_path:
        domain = _ascii(question.helo)
    # RFC 7208 §4.3: without a local part it is "postmaster".
    sender = f"{local or 'postmaster'}@{domain}"
    found = await _Evaluation(question, sender, resolver).run(domain)
    return msgspec.structs.replace(found, scope=scope, identity=question.reverse_path or question.helo)


class _Evaluation:
    """One check_host() with all that it includes; keeps the counts."""

    def __init__(self, question: SpfQuestion, sender: str, resolver: Resolver) -> None:
        self._resolver = resolver
        self._terms = 0
        self._voids = 0
        address = read_ip(question.address)
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        # RFC 7208 §5: an IPv4-mapped IPv6 address is compared as IPv4.
        self._address: Address = mapped or address
        self._question = question
        self._sender = sender
        self._names: list[str] | None = None
        self._of_local_part = False

    async def run(self, domain: str) -> Spf:
        domain = domain.removesuffix(".").lower()
        try:
            found = await self._check(domain)
        except _Stop as stop:
            return Spf(result=stop.result, domain=domain, reason=stop.reason)
        # RFC 7208 §6.1: the result of a redirect is that of the domain which redirects. Whoever points to a record of
        # somebody else's is not thereby proved to be them.
        return msgspec.structs.replace(found, domain=domain, of_local_part=self._of_local_part)

    async def _check(self, domain: str, *, included: bool = False) -> Spf:
        """check_host() of RFC 7208 §4, for one domain."""
        if not _well_formed(domain):
            return Spf(result=Result.NONE, domain=domain, reason="no domain to ask")
        record = await self._record(domain)
        if record is None:
            return Spf(result=Result.NONE, domain=domain, reason="no SPF record")
        for directive in record.directives:
            if directive.kind in ASKS:
                self._count_term()
            if await self._matches(directive, domain):
                explanation = ""
                if directive.result is Result.FAIL and record.exp and not included:
                    explanation = await self._explain(record.exp, domain)
                return Spf(
                    result=directive.result, domain=domain, reason=directive.text, explanation=explanation
                )
        if record.redirect:
            return await self._redirect(record.redirect, domain, included)
        # RFC 7208 §4.7: nothing matched.
        return Spf(result=Result.NEUTRAL, domain=domain, reason="no term matches")

    async def _redirect(self, target: str, domain: str, included: bool) -> Spf:
        self._count_term()
        onward = await self._target(target, domain)
        found = await self._check(onward, included=included)
        if found.result is Result.NONE:
            # RFC 7208 §6.1
            raise _Stop(Result.PERMERROR, f"redirect={onward}: no SPF record there")
        return found

    async def _record(self, domain: str) -> SpfRecord | None:
        """RFC 7208 §4.4, §4.5."""
        answer = await self._resolver.txt(domain)
        if answer.status is Status.TEMPORARY:
            raise _Stop(Result.TEMPERROR, f"{domain}: {answer.reason}")
        found = [text for text in answer.records if is_spf(text)]
        if len(found) > 1:
            raise _Stop(Result.PERMERROR, f"{domain} has {len(found)} SPF records")
        if not found:
            return None
        try:
            return parse_spf(found[0])
        except SpfSyntaxError as fault:
            raise _Stop(Result.PERMERROR, f"{domain}: {fault}") from None

    # --- limits -------------------------------------------------------------------------------------

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > SPF_LOOKUPS:
            raise _Stop(Result.PERMERROR, f"more than {SPF_LOOKUPS} terms ask the DNS")

    def _count_void(self) -> None:
        self._voids += 1
        if self._voids > SPF_VOID_LOOKUPS:
            raise _Stop(Result.PERMERROR, f"more than {SPF_VOID_LOOKUPS} questions have no answer")

    # --- mechanisms ---------------------------------------------------------------------------------

    async def _matches(self, directive: Directive, domain: str) -> bool:
        match directive.kind:
            case Kind.ALL:
                return True
            case Kind.IP4 | Kind.IP6:
                network = directive.network
                return network is not None and self._address in network
        target = await self._target(directive.domain, domain) if directive.domain else domain
        match directive.kind:
            case Kind.INCLUDE:
                return await self._include(target)
            case Kind.A:
                return self._near(await self._addresses(target, void=True), directive)
            case Kind.MX:
                return await self._mx(target, directive)
            case Kind.PTR:
                return any(_within(name, target) for name in await self._validated_names(target))
            case _:
                return await self._exists(target)

    async def _include(self, target: str) -> bool:
        """RFC 7208 §5.2: a match is a pass there, and nothing else."""
        found = await self._check(target, included=True)
        if found.result is Result.NONE:
            raise _Stop(Result.PERMERROR, f"include:{target}: no SPF record there")
        return found.result is Result.PASS

    async def _addresses(self, host: str, *, void: bool) -> tuple[str, ...]:
        ask = self._resolver.a if self._address.version == 4 else self._resolver.aaaa
        return self._found(await ask(host), void=void)

    def _found(self, answer: AddressAnswer, *, void: bool) -> tuple[str, ...]:
        if answer.status is Status.TEMPORARY:
            raise _Stop(Result.TEMPERROR, f"{answer.name}: {answer.reason}")
        if void and not answer.records:
            self._count_void()
        return answer.records

    def _near(self, addresses: tuple[str, ...], directive: Directive) -> bool:
        length = directive.prefix4 if self._address.version == 4 else directive.prefix6
        own, width = int(self._address), self._address.max_prefixlen
        return any(
            int(other) >> (width - length) == own >> (width - length)
            for other in map(read_ip, addresses[:SPF_ADDRESSES])
            if other.version == self._address.version
        )

    async def _mx(self, target: str, directive: Directive) -> bool:
        answer = await self._resolver.mx(target)
        if answer.status is Status.TEMPORARY:
            raise _Stop(Result.TEMPERROR, f"{target}: {answer.reason}")
        if not answer.records:
            self._count_void()
        if len(answer.records) > SPF_NAMES:
            # RFC 7208 §4.6.4
            raise _Stop(Result.PERMERROR, f"{target} has more than {SPF_NAMES} MX hosts")
        for mx in sorted(answer.records):
            if mx.host and self._near(await self._addresses(mx.host, void=False), directive):
                return True
        return False

    async def _exists(self, target: str) -> bool:
        # RFC 7208 §5.7: an A record, also where the peer speaks IPv6.
        return bool(self._found(await self._resolver.a(target), void=True))

    async def _validated_names(self, target: str) -> list[str]:
        """RFC 7208 §5.5: the peer's names that lead back to it; those at or below `target` asked first."""
        if self._names is not None:
            return self._names
        answer = await self._resolver.ptr(str(self._address))
        validated = []
        if answer.status is Status.NO_DATA or answer.status is Status.NO_NAME:
            self._count_void()
        for name in sorted(answer.records[:SPF_NAMES], key=lambda name: not _within(name, target)):
            ask = self._resolver.a if self._address.version == 4 else self._resolver.aaaa
            found = await ask(name)  # RFC 7208 §5.5: an error here only means that the name does not match
            if any(read_ip(one) == self._address for one in found.records[:SPF_ADDRESSES]):
                validated.append(name.rstrip(".").lower())
        self._names = validated
        return validated

    # --- macros -------------------------------------------------------------------------------------

    async def _target(self, text: str, domain: str) -> str:
        """What a term asks about."""
        self._of_local_part |= _OF_LOCAL_PART.search(text) is not None
        return await self._expand(text, domain)

    async def _expand(self, text: str, domain: str) -> str:
        if "%" in text:
            try:
                text = expand(text, await self._values_for(text, domain), DOMAIN_LETTERS)
            except MacroError as fault:
                raise _Stop(Result.PERMERROR, f"{domain}: {fault}") from None
        return fit(text.rstrip(".")).lower()

    async def _values_for(self, text: str, domain: str) -> dict[str, str]:
        local, _, sender_domain = self._sender.rpartition("@")
        return {
            "s": self._sender,
            "l": local,
            "o": sender_domain,
            "d": domain,
            "p": await self._name(domain) if "%{p" in text.lower() else "unknown",
            "h": self._question.helo or "unknown",
            "r": self._question.receiver,
            "t": str(self._question.now),
            **address_values(self._address),
        }

    async def _name(self, domain: str) -> str:
        """RFC 7208 §7.3: the domain itself if the peer has that name, else one below it, else any."""
        names = await self._validated_names(domain)
        below = [name for name in names if _within(name, domain)]
        return domain if domain in names else next(iter(below or names), "unknown")

    async def _explain(self, target: str, domain: str) -> str:
        """RFC 7208 §6.2: any trouble here means only that there is no explanation."""
        try:
            answer = await self._resolver.txt(await self._expand(target, domain))
            if len(answer.records) != 1 or len(answer.records[0]) > SPF_EXPLANATION:
                return ""
            text = answer.records[0]
            text = expand(text, await self._values_for(text, domain), EXP_LETTERS)
        except (_Stop, MacroError):
            return ""
        return text[:SPF_EXPLANATION] if text.isascii() and text.isprintable() else ""


_SINGLE: Final = "."
_OF_LOCAL_PART: Final = re.compile(r"%\{[ls]", re.IGNORECASE)


def _ascii(name: str) -> str:
    """RFC 7208 §4.3: a name is asked for in A-labels; what is no name stays as the peer said it."""
    try:
        return normalize_domain(name)
    except AddressError:
        return name


def _well_formed(domain: str) -> bool:
    """RFC 7208 §4.3: a domain name of several labels."""
    if not domain or len(domain) > DOMAIN or _SINGLE not in domain or domain.startswith("["):
        return False
    return all(0 < len(label) <= DOMAIN_LABEL for label in domain.split("."))


def _within(name: str, domain: str) -> bool:
    name, domain = name.rstrip(".").lower(), domain.rstrip(".").lower()
    return name == domain or name.endswith(f".{domain}")
