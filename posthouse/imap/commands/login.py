"""STARTTLS, AUTHENTICATE with SASL-IR (RFC 4959), LOGIN (RFC 9051 §6.2), and ENABLE (RFC 9051 §6.3.1).

Passwords are proved by the directory; nothing here tells a wrong name from a wrong password. A password in
the clear is taken only where the policy allows it (LOGINDISABLED otherwise).
"""

from __future__ import annotations

import binascii
import logging

import msgspec

from posthouse import limits
from posthouse.accounts.model import Login, LoginDelayed, LoginFailed
from posthouse.accounts.other_doors import opens
from posthouse.accounts.sasl_login import Cancelled, MechanismUnknown, ResponseMalformed, authenticate_sasl
from posthouse.imap.capabilities import capabilities, connection_facts
from posthouse.imap.commands.row import (
    AUTHENTICATED,
    NOT_AUTHENTICATED,
    Bad,
    Command,
    Completion,
    No,
    no_arguments,
)
from posthouse.imap.grammar import Reader
from posthouse.imap.notices import enable_metadata
from posthouse.imap.session import Session

log = logging.getLogger("posthouse.imap")


class AuthenticateArgs(msgspec.Struct, frozen=True):
    """A mechanism's name and its initial response, decoded, or None."""

    mechanism: str
    initial: bytes | None


class LoginArgs(msgspec.Struct, frozen=True):
    """Name and password as octets."""

    userid: bytes
    password: bytes


# --- STARTTLS ----------------------------------------------------------------------------------------------


async def run_starttls(session: Session, args: None) -> Completion:
    """Agree; the handshake follows the tagged OK."""
    if session.connection.tls is not None:
        raise Bad("TLS is active already")
    if session.services.tls is None:
        raise No(b"", "TLS is not available")
    return Completion(text="Begin TLS negotiation now", then=_start_tls)


async def _start_tls(session: Session) -> None:
    context = session.services.tls
    assert context is not None
    # RFC 9051 §6.2.1: nothing that was sent in the clear is acted upon; `start_tls` throws it away.
    await session.connection.start_tls(context)


# --- AUTHENTICATE ------------------------------------------------------------------------------------------


def parse_authenticate(reader: Reader, uid: bool) -> AuthenticateArgs:
    """`SP auth-type [SP initial-resp]`; a lone `=` is an empty response (RFC 4959 §3)."""
    reader.sp()
    mechanism = reader.atom().decode("ascii")
    initial = None
    if reader.accept_sp():
        raw = reader.text().rstrip(b" ")
        try:
            initial = b"" if raw == b"=" else binascii.a2b_base64(raw, strict_mode=True)
        except ValueError:
            raise reader.fail("The initial response is not base64") from None
    reader.end()
    return AuthenticateArgs(mechanism, initial)


async def run_authenticate(session: Session, args: AuthenticateArgs) -> Completion:
    """Run the SASL exchange."""

    async def ask(challenge: bytes) -> bytes:
        session.send(b"+ %b\r\n" % binascii.b2a_base64(challenge, newline=False))
        await session.flush()
        line = await session.read_line()
        if line == b"*":
            raise Cancelled("cancelled by the client")
        try:
            return binascii.a2b_base64(line, strict_mode=True) if line else b""
        except ValueError:
            raise Bad("The response is not base64") from None

    directory = session.services.directory
    try:
        login = await authenticate_sasl(
            directory, args.mechanism, args.initial, ask, connection_facts(session)
        )
    except Cancelled:
        raise Bad("Authentication cancelled") from None
    except MechanismUnknown:
        raise No(b"CANNOT", "This mechanism is not offered here") from None
    except ResponseMalformed as error:
        _count_failure(session)
        raise Bad(error.public) from None
    except (LoginFailed, LoginDelayed) as error:
        raise _refused(session, error) from None
    return await _logged_in(session, login)


# --- LOGIN -------------------------------------------------------------------------------------------------


def parse_login(reader: Reader, uid: bool) -> LoginArgs:
    """`SP userid SP password`, both astring."""
    reader.sp()
    userid = reader.astring()
    reader.sp()
    password = reader.astring()
    reader.end()
    return LoginArgs(userid, password)


async def run_login(session: Session, args: LoginArgs) -> Completion:
    """Name and password."""
    facts = connection_facts(session)
    if "PLAIN" not in facts.mechanisms():
        # RFC 9051 §6.2.3, RFC 5530 §3: LOGINDISABLED holds
        raise No(b"PRIVACYREQUIRED", "A password is taken only over TLS")
    try:
        login = await session.services.directory.authenticate(
            args.userid.decode("utf-8"), args.password.decode("utf-8"), facts.peer, "LOGIN", "imap"
        )
    except UnicodeDecodeError:
        raise _refused(session, LoginFailed("wrong name or password")) from None
    except (LoginFailed, LoginDelayed) as error:
        raise _refused(session, error) from None
    return await _logged_in(session, login)


async def _logged_in(session: Session, login: Login) -> Completion:
    services = session.services
    opens_jmap = bool(services.jmap_url) and await opens(services.directory, login, "jmap")
    session.log_in(login)
    session.jmap = opens_jmap
    session.failed_logins = 0
    connection = session.connection
    connection.set_total_timeout(None)
    connection.set_idle_timeout(limits.IMAP_AUTOLOGOUT)
    log.info(
        "login session=%s account=%s mechanism=%s tls=%s",
        connection.session_id,
        login.account.address,
        login.mechanism,
        connection.tls is not None,
    )
    # RFC 9051 §7.1: the capabilities changed, so tell them without being asked
    return Completion(b"CAPABILITY %b" % capabilities(session), "Logged in")


def _refused(session: Session, error: LoginFailed | LoginDelayed) -> No:
    _count_failure(session)
    code = b"AUTHENTICATIONFAILED" if isinstance(error, LoginFailed) else b"UNAVAILABLE"
    return No(code, error.public)


def _count_failure(session: Session) -> None:
    session.failed_logins += 1
    log.info("refused login session=%s peer=%s", session.connection.session_id, session.connection.peer.host)


# --- ENABLE ------------------------------------------------------------------------------------------------


def parse_enable(reader: Reader, uid: bool) -> list[bytes]:
    """`1*(SP capability)`."""
    reader.sp()
    names = [reader.keyword()]
    while reader.accept_sp():
        names.append(reader.keyword())
    reader.end()
    return names


async def run_enable(session: Session, names: list[bytes]) -> None:
    """Switch on what the client knows; unknown names are passed over (RFC 9051 §6.3.1)."""
    enabled = []
    for name in dict.fromkeys(names):
        if name == b"CONDSTORE":
            session.enable_condstore()
        elif name == b"QRESYNC":
            # RFC 7162 §3.2.3: QRESYNC implies CONDSTORE
            session.enable_condstore()
            session.qresync = True
        elif name == b"IMAP4REV2":
            session.rev2 = True
            name = b"IMAP4rev2"
        elif name == b"UTF8=ACCEPT":
            session.utf8_accept = True
        elif name == b"METADATA":
            await enable_metadata(session)
        else:
            continue
        enabled.append(b" " + name)
    session.send(b"* ENABLED%b\r\n" % b"".join(enabled))


STARTTLS: Command[None] = Command(
    name=b"STARTTLS", states=NOT_AUTHENTICATED, parse=no_arguments, run=run_starttls, rfc="RFC 9051 §6.2.1"
)
AUTHENTICATE: Command[AuthenticateArgs] = Command(
    name=b"AUTHENTICATE",
    states=NOT_AUTHENTICATED,
    parse=parse_authenticate,
    run=run_authenticate,
    waits=True,
    capabilities=(b"SASL-IR",),
    rfc="RFC 9051 §6.2.2, RFC 4959",
)
LOGIN: Command[LoginArgs] = Command(
    name=b"LOGIN", states=NOT_AUTHENTICATED, parse=parse_login, run=run_login, rfc="RFC 9051 §6.2.3"
)
ENABLE: Command[list[bytes]] = Command(
    name=b"ENABLE",
    states=AUTHENTICATED,
    parse=parse_enable,
    run=run_enable,
    capabilities=(b"ENABLE",),
    rfc="RFC 9051 §6.3.1, RFC 5161",
)
ROWS = (STARTTLS, AUTHENTICATE, LOGIN, ENABLE)
