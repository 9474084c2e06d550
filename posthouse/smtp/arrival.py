"""From a transaction as it was agreed, and what is known of its session, to the Mail that the pipeline takes. Pure."""

from __future__ import annotations

import msgspec

from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.inbound.policy import Peer
from posthouse.inbound.received import protocol_word
from posthouse.net.tls import TlsInfo
from posthouse.smtp import events
from posthouse.store.model import Content


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """When, from whom and how a message came."""

    trace_id: str
    at: float
    """POSIX seconds."""
    helo: str
    extended: bool
    """By EHLO or LHLO, not HELO."""
    peer: Peer
    tls: TlsInfo | None


def mail_of(envelope: events.Envelope, content: Content, arrival: Arrival) -> Mail:
    """The message for the pipeline."""
    parameters, peer, tls = envelope.parameters, arrival.peer, arrival.tls
    word = protocol_word(
        lmtp=peer.via is Via.LMTP,
        extended=arrival.extended,
        utf8=parameters.smtputf8,
        tls=tls is not None,
        login=peer.login is not None,
    )
    seconds, _, by_mode = parameters.by.partition(";")
    return Mail(
        trace_id=arrival.trace_id,
        reverse_path=envelope.reverse_path,
        recipients=tuple(map(_recipient, envelope.recipients)),
        content=content,
        received_at=arrival.at,
        helo=arrival.helo,
        peer=peer.address,
        login=peer.login,
        smtputf8=parameters.smtputf8,
        body=parameters.body,
        ret=parameters.ret,
        envid=parameters.envid,
        deliver_by=arrival.at + int(seconds) if by_mode else 0.0,
        by_mode=by_mode,
        via=peer.via,
        protocol=word,
        tls=f"{tls.version} {tls.cipher}" if tls is not None else "",
    )


def _recipient(event: events.RcptTo) -> MailRecipient:
    return MailRecipient(event.address, event.parameters.notify, event.parameters.orcpt)
