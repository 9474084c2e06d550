"""IMAP URLs of messages and parts of messages (RFC 5092, and RFC 2192 before it), as CATENATE takes them. Pure.

An absolute URL names a server, and perhaps a user; a relative one is read against the mailbox that is selected. What
else a URL may mean (a server, a mailbox, a search, what URLAUTH permits) is not taken.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from posthouse.imap import mailbox_name
from posthouse.imap.fetch_args import Partial, Section, parse_section
from posthouse.imap.grammar import BadSyntax

_CHARACTER: Final = r"[A-Za-z0-9\-._~!$'()*+,&=:@]|%[0-9A-Fa-f]{2}"
"""bchar but `/` (RFC 5092 §11)."""
_SERVER: Final = re.compile(
    rf"(?:imap:)?//(?:(?P<user>(?:(?!@)(?:{_CHARACTER}))*)(?:;AUTH=(?:\*|[A-Za-z0-9\-_]+))?@)?"
    r"(?P<host>[A-Za-z0-9\-._]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?=/)",
    re.IGNORECASE,
)
_MESSAGE: Final = re.compile(
    rf"(?P<mailbox>(?:{_CHARACTER}|/(?!;))*+)(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{{0,9}}))?(?:/|^);UID=(?P<uid>[1-9][0-9]{{0,9}})"
    rf"(?:/;SECTION=(?P<section>(?:{_CHARACTER}|/(?!;))++))?"
    r"(?:/;PARTIAL=(?P<offset>[0-9]{1,19})(?:\.(?P<length>[1-9][0-9]{0,18}))?)?",
    re.IGNORECASE,
)
_PORT: Final = "143"
"""The port of an `imap:` URL that names none (RFC 5092 §10)."""
_MOST: Final = 2**32 - 1
_REST: Final = 2**63 - 1


class BadUrl(ValueError):
    """Not the URL of a message or a part of one; the text says why."""


class Server(msgspec.Struct, frozen=True):
    """Whose URLs are taken, and what relative ones are relative to."""

    hosts: frozenset[str]
    """Its names, in lower case."""
    user: str
    mailbox: str
    """The selected one; empty: none is."""


class MessageUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A message, or the part of it that FETCH would give as `section`."""

    mailbox: str
    uid_validity: int | None
    uid: int
    section: Section


def parse_message_url(raw: bytes, server: Server) -> MessageUrl:
    """A URL of this server. Raises BadUrl."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadUrl("A URL is ASCII") from None
    start = _SERVER.match(text)
    if start is not None:
        _check_server(start, server)
        text = text[start.end() :]
    found = _MESSAGE.fullmatch(text)
    if found is None:
        raise BadUrl("Not the URL of a message or a part of one")
    uid, validity = int(found["uid"]), int(found["validity"] or 0)
    if uid > _MOST or validity > _MOST:
        raise BadUrl("A number is too large")
    return MessageUrl(
        mailbox=_mailbox(found, server.mailbox if start is None else ""),
        uid_validity=validity or None,
        uid=uid,
        section=_section(found),
    )


def _check_server(found: re.Match[str], server: Server) -> None:
    user = unquote_to_bytes(found["user"] or "").decode("utf-8", "replace")
    here = found["host"].lower().rstrip(".") in server.hosts and (found["port"] or _PORT) == _PORT
    if not here or (user and user.lower() != server.user.lower()):
        raise BadUrl("The URL is another server's or another user's")


def _mailbox(found: re.Match[str], selected: str) -> str:
    given = found["mailbox"]
    if found[0].startswith(";") and selected:
        return selected
    path = given.removeprefix("/")
    if not path:
        raise BadUrl("The URL names no mailbox")
    if path == given and ":" in path.partition("/")[0]:
        raise BadUrl("The URL is of another kind")  # RFC 3986 §4.2: a relative path cannot begin so
    if path == given and "/" in selected:
        # RFC 3986 §5.2.3: a relative path stands in the place of the last level
        path = _quoted(selected.rpartition("/")[0]) + "/" + path
    return mailbox_name.decode(unquote_to_bytes(path), utf8=True)


def _quoted(name: str) -> str:
    return name.replace("%", "%25")


def _section(found: re.Match[str]) -> Section:
    partial = None
    if found["offset"] is not None:
        partial = Partial(min(int(found["offset"]), _REST), min(int(found["length"] or _REST), _REST))
    try:
        section = parse_section(unquote_to_bytes(found["section"] or ""))
    except BadSyntax as error:
        raise BadUrl(f"No such section: {error.public}") from None
    return msgspec.structs.replace(section, partial=partial)
