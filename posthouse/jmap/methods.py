"""METHODS: every method there is, in one literal table. Adding a method is adding a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from posthouse.jmap import (
    blob,
    contact_copy,
    contact_query,
    contacts,
    core,
    email_changes,
    email_get,
    email_import,
    email_query,
    email_set,
    identity,
    mailbox,
    mailbox_query,
    mailbox_set,
    masked_email,
    mdn,
    mdn_parse,
    principal,
    push_subscription,
    quota,
    share_notification,
    sieve_script,
    sieve_set,
    snippet,
    submission,
    submission_set,
    thread,
    vacation,
)
from posthouse.jmap.capabilities import (
    BLOB,
    CONTACTS,
    CORE,
    MAIL,
    MASKED,
    MDN,
    PRINCIPALS,
    QUOTA,
    SIEVE,
    SUBMISSION,
    VACATION,
)
from posthouse.jmap.method import Method
from posthouse.jmap.own_methods import OWN_METHODS
from posthouse.jmap.standard import (
    ChangesArguments,
    CopyArguments,
    GetArguments,
    QueryArguments,
    QueryChangesArguments,
    SetArguments,
)

METHODS: Final[Mapping[str, Method]] = {
    "Core/echo": Method(CORE, None, core.echo),
    # RFC 8620 §7.2
    "PushSubscription/get": Method(CORE, push_subscription.PushGetArguments, push_subscription.get),
    "PushSubscription/set": Method(
        CORE, push_subscription.PushSetArguments, push_subscription.set_subscriptions
    ),
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
    # RFC 8621 §6
    "Identity/get": Method(SUBMISSION, GetArguments, identity.get),
    "Identity/changes": Method(SUBMISSION, ChangesArguments, identity.changes),
    "Identity/set": Method(SUBMISSION, SetArguments, identity.set_identities),
    # RFC 8621 §7
    "EmailSubmission/get": Method(SUBMISSION, GetArguments, submission.TYPE.get),
    "EmailSubmission/changes": Method(SUBMISSION, ChangesArguments, submission.TYPE.changes),
    "EmailSubmission/query": Method(SUBMISSION, QueryArguments, submission.query),
    "EmailSubmission/queryChanges": Method(SUBMISSION, QueryChangesArguments, submission.query_changes),
    "EmailSubmission/set": Method(
        SUBMISSION, submission_set.SubmissionSetArguments, submission_set.set_submissions
    ),
    # RFC 8621 §8
    "VacationResponse/get": Method(VACATION, GetArguments, vacation.get),
    "VacationResponse/set": Method(VACATION, SetArguments, vacation.set_vacation),
    # RFC 8620 §6.3, RFC 9404
    "Blob/copy": Method(CORE, blob.BlobCopyArguments, blob.copy),
    "Blob/upload": Method(BLOB, blob.BlobUploadArguments, blob.upload),
    "Blob/get": Method(BLOB, blob.BlobGetArguments, blob.get),
    "Blob/lookup": Method(BLOB, blob.BlobLookupArguments, blob.lookup),
    # RFC 9007
    "MDN/send": Method(MDN, mdn.MdnSendArguments, mdn.send),
    "MDN/parse": Method(MDN, mdn_parse.MdnParseArguments, mdn_parse.parse),
    # RFC 9425
    "Quota/get": Method(QUOTA, GetArguments, quota.get),
    "Quota/changes": Method(QUOTA, ChangesArguments, quota.changes),
    "Quota/query": Method(QUOTA, QueryArguments, quota.query),
    "Quota/queryChanges": Method(QUOTA, QueryChangesArguments, quota.query_changes),
    # RFC 9610
    "AddressBook/get": Method(CONTACTS, GetArguments, contacts.get_books),
    "AddressBook/changes": Method(CONTACTS, ChangesArguments, contacts.book_changes),
    "AddressBook/set": Method(CONTACTS, contacts.SetBooksArguments, contacts.set_books),
    "ContactCard/get": Method(CONTACTS, GetArguments, contacts.CARDS.get),
    "ContactCard/changes": Method(CONTACTS, ChangesArguments, contacts.CARDS.changes),
    "ContactCard/set": Method(CONTACTS, SetArguments, contacts.set_cards),
    "ContactCard/query": Method(CONTACTS, QueryArguments, contact_query.query),
    "ContactCard/queryChanges": Method(CONTACTS, QueryChangesArguments, contact_query.query_changes),
    "ContactCard/copy": Method(CONTACTS, CopyArguments, contact_copy.copy_cards),
    # RFC 9661
    "SieveScript/get": Method(SIEVE, GetArguments, sieve_script.TYPE.get),
    "SieveScript/changes": Method(SIEVE, ChangesArguments, sieve_script.TYPE.changes),
    "SieveScript/set": Method(SIEVE, sieve_set.SieveSetArguments, sieve_set.set_scripts),
    "SieveScript/query": Method(SIEVE, QueryArguments, sieve_script.query),
    "SieveScript/validate": Method(SIEVE, sieve_script.ValidateArguments, sieve_script.validate),
    # RFC 9670
    "Principal/get": Method(PRINCIPALS, GetArguments, principal.get),
    "Principal/changes": Method(PRINCIPALS, ChangesArguments, principal.changes),
    "Principal/query": Method(PRINCIPALS, QueryArguments, principal.query),
    "Principal/queryChanges": Method(PRINCIPALS, QueryChangesArguments, principal.query_changes),
    "Principal/set": Method(PRINCIPALS, SetArguments, principal.set_principals),
    "ShareNotification/get": Method(PRINCIPALS, GetArguments, share_notification.TYPE.get),
    "ShareNotification/changes": Method(PRINCIPALS, ChangesArguments, share_notification.TYPE.changes),
    "ShareNotification/query": Method(PRINCIPALS, QueryArguments, share_notification.query),
    "ShareNotification/queryChanges": Method(
        PRINCIPALS, QueryChangesArguments, share_notification.query_changes
    ),
    "ShareNotification/set": Method(PRINCIPALS, SetArguments, share_notification.set_notifications),
    # docs/jmap-extensions.md
    "MaskedEmail/get": Method(MASKED, GetArguments, masked_email.TYPE.get),
    "MaskedEmail/changes": Method(MASKED, ChangesArguments, masked_email.TYPE.changes),
    "MaskedEmail/set": Method(MASKED, SetArguments, masked_email.set_masked),
    **OWN_METHODS,
}

TOLD_TYPES: Final = frozenset(name.partition("/")[0] for name in METHODS if name.endswith("/changes"))
"""Types whose changes clients can follow, and so are told of."""
