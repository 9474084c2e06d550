"""The envelope of a submission (RFC 8621 §7): addresses, and parameters of MAIL and RCPT, held to SMTP's own grammar.

What stands there becomes part of commands to other hosts: nothing passes that port 587 would refuse.
"""

from __future__ import annotations

import re
from typing import Final

from posthouse import limits
from posthouse.inbound.outbox import Envelope
from posthouse.jmap import dates
from posthouse.jmap.errors import Rejected, invalid
from posthouse.message.address import AddressError, parse_address
from posthouse.smtp.extensions import mail_parameters, rcpt_parameters
from posthouse.smtp.replies import CommandError

_HOLD: Final = frozenset({"HOLDFOR", "HOLDUNTIL"})
"""RFC 4865: ours alone, and never sent on."""
_EXTENSIONS: Final = frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "DSN"})


def is_address(email: str) -> bool:
    """Whether it is one that SMTP can name."""
    try:
        parse_address(email)
    except AddressError:
        return False
    return True


def check_parameters(envelope: Envelope) -> None:
    """Rejected invalidProperties for what SMTP does not know or cannot read."""
    try:
        mail_parameters(
            tuple(one for one in _upper(envelope.mail_from.parameters) if one[0] not in _HOLD), _EXTENSIONS
        )
        for each in envelope.rcpt_to:
            rcpt_parameters(_upper(each.parameters), _EXTENSIONS)
    except CommandError as fault:
        raise invalid(fault.reply.text, "envelope") from fault


def _upper(parameters: dict[str, str | None] | None) -> tuple[tuple[str, str | None], ...]:
    return tuple((name.upper(), value) for name, value in (parameters or {}).items())


def seconds_held(envelope: Envelope, now: float) -> float:
    """Seconds to hold (RFC 4865 §4). Rejected invalidProperties."""
    given = {k.upper(): v for k, v in (envelope.mail_from.parameters or {}).items()}
    if "HOLDFOR" in given and "HOLDUNTIL" in given:
        raise invalid("HOLDFOR or HOLDUNTIL, not both", "envelope")
    seconds = 0.0
    if "HOLDFOR" in given:
        if not re.fullmatch(r"\d{1,9}", given["HOLDFOR"] or ""):
            raise invalid("HOLDFOR is a number of seconds", "envelope")
        seconds = float(given["HOLDFOR"] or 0)
    elif "HOLDUNTIL" in given:
        try:
            seconds = max(0.0, dates.parse(given["HOLDUNTIL"], "envelope")[0] - now)
        except Rejected as fault:
            raise invalid("HOLDUNTIL is a date", "envelope") from fault
    if seconds > limits.JMAP_HOLD:
        raise invalid(f"at most {limits.JMAP_HOLD} seconds", "envelope")
    return seconds
