"""The door for local programs: what /usr/sbin/sendmail takes, through the same pipeline as port 587.

Whoever may use the control socket may send as anybody, as the superuser may with every mail system. Line ends
become CR LF, a missing From is added, recipients come from the command and with -t from To, Cc and Bcc (which the
pipeline takes out).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse.accounts.addresses import normalize_address
from posthouse.inbound.line_ends import with_crlf
from posthouse.inbound.mail import Mail, MailRecipient, Via, new_trace_id
from posthouse.inbound.pipeline import Pipeline
from posthouse.limits import SMTP_RECIPIENTS
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.smtp.replies import Reply
from posthouse.store.model import Content

_RECIPIENT_FIELDS: Final = ("to", "cc", "bcc")
_RESENT_FIELDS: Final = ("resent-to", "resent-cc", "resent-bcc")
_FROM_LINE: Final = re.compile(rb">?From (?![ \t]*:)[^\r\n]*(?:\r\n|\n|\r)?")
"""The envelope line of an mbox, which procmail and its kin leave in front. "From :" is a field, though an old one."""


class RecipientResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recipient."""

    address: str
    accepted: bool
    reply: str


class HandedIn(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message."""

    trace_id: str
    sender: str
    recipients: tuple[RecipientResult, ...]


class Sendmail:
    """Takes messages of local programs. `domain`: what an address without one belongs to."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        domain: str,
        message_size: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._domain = domain
        self._message_size = message_size
        self._now = now

    async def sendmail(
        self,
        *,
        recipients: tuple[str, ...] = (),
        from_header: bool = False,
        sender: str | None = None,
        user: str = "root",
        full_name: str = "",
        body: bytes = b"",
    ) -> HandedIn:
        """Hand in a message. ValueError: no recipients, too many, no address, too large.

        `sender`: the reverse-path, "" or "<>" for the null one; None: the user's own address.
        """
        envelope = _FROM_LINE.match(body)
        raw = await with_crlf(body if envelope is None else body[envelope.end() :])
        if len(raw) > self._message_size:
            raise ValueError(f"the message is larger than {self._message_size} octets")
        headers = Headers.scan(raw)
        wanted = list(map(self._address, recipients))
        if from_header:
            wanted += self._of_header(headers)
        unique = tuple(dict.fromkeys(wanted))
        if not 0 < len(unique) <= SMTP_RECIPIENTS:
            raise ValueError(f"{len(unique)} recipients: at least 1, at most {SMTP_RECIPIENTS}")
        author = self._address(user)
        reverse_path = author if sender is None else self._sender(sender)
        if "from" not in headers:
            raw = _from_field(full_name, reverse_path or author) + (raw if len(headers) else b"\r\n" + raw)
        mail = self._mail(reverse_path, unique, raw)
        replies = await self._pipeline.accept(mail)
        results = (
            RecipientResult(address=address, accepted=reply.accepted, reply=str(reply))
            for address, reply in zip(unique, replies, strict=True)
        )
        return HandedIn(trace_id=mail.trace_id, sender=reverse_path, recipients=tuple(results))

    async def probe(self, address: str, raw: bytes) -> Reply:
        """Deliver a message of our own from the null reverse-path (`trace --send`)."""
        return (await self._pipeline.accept(self._mail("", (address,), raw)))[0]

    def _mail(self, reverse_path: str, recipients: tuple[str, ...], raw: bytes) -> Mail:
        now = self._now()
        return Mail(
            trace_id=new_trace_id(now),
            reverse_path=reverse_path,
            recipients=tuple(map(MailRecipient, recipients)),
            content=Content.of(raw),
            received_at=now,
            body="7BIT" if raw.isascii() else "8BITMIME",
            smtputf8=not all(address.isascii() for address in (reverse_path, *recipients)),
            via=Via.LOCAL,
            protocol="local",
        )

    def _address(self, text: str) -> str:
        """An address with its domain; a bare name belongs to ours. ValueError."""
        text = text.strip().removeprefix("<").removesuffix(">")
        full = text if "@" in text else f"{text}@{self._domain}"
        normalize_address(full)
        return full

    def _sender(self, text: str) -> str:
        return "" if text in {"", "<>"} else self._address(text)

    def _of_header(self, headers: Headers) -> list[str]:
        """RFC 5322 §3.6.6: a resent message goes to those it is resent to."""
        fields = _RESENT_FIELDS if any(name in headers for name in _RESENT_FIELDS) else _RECIPIENT_FIELDS
        return [
            self._address(mailbox.address if mailbox.domain else mailbox.local)
            for name in fields
            for value in headers.all(name)
            for mailbox in flat(parse_mailbox_list(value))
        ]


def _from_field(full_name: str, address: str) -> bytes:
    """A From field with its CR LF; the name in quotes, without what would break them."""
    plain = "".join(c for c in full_name if c.isprintable() and c not in '"\\')
    return (f'From: "{plain}" <{address}>\r\n' if plain else f"From: {address}\r\n").encode()
