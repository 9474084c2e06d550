"""The Received field that we put before every message (RFC 5321 §4.4).

It tells who gave us the message and how: the name the peer gave itself and its address, protocol word
(RFC 3848), TLS, our trace id, and the recipient when there is only one (more would show blind copies). On
submission the client's name and address are kept to ourselves unless configured otherwise.
"""

from __future__ import annotations

from posthouse.inbound.mail import Mail, Via
from posthouse.message.date import format_date


def protocol_word(*, lmtp: bool, extended: bool, utf8: bool, tls: bool, login: bool) -> str:
    """The "with" word: SMTP, ESMTP, ESMTPSA, LMTPS, UTF8SMTPSA, … (RFC 3848, RFC 6531 §4.3)."""
    marks = ("S" if tls else "") + ("A" if login else "")
    if utf8:
        return ("UTF8LMTP" if lmtp else "UTF8SMTP") + marks
    if lmtp:
        return "LMTP" + marks
    return "ESMTP" + marks if extended else "SMTP"


def received_field(mail: Mail, hostname: str, *, show_client: bool) -> bytes:
    """The field with its CRLF."""
    lines = [
        f"Received: from {_from(mail, show_client)}",
        f"\tby {hostname} (Posthouse) with {mail.protocol or 'LMTP'} id {mail.trace_id}",
    ]
    if mail.tls:
        lines.append(f"\t({mail.tls})")
    if len(mail.recipients) == 1 and mail.recipients[0].address.isascii():
        # RFC 5321 §4.4: the FOR clause has exactly one path; §7.2: no more than that, for blind copies' sake.
        lines.append(f"\tfor <{mail.recipients[0].address}>")
    lines[-1] += ";"
    lines.append(f"\t{format_date(int(mail.received_at))}\r\n")
    return "\r\n".join(lines).encode("utf-8", "replace")


def _from(mail: Mail, show_client: bool) -> str:
    if mail.login is not None and mail.via is Via.SUBMISSION and not show_client:
        return "localhost (logged in)"
    name = mail.helo or "localhost"
    if not mail.peer:
        return f"{name} (local)"
    # RFC 5321 §4.1.3: IPv6 addresses are tagged.
    literal = f"[IPv6:{mail.peer}]" if ":" in mail.peer else f"[{mail.peer}]"
    return f"{name} ({literal})"
