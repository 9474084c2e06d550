"""SearchSnippet/get (RFC 8621 §5): where the words of a search stand, marked."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap import ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_filter import condition_of, tokens
from posthouse.jmap.errors import MethodError
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer, leaves
from posthouse.message.body_parts import body_parts
from posthouse.message.headers import Headers, decode_value
from posthouse.message.html import html_text
from posthouse.message.mime import scan
from posthouse.message.text import part_text
from posthouse.message.words import fold, is_unspaced

_BEFORE: Final = 40
"""Characters shown before the first match."""
_OCTETS: Final = 255
"""RFC 8621 §5: a preview is not bigger."""
_MARK, _END = "<mark>", "</mark>"


class SnippetArguments(Arguments, kw_only=True):
    """RFC 8621 §5.1."""

    filter: dict[str, Any] | None = None
    email_ids: list[str]


class SearchSnippet(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8621 §5."""

    email_id: str
    subject: str | None = None
    preview: str | None = None


class SnippetAnswer(Answer, kw_only=True):
    """RFC 8621 §5.1."""

    list_: list[SearchSnippet] = msgspec.field(name="list")
    not_found: list[str] | None


async def get(context: Context, arguments: SnippetArguments) -> SnippetAnswer:
    """SearchSnippet/get."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    if len(arguments.email_ids) > limits.JMAP_SNIPPETS:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SNIPPETS} emails")
    subject_words: list[str] = []
    body_words: list[str] = []
    for node in leaves(arguments.filter):
        condition = condition_of(node)
        subject_words += tokens(condition.subject or "") + tokens(condition.text or "")
        body_words += tokens(condition.body or "") + tokens(condition.text or "")
    names = dict.fromkeys(arguments.email_ids)
    numbers = {name: ids.decode(ids.EMAIL, name) for name in names}
    there = await context.mail(account_id).find([n for n in numbers.values() if n is not None])
    found: list[SearchSnippet] = []
    for name, number in numbers.items():
        if number is None or number not in there:
            continue
        subject = preview = None
        if subject_words or body_words:
            (stored,) = await context.store.stored(account_id, [number])
            if stored is not None:
                length = min(stored.size, limits.JMAP_SNIPPET_OCTETS)
                raw = await context.store.read(stored, 0, length)
                subject, preview = await asyncio.to_thread(_snippets, raw, subject_words, body_words)
        found.append(SearchSnippet(email_id=name, subject=subject, preview=preview))
    shown = {each.email_id for each in found}
    missing = [name for name in names if name not in shown]
    return SnippetAnswer(account_id=arguments.account_id, list_=found, not_found=missing or None)


def _snippets(raw: bytes, subject_words: list[str], body_words: list[str]) -> tuple[str | None, str | None]:
    headers = Headers.scan(raw)
    subject = unicodedata.normalize("NFC", decode_value(headers.last("subject") or b""))
    shown = marked(subject, subject_words) if subject_words else None
    if not body_words:
        return shown, None
    root = scan(raw, headers)
    for leaf in body_parts(root).text:
        if leaf.part.type != "text":
            continue
        text = part_text(raw, leaf.part)
        if leaf.part.subtype == "html":
            text = html_text(text)
        preview = excerpt(unicodedata.normalize("NFC", " ".join(text.split())), body_words)
        if preview is not None:
            return shown, preview
    return shown, None


def _pattern(words: list[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _places(text: str, words: list[str]) -> list[tuple[int, int]]:
    """Where the words stand: as they are written, or else as search compares them (`message.words`)."""
    found = [match.span() for match in _pattern(words).finditer(text)]
    if found or text.isascii():
        return found
    pieces = [
        _blank(text, place) if character.isspace() else fold(character)
        for place, character in enumerate(text)
    ]
    owners = [place for place, piece in enumerate(pieces) for _ in piece]
    matches = _pattern([fold(word) for word in words]).finditer("".join(pieces))
    return [(owners[match.start()], owners[match.end() - 1] + 1) for match in matches if match[0]]


def _blank(text: str, place: int) -> str:
    """What white space is to search (one character: the text has no more in a row)."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return "" if len(around) == 2 and all(map(is_unspaced, around)) else " "


def marked(text: str, words: list[str]) -> str | None:
    """The text with its matches marked and everything else escaped; None when nothing matches."""
    pieces: list[str] = []
    position = 0
    for start, end in _places(text, words):
        if start < position:
            continue  # a letter that is two in the form compared, like ß
        pieces += (_escaped(text[position:start]), _MARK, _escaped(text[start:end]), _END)
        position = end
    return None if not pieces else "".join((*pieces, _escaped(text[position:])))


def excerpt(text: str, words: list[str]) -> str | None:
    """What stands around the first match, marked, at most 255 octets; None when nothing matches."""
    places = _places(text, words)
    if not places:
        return None
    first, last = places[0]
    start = max(0, first - _BEFORE)
    end = len(text) if len(text) - start < _OCTETS else start + _OCTETS
    while end >= last:
        shown = marked(text[start:end], words)
        if shown is not None and len(shown.encode()) <= _OCTETS:
            return shown
        end -= max(1, (end - last) // 8)
    whole = marked(text[first:last], words)
    return whole if whole is not None and len(whole.encode()) <= _OCTETS else None
