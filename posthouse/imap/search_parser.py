"""The arguments of SEARCH, SORT and THREAD (RFC 9051 §9, 4466, 5256, 9394) around their keys. Pure."""

from __future__ import annotations

from posthouse import limits
from posthouse.imap.fetch_args import parse_items
from posthouse.imap.grammar import Reader
from posthouse.imap.partial_range import PartialRange, parse_partial_range
from posthouse.imap.search_key_parser import KeyParser
from posthouse.imap.search_keys import (
    And,
    Return,
    SearchArgs,
    SortArgs,
    SortBy,
    SortKey,
    ThreadArgs,
    Threading,
    Update,
)
from posthouse.message.charsets import codec_for


def parse_search(reader: Reader, uid: bool) -> SearchArgs:
    """Everything behind `SEARCH`. Raises BadSyntax."""
    parser = _Parser(reader)
    returns = parser.return_options()
    return parser.program(uid, returns, parser.charset())


def parse_sort(reader: Reader, uid: bool) -> SortArgs:
    """Everything behind `SORT` (RFC 5256 §5, RFC 5267 §3.1). Raises BadSyntax."""
    parser = _Parser(reader)
    returns = parser.return_options()
    reader.sp()
    criteria = tuple(reader.parenthesized(parser.criterion))
    if len(criteria) > limits.IMAP_SORT_KEYS:
        raise reader.fail("Too many sort criteria")
    reader.sp()
    return SortArgs(criteria=criteria, search=parser.program(uid, returns, parser.named_charset()))


def parse_thread(reader: Reader, uid: bool) -> ThreadArgs:
    """Everything behind `THREAD` (RFC 5256 §5). Raises BadSyntax."""
    parser = _Parser(reader)
    reader.sp()
    try:
        algorithm = Threading(reader.keyword())
    except ValueError:
        raise reader.fail("Unknown threading algorithm") from None
    reader.sp()
    return ThreadArgs(algorithm=algorithm, search=parser.program(uid, None, parser.named_charset()))


class _Parser(KeyParser):
    """search-program, and what stands before it."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self.partial: PartialRange | None = None
        self.update: Update | None = None
        self.relevancy = False
        """RELEVANCY stands among the criteria."""

    def return_options(self) -> frozenset[Return] | None:
        """search-return-opts."""
        reader = self.reader
        if not reader.accept(b" RETURN "):
            return None
        named = reader.parenthesized(self._return_option, empty=True)
        options = [option for option in named if option is not None]
        if self.partial is not None and (options.count(Return.PARTIAL) > 1 or Return.ALL in options):
            # RFC 9394 §3.1: one PARTIAL, one ALL, or neither
            raise reader.fail("PARTIAL stands alone, without ALL")
        # RFC 9051 §6.4.4: no option, or an empty list, means ALL.
        return frozenset(options) if named else frozenset({Return.ALL})

    def _return_option(self) -> Return | None:
        """One option; None: one that does not say what is to be told now."""
        reader = self.reader
        word = reader.keyword()
        if word == b"CONTEXT":
            return None  # RFC 5267 §4.2: a hint, which may be ignored
        if word == b"UPDATE":
            # RFC 5465 §7: with what is to be fetched of new messages
            items = {}
            if reader.peek(b" ("):
                reader.sp()
                items = parse_items(reader)
            self.update = Update(tuple(items), any(items.values()))
            return None
        try:
            option = Return(word)
        except ValueError:
            # RFC 9051 §6.4.4: options of extensions that we do not have are answered BAD.
            raise reader.fail("Unknown result option") from None
        if option is Return.PARTIAL:
            self.partial = parse_partial_range(reader)
        return option

    def charset(self) -> str | None:
        """`CHARSET name`; None: unknown. Without it UTF-8 (RFC 9051 §6.4.4)."""
        reader = self.reader
        return self.named_charset() if reader.accept(b" CHARSET ") else self.codec

    def named_charset(self) -> str | None:
        """The name of a charset; None: unknown."""
        # Only charsets of mail: Python's other codecs compress, encode or worse.
        codec = codec_for(self.reader.astring().decode("ascii", "replace"))
        self.codec = codec or "utf-8"
        return codec

    def criterion(self) -> SortBy:
        """sort-criterion: `["REVERSE" SP] sort-key`."""
        reader = self.reader
        name = reader.keyword()
        reverse = name == b"REVERSE"
        if reverse:
            reader.sp()
            name = reader.keyword()
        try:
            key = SortKey(name)
        except ValueError:
            raise reader.fail("Unknown sort criterion") from None
        self.relevancy = self.relevancy or key is SortKey.RELEVANCY
        return SortBy(key=key, reverse=reverse)

    def program(self, uid: bool, returns: frozenset[Return] | None, charset: str | None) -> SearchArgs:
        """The search keys, up to the command's end."""
        keys = self.keys()
        self.reader.end()
        return SearchArgs(
            key=keys[0] if len(keys) == 1 else And(keys=tuple(keys)),
            uid=uid,
            returns=returns,
            partial=self.partial,
            update=self.update,
            relevancy=self.relevancy or (returns is not None and Return.RELEVANCY in returns),
            modseq=self.modseq,
            numbers=self.numbers,
            fuzzy=self.fuzzy,
            filters=self.filters,
            count=self.count,
            texts=self.texts,
            charset=charset or "utf-8",
            unknown_charset=charset is None,
        )
