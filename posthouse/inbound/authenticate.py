"""The check that asks who sent a message: SPF, DKIM, ARC, DMARC and iprev, all at once, and what follows from them.

It stands before `LocalForgery` at the door of port 25. What it finds goes into the examination (for the checks behind
it), into an Authentication-Results field, and into the timeline. A DMARC policy is applied: "reject" refuses,
"quarantine" delivers to Junk. Where the DNS fails, nothing is held against the sender; `msgauth.temporary` decides
whether the mail is then delivered or put off. Our own other hosts (`inbound.trusted`) checked already and are not asked
again; addresses of this machine are, for the playground's strangers live there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from posthouse.config import MsgAuth
from posthouse.inbound.checks import Examination
from posthouse.inbound.policy import normal_domain
from posthouse.inbound.questions import Questions
from posthouse.limits import AUTHOR_DOMAINS, STAGE_BLOCK
from posthouse.msgauth.arc import Chain
from posthouse.msgauth.authres import write_authres
from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, BodyHashes, raw_fields
from posthouse.msgauth.dkim_verify import Signatures
from posthouse.msgauth.dmarc import DmarcFound, check_dmarc
from posthouse.msgauth.iprev import check_iprev
from posthouse.msgauth.results import Arc, Authentication, Disposition, Dkim, Dmarc, Result, Spf
from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.resolver import Resolver
from posthouse.smtp.replies import Reply
from posthouse.store.model import Content

_TOO_MANY: Final = Reply(550, "5.6.0", "From names authors of too many domains")
_LATER: Final = Reply(451, "4.7.0", "The sender cannot be verified now, try again later")

Tell = Callable[[Examination, Authentication, tuple[DmarcFound, ...]], None]
"""Hears of every message that was judged, for reports. Must be quick and must not fail."""


class Authenticate:
    """The check of messages from strangers."""

    def __init__(
        self, resolver: Resolver, settings: MsgAuth, *, hostname: str, tell: Tell | None = None
    ) -> None:
        self._resolver = resolver
        self._settings = settings
        self._hostname = hostname
        self._tell = tell

    async def __call__(self, examination: Examination) -> Reply | None:
        mail = examination.mail
        if examination.trusted or not mail.peer or self._settings.verify == "off":
            return None
        domains = author_domains(examination.claimed)
        if len(domains) > AUTHOR_DOMAINS:
            return _TOO_MANY
        found, judged = await self._examine(examination, domains)
        examination.authentication = found
        examination.aligned |= found.aligned
        examination.fields.append(write_authres(self._hostname, found))
        examination.story.append(("checked", mail.reverse_path, found.in_words()))
        reply = self._decide(examination, found)
        if self._tell is not None:
            self._tell(examination, found, judged)
        return reply

    def _decide(self, examination: Examination, found: Authentication) -> Reply | None:
        if self._settings.verify != "enforce":
            return None
        if found.disposition is Disposition.REJECT:
            asking = next(one for one in found.dmarc if one.disposition is Disposition.REJECT)
            return Reply(550, "5.7.1", f"{asking.domain} asks by DMARC to refuse this: {_why(found)}")
        if found.disposition is Disposition.QUARANTINE:
            examination.junk.append(f"its domain asks by DMARC to suspect it: {_why(found)}")
        elif found.temporary and not found.authentic and self._settings.temporary == "defer":
            return _LATER
        return None

    async def _examine(
        self, examination: Examination, domains: list[str]
    ) -> tuple[Authentication, tuple[DmarcFound, ...]]:
        mail, resolver = examination.mail, Questions(self._resolver)
        question = SpfQuestion(
            address=mail.peer,
            reverse_path=mail.reverse_path,
            helo=mail.helo,
            receiver=self._hostname,
            now=int(mail.received_at),
        )
        spf, (dkim, arc), iprev = await asyncio.gather(
            check_spf(question, resolver),
            check_signatures(examination, resolver),
            check_iprev(mail.peer, resolver),
        )
        judged = [await check_dmarc(domain, spf, dkim, resolver) for domain in domains]
        dmarc = tuple(one.result for one in judged)
        found = Authentication(
            spf=spf, dkim=dkim, arc=arc, dmarc=dmarc, iprev=iprev, aligned=frozenset(_proved(dmarc))
        )
        return found, tuple(judged)


async def check_signatures(examination: Examination, resolver: Resolver) -> tuple[tuple[Dkim, ...], Arc]:
    """DKIM and ARC; the body is read once for both."""
    headers = examination.headers
    fields = raw_fields(headers)
    signatures, chain = Signatures.of(fields), Chain.of(fields)
    bodies = await hash_body(examination.mail.content, headers.end, signatures.forms | chain.forms)
    now = int(examination.mail.received_at)
    return await signatures.verify(bodies, resolver, now), await chain.validate(bodies, resolver)


async def hash_body(content: Content, offset: int, forms: frozenset[BodyForm]) -> dict[BodyForm, BodyDigest]:
    """The hashes of a body that begins at `offset`; a staged one is read in a thread."""
    if not forms:
        return {}
    if content.path is not None:
        return await asyncio.to_thread(hash_blocks, content.blocks(STAGE_BLOCK), offset, forms)
    return hash_blocks(content.chunks, offset, forms)


def hash_blocks(
    blocks: Iterable[bytes], offset: int, forms: frozenset[BodyForm]
) -> dict[BodyForm, BodyDigest]:
    """The same from the octets of a message in pieces; blocks while it reads."""
    hashes = BodyHashes(forms)
    for block in blocks:
        if offset >= len(block):
            offset -= len(block)
            continue
        hashes.feed(block[offset:] if offset else block)
        offset = 0
    return hashes.finish()


def author_domains(addresses: Iterable[str]) -> list[str]:
    """The domains of authors, A-labels, in a settled order; those that are none stand as they were written."""
    names = (address.rpartition("@")[2] for address in addresses)
    return sorted({normal_domain(name) or name.lower() for name in names if name})


def _proved(dmarc: tuple[Dmarc, ...]) -> Iterable[str]:
    """Pass, or (where there is no policy) proof of the very same domain."""
    for one in dmarc:
        if one.result is Result.PASS or (one.result is Result.NONE and (one.spf_aligned or one.dkim_aligned)):
            yield one.domain


def _why(found: Authentication) -> str:
    dkim = ", ".join(f"{one.result} {one.domain}".strip() for one in found.dkim) or "none"
    return f"SPF {_spf_words(found.spf)}, DKIM {dkim}"


def _spf_words(spf: Spf) -> str:
    return f"{spf.result} {spf.domain}".strip()
