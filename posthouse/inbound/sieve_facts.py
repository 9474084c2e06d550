"""What a script is told of the message (`sieve.facts`), and the message as a script has changed it.

Its header is the one that will be stored: with Return-Path and Delivered-To, what our checks found, and Received. The
text is read only for scripts that look into it, of large messages SIEVE_TEXT octets, off the event loop.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from posthouse import __version__
from posthouse.inbound.filtered import Passage
from posthouse.inbound.sieve_means import Means
from posthouse.limits import MESSAGE_HEADER, SIEVE_TEXT, STAGE_BLOCK
from posthouse.message.headers import Headers
from posthouse.sieve.facts import Facts
from posthouse.store.interface import Store
from posthouse.store.model import Content

_LOCATION: Final = "MDA"  # RFC 5183 §4.1: it runs where mail is put into mailboxes


class Shape(msgspec.Struct, frozen=True):
    """A message as it is stored or sent on."""

    prefix: bytes
    content: Content


async def facts_of(passage: Passage, means: Means, *, whole: bool) -> Facts:
    """`whole`: the script reads the text."""
    mail, prefix = passage.mail, passage.prefix
    text = mail.content.beginning()
    if whole:
        if mail.content.path is not None:
            text = await asyncio.to_thread(_beginning, mail.content)
        content = (prefix + text)[: max(SIEVE_TEXT, MESSAGE_HEADER)]
        headers = Headers.scan(content)
    else:
        headers = Headers.scan(prefix + text[:MESSAGE_HEADER])
        content = headers.raw[: headers.end]
    ruling = passage.ruling
    return Facts(
        headers=headers,
        content=content,
        size=len(prefix) + mail.content.size,
        sender=mail.reverse_path,
        recipient=passage.recipient.address,
        authenticated=mail.login.account.address if mail.login is not None else "",
        address=passage.box.account.address,
        now=means.now(),
        environment=_environment(passage, means),
        spam=0 if ruling.junk_percent < 0 else min(10, 1 + ruling.junk_percent // 10),
        spam_percent=ruling.junk_percent,
        virus=ruling.virus,
    )


def _environment(passage: Passage, means: Means) -> dict[str, str]:
    """RFC 5183 §4.1; what is not known is not there."""
    mail = passage.mail
    found = {
        "domain": passage.box.account.address.rpartition("@")[2],
        "host": means.hostname,
        "location": _LOCATION,
        "name": "Posthouse",
        "phase": "during" if passage.open else "post",
        "remote-host": mail.helo,
        "remote-ip": mail.peer,
        "version": __version__,
    }
    return {name: value for name, value in found.items() if value}


def _beginning(content: Content) -> bytes:
    """In a thread: as much of a staged message as a script may see."""
    pieces: list[bytes] = []
    left = SIEVE_TEXT
    for block in content.blocks(STAGE_BLOCK):
        pieces.append(block[:left])
        left -= len(pieces[-1])
        if left <= 0:
            break
    return b"".join(pieces)


async def changed_shape(passage: Passage, facts: Facts, changed: bytes, store: Store) -> Shape | None:
    """The message as the script has changed it; None: it is so large that only its header could have been changed."""
    if len(facts.content) == facts.size:
        return Shape(b"", Content.of(changed))
    seen = facts.content[facts.headers.end :]
    if not changed.endswith(seen):
        return None
    head = changed[: len(changed) - len(seen)]
    content = passage.mail.content
    if content.path is None:
        whole = passage.prefix + content.beginning()
        return Shape(b"", Content.of(head + whole[facts.headers.end :]))
    skipped = facts.headers.end - len(passage.prefix)
    staging = store.stage()
    try:
        await staging.write(head)
        blocks = content.blocks(STAGE_BLOCK)
        while block := await asyncio.to_thread(next, blocks, b""):
            if skipped < len(block):
                await staging.write(block[skipped:] if skipped > 0 else block)
            skipped -= len(block)
        return Shape(b"", await staging.finish())
    except BaseException:
        await staging.discard()
        raise
