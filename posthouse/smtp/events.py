"""What the server core asks for and tells: values without behaviour.

After MailFrom, RcptTo, StartTls, Login, ClientTold and MessageReceived the core waits for the answer that their
docstrings name and takes nothing else meanwhile.
"""

from __future__ import annotations

import msgspec

from posthouse.smtp.extensions import MailParameters, RcptParameters, Role
from posthouse.smtp.replies import Reply
from posthouse.smtp.xclient import Told


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a listener is and allows."""

    hostname: str
    role: Role
    message_size: int
    """Octets of the largest message."""
    recipients: int
    tls_available: bool
    login_required: bool
    """No MAIL without a login (RFC 6409 §4.3)."""


class MailFrom(msgspec.Struct, frozen=True, kw_only=True):
    """May this sender begin a transaction? Answer with `answered`."""

    reverse_path: str
    parameters: MailParameters


class RcptTo(msgspec.Struct, frozen=True, kw_only=True):
    """May this recipient be added? Answer with `answered`."""

    address: str
    parameters: RcptParameters


class ReceiveData(msgspec.Struct, frozen=True):
    """Send `reply`, then read dotted text; tell each piece to `content`, its end to `content_ended`."""

    reply: Reply


class ReceiveChunk(msgspec.Struct, frozen=True):
    """Read exactly `size` octets, tell each piece to `content` and the end to `content_ended`."""

    size: int


class StartTls(msgspec.Struct, frozen=True):
    """Send `reply`, do the handshake, then `tls_started`."""

    reply: Reply


class Login(msgspec.Struct, frozen=True):
    """Run the exchange, then `login_ended`. Lines from the peer go through `login_response`."""

    mechanism: str
    initial: bytes | None


class ClientTold(msgspec.Struct, frozen=True):
    """A host that hands on the mail of others tells whose; answer with `restarted`."""

    told: Told


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as it was agreed."""

    reverse_path: str
    parameters: MailParameters
    recipients: tuple[RcptTo, ...]


class MessageReceived(msgspec.Struct, frozen=True):
    """A whole message is here. Answer with `delivered`."""

    envelope: Envelope


Event = MailFrom | RcptTo | ReceiveData | ReceiveChunk | StartTls | Login | ClientTold | MessageReceived
