"""What the statistical filter sees of a message: words, pairs of words, CJK pairs, addresses, links, HTML structure.

One pass with bounds on everything that a sender decides (octets read, parts, text, tokens), so that no message costs
more than a few milliseconds. Of plain text and of HTML the beginning of each counts: it is what a reader sees before
deciding, and long harmless text behind it or beside it hides nothing. Tokens are text with a mark in front: `s:`
subject, `f:` author (`f:unproved:` where nothing proves that it was), `h:` header, `u:` link, `m:` structure, `t:`
HTML; words of the text have none. Words are taken apart when somebody asks for them. Never raises on any octets.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

from posthouse.junk.letter import whole_text
from posthouse.junk.look_alike import registrable
from posthouse.junk.markup import (
    hides,
    hosts_linked,
    misleading_links,
    tag_tokens,
    without_numbers,
    without_unseen,
)
from posthouse.limits import TOKEN_HTML, TOKEN_PAIRS, TOKEN_PARTS, TOKEN_TEXT, TOKENS
from posthouse.message.headers import Headers, decode_value
from posthouse.message.html import html_text
from posthouse.message.mailboxes import Mailbox
from posthouse.message.mime import Part, below, scan
from posthouse.message.parameters import parameter
from posthouse.message.text import part_text
from posthouse.message.words import fold

_IN_WORDS: Final = "'$%!-"
"""Marks that belong to words, beside letters and digits."""
_BETWEEN: Final = bytes(code for code in range(128) if not (chr(code).isalnum() or chr(code) in _IN_WORDS))
_APART: Final = bytes.maketrans(_BETWEEN, b" " * len(_BETWEEN))
_PUNCTUATION: Final = "“”„‘’«»…–—·\xa0、。，！？：；（）【】《》"
"""Marks between words that are not ASCII; what is rarer stays with its word."""
_LONGEST: Final = 25
"""Characters: what is longer is no word of any language but a part of some code."""
_CJK: Final = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]{2,40}")
_UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{4,80}")
"""Thai, Lao, Burmese, Khmer: words without spaces between them, of letters that say little in pairs."""
_SYLLABLES: Final = 4
"""Characters of such writing that make a token."""
_ADDRESS: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_DIGITS: Final = re.compile(r"\d+")
_MARKED_FIELDS: Final = (
    *("list-id", "list-unsubscribe", "list-post", "in-reply-to", "references", "precedence", "x-priority"),
    *("x-mailer", "user-agent", "organization", "importance", "x-mimeole", "auto-submitted", "date"),
    *("message-id", "mime-version", "to", "cc", "sender", "errors-to", "dkim-signature", "x-msmail-priority"),
    "feedback-id",
)
_THERE: Final = {name.encode(): f"h:{name}" for name in _MARKED_FIELDS}
_MISSING: Final = {name.encode(): f"h:no-{name}" for name in ("date", "message-id", "to", "mime-version")}
_LINKS: Final = 50
"""Hosts and addresses of one message that become tokens or questions."""


class Tokens:
    """What is known of one message."""

    def __init__(self, headers: Headers, authors: Iterable[Mailbox], proved: bool | None) -> None:
        self._headers = headers
        self._authors = authors
        self._proved = proved
        self._plain: list[str] = []
        self._html: list[str] = []
        """Sources."""
        self._marks: dict[str, None] = {}
        self.files: dict[str, None] = {}
        """Endings of the names of attached files, lower case, in order of appearance."""
        self.links: dict[str, None] = {}
        """Hosts that it links to, lower case."""
        self.misleading: dict[str, None] = {}
        """Links that show one host and lead to another, as "shown > real"."""
        self.hidden = False
        """Some of its text is not to be seen."""

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The beginning of its plain text, and of what its HTML shows."""
        shown = " ".join(" ".join(html_text(source, TOKEN_TEXT) for source in self._html).split())
        return whole_text("\n".join(self._plain)[:TOKEN_TEXT]), whole_text(shown[:TOKEN_TEXT])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Each token once: those of the header, the structure and the links, then words, then pairs of them."""
        found = dict.fromkeys(map(whole_text, _header_tokens(self._headers, self._authors, self._proved)))
        found.update(self._marks)
        for source in self._html:
            found.update(dict.fromkeys(tag_tokens(source)))
        if self.hidden:
            found["t:hidden"] = None
        if self.misleading:
            found["t:misleading-link"] = None
        for host in itertools.islice(self.links, _LINKS):
            found["u:" + host] = None
            found["u:" + registrable(host)] = None
        return tuple(itertools.islice(dict.fromkeys([*found, *_tokens_of(self.texts)]), TOKENS))

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Addresses in its text, lower case."""
        found = itertools.chain.from_iterable(map(_ADDRESS.finditer, self.texts))
        return tuple(dict.fromkeys(match[0].lower() for match in itertools.islice(found, _LINKS)))

    def read(self, raw: bytes, child: Part, left: int) -> int:
        """Look at one part; the octets of its HTML source, of `left` that may be read."""
        self._marks[whole_text(f"m:{child.type}/{child.subtype}")] = None
        # Windows opens `a.exe. ` as `a.exe`, and a client saves a text under its name too.
        name = decode_value((child.file_name or "").encode()).rstrip(" .")
        if "." in name:
            ending = whole_text(name.rpartition(".")[2].lower()[:8])
            self.files[ending] = self._marks["m:file:" + ending] = None
        if child.type != "text" or child.disposition == "attachment":
            return 0
        charset = parameter(child.parameters, "charset")
        if charset:
            self._marks["m:charset:" + whole_text(charset.lower()[:20])] = None
        if child.subtype != "html":
            if sum(map(len, self._plain)) < TOKEN_TEXT:
                text = part_text(raw, child, TOKEN_TEXT * 2)[:TOKEN_TEXT]
                self._plain.append(text)
                self.links.update(dict.fromkeys(map(whole_text, hosts_linked(text.lower()))))
            return 0
        if left <= 0:
            return 0
        source = without_numbers(without_unseen(part_text(raw, child).lower())[:left])
        self._html.append(source)
        self.hidden = self.hidden or hides(source)
        self.links.update(dict.fromkeys(map(whole_text, hosts_linked(source))))
        self.misleading.update(dict.fromkeys(map(whole_text, misleading_links(source))))
        return len(source)


def read_tokens(
    raw: bytes, headers: Headers, authors: Iterable[Mailbox], proved: bool | None = True
) -> Tokens:
    """Look at a message (its first octets; the caller bounds them).

    `proved`: it was its authors', or nobody asks; None: nothing is known of that, so their addresses are left out.
    """
    found = Tokens(headers, authors, proved)
    left = TOKEN_HTML
    for child in itertools.islice(_leaves(scan(raw, headers)), TOKEN_PARTS):
        left -= found.read(raw, child, left)
    return found


def _header_tokens(headers: Headers, authors: Iterable[Mailbox], proved: bool | None) -> Iterator[str]:
    subject = decode_value(headers.last("subject") or b"")  # the one that is shown
    for word in _tokens_of([subject[:500]]):
        yield "s:" + word
    if subject and subject.isupper():
        yield "s:ALL CAPITALS"
    if "!!" in subject or "$$" in subject:
        yield "s:SHOUTING"
    for author in itertools.islice(authors, 3):
        if proved is not None:  # what a forger sends says nothing of whoever has the address
            mark = "f:" if proved else "f:unproved:"
            yield mark + author.address.lower()[:100]
            yield mark + "@" + author.domain.lower()[:100]
        for word in _words(author.display_name[:100]):
            yield "f:" + word
    yield from [mark for name, mark in _THERE.items() if name in headers]
    yield from [mark for name, mark in _MISSING.items() if name not in headers]
    for name in (b"x-mailer", b"user-agent"):
        value = headers.first(name)
        if value is not None:
            yield f"{_THERE[name]}:" + _DIGITS.sub("", value[:40].decode("latin-1")).lower()
    list_id = headers.first(b"list-id")
    if list_id is not None:
        yield "h:list-id:" + list_id.rpartition(b"<")[2][:60].decode("latin-1").lower()
    reply = headers.first(b"reply-to")
    if reply is not None:
        yield "h:reply-to:@" + reply.rpartition(b"@")[2].strip(b" >")[:60].decode("latin-1").lower()


def _words(text: str) -> list[str]:
    """Its words, in order, short ones and codes too; letters of other widths and shapes as what they are."""
    lower = fold(text)
    if not lower.isascii():
        for mark in _PUNCTUATION:
            lower = lower.replace(mark, " ")
    return lower.encode("utf-8", "replace").translate(_APART).decode().split()


def _tokens_of(texts: Iterable[str]) -> Iterator[str]:
    """Words of texts, then pairs of neighbours and of characters in writing that has no spaces."""
    taken = list(map(_words, texts))
    words = [[word for word in some if 3 <= len(word) <= _LONGEST] for some in taken]
    yield from _in_turn(words)
    for some in words:
        # Only of the first ones: most pairs never come again, and phrases stand in front.
        yield from map(" ".join, itertools.pairwise(some[:TOKEN_PAIRS]))
    yield from _in_turn(map(_pieces_of, taken))


def _pieces_of(words: list[str]) -> Iterator[str]:
    """Of writing that has no spaces: pairs of characters, or a few where characters are but letters."""
    foreign = " ".join([word for word in words if not word.isascii()])
    for run in _CJK.findall(foreign):
        yield from map("".join, itertools.pairwise(run))
    for run in _UNSPACED.findall(foreign):
        yield from [run[i : i + _SYLLABLES] for i in range(len(run) - _SYLLABLES + 1)]


def _in_turn(texts: Iterable[Iterable[str]]) -> Iterator[str]:
    """One of each text after the other, so that none takes another's room."""
    return filter(None, itertools.chain.from_iterable(itertools.zip_longest(*texts)))


def _leaves(part: Part) -> Iterator[Part]:
    """The parts that hold something, in the order of the message."""
    return (one for one in below(part) if one.message is None and not one.children)
