"""How a login that did not succeed is answered (RFC 4954 §6).

Wrong names, wrong passwords and disabled accounts are not told apart; faults of ours are temporary.
"""

from __future__ import annotations

from typing import Final

from posthouse.accounts.model import LoginDelayed, LoginFailed
from posthouse.accounts.sasl_login import MechanismUnknown, ResponseMalformed
from posthouse.errors import Temporary
from posthouse.inbound.pipeline import reply_to_fault
from posthouse.smtp.replies import CommandError, Reply

_LOGIN_REFUSALS: Final[tuple[tuple[type[Exception], Reply], ...]] = (
    # the first that fits
    (ResponseMalformed, Reply(501, "5.5.2", "That response breaks the mechanism's rules")),
    (LoginFailed, Reply(535, "5.7.8", "Wrong name or password")),
    (MechanismUnknown, Reply(504, "5.5.4", "Mechanism not known here")),
    (LoginDelayed, Reply(454, "4.7.0", "Too many failed logins, try again later")),
    (Temporary, Reply(454, "4.7.0", "Login is not possible now, try again later")),
)


def login_refusal(fault: Exception, trace_id: str) -> Reply:
    """The reply to a login that did not succeed."""
    if isinstance(fault, CommandError):
        return fault.reply
    found = (reply for kind, reply in _LOGIN_REFUSALS if isinstance(fault, kind))
    return next(found, None) or reply_to_fault(fault, trace_id)
