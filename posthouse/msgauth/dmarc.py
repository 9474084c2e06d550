"""DMARC: does what was proved belong to the author's domain, and what does that domain ask for if not? (RFC 9989)

The organizational domain comes from a walk up the DNS (§4.10), at most eight questions, and never from a list of
public suffixes. `check_dmarc` judges one author domain; pure but for the injected Resolver.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from posthouse.limits import DMARC_WALK
from posthouse.msgauth.dmarc_record import DmarcRecord, Psd, parse_dmarc
from posthouse.msgauth.results import Disposition, Dkim, Dmarc, Result, Spf
from posthouse.resolver import Resolver, Status


class DnsTemporary(Exception):
    """A question that decides could not be answered now."""


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk from one domain upward found."""

    domain: str
    records: tuple[tuple[str, DmarcRecord], ...]
    """(domain, record) from the longest name to the shortest."""

    @property
    def organizational_domain(self) -> str:
        """RFC 9989 §4.10.2."""
        for name, record in self.records:
            if record.psd is Psd.NO:
                return name
            if record.psd is Psd.YES and name != self.domain:
                return _one_below(name, self.domain)
        return self.records[-1][0] if self.records else self.domain

    @property
    def record(self) -> tuple[str, DmarcRecord] | None:
        """RFC 9989 §4.10.1: the domain's own record, else the organizational domain's, else the public suffix's."""
        by_name = dict(self.records)
        if self.domain in by_name:
            return self.domain, by_name[self.domain]
        organization = self.organizational_domain
        if organization in by_name:
            return organization, by_name[organization]
        return next((found for found in self.records if found[1].psd is Psd.YES), None)


async def walk(domain: str, resolver: Resolver) -> Walk:
    """Climb from a domain (RFC 9989 §4.10). Raises DnsTemporary."""
    found: list[tuple[str, DmarcRecord]] = []
    for name in walk_names(domain):
        record = await _record(name, resolver)
        if record is None:
            continue
        found.append((name, record))
        if record.psd is not Psd.UNKNOWN:
            break  # steps 2 and 6
    return Walk(domain=domain, records=tuple(found))


def walk_names(domain: str) -> list[str]:
    """The names to ask: the domain, then its parents; of long ones only the last seven labels."""
    labels = domain.split(".")
    names = [domain]
    first = 1 if len(labels) < DMARC_WALK else len(labels) - DMARC_WALK + 1
    return names + [".".join(labels[start:]) for start in range(first, len(labels))]


async def _record(name: str, resolver: Resolver) -> DmarcRecord | None:
    answer = await resolver.txt(f"_dmarc.{name}")
    if answer.status is Status.TEMPORARY:
        raise DnsTemporary(f"_dmarc.{name}: {answer.reason}")
    found = [record for text in answer.records if (record := parse_dmarc(text)) is not None]
    # RFC 9989 §4.10 steps 2 and 6: several records are none.
    return found[0] if len(found) == 1 else None


def _one_below(suffix: str, domain: str) -> str:
    """The parent of `domain` with one label more than `suffix`."""
    labels = domain.split(".")
    return ".".join(labels[-(suffix.count(".") + 2) :])


_MILDER: Final = {
    Disposition.REJECT: Disposition.QUARANTINE,
    Disposition.QUARANTINE: Disposition.NONE,
    Disposition.NONE: Disposition.NONE,
}


class DmarcFound(msgspec.Struct, frozen=True, kw_only=True):
    """The result, and the record that reports are made by."""

    result: Dmarc
    record: DmarcRecord | None = None


async def check_dmarc(domain: str, spf: Spf, dkim: Collection[Dkim], resolver: Resolver) -> DmarcFound:
    """Judge the domain of an author (an A-label). Never raises for what the DNS says."""
    try:
        found = await walk(domain, resolver)
        return await _judge(found, spf, dkim, resolver)
    except DnsTemporary as fault:
        if (proved := await _by_itself(domain, spf, dkim, resolver)) is not None:
            return proved
        return DmarcFound(result=Dmarc(result=Result.TEMPERROR, domain=domain, reason=str(fault)))


async def asks_for_more(domain: str, resolver: Resolver) -> bool:
    """Whether a domain (an A-label) asks to suspect or refuse what is not proved to be its own (RFC 9989 §4.7).

    True also where that cannot be asked now.
    """
    try:
        found = await walk(domain, resolver)
        if found.record is None or not found.record[1].readable:
            return False
        name, record = found.record
        policy = record.policy if name == domain else record.for_subdomain(exists=True)
    except DnsTemporary:
        return True
    return policy is not Disposition.NONE


async def _by_itself(domain: str, spf: Spf, dkim: Collection[Dkim], resolver: Resolver) -> DmarcFound | None:
    """RFC 9989 §4.10.2: whose own record is found, and who is proved by its own name, needs nothing from above it.

    None: it is not so simple.
    """
    spf = spf if spf.domain == domain else Spf(result=Result.NONE)
    dkim = [one for one in dkim if one.domain == domain]
    if spf.result is not Result.PASS and not any(one.passed for one in dkim):
        return None
    try:
        record = await _record(domain, resolver)
    except DnsTemporary:
        return None
    if record is None or not record.readable:
        return None
    return await _judge(Walk(domain=domain, records=((domain, record),)), spf, dkim, resolver)


async def _judge(found: Walk, spf: Spf, dkim: Collection[Dkim], resolver: Resolver) -> DmarcFound:
    if found.record is None:
        return DmarcFound(result=_undecided(found, spf, dkim, Result.NONE, "no DMARC record"))
    name, record = found.record
    if not record.readable:
        return DmarcFound(
            result=_undecided(found, spf, dkim, Result.PERMERROR, f"no policy in {record.text}")
        )
    proof = await _proof(found, record, spf, dkim, resolver)
    policy = await _policy(found, name, record, proof, resolver)
    return DmarcFound(result=_verdict(found, name, record, policy, proof), record=record)


class _Proof(msgspec.Struct, frozen=True, kw_only=True):
    spf_aligned: bool
    dkim_aligned: bool
    temporary: bool
    """What would be aligned could not be checked; silence about other names, which any stranger can buy, is nothing."""


async def _proof(
    found: Walk, record: DmarcRecord, spf: Spf, dkim: Collection[Dkim], resolver: Resolver
) -> _Proof:
    async def by_spf(result: Result) -> bool | None:
        domains = (spf.domain,) if spf.result is result else ()
        return await _any_aligned(domains, record.strict_spf, found, resolver)

    async def by_dkim(result: Result) -> bool | None:
        domains = dict.fromkeys(one.domain for one in dkim if one.result is result)
        return await _any_aligned(domains, record.strict_dkim, found, resolver)

    passed = await by_spf(Result.PASS), await by_dkim(Result.PASS)
    # RFC 9989 §4.4.1: one that is aligned is enough, whatever is silent about the others.
    temporary = True not in passed and (
        None in passed
        or await by_spf(Result.TEMPERROR) is not False
        or await by_dkim(Result.TEMPERROR) is not False
    )
    return _Proof(spf_aligned=passed[0] is True, dkim_aligned=passed[1] is True, temporary=temporary)


async def _policy(
    found: Walk, name: str, record: DmarcRecord, proof: _Proof, resolver: Resolver
) -> Disposition:
    """What the record at `name` asks for failures of the author domain. Raises DnsTemporary when that matters."""
    if name == found.domain:
        return record.policy
    try:
        exists = await _exists(found.domain, resolver)
    except DnsTemporary:
        if not (proof.spf_aligned or proof.dkim_aligned):
            raise
        exists = True
    return record.for_subdomain(exists=exists)


def _verdict(found: Walk, name: str, record: DmarcRecord, policy: Disposition, proof: _Proof) -> Dmarc:
    result, reason, disposition = Result.FAIL, "neither SPF nor DKIM proves this domain", policy
    if proof.spf_aligned or proof.dkim_aligned:
        result, reason, disposition = Result.PASS, "", Disposition.NONE
    elif proof.temporary:
        # RFC 9989 §5.3.6: what could not be asked is no failure.
        result, reason, disposition = Result.TEMPERROR, "SPF or DKIM could not be checked", Disposition.NONE
    elif record.testing:
        # RFC 9989 §4.7, t=y: one step milder than published.
        disposition = _MILDER[policy]
    return Dmarc(
        result=result,
        domain=found.domain,
        policy_domain=name,
        organizational_domain=found.organizational_domain,
        record=record.text,
        policy=policy,
        disposition=disposition,
        spf_aligned=proof.spf_aligned,
        dkim_aligned=proof.dkim_aligned,
        testing=record.testing,
        reason=reason,
    )


async def _any_aligned(
    identifiers: Iterable[str], strict: bool, author: Walk, resolver: Resolver
) -> bool | None:
    """Whether one of them is aligned; None: it cannot be told now."""
    told: bool | None = False
    for identifier in identifiers:
        try:
            if await aligned(identifier, strict, author, resolver):
                return True
        except DnsTemporary:
            told = None
    return told


async def aligned(identifier: str, strict: bool, author: Walk, resolver: Resolver) -> bool:
    """RFC 9989 §4.10.2: the same domain, or (relaxed) the same organization. Raises DnsTemporary."""
    if identifier == author.domain:
        return True
    if strict or not _may_share(identifier, author):
        return False
    other = await walk(identifier, resolver)
    return other.organizational_domain == author.organizational_domain


def _may_share(identifier: str, author: Walk) -> bool:
    """Spares the walk where the answer is plain: one organization's names end alike."""
    organization = author.organizational_domain
    return identifier == organization or identifier.endswith(f".{organization}")


def _undecided(found: Walk, spf: Spf, dkim: Collection[Dkim], result: Result, reason: str) -> Dmarc:
    """Without a record that can be used, only the very same domain counts as proved."""
    return Dmarc(
        result=result,
        domain=found.domain,
        organizational_domain=found.organizational_domain,
        spf_aligned=spf.result is Result.PASS and spf.domain == found.domain,
        dkim_aligned=any(one.passed and one.domain == found.domain for one in dkim),
        reason=reason,
    )


async def _exists(domain: str, resolver: Resolver) -> bool:
    """RFC 9989 §3.2.13: NXDOMAIN means that it does not. Raises DnsTemporary."""
    answer = await resolver.mx(domain)
    if answer.status is Status.TEMPORARY:
        raise DnsTemporary(f"{domain}: {answer.reason}")
    return answer.status is not Status.NO_NAME
