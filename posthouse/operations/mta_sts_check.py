"""The MTA-STS policy of a domain of ours, read as other mail hosts read it (RFC 8461 §3.3), and what is wrong with it.

The name must lead somewhere, the certificate must be good for it, the answer must be a small plain text without
redirection, and the policy must name every host in MX: a sender that enforces it delivers to no other. Whoever writes
to us chooses the domain, so a name that leads into the house, or to this machine, is not asked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from posthouse.ip_addresses import is_public
from posthouse.limits import MTA_STS_LEAST_AGE, MTA_STS_POLICY, MTA_STS_TIME
from posthouse.msgauth.mta_sts import PATH, Mode, PolicyUnread, StsPolicy, StsPolicyError, parse_sts_policy
from posthouse.operations.findings import Finding, fine, look, wrong
from posthouse.resolver import Resolver

if TYPE_CHECKING:
    import httpx2

_ENFORCED: Final = "senders that know the policy already refuse to deliver"


class PolicyReader:
    """Fetches policies. One per use."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        port: int = 443,
        context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        """`context`: makes the TLS context; called in a thread, for it reads the system's authorities. `allowed`
        judges IP addresses."""
        self._resolver = resolver
        self._port = port
        self._context = context
        self._allowed = allowed

    async def read(self, domain: str) -> StsPolicy:
        """The policy that `domain` publishes. Raises PolicyUnread."""
        import httpx2  # takes a while to import, and most commands need none of it

        host = f"mta-sts.{domain}"
        answers = [await self._resolver.a(host), await self._resolver.aaaa(host)]
        addresses = [address for answer in answers for address in answer.records]
        if not addresses:
            raise PolicyUnread(f"{host} has no address")
        if not all(map(self._allowed, addresses)):
            raise PolicyUnread(f"{host} is not on the internet")
        try:
            async with asyncio.timeout(MTA_STS_TIME):
                text = await self._get(host, addresses[0])
        except TimeoutError:
            raise PolicyUnread(f"{host} did not answer within {MTA_STS_TIME:g} seconds") from None
        except httpx2.HTTPError as fault:
            raise PolicyUnread(f"{host}: {fault or type(fault).__name__}") from fault
        try:
            return parse_sts_policy(text)
        except StsPolicyError as fault:
            raise PolicyUnread(f"what {host} shows is no policy: {fault}") from None

    async def _get(self, host: str, address: str) -> str:
        import httpx2

        context = await asyncio.to_thread(self._context)
        shown = f"[{address}]" if ":" in address else address
        async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=MTA_STS_TIME) as client:
            request = client.build_request(
                "GET",
                f"https://{shown}:{self._port}{PATH}",
                headers={"host": host, "accept-encoding": "identity"},
            )
            # RFC 8461 §3.3: the certificate must be valid for this name; redirects must not be followed.
            request.extensions["sni_hostname"] = host
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                return await _text(response, host)
            finally:
                await response.aclose()


async def _text(response: httpx2.Response, host: str) -> str:
    if response.status_code != 200:
        raise PolicyUnread(f"{host} answers {response.status_code} instead of the policy")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/plain":  # RFC 8461 §3.2
        raise PolicyUnread(f"{host} shows {kind[:40] or 'something without a type'}, not text/plain")
    body = b""
    async for piece in response.aiter_raw():  # never unpacked: the limit must hold for what is kept in memory
        body += piece
        if len(body) > MTA_STS_POLICY:
            raise PolicyUnread(f"{host} shows more than {MTA_STS_POLICY} octets")
    return body.decode("utf-8", "replace")


Read = Callable[[str], Awaitable[StsPolicy]]
"""`PolicyReader.read`."""


async def check_policy(domain: str, hosts: Sequence[str], read: Read) -> Finding:
    """Read the policy of a domain with these mail hosts, and judge it."""
    subject = f"MTA-STS policy {domain}"
    try:
        policy = await read(domain)
    except PolicyUnread as fault:
        fix = f"let https://mta-sts.{domain}{PATH} lead here with a good certificate, or take the record away"
        return wrong(subject, str(fault), fix)
    words = f"{policy.mode}, {', '.join(policy.mx) or 'no hosts'}, kept for {policy.max_age} seconds"
    missing = [host for host in hosts if host and not policy.allows(host)]
    if policy.mode is Mode.ENFORCE and missing:
        fix = f"name {', '.join(missing)} in the policy, or take it out of MX"
        return wrong(subject, f"{', '.join(missing)} is not in it: {_ENFORCED} there ({words})", fix)
    if policy.mode is not Mode.ENFORCE:
        return look(subject, f"protects nothing: {words}", "mode: enforce, once TLS reports show no failures")
    if policy.max_age < MTA_STS_LEAST_AGE:
        return look(subject, f"is forgotten too soon: {words}", f"max_age of at least {MTA_STS_LEAST_AGE}")
    return fine(subject, words)
