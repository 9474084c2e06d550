"""What the SMTP client works with: the envelope to send, what a server offers, and what must not be sent to it.

A message that a server cannot take is refused here, before a word of it is sent. We never convert: rewriting
MIME parts or headers breaks signatures and loses what was meant, so what a server does not offer ends in the
failure that RFC 6152 §3, RFC 3030 §3 and RFC 6531 §3.6 name as the alternative.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from posthouse.errors import LocalProtocolError
from posthouse.smtp.replies import Reply


class EnvelopeRecipient(msgspec.Struct, frozen=True):
    """A recipient with its DSN parameters (RFC 3461), empty where not given."""

    address: str
    notify: str = ""
    orcpt: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction's envelope."""

    reverse_path: str
    """Empty: the null reverse-path."""
    recipients: tuple[EnvelopeRecipient, ...]
    size: int
    """Octets of the message."""
    body: str = "7BIT"
    """"7BIT", "8BITMIME" or "BINARYMIME"."""
    smtputf8: bool = False
    """The addresses or the header need SMTPUTF8 (RFC 6531 §3.2)."""
    ret: str = ""
    envid: str = ""
    by: str = ""
    """What BY says (RFC 2852 §4): "120;RT"; empty: nothing."""


class ServerOffer(msgspec.Struct, frozen=True):
    """What EHLO told, by keyword in upper case; empty after HELO."""

    extensions: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def parse(cls, reply: Reply) -> ServerOffer:
        """Read the lines behind the first (RFC 5321 §4.1.1.1)."""
        found: dict[str, str] = {}
        for line in reply.text.split("\n")[1:]:
            keyword, _, argument = line.strip().partition(" ")
            if keyword[:5].upper() == "AUTH=":
                # Some servers still write "AUTH=LOGIN PLAIN", for old clients.
                keyword, argument = "AUTH", f"{keyword[5:]} {argument}"
            if keyword.upper() == "AUTH":
                argument = f"{found.get('AUTH', '')} {argument}".strip()
            if keyword:
                found[keyword.upper()] = argument.strip()
        return cls(MappingProxyType(found))

    def __contains__(self, keyword: str) -> bool:
        """Whether an extension is offered."""
        return keyword in self.extensions

    @property
    def mechanisms(self) -> frozenset[str]:
        """SASL mechanisms (RFC 4954 §3)."""
        return frozenset(self.extensions.get("AUTH", "").upper().split())

    @property
    def size(self) -> int:
        """Octets of the largest message it takes; 0: it does not say (RFC 1870 §4)."""
        text = self.extensions.get("SIZE", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0

    @property
    def deliver_by_least(self) -> int:
        """The least time that it can be given with DELIVERBY (RFC 2852 §2); 0: it does not say."""
        text = self.extensions.get("DELIVERBY", "").partition(",")[0].strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0

    def limit(self, name: str, otherwise: int) -> int:
        """A number from LIMITS (RFC 9422 §3), such as RCPTMAX; one that is not written as §4 has it is passed over."""
        for word in self.extensions.get("LIMITS", "").upper().split():
            key, _, value = word.partition("=")
            if key == name and _LIMIT.fullmatch(value):
                return int(value)
        return otherwise


_LIMIT: Final = re.compile(r"[1-9][0-9]{0,5}")


def refusal(envelope: Envelope, offer: ServerOffer) -> Reply | None:
    """Why a message cannot go to this server as it is; None when it can."""
    if offer.size and envelope.size > offer.size:
        # RFC 1870 §6.1: a message that exceeds the announced maximum would be refused with 552 anyway.
        return Reply(552, "5.3.4", f"The message has {envelope.size} octets, the server takes {offer.size}")
    if envelope.smtputf8 and "SMTPUTF8" not in offer:
        # RFC 6531 §3.6 with the codes of §3.5: what needs SMTPUTF8 must not be sent without.
        return _NO_UTF8_ADDRESS if _has_utf8_address(envelope) else _NO_UTF8_HEADER
    if ";R" in envelope.by and "DELIVERBY" not in offer:
        # RFC 2852 §4.1: what must come back in time may not go where nobody looks at the time.
        return Reply(554, "5.3.3", "The server does not know DELIVERBY, which the sender asked for")
    if ";R" in envelope.by and int(envelope.by.partition(";")[0]) < max(offer.deliver_by_least, 1):
        return Reply(550, "5.4.7", "The server cannot deliver it in the time that its sender set")
    needs = _NEEDED_FOR_BODY[envelope.body]
    if any(keyword not in offer for keyword in needs):
        return Reply(554, "5.6.3", f"The server does not take {envelope.body} content")
    return None


_NEEDED_FOR_BODY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "7BIT": (),
        "8BITMIME": ("8BITMIME",),  # RFC 6152 §3
        "BINARYMIME": ("BINARYMIME", "CHUNKING"),  # RFC 3030 §3
    }
)
_NO_UTF8_ADDRESS: Final = Reply(553, "5.6.7", "The server takes no internationalized addresses (SMTPUTF8)")
_NO_UTF8_HEADER: Final = Reply(554, "5.6.9", "The server takes no internationalized headers (SMTPUTF8)")


def _has_utf8_address(envelope: Envelope) -> bool:
    return not envelope.reverse_path.isascii() or any(
        not recipient.address.isascii() for recipient in envelope.recipients
    )


def mail_command(envelope: Envelope, offer: ServerOffer) -> bytes:
    """MAIL with the parameters that the server knows, CRLF-ended."""
    words = [f"MAIL FROM:<{envelope.reverse_path}>"]
    if "SIZE" in offer:
        words.append(f"SIZE={envelope.size}")
    if envelope.body != "7BIT":
        words.append(f"BODY={envelope.body}")
    if envelope.smtputf8:
        words.append("SMTPUTF8")
    if envelope.by and "DELIVERBY" in offer:
        words.append(f"BY={envelope.by}")
    if "DSN" in offer:
        # RFC 3461 §5.2.1: RET and ENVID go on exactly as they came, §5.2.2 (a): or not at all.
        words += [f"RET={envelope.ret}"] if envelope.ret else []
        words += [f"ENVID={envelope.envid}"] if envelope.envid else []
    return _line(words)


def rcpt_command(recipient: EnvelopeRecipient, offer: ServerOffer) -> bytes:
    """RCPT with the parameters that the server knows, CRLF-ended."""
    words = [f"RCPT TO:<{recipient.address}>"]
    if "DSN" in offer:
        words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
        # RFC 6533 §3: a UTF-8 ORCPT may go unescaped only to a server with SMTPUTF8.
        if recipient.orcpt and (recipient.orcpt.isascii() or "SMTPUTF8" in offer):
            words.append(f"ORCPT={recipient.orcpt}")
        elif recipient.orcpt:
            words.append(f"ORCPT={escape_orcpt(recipient.orcpt)}")
    return _line(words)


def _line(words: list[str]) -> bytes:
    """Raises LocalProtocolError where an address or a parameter would begin a command of its own."""
    line = " ".join(words)
    if "\r" in line or "\n" in line:
        raise LocalProtocolError("a line end in an envelope")
    return line.encode() + b"\r\n"


def escape_orcpt(orcpt: str) -> str:
    r"""RFC 6533 §3: characters outside ASCII as \x{HEX}, for a server without SMTPUTF8."""
    return "".join(character if character.isascii() else f"\\x{{{ord(character):X}}}" for character in orcpt)
