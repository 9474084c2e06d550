"""The copies of a post: each with its own header and reverse-path, signed by the list's domain, and what delivers them.

A copy is a message like any other from here on: accounts' scripts see it, the queue carries it. Where a mailbox has no
room just now its copy waits in the queue; who can never get it is told of in the timeline, and nobody by mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Destination
from posthouse.errors import Permanent
from posthouse.inbound.handling import Handling
from posthouse.inbound.leave_out import without_spans
from posthouse.inbound.list_fields import (
    OF_LISTS,
    Leaving,
    delivered_to,
    list_fields,
    rewritten_from,
    split,
)
from posthouse.inbound.list_tokens import ListTokens, Purpose
from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.inbound.policy import normal_domain
from posthouse.inbound.story import line
from posthouse.limits import LIST_TURN, MESSAGE_HEADER
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.msgauth.dmarc import asks_for_more
from posthouse.resolver import Resolver
from posthouse.store.interface import Enqueue, Op, Store
from posthouse.store.mailing_lists import MailingList, Rewriting
from posthouse.store.model import Content, DomainKind, Event, NewQueued, NewRecipient

Operations = Callable[[Mail, bytes, Handling], Awaitable[list[Op[Any]]]]
"""`Deliverer.operations`."""
SignCopies = Callable[[Content, Sequence[str], Sequence[bytes], int], Awaitable[list[bytes]]]
"""`Signer.sign_copies`: the signatures of a text behind each of several prefixes, in the name of some domains."""


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One member's copy."""

    chain: tuple[MailingList, ...]
    """The lists that led to it, the member's own one last."""
    member: str
    """The address in the list."""
    final: Destination
    """Where that leads to: an account, or another host."""


class Post(msgspec.Struct, kw_only=True):
    """A message to lists, and what it comes to."""

    mail: Mail
    prefix: bytes
    """What stands before the text."""
    handling: Handling
    lists: list[str] = msgspec.field(default_factory=list)
    reached: set[str] = msgspec.field(default_factory=set)
    """Accounts by number, others by address."""
    copies: list[Copy] = msgspec.field(default_factory=list)
    notes: list[Event] = msgspec.field(default_factory=list)

    def note(self, kind: str, address: str, detail: str) -> None:
        """A line for the timeline."""
        self.notes.append(line(self.mail, kind, address, detail))


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What copies are made with."""

    operations: Operations
    sign: SignCopies | None
    """None: nothing is signed."""
    resolver: Resolver
    """Who is asked about authors' domains."""
    url: str
    """Where our pages are, without a slash at the end; empty: nothing is served by HTTPS."""


class _Text(msgspec.Struct, frozen=True):
    """What a list makes of the text."""

    content: Content
    fields: bytes
    """From and Reply-To, where they are rewritten."""
    signers: tuple[str, ...]
    """The domains in whose names it is signed."""


class CopyMaker:
    """Makes copies, once it is furnished."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store = store
        self._directory = directory
        self._means: Means | None = None

    def furnish(self, means: Means) -> None:
        """What the configuration in force has for it."""
        self._means = means

    @property
    def means(self) -> Means:
        """As they were given."""
        assert self._means is not None
        return self._means

    async def made(self, post: Post, tokens: ListTokens | None) -> list[Op[Any]]:
        """What delivers all copies of a post."""
        ops: list[Op[Any]] = []
        by_list: dict[tuple[str, ...], list[Copy]] = {}
        for copy in post.copies:
            by_list.setdefault(tuple(one.address for one in copy.chain), []).append(copy)
        headers = Headers.scan(post.mail.content.beginning()[:MESSAGE_HEADER])
        for copies in by_list.values():
            assert tokens is not None
            ops += await self._of_list(post, copies, headers, tokens)
        return ops

    async def _of_list(
        self, post: Post, copies: Sequence[Copy], headers: Headers, tokens: ListTokens
    ) -> list[Op[Any]]:
        chain = copies[0].chain
        text = await self._text(post, chain[-1], headers)
        above = b"".join(delivered_to(one) for one in reversed(chain)) + text.fields
        below = post.prefix + post.handling.end
        prefixes = []
        for number, one in enumerate(copies):
            fields = list_fields(chain, self._leaving(chain[-1], one.member, tokens))
            prefixes.append(above + fields + below)
            await others_turn(number)
        if self.means.sign is not None:
            at = int(post.mail.received_at)
            signatures = await self.means.sign(text.content, text.signers, prefixes, at)
            prefixes = [one + prefix for one, prefix in zip(signatures, prefixes, strict=True)]
        ops: list[Op[Any]] = []
        for number, (copy, prefix) in enumerate(zip(copies, prefixes, strict=True)):
            ops += await self._deliver(post, copy, text.content, prefix, tokens)
            await others_turn(number)
        post.note("posted", chain[-1].address, f"copies for {len(copies)}")
        return ops

    def _leaving(self, mailing_list: MailingList, member: str, tokens: ListTokens) -> Leaving:
        token = tokens.token(Purpose.UNSUBSCRIBE, mailing_list.address, member)
        local, domain = split(mailing_list.address)
        url = f"{self.means.url}/unsubscribe/{mailing_list.address}/{token}" if self.means.url else ""
        return Leaving(f"{local}-unsubscribe+{token}@{domain}", url)

    async def _text(self, post: Post, mailing_list: MailingList, headers: Headers) -> _Text:
        authors = [one for value in headers.all("from") for one in flat(parse_mailbox_list(value))]
        authors = [one for one in authors if one.local and one.domain]
        domains = tuple(dict.fromkeys(normal_domain(one.domain) for one in authors))
        own = split(mailing_list.address)[1]
        ours = [name for name in domains if await self._is_ours(name)]
        proved = {one.rpartition("@")[2] for one in post.handling.authors}
        # Copies come from us: From must not name people of ours where anybody may have written it.
        forged = not proved.issuperset(ours)
        names, fields = [*OF_LISTS], b""
        # By signature, or by the reverse-path, which is the list's, copies are proved to be of these domains.
        good = {name for name in ours if self.means.sign is not None or name == own}
        if authors and (forged or await self._rewrites(mailing_list, [n for n in domains if n not in good])):
            names.append("from")
            fields = rewritten_from(authors, mailing_list, has_reply_to="reply-to" in headers)
            ours = []
        spans = headers.spans(names)
        content = post.mail.content
        if spans:
            content = await without_spans(content, spans, self._store)
        return _Text(content, fields, tuple(dict.fromkeys((own, *ours))))

    async def _rewrites(self, mailing_list: MailingList, strangers: Sequence[str]) -> bool:
        """Whether From becomes the list's; `strangers`: the domains of authors whose copies are not proved."""
        if mailing_list.rewriting is not Rewriting.STRICT:
            return mailing_list.rewriting is Rewriting.ALWAYS
        for name in strangers:
            if await asks_for_more(name, self.means.resolver):
                return True
        return False

    async def _is_ours(self, name: str) -> bool:
        domain = await self._directory.domain(name)
        return domain is not None and domain.kind is DomainKind.LOCAL

    async def _deliver(
        self, post: Post, copy: Copy, content: Content, prefix: bytes, tokens: ListTokens
    ) -> list[Op[Any]]:
        mailing_list, final = copy.chain[-1], copy.final
        local, domain = split(mailing_list.address)
        token = tokens.token(Purpose.BOUNCES, mailing_list.address, copy.member)
        address = final.address
        mail = Mail(
            trace_id=post.mail.trace_id,
            # RFC 5321 §3.9.2: what comes back goes to whoever looks after the list, not to the author.
            reverse_path=f"{local}-bounces+{token}@{domain}",
            # RFC 3461 §5.2.7.1: what the sender wanted to hear ends here; nobody hears that a copy is late.
            recipients=(MailRecipient(address, "FAILURE"),),
            content=content,
            received_at=post.mail.received_at,
            smtputf8=post.mail.smtputf8 or not address.isascii(),
            body=post.mail.body,
            via=Via.LOCAL,
            protocol="local",
        )
        handling = Handling(
            closed=True, again=True, signed=True, junk=post.handling.junk, depth=post.handling.depth + 1
        )
        try:
            ops = await self.means.operations(mail, prefix, handling)
        except Permanent as fault:
            post.note("failed", address, fault.public)
            return []
        if not ops and await self._may_have_room_later(final, content.size + len(prefix)):
            post.note("queued", address, "its mailbox is full")
            return [_waiting(mail, prefix)]
        if not ops:
            post.note("failed", address, f"a member of {mailing_list.address}, but no mailbox takes it")
        return ops

    async def _may_have_room_later(self, final: Destination, size: int) -> bool:
        account = final.account
        if account is None or account.disabled:
            return False
        room, quota = await self._directory.room(account), await self._directory.quota(account)
        return room is not None and room < size <= quota


async def others_turn(number: int) -> None:
    """A post of a thousand copies must not make everybody wait."""
    if number % LIST_TURN == LIST_TURN - 1:
        await asyncio.sleep(0)


def _waiting(mail: Mail, prefix: bytes) -> Enqueue:
    """A copy that waits in the queue until its mailbox has room (`outbound.homecoming`)."""
    message = NewQueued(
        trace_id=mail.trace_id,
        reverse_path=mail.reverse_path,
        recipients=tuple(NewRecipient(address=one.address, notify=one.notify) for one in mail.recipients),
        created_at=mail.received_at,
        account_id=None,
        smtputf8=mail.smtputf8,
        body=mail.body,
    )
    return Enqueue(message=message, content=mail.content, prefix=prefix)
