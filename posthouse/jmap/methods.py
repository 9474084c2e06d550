"""METHODS: every method there is, in one literal table. Adding a method is adding a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from posthouse.jmap import (
    core,
    email_changes,
    email_get,
    email_import,
    email_query,
    email_set,
    mailbox,
    mailbox_query,
    mailbox_set,
    snippet,
    thread,
)
from posthouse.jmap.capabilities import CORE, MAIL
from posthouse.jmap.method import Method
from posthouse.jmap.standard import ChangesArguments, CopyArguments, GetArguments

METHODS: Final[Mapping[str, Method]] = {
    "Core/echo": Method(CORE, None, core.echo),
    # RFC 8621 §2
    "Mailbox/get": Method(MAIL, GetArguments, mailbox.get),
    "Mailbox/changes": Method(MAIL, ChangesArguments, mailbox.changes),
    "Mailbox/query": Method(MAIL, mailbox_query.MailboxQueryArguments, mailbox_query.query),
    "Mailbox/queryChanges": Method(
        MAIL, mailbox_query.MailboxQueryChangesArguments, mailbox_query.query_changes
    ),
    "Mailbox/set": Method(MAIL, mailbox_set.MailboxSetArguments, mailbox_set.set_mailboxes),
    # RFC 8621 §3
    "Thread/get": Method(MAIL, GetArguments, thread.get),
    "Thread/changes": Method(MAIL, ChangesArguments, thread.changes),
    # RFC 8621 §4
    "Email/get": Method(MAIL, email_get.EmailGetArguments, email_get.get),
    "Email/changes": Method(MAIL, ChangesArguments, email_changes.changes),
    "Email/query": Method(MAIL, email_query.EmailQueryArguments, email_query.query),
    "Email/queryChanges": Method(MAIL, email_query.EmailQueryChangesArguments, email_query.query_changes),
    "Email/set": Method(MAIL, email_set.EmailSetArguments, email_set.set_emails),
    "Email/copy": Method(MAIL, CopyArguments, email_import.copy_emails),
    "Email/import": Method(MAIL, email_import.EmailImportArguments, email_import.import_emails),
    "Email/parse": Method(MAIL, email_get.EmailParseArguments, email_get.parse),
    # RFC 8621 §5
    "SearchSnippet/get": Method(MAIL, snippet.SnippetArguments, snippet.get),
}
