"""What a script may know of the message it looks at, and of the moment."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from posthouse.message.headers import Headers


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One message on its way into one account."""

    headers: Headers
    """Of what will be stored: with Return-Path, Received and what our checks wrote in front."""
    content: bytes
    """The whole message with these headers, if the script `reads_text`; else its header section alone is enough."""
    size: int
    """Octets of the whole message (RFC 5228 §5.9)."""
    sender: str = ""
    """The reverse-path; empty: `<>` (RFC 5228 §5.4)."""
    recipient: str = ""
    """The address of RCPT that led to this account, with its detail (`user+detail`)."""
    authenticated: str = ""
    """The login of who submitted it (`envelope "auth"` of some servers); empty: nobody."""
    address: str = ""
    """The account's own."""
    now: float = 0.0
    """POSIX seconds (RFC 5260 §4.2)."""
    offset: int = 0
    """Minutes east of Greenwich that `currentdate` counts in."""
    environment: Mapping[str, str] = {}
    """RFC 5183 §4.1: items by name."""
    spam: int = 0
    """RFC 5235 §2.2: 0 not judged, 1 surely wanted … 10 surely not."""
    spam_percent: int = -1
    """RFC 5235 §2.3: -1 not judged, 0 … 100."""
    virus: int = 0
    """RFC 5235 §3: 0 not looked at, 1 none … 5 surely one."""
