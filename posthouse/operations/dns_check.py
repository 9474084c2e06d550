"""Whether the DNS shows what the plan says: one finding a record, each with the mend in words.

The questions are asked as others would ask them. SPF is evaluated for our own addresses, keys are compared with those
that sign, a DMARC record is read as receivers read it. A check that fails by itself hides no other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from posthouse.msgauth.dmarc_record import parse_dmarc
from posthouse.msgauth.results import Disposition, Result
from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.operations.dkim_keys import KeyRow, is_published
from posthouse.operations.dns_plan import DnsRecord, PlanFacts
from posthouse.operations.findings import Finding, Level, fine, look, wrong
from posthouse.operations.mta_sts_check import Read, check_policy
from posthouse.resolver import Answer, Status, TextAnswer, ZoneResolver
from posthouse.store.model import Domain, DomainKind

_TRY_AGAIN: Final = "check [dns] servers, try again"


def fix_for(record: DnsRecord) -> str:
    """What to do about a record that is not there."""
    return f"publish: {record.name} {record.type} {record.value}"


def unasked(subject: str, answer: Answer) -> Finding:
    """The DNS did not answer."""
    return look(subject, f"cannot be asked: {answer.reason}", _TRY_AGAIN)


class DnsCheck:
    """The checks of one domain's records; `records` is its plan."""

    def __init__(
        self,
        domain: Domain,
        records: Sequence[DnsRecord],
        keys: Sequence[KeyRow],
        resolver: ZoneResolver,
        facts: PlanFacts,
        read_policy: Read,
    ) -> None:
        """`facts`: what the plan was made of; `read_policy`: fetches MTA-STS policies."""
        self._read_policy = read_policy
        self._domain = domain
        self._records = records
        self._keys = keys
        self._resolver = resolver
        self._facts = facts
        self._hostname = facts.hostname

    def _planned(self, kind: str) -> list[DnsRecord]:
        return [record for record in self._records if record.kind == kind]

    async def run(self, muted: Mapping[str, str]) -> list[Finding]:
        """All findings; those of `muted` kinds (kind → reason) are not asked for."""
        findings: list[Finding] = []
        for kind, check in self._checks().items():
            if kind in muted:
                findings.append(fine(f"{kind} {self._domain.name}", f"not looked at: {muted[kind]}"))
            else:
                findings += await check()
        return findings

    def _checks(self) -> dict[str, Callable[[], Awaitable[list[Finding]]]]:
        if self._domain.kind is DomainKind.BACKUP:
            return {"MX": self.mx}
        return {
            "MX": self.mx,
            "SPF": self.spf,
            "DKIM": self.dkim,
            "DMARC": self.dmarc,
            "TLSRPT": self.tls_reports,
            "MTA-STS": self.mta_sts,
            "TLSA": self.tlsa,
            "CAA": self.caa,
            "SRV": self.srv,
            "AUTOCONFIG": self.autoconfig,
        }

    # --- mail ----------------------------------------------------------------------------------------

    async def mx(self) -> list[Finding]:
        """Whether its mail comes to us."""
        answer = await self._resolver.mx(self._domain.name)
        subject = f"MX {self._domain.name}"
        fix = fix_for(self._planned("MX")[0])
        if answer.status is Status.TEMPORARY:
            return [unasked(subject, answer)]
        house = {*self._facts.policy_hosts}
        ours = [mx for mx in answer.records if mx.host.lower().rstrip(".") in house]
        if not answer.records:
            return [wrong(subject, "no MX record", fix)]
        listed = ", ".join(f"{mx.preference} {mx.host or '.'}" for mx in sorted(answer.records))
        if not ours:
            return [wrong(subject, f"{' or '.join(self._facts.mail_hosts)} is not among {listed}", fix)]
        hosts = {mx.host.lower().rstrip(".") for mx in answer.records}
        if self._facts.name in hosts:  # the load balancer, which stands for all
            hosts |= house
        for record in self._planned("MX"):
            host = record.value.split()[-1].rstrip(".")
            if host not in hosts:
                return [look(subject, f"{host} is not among {listed}", fix_for(record))]
        best, own = (min(mx.preference for mx in some) for some in (answer.records, ours))
        if self._domain.kind is DomainKind.LOCAL and own > best:
            return [look(subject, f"others come before us: {listed}", "are its mailboxes really here?")]
        if self._domain.kind is DomainKind.BACKUP and own == best:
            return [wrong(subject, f"a backup must not be first: {listed}", fix)]
        return [fine(subject, listed)]

    # --- trust ---------------------------------------------------------------------------------------

    async def spf(self) -> list[Finding]:
        """Whether receivers find one record for the domain, and one for our host where that is in the domain.

        RFC 7208 §2.4: bounces have no sender; then the name that our host says in EHLO is asked.
        """
        findings = []
        for record in self._planned("SPF"):
            name = record.name.rstrip(".")
            sender = f"postmaster@{name}" if name == self._domain.name else ""
            hosts = self._facts.senders if sender else (name,)
            findings.append(await self._spf(name, sender, hosts, fix_for(record)))
        return findings

    async def _spf(self, name: str, sender: str, hosts: Sequence[str], fix: str) -> Finding:
        """Whether there is one record, and whether the addresses of these hosts of ours pass by it.

        `sender`: empty for a bounce.
        """
        subject = f"SPF {name}"
        answer = await self._resolver.txt(name)
        if answer.status is Status.TEMPORARY:
            return unasked(subject, answer)
        found = [text for text in answer.records if text.lower().split(" ")[0] == "v=spf1"]
        if len(found) > 1:  # RFC 7208 §4.5
            return wrong(subject, f"{len(found)} SPF records: receivers then use none", "leave one")
        if not found:
            return look(subject, "no SPF record", fix)
        if self._facts.relay:
            return fine(subject, found[0])  # the addresses that our mail comes from are the relay's
        found_at: dict[str, str] = dict.fromkeys(self._facts.sources, self._hostname)
        for host in hosts:
            own = await self._addresses_of(host)
            if own is None:
                return look(subject, f"{host} cannot be asked for its addresses", _TRY_AGAIN)
            found_at.update(dict.fromkeys(own, host))
        for address, host in found_at.items():
            question = SpfQuestion(address=address, reverse_path=sender, helo=host)
            verdict = await check_spf(question, self._resolver)
            if verdict.result is Result.TEMPERROR:
                return look(subject, f"cannot be asked: {verdict.reason}", _TRY_AGAIN)
            if verdict.result is not Result.PASS:
                words = f"our address {address} gets {verdict.result}: {verdict.reason}"
                return wrong(subject, words, f"let it stand for {address}: {fix}")
        return fine(subject, found[0])

    async def dkim(self) -> list[Finding]:
        """Whether the keys that sign, and those that are to, are published."""
        findings = []
        for key in self._keys:
            subject = f"DKIM {key.selector}"
            if await is_published(key, self._resolver):
                findings.append(fine(subject, f"{key.algorithm}, {key.state}"))
                continue
            answer = await self._resolver.txt(key.name)
            record = next(one for one in self._planned("DKIM") if one.name == f"{key.name}.")
            if answer.status is Status.TEMPORARY:
                findings.append(unasked(subject, answer))
            elif key.state == "retired":
                findings.append(
                    look(subject, "retired, and no more published", "mail on the way loses its proof")
                )
            elif answer.records:
                findings.append(wrong(subject, f"another key stands at {key.name}", fix_for(record)))
            else:
                tell = wrong if key.state == "active" else look
                findings.append(tell(subject, f"no key at {key.name} ({key.state})", fix_for(record)))
        if not any(key.state == "active" for key in self._keys):
            fix = f"posthouse domain rotate {self._domain.name} --now"
            findings.append(look(f"DKIM {self._domain.name}", "no key: nothing is signed", fix))
        return findings

    async def dmarc(self) -> list[Finding]:
        """What receivers are asked to do with forgeries, and whether we hear of them."""
        name = self._domain.name
        subject, fix = f"DMARC {name}", fix_for(self._planned("DMARC")[0])
        answer = await self._resolver.txt(f"_dmarc.{name}")
        if answer.status is Status.TEMPORARY:
            return [unasked(subject, answer)]
        found = [record for text in answer.records if (record := parse_dmarc(text)) is not None]
        if len(found) > 1:
            return [wrong(subject, f"{len(found)} DMARC records: receivers then use none", "leave one")]
        if not found:
            return [look(subject, "no DMARC record: anybody may write in its name", fix)]
        record = found[0]
        if not record.readable:
            return [wrong(subject, f"nobody can read its policy: {record.text}", fix)]
        if record.testing:
            return [look(subject, f"only trying: {record.text}", "take out t=y once its mail passes")]
        if not record.aggregate_to:
            return [look(subject, f"nobody is told of forgeries: {record.text}", f"add rua=: {fix}")]
        if record.policy is Disposition.NONE:
            return [
                look(
                    subject,
                    f"asks for nothing: {record.text}",
                    "p=quarantine once its mail passes; p=reject only where nobody writes to mailing lists",
                )
            ]
        return [fine(subject, record.text)]

    # --- transport and services ----------------------------------------------------------------------

    async def tls_reports(self) -> list[Finding]:
        """RFC 8460 §3."""
        return await self._texts("TLSRPT", "v=TLSRPTv1", missing_is=look)

    async def mta_sts(self) -> list[Finding]:
        """RFC 8461 §3.1, §3.3: the record, and the policy as others read it; also one that the plan has not."""
        name = self._domain.name
        planned = self._planned("MTA-STS")
        findings = await self._texts("MTA-STS", "v=STSv1", missing_is=look) if planned else []
        answer = await self._resolver.txt(f"_mta-sts.{name}")
        shown = [text for text in answer.records if text.replace(" ", "").startswith("v=STSv1")]
        if planned and len(shown) == 1 and _policy_id(shown[0]) != _policy_id(planned[0].value):
            # RFC 8461 §3.1: senders fetch the policy anew only when the id is another one.
            words = f"shows {shown[0]}: who knows an earlier policy of ours does not hear of the present one"
            findings = [look(f"MTA-STS {name}", words, fix_for(planned[0]))]
        if shown:
            mx = await self._resolver.mx(name)
            hosts = [one.host for one in sorted(mx.records)]
            return [*findings, await check_policy(name, hosts, self._read_policy)]
        host = f"mta-sts.{name}"
        answers = [await self._resolver.a(host), await self._resolver.aaaa(host)]
        if planned and not any(answer.records for answer in answers):
            findings.append(look(f"MTA-STS {host}", "has no address", fix_for(planned[1])))
        return findings

    async def _texts(
        self, kind: str, version: str, *, missing_is: Callable[[str, str, str], Finding]
    ) -> list[Finding]:
        record = self._planned(kind)[0]
        subject = f"{kind} {self._domain.name}"
        answer = await self._resolver.txt(record.name.rstrip("."))
        if answer.status is Status.TEMPORARY:
            return [unasked(subject, answer)]
        found = [text for text in answer.records if text.replace(" ", "").startswith(version)]
        if len(found) > 1:
            return [wrong(subject, f"{len(found)} records: receivers then use none", "leave one")]
        return [fine(subject, found[0])] if found else [missing_is(subject, "no record", fix_for(record))]

    async def tlsa(self) -> list[Finding]:
        """RFC 7672: a record that does not fit our certificate stops mail; none is no harm."""
        return [await self._shown(record, absent_is_fine=True) for record in self._planned("TLSA")]

    async def caa(self) -> list[Finding]:
        """RFC 8659."""
        return [await self._shown(record, absent_is_fine=True) for record in self._planned("CAA")]

    async def srv(self) -> list[Finding]:
        """RFC 6186, RFC 8314 §5.1."""
        return [await self._shown(record, absent_is_fine=False) for record in self._planned("SRV")]

    async def autoconfig(self) -> list[Finding]:
        """Whether mail programs that ask by this name come to us: by the alias, or by an address of ours."""
        findings = []
        for record in self._planned("AUTOCONFIG"):
            finding = await self._shown(record, absent_is_fine=False)
            if finding.level is Level.LOOK and await self._leads_to_us(record.name.rstrip(".")):
                finding = fine(finding.subject, "leads to us")
            findings.append(finding)
        return findings

    async def _leads_to_us(self, host: str) -> bool:
        own = await self._addresses_of(self._facts.name) or ()
        answers = [await self._resolver.a(host), await self._resolver.aaaa(host)]
        return any(address in own for answer in answers for address in answer.records)

    async def _shown(self, record: DnsRecord, *, absent_is_fine: bool) -> Finding:
        name = record.name.rstrip(".")
        subject = f"{record.type} {name}"
        answer: TextAnswer = await self._resolver.shown(name, record.type)
        if answer.status is Status.TEMPORARY:
            return unasked(subject, answer)
        if any(_same(record.value, text) for text in answer.records):
            return fine(subject, record.value)
        if not answer.records:
            return fine(subject, "none") if absent_is_fine else look(subject, "no record", fix_for(record))
        tell = wrong if record.type == "TLSA" else look
        return tell(subject, f"shows {', '.join(answer.records)}", fix_for(record))

    async def _addresses_of(self, host: str) -> list[str] | None:
        """What a name leads to; None: the DNS does not answer."""
        answers = [await self._resolver.a(host), await self._resolver.aaaa(host)]
        if any(answer.status is Status.TEMPORARY for answer in answers):
            return None
        return [address for answer in answers for address in answer.records if ipaddress.ip_address(address)]


def _policy_id(text: str) -> str:
    found = re.search(r"(?:^|;)\s*id\s*=\s*(\w+)", text)
    return found[1] if found is not None else ""


def _same(planned: str, shown: str) -> bool:
    return (
        planned.replace('"', "").lower().rstrip(".").split()
        == shown.replace('"', "").lower().rstrip(".").split()
    )
