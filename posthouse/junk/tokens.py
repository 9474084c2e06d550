"""What the statistical filter sees of a message: words, pairs of words, CJK pairs, addresses, links, HTML structure.

One pass with bounds on everything that a sender decides (octets read, parts, text, tokens), so that no message costs
more than a few milliseconds. Tokens are text with a mark in front: `s:` subject, `f:` author, `h:` header, `u:` link,
`m:` structure, `t:` HTML; words of the text have none. Never raises on any octets.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from posthouse.junk.letter import whole_text
from posthouse.limits import TOKEN_HTML, TOKEN_PARTS, TOKEN_TEXT, TOKENS
from posthouse.message.headers import Headers
from posthouse.message.html import html_text
from posthouse.message.mailboxes import Mailbox
from posthouse.message.mime import Part, scan
from posthouse.message.parameters import parameter
from posthouse.message.text import part_text

_WORD: Final = re.compile(r"[^\W_][\w'$€£¥%!-]{2,24}")
_CJK: Final = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]{2,40}")
_LINK: Final = re.compile(
    r"https?://(?:[^/\s\"'<>@]{1,64}@)?([\w.-]{1,100})(?::\d+)?([^\s\"'<>]{0,80})", re.IGNORECASE
)
_PATH_WORD: Final = re.compile(r"[a-z]{4,16}")
_TAG: Final = re.compile(r"<([a-zA-Z][a-zA-Z0-9]{0,9})\b")
_ANCHOR: Final = re.compile(
    r"<a\b[^>]{0,300}?href\s*=\s*[\"']?https?://([\w.-]{1,100})[^>]{0,500}>\s*(?:https?://)?([\w-]+(?:\.[\w-]+)+)",
    re.IGNORECASE,
)
_HIDDEN: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:px|pt|em)?\s*[;\"']|opacity\s*:\s*0\s*[;\"']",
    re.IGNORECASE,
)
_MARKED_HEADERS: Final = (
    *("list-id", "list-unsubscribe", "list-post", "in-reply-to", "references", "precedence", "x-priority"),
    *(
        "x-mailer",
        "user-agent",
        "organization",
        "importance",
        "x-mimeole",
        "auto-submitted",
        "date",
        "message-id",
    ),
    *(
        "mime-version",
        "to",
        "cc",
        "sender",
        "errors-to",
        "dkim-signature",
        "x-msmail-priority",
        "feedback-id",
    ),
)
_DIGITS: Final = re.compile(r"\d+")


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one message."""

    names: tuple[str, ...]
    """Each token once, in order of appearance."""
    links: tuple[str, ...] = ()
    """Hosts that it links to, lower case."""
    misleading: tuple[str, ...] = ()
    """Links that show one host and lead to another, as "shown > real"."""
    addresses: tuple[str, ...] = ()
    """Addresses in its text, lower case."""


def read_tokens(raw: bytes, headers: Headers, authors: Iterable[Mailbox]) -> Tokens:
    """Read a message (its first octets; the caller bounds them)."""
    found: dict[str, None] = dict.fromkeys(_header_tokens(headers, authors))
    links: dict[str, None] = {}
    misleading: dict[str, None] = {}
    addresses: dict[str, None] = {}
    left_text, left_html = TOKEN_TEXT, TOKEN_HTML
    plain_seen = False
    part = scan(raw, headers)
    for child in itertools.islice(_leaves(part), TOKEN_PARTS):
        found[f"m:{child.type}/{child.subtype}"] = None
        if child.type != "text" or child.disposition == "attachment":
            name = child.file_name or ""
            if "." in name:
                found["m:file:" + name.rpartition(".")[2].lower()[:8]] = None
            continue
        charset = parameter(child.parameters, "charset")
        if charset:
            found["m:charset:" + charset.lower()[:20]] = None
        if child.subtype == "html":
            if left_html <= 0:
                continue
            source = part_text(raw, child, left_html)
            left_html -= len(source)
            _read_links(source, links, misleading)
            found.update(dict.fromkeys(_html_tokens(source)))
            text = html_text(source) if not plain_seen or left_text > 0 else ""
        else:
            if left_text <= 0:
                continue
            text = part_text(raw, child, left_text * 2)
            _read_links(text, links, None)
            plain_seen = True
        text = text[:left_text]
        left_text -= len(text)
        found.update(dict.fromkeys(_words(text)))
        for address in _ADDRESS.findall(text)[:50]:
            addresses[address.lower()] = None
        if len(found) > TOKENS:
            break
    if misleading:
        found["t:misleading-link"] = None
    for host in links:
        found["u:" + host] = None
        found["u:" + ".".join(host.split(".")[-2:])] = None
    return Tokens(
        names=_texts(found, TOKENS),
        links=_texts(links, 50),
        misleading=_texts(misleading, 10),
        addresses=_texts(addresses, 50),
    )


_ADDRESS: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")


def _header_tokens(headers: Headers, authors: Iterable[Mailbox]) -> Iterator[str]:
    subject = headers.text("subject") or ""
    for word in _words(subject[:500]):
        yield "s:" + word
    if subject and subject.isupper():
        yield "s:ALL CAPITALS"
    if "!!" in subject or "$$" in subject:
        yield "s:SHOUTING"
    for author in itertools.islice(authors, 3):
        yield "f:" + author.address.lower()[:100]
        yield "f:@" + author.domain.lower()[:100]
        for word in _words(author.display_name[:100]):
            yield "f:" + word
    for name in _MARKED_HEADERS:
        if name in headers:
            yield "h:" + name
        elif name in {"date", "message-id", "to", "mime-version"}:
            yield "h:no-" + name
    for name in ("x-mailer", "user-agent"):
        value = headers.first(name)
        if value is not None:
            yield f"h:{name}:" + _DIGITS.sub("", value[:40].decode("latin-1")).lower()
    list_id = headers.first("list-id")
    if list_id is not None:
        yield "h:list-id:" + list_id.rpartition(b"<")[2][:60].decode("latin-1").lower()
    reply = headers.first("reply-to")
    if reply is not None:
        yield "h:reply-to:@" + reply.rpartition(b"@")[2].strip(b" >")[:60].decode("latin-1").lower()


def _words(text: str) -> Iterator[str]:
    """Words, neighbouring words together, and pairs of CJK characters."""
    lower = text.lower()
    words = _WORD.findall(lower)
    yield from words
    yield from map(" ".join, itertools.pairwise(words))
    if not text.isascii():
        for run in _CJK.findall(text):
            yield from map("".join, itertools.pairwise(run))


def _html_tokens(source: str) -> Iterator[str]:
    counts: dict[str, int] = {}
    for tag in _TAG.findall(source):
        tag = tag.lower()
        counts[tag] = counts.get(tag, 0) + 1
    for tag, count in itertools.islice(counts.items(), 40):
        yield f"t:{tag}:{count.bit_length()}"
    if _HIDDEN.search(source):
        yield "t:hidden"
    visible = len(source) // 10
    if counts.get("img") and visible < 200:
        yield "t:picture-only"


def _read_links(source: str, links: dict[str, None], misleading: dict[str, None] | None) -> None:
    for host, _path in itertools.islice(_LINK.findall(source), 100):
        links[host.lower().rstrip(".")] = None
    if misleading is None:
        return
    for real, shown in itertools.islice(_ANCHOR.findall(source), 100):
        real, shown = real.lower(), shown.lower()
        if _organisation(real) != _organisation(shown) and shown.rpartition(".")[2].isalpha():
            misleading[f"{shown} > {real}"] = None


def _texts(found: Iterable[str], most: int) -> tuple[str, ...]:
    return tuple(map(whole_text, itertools.islice(found, most)))


def _organisation(host: str) -> str:
    return ".".join(host.removeprefix("www.").split(".")[-2:])


def _leaves(part: Part) -> Iterator[Part]:
    """The parts that hold something, in the order of the message."""
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if part.message is not None:
            waiting.append(part.message)
        elif part.children:
            waiting.extend(reversed(part.children))
        else:
            yield part
