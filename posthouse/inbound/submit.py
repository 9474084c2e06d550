"""The submission service: what a message from one of our own still lacks is added (RFC 6409 §8).

The envelope stays as it is. Message-ID and Date are added when missing, Sender when From names several; Bcc is
left out (`leave_out`); From and Sender must belong to the login. Added fields go into the prefix, so the text itself
stays as it is.
"""

from __future__ import annotations

from typing import Final

from posthouse.accounts.directory import Directory
from posthouse.inbound.authors import claimed_addresses
from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Via
from posthouse.message.automatic import is_automatic
from posthouse.message.date import format_date
from posthouse.smtp.replies import Reply

_NO_FROM: Final = Reply(550, "5.6.0", "The message needs a From field with an address")
_NULL_SENDER: Final = Reply(550, "5.7.1", "Only reports and automatic answers may have an empty sender")


class OwnAuthor:
    """The check of submission: From and Sender belong to the login (RFC 6409 §6.1, §8.1)."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def __call__(self, examination: Examination) -> Reply | None:
        login = examination.mail.login
        if login is None:
            return None if examination.mail.via is Via.LOCAL else _NULL_SENDER
        if not examination.authors or not all(author.domain for author in examination.authors):
            return _NO_FROM
        senders = [a for value in examination.headers.all("sender") for a in claimed_addresses(value)]
        for name, addresses in (("From", examination.claimed), ("Sender", senders)):
            for address in addresses:
                # A domain alone stands beside an address that was read whole.
                if address[0] != "@" and not await self._directory.may_send_as(login.account, address):
                    return Reply(550, "5.7.1", f"This login may not write as {address} ({name})")
        return None


async def null_sender(examination: Examination) -> Reply | None:
    """From a login the null reverse-path is for reports (RFC 8098 §3) and automatic answers (RFC 3834 §3.3) only."""
    if examination.mail.reverse_path or examination.mail.login is None:
        return None
    kind = (examination.headers.first("content-type") or b"").lower()
    if kind.startswith(b"multipart/report") or is_automatic(examination.headers):
        return None
    return _NULL_SENDER


def missing_fields(examination: Examination, hostname: str) -> list[bytes]:
    """The fields to add, CRLF-ended."""
    mail, headers = examination.mail, examination.headers
    added = []
    if len(examination.authors) > 1 and "sender" not in headers and mail.login is not None:
        # RFC 5322 §3.6.2: several authors need a Sender.
        added.append(f"Sender: {mail.login.account.address}\r\n".encode())
    if "date" not in headers:
        added.append(f"Date: {format_date(int(mail.received_at))}\r\n".encode())
    if "message-id" not in headers:
        added.append(f"Message-ID: <{mail.trace_id}@{hostname}>\r\n".encode())
    return added
