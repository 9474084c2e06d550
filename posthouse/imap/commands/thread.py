"""THREAD and UID THREAD (RFC 5256): what is found, as conversations.

The trees are made in `message.thread_tree`; here the headers that they rest on are read, many at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.imap.commands.row import SELECTED, Command
from posthouse.imap.commands.search import highest_modseq, look, numbers_of
from posthouse.imap.search_keys import ThreadArgs, Threading
from posthouse.imap.search_parser import parse_thread
from posthouse.imap.searching import Places, Search
from posthouse.imap.session import Session
from posthouse.message.headers import Headers, decode_value
from posthouse.message.thread_tree import Letter, Node, by_references, by_subject
from posthouse.message.threading import marked_subject, message_ids

_MAKE: Final = {Threading.ORDEREDSUBJECT: by_subject, Threading.REFERENCES: by_references}


async def run_thread(session: Session, args: ThreadArgs) -> None:
    """Find, thread, and answer with THREAD."""
    search, places = await look(session, args.search)
    letters: list[Letter] = []
    async for some in _letters(session, search, places):
        letters += some
    trees = await asyncio.to_thread(_MAKE[args.algorithm], letters)
    numbers = numbers_of(search, places)
    modseq = highest_modseq(search, places)
    line = b"* THREAD" + (b" " if trees else b"") + await asyncio.to_thread(_rendered, trees, numbers)
    if trees and modseq:
        line += b" (MODSEQ %d)" % modseq  # RFC 7162 §3.1.6
    session.send(line + b"\r\n")


async def _letters(session: Session, search: Search, places: Places) -> AsyncIterator[list[Letter]]:
    account_id, snapshot = search.account_id, search.snapshot
    for some in _by_octets(places, snapshot.sizes):
        numbers = [snapshot.email_ids[place] for place in some]
        sent = await session.store.emails(account_id, numbers, ["sent_at"])
        if snapshot.sizes[some[0]] > limits.IMAP_WHOLE_FOR_HEADER:
            raws: list[bytes | None] = [await _beginning(session, account_id, numbers[0])]
        else:
            raws = await session.store.messages(account_id, numbers)
        moments = [row[0] if row is not None else 0 for row in sent]
        yield await asyncio.to_thread(_read, raws, moments)


def _by_octets(places: Places, sizes: Sequence[int]) -> list[Places]:
    """Parts that hold few enough octets; a large message stands alone."""
    parts: list[Places] = []
    octets = limits.IMAP_FETCH_BYTES
    for place in places:
        octets += sizes[place]
        whole = sizes[place] <= limits.IMAP_WHOLE_FOR_HEADER
        if not whole or octets > limits.IMAP_FETCH_BYTES or len(parts[-1]) >= limits.IMAP_FETCH_ROWS:
            parts.append([])
            octets = sizes[place] if whole else limits.IMAP_FETCH_BYTES
        parts[-1].append(place)
    return parts


async def _beginning(session: Session, account_id: int, email_id: int) -> bytes | None:
    (stored,) = await session.store.stored(account_id, [email_id])
    if stored is None:
        return None
    try:
        return await session.store.read(stored, 0, limits.MESSAGE_HEADER)
    except NotFound:
        return None


def _read(raws: list[bytes | None], moments: list[int]) -> list[Letter]:
    return [_letter(Headers.scan(raw or b""), sent_at) for raw, sent_at in zip(raws, moments, strict=True)]


def _letter(headers: Headers, sent_at: int) -> Letter:
    subject, is_answer = marked_subject(decode_value(headers.last("subject") or b""))
    references = _ids(headers, "references")[-limits.THREAD_REFERENCES :] or _ids(headers, "in-reply-to")[:1]
    return Letter(
        message_id=next(iter(_ids(headers, "message-id")), b""),
        references=tuple(references),
        subject=subject,
        is_answer=is_answer,
        sent_at=sent_at,
    )


def _ids(headers: Headers, name: str) -> list[bytes]:
    # RFC 5256 §3: an id is the same with its left part in quotes.
    return [found.replace(b'"', b"") for found in message_ids(headers.last(name))]


def _rendered(trees: list[Node], numbers: Sequence[int]) -> bytes:
    """The thread lists (RFC 5256 §4): a chain of answers is one list, which ends where it splits into several."""
    pieces: list[str] = []
    waiting: list[Node | str] = [*reversed(trees)]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            pieces.append(one)
            continue
        words: list[str] = []
        while True:
            if not one.is_dummy:
                words.append(str(numbers[one.at]))
            if len(one.children) != 1:
                break
            one = one.children[0]
        pieces.append("(" + " ".join(words) + (" " if words and one.children else ""))
        waiting.append(")")
        waiting += reversed(one.children)
    return "".join(pieces).encode("ascii")


THREAD: Final = Command(
    name=b"THREAD",
    states=SELECTED,
    parse=parse_thread,
    run=run_thread,
    uid=True,
    expunges=False,
    capabilities=(b"THREAD=ORDEREDSUBJECT", b"THREAD=REFERENCES"),
    rfc="RFC 5256 §3",
)
ROWS: Final = (THREAD,)
