"""Mailing lists: who may post, and the copies of a post, one for each member, in the commit that takes the post.

A post is refused while its sender waits, or it is taken with all its copies: into mailboxes here, into the queue for
other hosts, so no crash loses some of them. The author counts as a member only where it is proved that he wrote: by
login, or by what DMARC calls alignment, since anybody can write any From. What comes back goes to the list, never to
the author. A list may be a member of another; each member gets one copy of a message however many ways lead there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from posthouse.accounts.addresses import normalize_address, split_tag
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Destination, DestinationKind
from posthouse.errors import Permanent
from posthouse.inbound.handling import Handling
from posthouse.inbound.house_keys import house_key
from posthouse.inbound.list_copies import Copy, CopyMaker, Post, others_turn
from posthouse.inbound.list_fields import has_been_here
from posthouse.inbound.list_tokens import ListTokens, Purpose
from posthouse.inbound.mail import Mail, new_trace_id
from posthouse.inbound.plan import Plan, Target
from posthouse.inbound.rulings import Place
from posthouse.inbound.story import line
from posthouse.limits import (
    LIST_BOUNCE_DAY,
    LIST_BOUNCE_DAYS,
    LIST_BOUNCE_MEMORY,
    LIST_COPIES,
    LIST_DEPTH,
    LIST_POSTS,
    LIST_POSTS_WINDOW,
    MESSAGE_HEADER,
)
from posthouse.message.automatic import is_answer
from posthouse.message.headers import Headers
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op, RecordEvents, Store
from posthouse.store.mailing_lists import MailingList, NoteListBounce, Posting, RemoveMembers
from posthouse.store.model import Event

KEY: Final = "list-key"
"""The kind of the memo with the key of the tokens."""

_MEMBERS_ONLY: Final = Reply(
    550, "5.7.1", "Only members may post to this list, from an address proved theirs"
)
_OWNERS_ONLY: Final = Reply(
    550, "5.7.1", "Only its owners may post to this list, from an address proved theirs"
)
_LOOP: Final = Reply(550, "5.4.6", "This message has been on this list already: that would be a loop")
_ANSWER: Final = Reply(550, "5.7.1", "This list takes no notices and no automatic answers")
_JUNK: Final = Reply(550, "5.7.1", "This list does not take what looks like junk")
_TOO_MANY: Final = Reply(450, "4.7.0", "Too many posts to this list, try again in an hour")
_NO_TOKEN: Final = Reply(550, "5.1.1", "Not an address that this list has made, or its member has left")
_HELD: Final = Reply(550, "5.7.1", "This would wait for an administrator, and lists take nothing that does")


class MailingLists:
    """The lists of the house. One per process."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        secret: bytes,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`secret`: what all nodes share, for the first key."""
        self._store = store
        self._directory = directory
        self._secret = secret
        self._now = now
        self._tokens: ListTokens | None = None
        self._posts: dict[str, tuple[float, int]] = {}
        self.copies = CopyMaker(store, directory)

    async def tokens(self) -> ListTokens:
        """Made with the key of the house."""
        if self._tokens is None:
            self._tokens = ListTokens(await house_key(self._store, KEY, self._secret, b"mailing lists"))
        return self._tokens

    async def member_of(self, destination: Destination) -> str:
        """Whom a service address of a list is about; empty: nobody."""
        assert destination.mailing_list is not None
        purpose = Purpose(destination.service)
        return (await self.tokens()).member(purpose, destination.mailing_list, destination.tag)

    async def refuses(self, destination: Destination) -> Reply | None:
        """Why a service address takes nothing; None: it does."""
        return None if await self.member_of(destination) else _NO_TOKEN

    async def leave(self, address: str, token: str, *, really: bool) -> MailingList | None:
        """Whose list a token lets its member leave, and with `really`: the member leaves. None: it is not good."""
        try:
            destination = await self._directory.destination(normalize_address(address))
        except ValueError:
            return None
        found = destination.mailing_list
        if found is None or destination.kind is not DestinationKind.LIST:
            return None
        member = (await self.tokens()).member(Purpose.UNSUBSCRIBE, found, token)
        if member and really:
            detail = f"the list {found.address}, by its link"
            now = self._now()
            left = Event(trace_id=new_trace_id(now), at=now, kind="left", address=member, detail=detail)
            await self._store.commit(
                RecordEvents(events=(left,)), RemoveMembers(address=found.address, members=(member,))
            )
        return found if member else None

    # --- may it be posted? ----------------------------------------------------------------------------

    async def admit(self, mail: Mail, plan: Plan, handling: Handling) -> None:
        """Let those recipients of the plan fail that are lists which do not take the message."""
        headers: Headers | None = None
        for target in tuple(plan.posts):
            headers = headers or Headers.scan(mail.content.beginning()[:MESSAGE_HEADER])
            reply = await self._refusal(target.mailing_list, mail, headers, handling)
            if reply is not None:
                plan.refuse(target, reply)
        for target in tuple(plan.services):
            if not await self._member(target):
                plan.refuse(target, _NO_TOKEN)

    async def _member(self, target: Target) -> str:
        assert target.of_list is not None
        return await self.member_of(target.of_list)

    async def _refusal(
        self, mailing_list: MailingList, mail: Mail, headers: Headers, handling: Handling
    ) -> Reply | None:
        if has_been_here(headers, mailing_list):
            return _LOOP
        # RFC 3834 §2: notices and automatic answers are for one, not for a list.
        if not mail.reverse_path or is_answer(headers):
            return _ANSWER
        if not self._may_post(mailing_list, await self._identities(mail, handling)):
            return _OWNERS_ONLY if mailing_list.posting is Posting.OWNERS else _MEMBERS_ONLY
        if self._counted(mailing_list.address)[1] >= LIST_POSTS:
            return _TOO_MANY
        if mailing_list.posting is Posting.ANYONE and await self._is_junk(mailing_list, handling):
            return _JUNK
        return None

    def _may_post(self, mailing_list: MailingList, identities: set[str]) -> bool:
        if mailing_list.posting is Posting.ANYONE:
            return True
        allowed = set(mailing_list.owners)
        if mailing_list.posting is Posting.MEMBERS:
            allowed |= {one.address for one in mailing_list.members}
        return not allowed.isdisjoint(identities)

    async def _identities(self, mail: Mail, handling: Handling) -> set[str]:
        """The addresses that were proved to be the author's, ours also without their tags."""
        found = set(handling.authors)
        if mail.login is not None:
            found.add(mail.login.account.address)
        for address in tuple(found):
            local, _, domain = address.rpartition("@")
            if await self._directory.domain(domain) is not None:  # elsewhere "+" may mean anything
                found.add(f"{split_tag(local)[0]}@{domain}")
        return found

    async def _is_junk(self, mailing_list: MailingList, handling: Handling) -> bool:
        """What those who look after the list would find in Junk, is not sent to all its members."""
        if handling.junk or handling.rule is None:
            return handling.junk
        for address in (*mailing_list.owners, *(one.address for one in mailing_list.members)):
            account = (await self._directory.destination(address)).account
            if account is not None:
                ruling = (await handling.rule([account])).get(account.account_id)
                return ruling is not None and ruling.place is not Place.INBOX
        return False

    def _counted(self, address: str) -> tuple[float, int]:
        """Since when, and how many posts it has had."""
        now = self._now()
        since, count = self._posts.get(address, (now, 0))
        return (since, count) if 0 <= now - since < LIST_POSTS_WINDOW else (now, 0)

    @staticmethod
    def refuse_held(plan: Plan) -> bool:
        """What waits for an administrator goes to no list meanwhile. Whether somebody else gets it still."""
        for target in tuple(plan.posts):
            plan.refuse(target, _HELD)
        return plan.is_served

    def taken(self, plan: Plan) -> None:
        """A message was committed: its posts count."""
        for address in {target.mailing_list.address for target in plan.posts}:
            since, count = self._counted(address)
            self._posts[address] = since, count + 1

    # --- what it comes to -----------------------------------------------------------------------------

    async def operations(self, mail: Mail, prefix: bytes, plan: Plan, handling: Handling) -> list[Op[Any]]:
        """What carries out the posts and services of a plan. The commit may meet OverQuota.

        Raises Permanent when one message would come to too many members.
        """
        ops: list[Op[Any]] = []
        notes: list[Event] = []
        for target in plan.services:
            ops += await self._serve(target, mail, notes)
        post = Post(mail=mail, prefix=prefix, handling=handling)
        for target in plan.posts:
            if target.mailing_list.address not in post.lists:
                await self._walk(post, (target.mailing_list,))
        ops += await self.copies.made(post, await self.tokens() if post.copies else None)
        notes += post.notes
        return [*ops, RecordEvents(events=tuple(notes))] if notes else ops

    async def _serve(self, target: Target, mail: Mail, notes: list[Event]) -> list[Op[Any]]:
        member, address = await self._member(target), target.mailing_list.address
        if target.of_list is not None and target.of_list.service == Purpose.UNSUBSCRIBE:
            notes.append(line(mail, "left", member, f"the list {address}, by mail"))
            return [RemoveMembers(address=address, members=(member,))]
        if not _tells_of_failure(mail):
            notes.append(line(mail, "returned", member, f"to the list {address}: no failure, dropped"))
            return []
        return await self._note_bounce(mail, address, member, notes)

    async def _note_bounce(self, mail: Mail, address: str, member: str, notes: list[Event]) -> list[Op[Any]]:
        """One a day counts, so that a bad hour of a host ends no membership; a long silence is forgiveness."""
        known = await self._store.mailing_list(address)  # what the directory has of it is older
        one = next((each for each in known.members if each.address == member), None) if known else None
        if one is None:
            return []
        at = int(mail.received_at)
        days = one.bounces if at - one.bounced_at < LIST_BOUNCE_MEMORY else 0
        if not days or at - one.bounced_at >= LIST_BOUNCE_DAY:
            days += 1
        elif one.bounces:
            at = one.bounced_at
        if days >= LIST_BOUNCE_DAYS:
            notes.append(
                line(mail, "left", member, f"the list {address}: its copies came back on {days} days")
            )
            return [RemoveMembers(address=address, members=(member,))]
        detail = f"to the list {address}: it cannot be reached, day {days} of {LIST_BOUNCE_DAYS}"
        notes.append(line(mail, "returned", member, detail))
        return [NoteListBounce(address=address, member=member, at=at, bounces=days)]

    async def _walk(self, post: Post, chain: tuple[MailingList, ...]) -> None:
        """Every copy of the last list of a chain, and of those that are its members."""
        mailing_list = chain[-1]
        post.lists.append(mailing_list.address)
        for number, one in enumerate(mailing_list.members):
            await others_turn(number)
            try:
                finals = await self._directory.expand(one.address)
            except Permanent as fault:
                post.note("failed", one.address, fault.public)
                continue
            for final in finals:
                await self._reach(post, chain, one.address, final)

    async def _reach(
        self, post: Post, chain: tuple[MailingList, ...], member: str, final: Destination
    ) -> None:
        kind, below = final.kind, final.mailing_list
        if kind is DestinationKind.LIST and below is not None:
            await self._nest(post, chain, below)
        elif kind in (DestinationKind.MAILBOX, DestinationKind.REMOTE, DestinationKind.BACKUP):
            who = str(final.account.account_id) if final.account is not None else final.address.lower()
            if who not in post.reached:
                post.reached.add(who)
                post.copies.append(Copy(chain=chain, member=member, final=final))
                if len(post.copies) > LIST_COPIES:
                    raise Permanent("The lists of this message have too many members in all")
        else:
            post.note("failed", member, f"a member of {chain[-1].address}, but it leads nowhere")

    async def _nest(self, post: Post, chain: Sequence[MailingList], below: MailingList) -> None:
        """RFC 2369 §4: a list that is a member of a list."""
        if below.address in post.lists:
            return
        headers = Headers.scan(post.mail.content.beginning()[:MESSAGE_HEADER])
        identities = await self._identities(post.mail, post.handling) | {one.address for one in chain}
        if len(chain) >= LIST_DEPTH:
            post.note("failed", below.address, f"{LIST_DEPTH} lists in a row have led to it")
        elif has_been_here(headers, below):
            post.note("failed", below.address, str(_LOOP))
        elif not self._may_post(below, identities):
            post.note("failed", below.address, f"{chain[-1].address} may not post to it")
        else:
            await self._walk(post, (*chain, below))


def _tells_of_failure(mail: Mail) -> bool:
    """Whether what came back is a notice (RFC 3464 §2.3.3) that a copy could not be delivered."""
    raw = mail.content.beginning()
    kind = (Headers.scan(raw[:MESSAGE_HEADER]).first("content-type") or b"").lstrip().lower()
    return kind.startswith(b"multipart/report") and b"\naction: failed" in raw.lower()
