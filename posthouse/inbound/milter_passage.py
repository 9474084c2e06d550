"""One message on its way from filter to filter: what each made of it, and in the end what is delivered to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from posthouse.inbound.checks import ONCE, Cause, Examination, Refused, Suspicion, examine, is_headless
from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.inbound.milter_talk import Opinion
from posthouse.inbound.milter_text import MilterText
from posthouse.inbound.vouched import NOTHING_FOUND
from posthouse.limits import HEADER_FIELDS, MESSAGE_HEADER, MILTER_WORDS, SMTP_RECIPIENTS
from posthouse.message.address import AddressError, parse_address
from posthouse.message.headers import Headers
from posthouse.milter.answers import (
    AddHeader,
    AddRecipient,
    Change,
    ChangeHeader,
    ChangeSender,
    DeleteRecipient,
    InsertHeader,
    Quarantine,
)
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Store


class _Recipient(msgspec.Struct):
    recipient: MailRecipient
    origin: int | None
    """Its position in the mail as it came; None: a filter added it."""
    failure: Reply | None = None
    by: str = ""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """What the filters left."""

    examination: Examination
    mail: Mail
    has_fields: bool
    """The fields that we add for people of ours are in the text now."""
    failures: dict[int, Reply]
    """Recipients (by position in the mail as it is now) that a filter refused."""
    origins: tuple[int | None, ...]
    came_to: int
    """Recipients of the mail as it came."""
    quarantine: str = ""
    """Why it must be kept apart."""
    discarded: str = ""
    """Who threw it away."""

    def replies(self, given: tuple[Reply, ...]) -> tuple[Reply, ...]:
        """One for each recipient that the peer named, from those of delivery.

        A recipient that was taken away fares as the message does. SMTP has one reply for all, and whoever got a copy,
        also one whom a filter added, must not get another: then it is accepted.
        """
        common = next((reply for reply in given if reply.accepted), None) or min(given, key=lambda r: r.code)
        if not _has_own_replies(self.mail):
            return (common,) * self.came_to
        by_origin = dict(zip(self.origins, given, strict=True))
        return tuple(by_origin.get(position, common) for position in range(self.came_to))


class Passage:
    """The state of it. `end` gives what is delivered."""

    def __init__(self, examination: Examination, mail: Mail, fields: bytes) -> None:
        self.examination = examination
        self.mail = mail
        self.reverse_path = mail.reverse_path
        self._recipients = [_Recipient(one, position) for position, one in enumerate(mail.recipients)]
        self._trusted = examination.trusted and mail.via is Via.MX
        headers = examination.headers
        if mail.content is not examination.mail.content:
            headers = Headers.scan(mail.content.beginning()[:MESSAGE_HEADER])
        self.text = MilterText.of(mail.content, headers, fields, headless=is_headless(mail.content, headers))
        self._changed = False
        self._wide = False
        self._quarantine = ""
        self._discarded = ""

    @property
    def goes_on(self) -> bool:
        """Whether anybody may still get it."""
        return not self._discarded and bool(self.addresses)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The recipients that no filter refused."""
        return tuple(one.recipient.address for one in self._recipients if one.failure is None)

    def note(self, name: str, words: str) -> None:
        """What a filter did, for the timeline and the verdict."""
        self.examination.filtered.append(self._tell(name, words))

    def _tell(self, name: str, words: str) -> str:
        words = f"{name}: {_readable(words)}"
        self.examination.story.append(("milter", self.mail.reverse_path, words))
        return words

    # --- refusals -------------------------------------------------------------------------------------

    def refuse(self, address: str, reply: Reply, name: str) -> None:
        """One recipient."""
        if self._spared(reply, name):
            return
        for one in self._recipients:
            if one.recipient.address == address and one.failure is None:
                one.failure, one.by = reply, name
                self.note(name, f"refused {address}: {reply}")
                return

    def refuse_all(self, reply: Reply, name: str) -> None:
        """The message. Raises Refused."""
        if not self._spared(reply, name):
            raise Refused(reply, by=f"milter {name}")

    def _spared(self, reply: Reply, name: str) -> bool:
        """What a host of ours hands on is never refused for good: it would have to bounce it."""
        if not (self._trusted and reply.permanent):
            return False
        self._keep_apart(name, f"would refuse it: {reply}")
        return True

    def discard(self, name: str) -> None:
        """The message is taken, and nobody gets it."""
        self.note(name, "threw it away")
        self._discarded = name

    def _keep_apart(self, name: str, why: str) -> None:
        if self._quarantine:
            self.note(name, why)
        else:  # the verdict has a line of its own for it
            self._quarantine = _readable(f"{name} {why}")
            self._tell(name, why)

    # --- changes --------------------------------------------------------------------------------------

    def change(self, name: str, opinion: Opinion) -> None:
        """Do what a filter wants, all or nothing. Raises ValueError when it cannot be done."""
        for each in opinion.changes:
            _check(each)
        if len(self._recipients) + _added(opinion.changes) > SMTP_RECIPIENTS + self.came_to:
            raise ValueError("adds more recipients than a message may have")
        done = [_WORDS[type(each)](each) for each in opinion.changes if type(each) in _WORDS]
        self._change_header(opinion)
        for each in opinion.changes:
            self._do(each, name)
        if opinion.body is not None:
            self.text.replace_body(opinion.body)
            self._changed, self._wide = True, self._wide or not opinion.body_is_ascii
            done.append("replaced the body")
        if done:
            self.note(name, ", ".join(dict.fromkeys(done)))
        if not self.addresses and all(one.failure is None for one in self._recipients):
            self.discard(name)

    @property
    def came_to(self) -> int:
        """Recipients of the mail as it came."""
        return len(self.mail.recipients)

    def _change_header(self, opinion: Opinion) -> None:
        changes = [one for one in opinion.changes if isinstance(one, AddHeader | InsertHeader | ChangeHeader)]
        if not changes:
            return
        section = self.text.section.copy()
        for each in changes:
            section.change(each, leading_space=opinion.leading_space)
        for name in ONCE:
            if section.count(name.encode()) > 1:
                raise ValueError(f"leaves more than one {name.capitalize()} field")  # RFC 5322 §3.6
        if len(section.encode()) >= MESSAGE_HEADER or section.fields_in_all >= HEADER_FIELDS:
            raise ValueError("makes the header larger than one may be")
        self.text.section = section
        self._changed = True

    def _do(self, change: Change, name: str) -> None:
        if isinstance(change, AddRecipient):
            if not any(_same(one, change.address) for one in self._recipients if one.failure is None):
                # The sender did not name it, and hears nothing of it (RFC 3461 §4.1: NEVER).
                self._recipients.append(_Recipient(MailRecipient(change.address, "NEVER"), None))
        elif isinstance(change, DeleteRecipient):
            self._recipients = [
                one for one in self._recipients if one.failure is not None or not _same(one, change.address)
            ]
        elif isinstance(change, ChangeSender):
            self.reverse_path = change.address
        elif isinstance(change, Quarantine):
            self._keep_apart(name, f"quarantines it: {change.reason}")

    # --- the end --------------------------------------------------------------------------------------

    async def end(self, store: Store) -> Passed:
        """What is delivered. Raises Refused."""
        failed = [one for one in self._recipients if one.failure is not None]
        if failed and not self._discarded and not _has_own_replies(self.mail):
            self._answer_for_all(failed)
        mail, examination = await self._rewritten(store)
        if self._quarantine:
            examination.junk.append(Suspicion(Cause.QUARANTINE, self._quarantine))
        return Passed(
            examination=examination,
            mail=mail,
            has_fields=self._changed,
            failures={
                position: one.failure
                for position, one in enumerate(self._recipients)
                if one.failure is not None
            },
            origins=tuple(one.origin for one in self._recipients),
            came_to=self.came_to,
            quarantine=self._quarantine,
            discarded=self._discarded,
        )

    def _answer_for_all(self, failed: list[_Recipient]) -> None:
        """SMTP has one reply: "later" for one is said to all; for good only when nobody is left."""
        worst = min(failed, key=lambda one: one.failure.code if one.failure is not None else 0)
        reply = worst.failure
        if reply is not None and (reply.temporary or len(failed) == len(self._recipients)):
            raise Refused(reply, by=f"milter {worst.by}")

    async def _rewritten(self, store: Store) -> tuple[Mail, Examination]:
        found = self.examination
        envelope: dict[str, Any] = {
            "reverse_path": self.reverse_path,
            "recipients": tuple(one.recipient for one in self._recipients),
        }
        if not self._changed or self._discarded:
            mail = msgspec.structs.replace(self.mail, **envelope)
            return mail, msgspec.structs.replace(found, mail=msgspec.structs.replace(found.mail, **envelope))
        if self._wide and self.mail.body == "7BIT":
            envelope["body"] = "8BITMIME"  # RFC 6152
        content = await self.text.content(store)
        mail = msgspec.structs.replace(self.mail, content=content, **envelope)
        fresh = examine(mail, trusted=found.trusted)
        if fresh.claimed != found.claimed and found.authentication is not None:
            # What was found out is of the author as it came; nobody was asked about this one.
            found = msgspec.structs.replace(found, authentication=NOTHING_FOUND, aligned=set(), fields=[])
        return mail, msgspec.structs.replace(
            found, mail=mail, headers=fresh.headers, authors=fresh.authors, claimed=fresh.claimed
        )


def _has_own_replies(mail: Mail) -> bool:
    # RFC 2033 §4.2: over LMTP, as inside this program, every recipient has its own reply.
    return mail.via in (Via.LMTP, Via.LOCAL)


def _same(one: _Recipient, address: str) -> bool:
    return one.recipient.address.lower() == address.lower()


def _check(change: Change) -> None:
    if isinstance(change, AddRecipient) or (isinstance(change, ChangeSender) and change.address):
        try:
            parse_address(change.address)
        except AddressError as fault:
            raise ValueError(f"names an address that is none: {_readable(change.address)}") from fault


def _added(changes: list[Change]) -> int:
    return sum(isinstance(one, AddRecipient) for one in changes)


def plain_reply(reply: Reply) -> Reply:
    """Its words without what a terminal obeys, and few enough to be kept."""
    lines = (each if each.isprintable() else _printable(each) for each in reply.text.split("\n"))
    return msgspec.structs.replace(reply, text="\n".join(lines)[:MILTER_WORDS].rstrip("\n"))


def _printable(words: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in words)


def _readable(words: str) -> str:
    text = _printable(words)
    return text if len(text) <= MILTER_WORDS else f"{text[:MILTER_WORDS]}…"


def _name(change: Any) -> str:
    return bytes(change.name).decode("ascii", "replace")


_WORDS: Final[dict[type, Callable[[Any], str]]] = {
    AddHeader: lambda change: f"added {_name(change)}",
    InsertHeader: lambda change: f"added {_name(change)}",
    ChangeHeader: lambda change: f"{'changed' if change.value else 'removed'} {_name(change)}",
    AddRecipient: lambda change: f"added the recipient {change.address}",
    DeleteRecipient: lambda change: f"removed the recipient {change.address}",
    ChangeSender: lambda change: f"changed the sender to <{change.address}>",
}
