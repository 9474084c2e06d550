"""LANGUAGE (RFC 5255 §3): in which language replies speak to people."""

from __future__ import annotations

from typing import Final

from posthouse import limits
from posthouse.imap import encode
from posthouse.imap.commands.row import ANY, Command, No
from posthouse.imap.grammar import Reader
from posthouse.imap.languages import TAGS, choose_language
from posthouse.imap.session import Session


def parse_language(reader: Reader, uid: bool) -> tuple[str, ...]:
    """`*(SP lang-range-quoted)`."""
    ranges: list[str] = []
    while reader.accept_sp():
        if len(ranges) >= limits.IMAP_LANGUAGES:
            raise reader.fail("Too many languages")
        # `*`, which is a range too (RFC 4647 §2.1), is no astring
        ranges.append("*" if reader.accept(b"*") else reader.astring().decode("ascii", "replace"))
    reader.end()
    return tuple(ranges)


async def run_language(session: Session, ranges: tuple[str, ...]) -> None:
    """Speak the first of the languages that is known, from here on; without one, tell which are."""
    if not ranges:
        session.send(b"* LANGUAGE (%b)\r\n" % b" ".join(_shown(tag) for tag in TAGS))
        return
    chosen = choose_language(ranges)
    if chosen is None:
        raise No(b"", "None of these languages is spoken here")
    session.language = chosen
    # RFC 5255 §3.2: the change takes effect behind this response
    session.send(b"* LANGUAGE (%b)\r\n" % _shown(chosen))


def _shown(tag: str) -> bytes:
    return encode.astring(tag.encode("ascii"))


LANGUAGE: Final = Command(
    name=b"LANGUAGE",
    states=ANY,
    parse=parse_language,
    run=run_language,
    capabilities=(b"LANGUAGE",),
    rfc="RFC 5255 §3.2",
)
ROWS: Final = (LANGUAGE,)
