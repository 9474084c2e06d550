"""Who may be written to with reports about a domain: its own organization, and who has published that it takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from posthouse.inbound.policy import normal_domain
from posthouse.limits import DOMAIN
from posthouse.msgauth.dmarc import DnsTemporary, walk
from posthouse.msgauth.dmarc_record import parse_dmarc
from posthouse.resolver import Resolver, Status


async def agreed(
    domain: str, addresses: Iterable[str], resolver: Resolver, *, failures: bool = False
) -> list[str]:
    """Of the addresses that the record at `domain` asks for, those that may be written to. Raises DnsTemporary.

    `failures`: about single messages (ruf=), not aggregate (rua=).
    """
    own: str | None = None
    found = []
    for address in addresses:
        host = normal_domain(address.rpartition("@")[2])
        if not host:
            continue
        own = own or (await walk(domain, resolver)).organizational_domain
        if (await walk(host, resolver)).organizational_domain == own:
            found.append(address)
        else:
            found += await _taken(address, host, domain, resolver, failures=failures)
    return list(dict.fromkeys(found))


async def _taken(
    address: str, host: str, domain: str, resolver: Resolver, *, failures: bool
) -> Sequence[str]:
    """Where a host in another organization takes reports about this domain (RFC 9990 §4); empty: nowhere."""
    name = f"{domain}._report._dmarc.{host}"
    if len(name) > DOMAIN:
        return ()
    answer = await resolver.txt(name)
    if answer.status is Status.TEMPORARY:
        raise DnsTemporary(f"{name}: {answer.reason}")
    records = [record for text in answer.records if (record := parse_dmarc(text)) is not None]
    if not records:
        return ()
    # RFC 9990 §4 step 9: it may name another address, but of the same host.
    instead = [one for record in records for one in (record.failures_to if failures else record.aggregate_to)]
    if not instead:
        return (address,)
    # Who names another host gets nothing at either: whoever agreed for itself has not agreed for that one.
    return instead if all(normal_domain(one.rpartition("@")[2]) == host for one in instead) else ()
