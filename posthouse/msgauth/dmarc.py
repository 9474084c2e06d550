"""DMARC: does what was proved belong to the author's domain, and what does that domain ask for if not? (RFC 9989)

The organizational domain comes from a walk up the DNS (§4.10), at most eight questions, and never from a list of
public suffixes. `check_dmarc` judges one author domain; pure but for the injected Resolver.
"""

from __future__ import annotations

from collections.abc import Collection
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
        if record.psd is Psd.NO or (record.psd is Psd.YES and name != domain):
            break
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
    # RFC 9989 §4.10 step 2: several records are none.
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
        return DmarcFound(result=Dmarc(result=Result.TEMPERROR, domain=domain, reason=str(fault)))


async def _judge(found: Walk, spf: Spf, dkim: Collection[Dkim], resolver: Resolver) -> DmarcFound:
    domain = found.domain
    if found.record is None:
        aligned = _aligned_anyway(found, spf, dkim)
        return DmarcFound(
            result=Dmarc(
                result=Result.NONE,
                domain=domain,
                organizational_domain=found.organizational_domain,
                spf_aligned=aligned[0],
                dkim_aligned=aligned[1],
                reason="no DMARC record",
            )
        )
    name, record = found.record
    proof = await _proof(found, record, spf, dkim, resolver)
    policy = record.policy
    if name != domain:
        policy = record.for_subdomain(exists=await _exists(domain, resolver))
    return DmarcFound(result=_verdict(found, name, record, policy, proof), record=record)


class _Proof(msgspec.Struct, frozen=True, kw_only=True):
    spf_aligned: bool
    dkim_aligned: bool
    temporary: bool
    """What would be aligned could not be checked; silence about other names, which any stranger can buy, is nothing."""


async def _proof(
    found: Walk, record: DmarcRecord, spf: Spf, dkim: Collection[Dkim], resolver: Resolver
) -> _Proof:
    async def by_spf(result: Result) -> bool:
        return spf.result is result and await _aligned(spf.domain, record.strict_spf, found, resolver)

    async def by_dkim(result: Result) -> bool:
        for signer in dict.fromkeys(one.domain for one in dkim if one.result is result):
            if await _aligned(signer, record.strict_dkim, found, resolver):
                return True
        return False

    spf_aligned, dkim_aligned = await by_spf(Result.PASS), await by_dkim(Result.PASS)
    proved = spf_aligned or dkim_aligned
    temporary = not proved and (await by_spf(Result.TEMPERROR) or await by_dkim(Result.TEMPERROR))
    return _Proof(spf_aligned=spf_aligned, dkim_aligned=dkim_aligned, temporary=temporary)


def _verdict(found: Walk, name: str, record: DmarcRecord, policy: Disposition, proof: _Proof) -> Dmarc:
    result, reason, disposition = Result.FAIL, "neither SPF nor DKIM proves this domain", policy
    if proof.spf_aligned or proof.dkim_aligned:
        result, reason, disposition = Result.PASS, "", Disposition.NONE
    elif proof.temporary:
        # RFC 9989 §5.3: what could not be asked is no failure.
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


async def _aligned(identifier: str, strict: bool, author: Walk, resolver: Resolver) -> bool:
    """RFC 9989 §4.10.2: the same domain, or (relaxed) the same organization."""
    if identifier == author.domain:
        return True
    if strict or not _may_share(identifier, author):
        return False
    try:
        other = await walk(identifier, resolver)
    except DnsTemporary:
        raise DnsTemporary(f"the organization of {identifier} cannot be asked for") from None
    return other.organizational_domain == author.organizational_domain


def _may_share(identifier: str, author: Walk) -> bool:
    """Spares the walk where the answer is plain: one organization's names end alike."""
    organization = author.organizational_domain
    return identifier == organization or identifier.endswith(f".{organization}")


def _aligned_anyway(found: Walk, spf: Spf, dkim: Collection[Dkim]) -> tuple[bool, bool]:
    """Without a record only the very same domain counts as proved."""
    by_spf = spf.result is Result.PASS and spf.domain == found.domain
    return by_spf, any(one.passed and one.domain == found.domain for one in dkim)


async def _exists(domain: str, resolver: Resolver) -> bool:
    """RFC 9989 §3.2.13: NXDOMAIN means that it does not."""
    answer = await resolver.mx(domain)
    if answer.status is Status.TEMPORARY:
        raise DnsTemporary(f"{domain}: {answer.reason}")
    return answer.status is not Status.NO_NAME
