"""The one spelling of an address by which people are looked up.

Local parts are compared without case (RFC 5321 §2.4 leaves that to the receiving host, which we are) and in
Unicode's composed form; domains in lower case A-label form. `user+tag` is split here and nowhere else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from posthouse import limits
from posthouse.message.address import normalize_domain

TAG: Final = "+"
_RETURNING: Final = re.compile(r"srs[01][=+-]", re.IGNORECASE | re.ASCII)


def normalize_address(text: str) -> str:
    """`Local@Domain` as `local@domain` with an A-label domain. Raises ValueError when it is no address."""
    local, at, domain = text.rpartition("@")
    if not at or not local or len(text) > limits.LOGIN_OCTETS:
        raise ValueError("an address is written local@domain")
    return f"{normalize_local(local)}@{normalize_domain(domain)}"


def normalize_login(text: str, default_domain: str) -> str:
    """A login name as an address; a name without @ belongs to the default domain. Raises ValueError."""
    text = text.strip()
    if "@" not in text and default_domain:
        text = f"{text}@{default_domain}"
    return normalize_address(text)


def normalize_local(local: str) -> str:
    """A local part without case, without quotes that it does not need. Raises ValueError on NUL and controls."""
    if local.startswith('"') and local.endswith('"') and len(local) > 2:
        # RFC 5321 §4.1.2: "Joe.\Smith" and Joe.Smith are the same mailbox.
        local = _unquote(local[1:-1])
    if not local.isprintable():
        raise ValueError("a control character in an address")
    return local.lower() if local.isascii() else unicodedata.normalize("NFC", local).casefold()


def _unquote(quoted: str) -> str:
    out: list[str] = []
    escaped = False
    for character in quoted:
        if character == "\\" and not escaped:
            escaped = True
            continue
        out.append(character)
        escaped = False
    return "".join(out)


def split_tag(local: str) -> tuple[str, str]:
    """`user+tag` as (user, tag); a local part that begins with + has no tag."""
    user, plus, tag = local.partition(TAG)
    return (user, tag) if plus and user else (local, "")


def is_returning(local: str) -> bool:
    """Whether a local part is for what comes back to mail that was sent on (`inbound.sender_rewriting`).

    Nobody has such an address, so that notices never end in an account, an alias or a domain's collector.
    """
    return _RETURNING.match(local) is not None
