"""iprev: does the peer's address lead to a name, and that name back to the address? (RFC 8601 §3)"""

from __future__ import annotations

from posthouse.ip_addresses import read_ip
from posthouse.limits import IPREV_NAMES, SPF_ADDRESSES
from posthouse.msgauth.results import Iprev, Result
from posthouse.resolver import Resolver, Status


async def check_iprev(address: str, resolver: Resolver) -> Iprev:
    """Ask for the names, then for their addresses."""
    own = read_ip(address)
    answer = await resolver.ptr(address)
    if answer.status is Status.TEMPORARY:
        return Iprev(result=Result.TEMPERROR, address=address)
    if not answer.records:
        # RFC 8601 §2.7.3: no name is a permanent error.
        return Iprev(result=Result.PERMERROR, address=address)
    ask = resolver.a if own.version == 4 else resolver.aaaa
    temporary = False
    for name in answer.records[:IPREV_NAMES]:
        found = await ask(name)
        temporary = temporary or found.status is Status.TEMPORARY
        # The texts are mostly spelt alike; only else are they read.
        some = found.records[:SPF_ADDRESSES]
        if address in some or any(read_ip(one) == own for one in some):
            return Iprev(result=Result.PASS, address=address, name=name)
    result = Result.TEMPERROR if temporary else Result.FAIL
    return Iprev(result=result, address=address, name=answer.records[0])
