"""Keep and fileinto (RFC 5228 §4.1, §4.3): which copies an account gets, in which mailboxes, with which flags.

Mailboxes with the same flags hold the same email; where flags differ there are several. A mailbox that is not there,
and may not be made, is the inbox: nothing is lost by a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from posthouse.imap.mailbox_name import BadName
from posthouse.inbound.filtered import Passage
from posthouse.inbound.sieve_facts import Shape
from posthouse.inbound.sieve_mailboxes import Mailboxes
from posthouse.inbound.sieve_means import Means
from posthouse.inbound.story import line
from posthouse.limits import KEYWORD_LENGTH, KEYWORDS
from posthouse.sieve.actions import Fcc, FileInto, Keep
from posthouse.store.interface import AddEmail
from posthouse.store.model import SYSTEM_FLAGS, Mailbox

_KEYWORD: Final = re.compile(r'[^\x00-\x20\x7f-\U0010ffff(){%*"\\\]]+')
_SYSTEM: Final = {flag.lower(): flag for flag in SYSTEM_FLAGS}


class Filing:
    """Files one message for one account."""

    def __init__(self, means: Means, passage: Passage, mailboxes: Mailboxes) -> None:
        self._means = means
        self._passage = passage
        self._mailboxes = mailboxes
        self.notes: list[str] = []
        """What it came to, in words."""

    async def kept(self) -> AddEmail:
        """A copy as if there were no script."""
        return self._copy([await self._kept()], frozenset(), self.unchanged)

    @property
    def unchanged(self) -> Shape:
        """The message as it came."""
        return Shape(self._passage.prefix, self._passage.mail.content)

    async def copies(self, actions: Sequence[Keep | FileInto], shape: Shape) -> list[AddEmail]:
        """What puts the message where the script wants it."""
        places: dict[int, tuple[Mailbox, frozenset[str]]] = {}
        for action in actions:
            if isinstance(action, Keep):
                mailbox, why = await self._kept(), "kept"
            else:
                mailbox, why = await self._wanted(action)
            flags = await self.flags(action.flags)
            places[mailbox.mailbox_id] = (mailbox, flags)
            self.notes.append(f"{why} in {mailbox.name}{_in_words(flags)}{_at(action.line)}")
        groups: dict[frozenset[str], list[Mailbox]] = {}
        for mailbox, flags in await self._fitting(list(places.values()), shape):
            groups.setdefault(flags, []).append(mailbox)
        return [self._copy(boxes, flags, shape) for flags, boxes in groups.items()]

    async def _kept(self) -> Mailbox:
        return await self._means.folders.of(self._passage.account_id, self._passage.place)

    async def _wanted(self, action: FileInto) -> tuple[Mailbox, str]:
        try:
            found = await self.find(action)
        except BadName as fault:
            return await self._kept(), f'"{action.mailbox}" cannot be made ({fault}): kept'
        if found is None:
            return await self._kept(), f'there is no mailbox "{action.mailbox}": kept'
        return found, "filed"

    async def find(self, wanted: FileInto | Fcc) -> Mailbox | None:
        """The mailbox that is meant, made where the script says so. BadName."""
        if wanted.mailbox_id:
            found = await self._mailboxes.with_id(wanted.mailbox_id)
            if found is not None:
                return found
        if wanted.special_use:
            found = await self._mailboxes.with_use(wanted.special_use)
            if found is not None:
                return found
        found = await self._mailboxes.named(wanted.mailbox)
        if found is None and wanted.create:
            found = await self._mailboxes.make(wanted.mailbox, wanted.special_use)
        return found

    async def flags(self, flags: Iterable[str]) -> frozenset[str]:
        """Those that can be kept (RFC 5232 §2: what is no flag is passed over)."""
        found = {_SYSTEM.get(flag.lower(), flag) for flag in flags}
        fit = {flag for flag in found if flag in SYSTEM_FLAGS or _is_keyword(flag)}
        known = {each.lower() for each in await self._means.store.keywords(self._passage.account_id)}
        new = sorted(flag for flag in fit if flag not in SYSTEM_FLAGS and flag.lower() not in known)
        too_many = set(new[max(0, KEYWORDS - len(known)) :])
        left_out = (found - fit) | too_many
        if left_out:
            self.notes.append(f"flags left out: {' '.join(sorted(left_out))}")
        return frozenset(fit - too_many)

    async def _fitting(
        self, places: list[tuple[Mailbox, frozenset[str]]], shape: Shape
    ) -> list[tuple[Mailbox, frozenset[str]]]:
        """An email counts in each mailbox that it is in: as many as the quota has room for, but the first."""
        if len(places) < 2:
            return places
        room = await self._means.directory.room(self._passage.box.account)
        if room is None:
            return places
        fit = max(1, room // max(1, len(shape.prefix) + shape.content.size))
        if fit < len(places):
            names = ", ".join(mailbox.name for mailbox, _ in places[fit:])
            self.notes.append(f"no room for copies in {names}")
        return places[:fit]

    def _copy(self, mailboxes: list[Mailbox], flags: frozenset[str], shape: Shape) -> AddEmail:
        passage = self._passage
        first, *others = mailboxes
        address = passage.box.account.address
        names = ", ".join(mailbox.name for mailbox in mailboxes)
        return AddEmail(
            account_id=passage.account_id,
            mailbox_id=first.mailbox_id,
            also=tuple(mailbox.mailbox_id for mailbox in others),
            content=shape.content,
            prefix=shape.prefix,
            flags=flags,
            received_at=int(passage.mail.received_at),
            event=line(passage.mail, "delivered", passage.box.address, f"{address} {names}"),
            verdict=passage.ruling.record,
        )


def _is_keyword(flag: str) -> bool:
    return len(flag) <= KEYWORD_LENGTH and _KEYWORD.fullmatch(flag) is not None


def _in_words(flags: frozenset[str]) -> str:
    return f" with {' '.join(sorted(flags))}" if flags else ""


def _at(number: int) -> str:
    return f" (line {number})" if number else ""
