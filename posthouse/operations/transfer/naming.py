"""Names and keywords of other people's mail, made into such as IMAP can show: nothing of a foreign file is trusted."""

from __future__ import annotations

import re
from typing import Final

from posthouse import limits
from posthouse.imap.mailbox_name import SEPARATOR, canonical, check_new

_NOT_IN_NAME: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd*%\ud800-\udfff]")
# RFC 9051 §9: flag-keyword is an atom: no spaces, controls, brackets, quotes, wildcards.
_NOT_IN_KEYWORD: Final = re.compile(r'[^\x21-\x7e]|[(){%*"\\\]]')
_LEVEL: Final = 200
"""Octets that are kept of one level of a name."""


def usable_name(name: str) -> str:
    """A mailbox name that can be made here, as near to the given one as may be. BadName when nothing is left of it."""
    levels = [_NOT_IN_NAME.sub("_", level).strip() for level in name.split(SEPARATOR)]
    kept = [level.encode()[:_LEVEL].decode("utf-8", "ignore") for level in levels if level]
    return check_new(canonical(SEPARATOR.join(kept[: limits.MAILBOX_LEVELS])))


def usable_keyword(name: str) -> str:
    """A keyword that IMAP can show; empty when nothing is left of it."""
    return _NOT_IN_KEYWORD.sub("_", name)[: limits.KEYWORD_LENGTH]
