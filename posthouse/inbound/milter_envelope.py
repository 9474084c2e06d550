"""What filters are told of a message's envelope: the words of MAIL and RCPT, and macros by the names that Sendmail and
Postfix gave them."""

from __future__ import annotations

from typing import Final

from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.milter_passage import Passage
from posthouse.milter.packets import Ask
from posthouse.milter.shown import Envelope
from posthouse.msgauth.results import Result

_HERE: Final = "127.0.0.1"
"""Who has no address: this machine, by a Unix socket or from inside."""

Pairs = tuple[tuple[str, str], ...]


def envelope_of(passage: Passage, hostname: str) -> Envelope:
    """The envelope as the filters before left it."""
    mail, examination = passage.mail, passage.examination
    address, helo = _client(examination)
    name = "localhost" if address == _HERE else _proved_name(examination)
    return Envelope(
        address=address,
        name=name,
        helo=helo or hostname,
        reverse_path=passage.reverse_path,
        parameters=_parameters(mail),
        recipients=passage.addresses,
        macros=_macros(mail, address, name, hostname),
    )


def _client(examination: Examination) -> tuple[str, str]:
    """Address and name of who gave it to us, or to the host of ours that hands it on."""
    if examination.trusted and examination.client is not None:
        return examination.client.address, examination.client.helo
    return examination.mail.peer or _HERE, examination.mail.helo


def _proved_name(examination: Examination) -> str:
    found = examination.authentication
    return found.iprev.name if found is not None and found.iprev.result is Result.PASS else ""


def _parameters(mail: Mail) -> tuple[str, ...]:
    said = [f"SIZE={mail.content.size}"]  # RFC 1870
    said += [f"BODY={mail.body}"] if mail.body != "7BIT" else []
    said += ["SMTPUTF8"] if mail.smtputf8 else []
    return tuple(said)


def _macros(mail: Mail, address: str, name: str, hostname: str) -> dict[Ask, Pairs]:
    version, _, cipher = mail.tls.partition(" ")
    id_: Pairs = (("i", mail.trace_id),)
    login: Pairs = ()
    if mail.login is not None:
        login = (
            ("{auth_type}", mail.login.mechanism),
            ("{auth_authen}", mail.login.account.address),
            ("{auth_author}", mail.reverse_path),
        )
    elif mail.via is Via.LOCAL:
        login = (("{auth_type}", "local"),)
    tls: Pairs = (("{tls_version}", version), ("{cipher}", cipher))
    return {
        Ask.CONNECT: (
            ("j", hostname),
            ("{daemon_name}", mail.via.value),
            ("v", "Posthouse"),
            ("_", f"{name or 'unknown'} [{address}]"),
            ("{client_addr}", address),
            ("{client_name}", name or "unknown"),
        ),
        Ask.HELO: tls,
        Ask.MAIL: (*id_, *login, ("{mail_addr}", mail.reverse_path)),
        Ask.DATA: id_,
        Ask.END_OF_HEADER: id_,
        Ask.END_OF_BODY: id_,
    }
