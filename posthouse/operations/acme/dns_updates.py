"""Records changed by updates to a name server (RFC 2136), signed with a key that it knows (TSIG, RFC 8945)."""

from __future__ import annotations

from collections.abc import Callable

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update

from posthouse import limits
from posthouse.config_tls import AcmeDns
from posthouse.name_servers import NameServer
from posthouse.operations.acme.dns_challenges import RecordRefused
from posthouse.operations.acme.faults import AcmeFault

TTL = 60
"""Seconds: the record is there for a minute or two."""


class DnsUpdates:
    """The primary name server of our zones."""

    def __init__(self, settings: AcmeDns) -> None:
        self._server = NameServer.parse(settings.server)
        self._key = dns.name.from_text(settings.key) if settings.key else None
        self._algorithm = dns.name.from_text(settings.algorithm)
        secrets = {settings.key: (settings.algorithm, settings.secret)} if settings.key else {}
        self._keyring = dns.tsigkeyring.from_text(secrets)

    def add(self, owner: str, text: str) -> None:
        """Add a TXT record, beside others that are there. RecordRefused; AcmeFault: the server cannot be asked."""
        self._change(owner, lambda update, place: update.add(place, TTL, "TXT", text))

    def remove(self, owner: str, text: str) -> None:
        """Delete that record alone (RFC 2136 §2.5.4). RecordRefused, AcmeFault."""
        self._change(owner, lambda update, place: update.delete(place, "TXT", text))

    def _change(self, owner: str, write: Callable[[dns.update.UpdateMessage, dns.name.Name], None]) -> None:
        place, zone = self._place(dns.name.from_text(owner))
        update = dns.update.UpdateMessage(zone)
        write(update, place)
        answer = self._ask(update)
        if answer.rcode() != dns.rcode.NOERROR:
            raise RecordRefused(f"the name server does not change {place}: {_told(answer)}")

    def _place(self, owner: dns.name.Name) -> tuple[dns.name.Name, dns.name.Name]:
        """Where the record belongs, behind aliases (RFC 8555 §8.4 lets them be followed), and in which zone."""
        for _ in range(limits.ACME_DNS_ALIASES):
            answer = self._ask(dns.message.make_query(owner, "TXT"))
            alias = answer.get_rrset(answer.answer, owner, answer.question[0].rdclass, dns.rdatatype.CNAME)
            if alias is None:
                return owner, self._zone(owner)
            owner = alias[0].target
        raise RecordRefused(f"there are more than {limits.ACME_DNS_ALIASES} aliases behind it")

    def _zone(self, owner: dns.name.Name) -> dns.name.Name:
        """The zone that a name is in: of its SOA record, or of that which comes with a negative answer."""
        name = owner
        while name != dns.name.root:
            answer = self._ask(dns.message.make_query(name, "SOA"))
            if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                raise RecordRefused(f"the name server does not answer for {owner}: {_told(answer)}")
            for records in (*answer.answer, *answer.authority):
                if records.rdtype == dns.rdatatype.SOA and owner.is_subdomain(records.name):
                    return records.name
            name = name.parent()
        raise RecordRefused(f"the name server has no zone for {owner}")

    def _ask(self, message: dns.message.Message) -> dns.message.Message:
        if self._key is not None:
            message.use_tsig(self._keyring, self._key, algorithm=self._algorithm)
        where = f"the name server {self._server}"
        try:
            return dns.query.tcp(message, self._server.address, limits.ACME_DNS_ANSWER, self._server.port)
        except dns.tsig.PeerError as fault:
            raise AcmeFault(f"{where} does not know the key, or its clock is another: {fault}") from fault
        except (dns.exception.DNSException, OSError, EOFError) as fault:
            raise AcmeFault(f"{where} cannot be asked: {fault or type(fault).__name__}") from fault


def _told(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())
