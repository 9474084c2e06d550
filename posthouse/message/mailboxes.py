"""Address lists of header fields: From, To, Cc, … (RFC 5322 §3.4, obsolete forms §4.4, RFC 6532).

Never fails: groups, routes, comments, missing brackets and stray octets all give some list, so that an
ENVELOPE can be made of any message. Texts keep their RFC 2047 words; octets that are no UTF-8 are surrogate
escapes, so `.encode("utf-8", "surrogateescape")` gives back what was sent. Time is linear in the size of the
value.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from posthouse.limits import COMMENT_DEPTH, HEADER_ADDRESSES, HEADER_VALUE
from posthouse.message.headers import decode_value

_PLAIN: Final = r'[^\s"<>@,;:()\[\]\\]++'
_ONE: Final = re.compile(  # by far the most: `Name <local@domain>`, `"Name" <local@domain>`, `local@domain`
    rf'\s*+(?:(?:"([^"\\]*+)"\s*+|([^"<>@,;:()\[\]\\]*+))<({_PLAIN})@({_PLAIN})>|({_PLAIN})@({_PLAIN}))\s*+(?:,|\Z)'
)
_TOKEN: Final = re.compile(
    r'(\s++)|"((?:[^"\\]|\\.)*+)"?|(\[[^\]\[\\]*+\]?)|([^\s"<>@,;:()\[\]]++)|(.)', re.DOTALL
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_STOP: Final = re.compile(r"[()\\]")
_DOT_ATOM: Final = re.compile(
    r"[^\s\x00-\x20\x7f\"(),.:;<>@\[\\\]]++(?:\.[^\s\x00-\x20\x7f\"(),.:;<>@\[\\\]]++)*+"
)


class Mailbox(msgspec.Struct, frozen=True):
    """One mailbox of an address list."""

    name: str | None
    """The display name with its quoting removed, RFC 2047 words not yet decoded; None: there is none."""
    route: str | None
    """The obsolete source route (`@a,@b`), RFC 5322 §4.4; None: there is none."""
    local: str
    """The local part with its quoting removed; empty when the sender gave none."""
    domain: str
    """The domain or address literal as written; empty when the sender gave none."""

    @property
    def address(self) -> str:
        """`local@domain`, quoted where RFC 5321 asks for it; empty when there is no address."""
        local = quote_local_part(self.local) if self.local else ""
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def readable_address(self) -> str:
        """The address as text for people and for JSON: octets that are no UTF-8 become U+FFFD."""
        address = self.address
        return address if address.isascii() else readable(address)

    @property
    def display_name(self) -> str:
        """The decoded display name, or an empty text."""
        return decode_value(self.name.encode("utf-8", "surrogateescape")) if self.name else ""


class Group(msgspec.Struct, frozen=True):
    """A named group of mailboxes (RFC 5322 §3.4)."""

    name: str
    members: tuple[Mailbox, ...]


def readable(text: str) -> str:
    """A text that was read here without its escapes: octets that are no UTF-8 become U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def quote_local_part(local: str) -> str:
    """A local part as it is written: as a quoted string where it is no dot-string (RFC 5321 §4.1.2)."""
    if _DOT_ATOM.fullmatch(local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_mailbox_list(raw: bytes) -> list[Mailbox | Group]:
    """The mailboxes and groups of an unfolded address header value (RFC 5322 §3.4). Never raises."""
    text = raw[:HEADER_VALUE].decode("utf-8", "surrogateescape")
    found: list[Mailbox | Group] = []
    position, end = 0, len(text)
    match_one = _ONE.match
    while position < end and len(found) < HEADER_ADDRESSES:
        match = match_one(text, position)
        if match is None:
            return _ListParser(text, position, found).parse()
        quoted, name, local, domain, bare_local, bare_domain = match.groups()
        if bare_local is not None:
            found.append(Mailbox(None, None, bare_local, bare_domain))
        else:
            found.append(Mailbox(quoted or (_phrase(name) if name else None), None, local, domain))
        position = match.end()
    return found


def flat(items: list[Mailbox | Group]) -> list[Mailbox]:
    """All mailboxes of a list, those of groups in their place."""
    mailboxes: list[Mailbox] = []
    for item in items:
        if isinstance(item, Group):
            mailboxes.extend(item.members)
        else:
            mailboxes.append(item)
    return mailboxes


def _phrase(text: str) -> str | None:
    text = text.strip()
    if "  " in text or "\t" in text:
        text = " ".join(text.split())
    return text or None


class _ListParser:
    """The tolerant grammar, token by token: for groups, comments, routes and everything broken."""

    def __init__(self, text: str, position: int, found: list[Mailbox | Group]) -> None:
        self._text = text
        self._position = position
        self._found = found
        self._left = HEADER_ADDRESSES - len(found)
        self._group: str | None = None
        self._members: list[Mailbox] = []
        self._begin()

    def _begin(self) -> None:
        """Forget the mailbox at hand."""
        # The phrase, or the local part as far as we know; each word in pieces, and those with the gaps before them.
        self._words: list[list[str]] = []
        self._spelt: list[list[str]] = []
        self._gap = ""
        self._glued = False  # the next word belongs to the last one: a dot stands between them
        self._local: str | None = None
        self._domain: list[str] = []
        self._route: list[str] = []
        self._comment = ""
        self._name: str | None = None
        self._angle = self._closed = False  # between the brackets; behind them
        self._after: list[str] = []  # words behind them

    def parse(self) -> list[Mailbox | Group]:
        """Read to the end."""
        text, end = self._text, len(self._text)
        while self._position < end and self._left > 0:
            match = _TOKEN.match(text, self._position)
            if match is None:  # cannot be: the last alternative takes any character
                break
            self._position = match.end()
            kind = match.lastindex
            if kind == 1:
                self._gap = " "
            elif kind == 2:
                value = match[2]
                self._word(_QUOTED_PAIR.sub(r"\1", value) if "\\" in value else value)
            elif kind in {3, 4}:
                self._word(match[0])
            elif kind == 5:
                self._special(match[0])
        self._finish()
        self._end_group()
        return self._found

    def _word(self, word: str) -> None:
        if self._local is not None and self._closed:
            self._after.append(word)
        elif self._local is not None:
            if not self._domain or self._glued or word.startswith("."):
                self._domain.append(word)
        elif self._words and (self._glued or word.startswith(".")):
            self._words[-1].append(word)
            self._spelt[-1].append(self._gap + word)
        else:
            self._words.append([word])
            self._spelt.append([word])
        self._gap = ""
        self._glued = word.endswith(".")

    def _special(self, mark: str) -> None:
        match mark:
            case ",":
                if self._angle and self._route and self._local is None:
                    self._route.append(",")
                else:
                    self._finish()
            case "<":
                if self._angle:
                    return
                self._name = self._phrase_before()
                self._angle, self._local, self._domain = True, None, []
                self._words, self._spelt = [], []
            case ">":
                self._close_local()
                self._angle, self._closed = False, True
            case "@":
                self._at()
            case ":":
                self._colon()
            case ";":
                self._finish()
                self._end_group()
            case "(":
                self._read_comment()
            case '"' | ")" | "[" | "]":
                pass
            case _:
                self._word(mark)

    def _at(self) -> None:
        if self._angle and not self._words and self._local is None:
            self._route += ("@", self._route_domain())
        elif self._local is None:
            if self._angle:
                self._local = self._local_text()
            else:  # `Some Name local@domain`, without brackets
                self._local = "".join(self._words.pop()) if self._words else ""
                self._name = self._phrase_text(len(self._words)) or self._name
            self._words, self._spelt = [], []
            self._glued = False

    def _route_domain(self) -> str:
        match = _TOKEN.match(self._text, self._position)
        if match is None or match.lastindex not in {3, 4}:
            return ""
        self._position = match.end()
        return match[0]

    def _colon(self) -> None:
        if self._angle:
            if not self._route:  # no address but a URL, as in List-Post
                self._glued = True
                self._word(":")
                self._glued = True
            return  # else the end of the route
        if self._group is None and self._local is None:
            self._group = self._phrase_text()
        self._begin()

    def _phrase_before(self) -> str | None:
        if self._local is not None:  # `a@b <c@d>`: the first address is the name
            return f"{self._local}@{''.join(self._domain)}"
        return _phrase(self._phrase_text())

    def _phrase_text(self, words: int | None = None) -> str:
        """The first words as a name: a dot in it stays where it stands (`J. Doe`, RFC 5322 §4.1 obs-phrase)."""
        return " ".join(["".join(pieces) for pieces in self._spelt[:words]])

    def _local_text(self) -> str:
        """The words as a local part, in which white space around a dot means nothing (RFC 5322 §4.4)."""
        return " ".join(["".join(pieces) for pieces in self._words])

    def _close_local(self) -> None:
        if self._local is None:
            self._local = self._local_text()
            self._words, self._spelt = [], []

    def _finish(self) -> None:
        """A comma, a semicolon or the end: note the mailbox at hand, if there is any."""
        if self._local is None:
            if self._name is None and len(self._words) > 1 and not self._angle:
                self._name = self._phrase_text()  # only words: nobody's address
                self._words, self._spelt = [], []
            self._close_local()
        name = self._name or _phrase(" ".join(self._after)) or _phrase(self._comment)
        domain = "".join(self._domain)
        if self._name or self._local or domain:
            mailbox = Mailbox(name, "".join(self._route).rstrip(",") or None, self._local or "", domain)
            self._left -= 1
            if self._group is None:
                self._found.append(mailbox)
            else:
                self._members.append(mailbox)
        self._begin()

    def _end_group(self) -> None:
        if self._group is not None:
            self._left -= 1
            self._found.append(Group(self._group, tuple(self._members)))
        self._group, self._members = None, []

    def _read_comment(self) -> None:
        """A comment (RFC 5322 §3.2.2), from behind its `(`; the last one stands in for a missing name."""
        text, start, depth = self._text, self._position, 1
        position = start
        while depth and (match := _COMMENT_STOP.search(text, position)) is not None:
            position = match.end()
            if match[0] == "\\":
                position += 1
            elif match[0] == ")":
                depth -= 1
            elif depth < COMMENT_DEPTH:
                depth += 1
        content = text[start : position - 1] if depth == 0 else text[start:]
        self._position = position if depth == 0 else len(text)
        self._comment = _QUOTED_PAIR.sub(r"\1", content) if "\\" in content else content
