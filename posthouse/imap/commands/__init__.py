"""Every IMAP command, in one table: its row says states, parser, runner, capabilities and RFC (see `row`).

A UID form is a flag of its row. CAPABILITY is computed from here, and `dispatch` does everything around a
command.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from posthouse.imap.commands import (
    acl,
    any_state,
    append,
    compress,
    contexts,
    copy,
    esearch,
    expunge,
    fetch,
    idle,
    jmap_access,
    language,
    list,
    login,
    mailboxes,
    metadata,
    notify,
    quota,
    replace,
    search,
    select,
    sort,
    status,
    store,
    thread,
    unauthenticate,
)
from posthouse.imap.commands.row import Command

ROWS: Final[tuple[Command[Any], ...]] = (
    *any_state.ROWS,
    *language.ROWS,
    *login.ROWS,
    *compress.ROWS,
    *unauthenticate.ROWS,
    *mailboxes.ROWS,
    *list.ROWS,
    *status.ROWS,
    *quota.ROWS,
    *acl.ROWS,
    *metadata.ROWS,
    *append.ROWS,
    *replace.ROWS,
    *select.ROWS,
    *idle.ROWS,
    *jmap_access.ROWS,
    *notify.ROWS,
    *fetch.ROWS,
    *store.ROWS,
    *search.ROWS,
    *esearch.ROWS,
    *sort.ROWS,
    *contexts.ROWS,
    *thread.ROWS,
    *copy.ROWS,
    *expunge.ROWS,
)
"""Each row has its own type of arguments, which only its own parser and runner see."""

TABLE: Final = MappingProxyType({row.name: row for row in ROWS})
"""By name, in capitals, without `UID`."""
