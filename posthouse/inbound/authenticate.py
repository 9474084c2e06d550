"""The check that asks who sent a message: SPF, DKIM, ARC, DMARC and iprev, all at once, and what follows from them.

It stands before `LocalForgery` at the door of port 25. What it finds goes into the examination (for the checks behind
it), into an Authentication-Results field, and into the timeline. A DMARC policy is applied: "quarantine" delivers to
Junk, "reject" refuses, or delivers to Junk what seems to come by a mailing list or a forwarder (`inbound.indirect`).
Where the DNS fails, nothing is held against the sender; `msgauth.temporary` decides whether the mail is then delivered
or put off. Our own other hosts (`inbound.trusted`) checked already: what they found is told on and believed
(`inbound.vouched`), but nothing that they took is refused: they would have to bounce it. Addresses of this machine are
asked about, for the playground's strangers live there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from posthouse.config import MsgAuth
from posthouse.counts import SENDER_CHECKS
from posthouse.inbound.checks import Cause, Examination, Suspicion
from posthouse.inbound.indirect import came_by_others
from posthouse.inbound.mail import Mail
from posthouse.inbound.policy import normal_domain
from posthouse.inbound.questions import Questions
from posthouse.inbound.vouched import NOTHING_FOUND, as_found, first_client, vouched
from posthouse.ip_addresses import reverse_name
from posthouse.limits import AUTHOR_DOMAINS, DOMAIN, HASHED_AT_ONCE, HELO_TIMEOUT, STAGE_BLOCK
from posthouse.msgauth.arc import Chain
from posthouse.msgauth.authres_write import write_authres, write_vouched
from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, BodyHashes, raw_fields
from posthouse.msgauth.dkim_signature import Signature
from posthouse.msgauth.dkim_verify import Signatures
from posthouse.msgauth.dmarc import DmarcFound, check_dmarc, walk_names
from posthouse.msgauth.iprev import check_iprev
from posthouse.msgauth.results import (
    Arc,
    Authentication,
    Disposition,
    Dkim,
    Result,
    Spf,
    proved_domains,
)
from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.msgauth.spf_record import is_spf
from posthouse.resolver import Resolver
from posthouse.smtp.replies import Reply
from posthouse.store.model import Content

_ARC: Final = ("arc-seal", "arc-message-signature", "arc-authentication-results")
_NO_SIGNATURES: Final = Signatures(fields=(), found=())
_NO_CHAIN: Final = Chain(fields=())
_TOO_MANY: Final = Reply(550, "5.6.0", "From names authors of too many domains")
# RFC 7208 §8.6
_LATER: Final = Reply(451, "4.4.3", "The sender cannot be verified now, try again later")

Tell = Callable[[Examination, Authentication, tuple[DmarcFound, ...]], None]
"""Hears of every message that was judged, for reports. Must be quick and must not fail."""


class Authenticate:
    """The check of messages from strangers."""

    def __init__(
        self,
        resolver: Resolver,
        settings: MsgAuth,
        *,
        hostname: str,
        authserv: str = "",
        tell: Tell | None = None,
        prefetch: Callable[[str, str], None] | None = None,
    ) -> None:
        """`authserv`: the name under which results are written (RFC 8601 §2.5), else `hostname`.

        `prefetch`: begins a DNS question (name, type) that will be asked soon."""
        self._prefetch = prefetch
        self._resolver = resolver
        self._settings = settings
        self._hostname = hostname
        self._authserv = authserv or hostname
        self._tell = tell

    async def __call__(self, examination: Examination) -> Reply | None:
        mail = examination.mail
        if examination.trusted:
            self._believe(examination)
            return None
        if not mail.peer or self._settings.verify == "off":
            return None
        domains = author_domains(examination.claimed)
        if len(domains) > AUTHOR_DOMAINS:
            return _TOO_MANY
        found, judged = await self._examine(examination, domains)
        examination.authentication = found
        examination.aligned |= found.aligned
        examination.fields.append(write_authres(self._authserv, found))
        examination.story.append(("checked", mail.reverse_path, found.in_words()))
        _count(found)
        reply = self._decide(examination, found)
        if self._tell is not None:
            self._tell(examination, found, judged)
        return reply

    def _believe(self, examination: Examination) -> None:
        """Take over what a host of ours found out about somebody else's mail; its own mail has no client."""
        said, client = vouched(examination.headers), first_client(examination.headers)
        examination.client = client
        if said is not None:
            examination.fields.append(write_vouched(self._authserv, said))
        elif client is None:
            return
        domains = author_domains(examination.claimed)[:AUTHOR_DOMAINS]
        found = as_found(said, domains) if said is not None else NOTHING_FOUND
        examination.authentication = found
        examination.aligned |= found.aligned
        if said is None:
            return
        words = f"by {said.host}: {found.in_words()}"
        examination.story.append(("checked", examination.mail.reverse_path, words))
        if self._settings.verify == "enforce" and found.disposition is not Disposition.NONE:
            examination.junk.append(_asked_for(found))

    def _decide(self, examination: Examination, found: Authentication) -> Reply | None:
        if self._settings.verify != "enforce":
            return None
        if found.disposition is Disposition.REJECT:
            return self._asked_to_refuse(examination, found)
        if found.disposition is Disposition.QUARANTINE:
            examination.junk.append(_asked_for(found))
        elif found.temporary and not found.authentic and self._settings.temporary == "defer":
            return _LATER
        return None

    def _asked_to_refuse(self, examination: Examination, found: Authentication) -> Reply | None:
        """RFC 9989 §7.4: p=reject alone refuses nobody."""
        for asking in found.dmarc:
            if asking.disposition is Disposition.REJECT:
                examination.spared = came_by_others(examination.headers, found, asking)
                if examination.spared is None:
                    return Reply(550, "5.7.1", f"{asking.domain} asks by DMARC to refuse this: {_why(found)}")
                words = f"{asking.domain} asks by DMARC to refuse it, but {examination.spared.comment}"
                examination.junk.append(Suspicion(Cause.POLICY, f"{words}: {_why(found)}"))
        return None

    def _ask_ahead(self, mail: Mail, domains: Iterable[str], signing: Signing) -> None:
        """Let the questions that are sure to come go out together: the checks ask one after the other."""
        if self._prefetch is None:
            return
        self._prefetch(_with_a_label(mail.reverse_path).rpartition("@")[2] or mail.helo, "TXT")
        if helo := _helo_beside(mail):
            self._prefetch(helo, "TXT")
        self._prefetch(reverse_name(mail.peer), "PTR")
        for one in signing.signatures.found:
            if isinstance(one, Signature):
                self._prefetch(one.key_name, "TXT")
        for domain in domains:
            for name in walk_names(domain):
                self._prefetch(f"_dmarc.{name}", "TXT")

    async def _examine(
        self, examination: Examination, domains: list[str]
    ) -> tuple[Authentication, tuple[DmarcFound, ...]]:
        mail = examination.mail
        question = SpfQuestion(
            address=mail.peer,
            reverse_path=_with_a_label(mail.reverse_path),
            helo=mail.helo,
            receiver=self._hostname,
            now=int(mail.received_at),
        )
        signing = Signing.of(examination)
        self._ask_ahead(mail, domains, signing)
        # Each asks by itself: whoever makes one of them wait, or ask too much, keeps no answer from the others. For
        # DMARC above all: a policy that cannot be asked for refuses nobody.
        spf = await check_spf(question, self._ask())
        dkim, arc = await signing.check(self._ask())
        iprev = await check_iprev(mail.peer, self._ask())
        helo = await self._check_helo(question, _helo_beside(mail))
        judged = await asyncio.gather(*(check_dmarc(domain, spf, dkim, self._ask()) for domain in domains))
        dmarc = tuple(one.result for one in judged)
        found = Authentication(
            spf=spf, helo=helo, dkim=dkim, arc=arc, dmarc=dmarc, iprev=iprev, aligned=proved_domains(dmarc)
        )
        return found, tuple(judged)

    async def _check_helo(self, question: SpfQuestion, name: str) -> Spf | None:
        """RFC 7208 §2.3: HELO beside the reverse-path. Only evidence, so it is not waited for as long as others."""
        if not name:
            return None
        try:
            async with asyncio.timeout(HELO_TIMEOUT):
                answer = await self._resolver.txt(name)
                # Most names have no record, and then it costs next to nothing.
                if not any(map(is_spf, answer.records)):
                    return None
                beside = msgspec.structs.replace(question, reverse_path="", helo=name)
                found = await check_spf(beside, self._ask())
        except TimeoutError:
            return None
        return None if found.result is Result.TEMPERROR else found

    def _ask(self) -> Resolver:
        return Questions(self._resolver)


def _count(found: Authentication) -> None:
    dkim = [one.result for one in found.dkim] or [Result.NONE]
    SENDER_CHECKS.add("spf", found.spf.result)
    SENDER_CHECKS.add("dkim", Result.PASS if Result.PASS in dkim else dkim[0])
    for one in found.dmarc:
        SENDER_CHECKS.add("dmarc", one.result)


async def prove_sender(resolver: Resolver, address: str, reverse_path: str) -> bool | None:
    """Whether SPF lets an address send for a reverse-path, before any text is read; None: it cannot be told now."""
    question = SpfQuestion(address=address, reverse_path=_with_a_label(reverse_path), helo="")
    found = await check_spf(question, Questions(resolver))
    return None if found.result is Result.TEMPERROR else found.result is Result.PASS


class Signing(msgspec.Struct, frozen=True):
    """The DKIM signatures and the ARC chain of a message; its body is read once for both."""

    examination: Examination
    signatures: Signatures
    chain: Chain

    @classmethod
    def of(cls, examination: Examination) -> Signing:
        """Read the header."""
        headers = examination.headers
        signed, sealed = "dkim-signature" in headers, any(name in headers for name in _ARC)
        if not signed and not sealed:
            return cls(examination, _NO_SIGNATURES, _NO_CHAIN)
        fields = raw_fields(headers)
        return cls(
            examination,
            Signatures.of(fields) if signed else _NO_SIGNATURES,
            Chain.of(fields) if sealed else _NO_CHAIN,
        )

    async def check(self, resolver: Resolver) -> tuple[tuple[Dkim, ...], Arc]:
        """Hash the body and ask for the keys."""
        mail, signatures, chain = self.examination.mail, self.signatures, self.chain
        forms = signatures.forms | chain.forms
        bodies = await hash_body(mail.content, self.examination.headers.end, forms)
        found = await signatures.verify(bodies, resolver, int(mail.received_at))
        return found, await chain.validate(bodies, resolver)


async def hash_body(content: Content, offset: int, forms: frozenset[BodyForm]) -> dict[BodyForm, BodyDigest]:
    """The hashes of a body that begins at `offset`; a staged or long one is read in a thread."""
    if not forms:
        return {}
    if content.path is not None or content.size > HASHED_AT_ONCE:
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


def _with_a_label(address: str) -> str:
    """RFC 8616 §4: SPF is asked for the A-label of an internationalized domain."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{normal_domain(domain) or domain}" if local else address


def _helo_beside(mail: Mail) -> str:
    """The name of HELO to be asked about beside the reverse-path; empty: it is none, or asked about anyway."""
    name = normal_domain(mail.helo) if mail.reverse_path else ""
    own = normal_domain(mail.reverse_path.rpartition("@")[2])
    last = name.rpartition(".")[2]
    return name if last != name and not last.isdigit() and name[0] != "[" and name != own else ""


def author_domains(addresses: Iterable[str]) -> list[str]:
    """The domains of authors, A-labels, in a settled order; those that are none stand as written, but printable."""
    names = (address.rpartition("@")[2] for address in addresses)
    return sorted({normal_domain(name) or _printable(name.lower()) for name in names if name})


def _printable(text: str) -> str:
    """What a header that is no text has in it must reach no log, terminal or database as it is, nor at any length."""
    text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) < DOMAIN else text[: DOMAIN - 1] + "?"


def _asked_for(found: Authentication) -> Suspicion:
    return Suspicion(Cause.POLICY, f"its domain asks by DMARC to suspect it: {_why(found)}")


def _why(found: Authentication) -> str:
    dkim = ", ".join(f"{one.result} {one.domain}".strip() for one in found.dkim) or "none"
    return f"SPF {_spf_words(found.spf)}, DKIM {dkim}"


def _spf_words(spf: Spf) -> str:
    return f"{spf.result} {spf.domain}".strip()
