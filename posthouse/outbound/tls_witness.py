"""How TLS with other mail hosts went, told for the reports that their domains ask for (RFC 8460).

Fresh sessions are told, and hosts that were passed over because of a published policy; not those with our own
smarthost. Reports and bounces are left out, or two houses would report each other's reports for ever.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from posthouse import limits
from posthouse.msgauth.tls_report_writer import FAILED, NOT_OFFERED, TLSA_INVALID, TlsSeen, failure_word
from posthouse.outbound.mx import Host
from posthouse.outbound.parcel import Parcel
from posthouse.outbound.session import Session, SessionFailed, Target
from posthouse.smtp.client_states import NO_TLS


class TlsWitness:
    """Tells what it sees."""

    def __init__(self, tell: Callable[[str, TlsSeen], None] | None, *, relayed: bool) -> None:
        """`tell`: hears of a domain and what one session with its host came to; `relayed`: we send by a smarthost."""
        self._tell = tell
        self._relayed = relayed

    def session(self, parcel: Parcel, target: Target, session: Session | SessionFailed) -> None:
        """A fresh session, or why there is none."""
        seen = _seen(target, session)
        if seen is None or target.login is not None:
            return
        if seen.result:
            seen = msgspec.structs.replace(
                seen,
                mx=target.host,
                receiving_ip=target.address,
                sending_ip=session.from_address if isinstance(session, Session) else "",
            )
        self._note(parcel, target.host, seen)

    def untrusted(self, parcel: Parcel, host: Host, seen: TlsSeen) -> None:
        """A host that was not even connected to."""
        self._note(parcel, host.name, msgspec.structs.replace(seen, mx=host.name))

    def _note(self, parcel: Parcel, host: str, seen: TlsSeen) -> None:
        if self._tell is None or host.startswith("[") or not parcel.message.reverse_path:
            return
        if parcel.backup or not self._relayed:
            reason = seen.reason[: limits.TLS_REASON]
            self._tell(parcel.destination, msgspec.structs.replace(seen, reason=reason))


def _seen(target: Target, session: Session | SessionFailed) -> TlsSeen | None:
    """What a session came to; None: it failed by something else."""
    policy, problem = target.policy, session.tls_problem
    if problem:
        return policy.seen(failure_word(problem), problem)
    if isinstance(session, SessionFailed):
        return policy.seen(NOT_OFFERED) if session.reply.enhanced == NO_TLS else None
    if not session.tls:
        return policy.seen(NOT_OFFERED)
    if policy.objection:
        return policy.seen(TLSA_INVALID if policy.dane else FAILED, policy.objection)
    return policy.seen()
