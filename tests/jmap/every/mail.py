"""Mailbox, Thread, Email, SearchSnippet (RFC 8621 §2-5)."""

from __future__ import annotations

from typing import Any, Final

from tests.jmap.every.case import SUCCESS, Case

DRAFT: Final[dict[str, Any]] = {
    "mailboxIds": {"<drafts>": True},
    "subject": "A draft",
    "textBody": [{"partId": "t", "type": "text/plain"}],
    "bodyValues": {"t": {"value": "Hello."}},
}


def _attached(blob_id: str) -> dict[str, Any]:
    return DRAFT | {"attachments": [{"blobId": blob_id, "type": "text/plain"}]}


DEMANDED: Final = {
    # RFC 8621 §2.5
    "Mailbox/set": {"mailboxHasChild", "mailboxHasEmail"},
    # RFC 8621 §4.6
    "Email/set": {"blobNotFound", "tooManyKeywords", "tooManyMailboxes"},
    # RFC 8621 §4.8
    "Email/import": {
        SUCCESS, "accountNotFound", "invalidArguments", "requestTooLarge", "stateMismatch", "alreadyExists",
        "invalidEmail", "invalidProperties", "overQuota", "tooLarge",
    },
    # RFC 8621 §4.9
    "Email/parse": {SUCCESS, "accountNotFound", "invalidArguments", "requestTooLarge"},
    # RFC 8621 §5.1
    "SearchSnippet/get": {"unsupportedFilter"},
}  # fmt: skip

CASES: Final = [
    # --- Mailbox
    Case("Mailbox/get", SUCCESS, {"ids": ["<inbox>"]}, {"/list/0/role": "inbox", "/notFound": []}),
    Case("Mailbox/get", SUCCESS, {"ids": ["<inbox>", "F999"]}, {"/notFound": ["F999"]}),
    Case("Mailbox/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("Mailbox/changes", SUCCESS, {"sinceState": "0"}, {"/hasMoreChanges": False}),
    Case("Mailbox/query", SUCCESS, {"filter": {"role": "inbox"}}, {"/ids": ["<inbox>"], "/position": 0}),
    Case("Mailbox/queryChanges", SUCCESS, {"sinceQueryState": "0"}),
    Case("Mailbox/queryChanges", "tooManyChanges", {"sinceQueryState": "0", "maxChanges": 1}),
    Case("Mailbox/set", SUCCESS, {"create": {"n": {"name": "New"}}}, keep={"made": "/created/n/id"}),
    Case("Mailbox/set", SUCCESS, {"update": {"<made>": {"name": "Newer"}}}, {"/updated/<made>": None}),
    Case("Mailbox/set", "invalidProperties", {"create": {"n": {"name": "Newer"}}}, {"/properties": ["name"]}),
    Case("Mailbox/set", "invalidProperties", {"create": {"n": {"name": "x", "parentId": "F999"}}}, {"/properties": ["parentId"]}),
    Case("Mailbox/set", "invalidProperties", {"create": {"n": {"name": "x", "totalEmails": 1}}}, {"/properties": ["totalEmails"]}),
    Case("Mailbox/set", "invalidProperties", {"update": {"<made>": {"role": "inbox"}}}, {"/properties": ["role"]}),
    Case("Mailbox/set", "invalidPatch", {"update": {"<made>": {"myRights/mayRename/no": True}}}),
    Case("Mailbox/set", "invalidPatch", {"update": {"<made>": {"myRights": {}, "myRights/mayRename": True}}}),
    Case("Mailbox/set", "notFound", {"update": {"F999": {"name": "x"}}}),
    Case("Mailbox/set", "notFound", {"destroy": ["F999"]}),
    Case("Mailbox/set", "forbidden", {"destroy": ["<inbox>"]}),
    Case("Mailbox/set", "forbidden", {"update": {"<inbox>": {"name": "x"}}}),
    Case("Mailbox/set", "mailboxHasChild", {"destroy": ["<parent>"]}),
    Case("Mailbox/set", "mailboxHasEmail", {"destroy": ["<child>"]}),
    Case("Mailbox/set", "overQuota", {"create": {"n": {"name": "x"}}}, limits={"JMAP_MAILBOXES": 1}),
    Case("Mailbox/set", SUCCESS, {"destroy": ["<made>"]}, {"/destroyed": ["<made>"]}),
    # --- Thread
    Case("Thread/get", SUCCESS, {"ids": ["<thread>"]}, {"/list/0/emailIds": ["<mail>", "<answer>"]}),
    Case("Thread/get", SUCCESS, {"ids": ["T999"]}, {"/notFound": ["T999"]}),
    Case("Thread/get", SUCCESS, {"ids": None}, {"/list/0/emailIds": ["<mail>", "<answer>"]}),
    Case("Thread/get", "requestTooLarge", {"ids": None}, limits={"JMAP_GET": 1}),
    Case("Thread/changes", SUCCESS, {"sinceState": "0"}),
    # --- Email
    Case("Email/get", SUCCESS, {"ids": ["<mail>"], "properties": ["subject"]}, {"/list/0/subject": "Plan"}),
    Case("Email/get", SUCCESS, {"ids": None, "properties": ["subject"]}, {"/list/0/subject": "Plan"}),
    Case("Email/get", "requestTooLarge", {"ids": None}, limits={"JMAP_GET": 1}),
    Case("Email/get", "invalidArguments", {"ids": [], "properties": ["nonsense"]}),
    Case("Email/get", "invalidArguments", {"ids": [], "properties": ["header:Subject:asDate"]}),
    Case("Email/get", "invalidArguments", {"ids": [], "bodyProperties": ["nonsense"]}),
    Case("Email/changes", SUCCESS, {"sinceState": "0"}, {"/destroyed": []}),
    Case("Email/query", SUCCESS, {"filter": {"subject": "plan"}, "calculateTotal": True}, {"/total": 2}),
    Case("Email/query", "invalidArguments", {"filter": {"before": "yesterday"}}),
    Case("Email/queryChanges", SUCCESS, {"sinceQueryState": "0"}),
    Case("Email/queryChanges", "tooManyChanges", {"sinceQueryState": "0", "maxChanges": 1}),
    Case("Email/set", SUCCESS, {"create": {"d": DRAFT}}, keep={"draft": "/created/d/id"}),
    Case("Email/set", SUCCESS, {"update": {"<draft>": {"keywords/$seen": True}}}, {"/updated/<draft>": None}),
    Case("Email/set", "invalidProperties", {"create": {"d": DRAFT | {"mailboxIds": {}}}}, {"/properties": ["mailboxIds"]}),
    Case("Email/set", "invalidProperties", {"create": {"d": DRAFT | {"size": 1}}}, {"/properties": ["size"]}),
    Case("Email/set", "invalidProperties", {"create": {"d": DRAFT | {"keywords": {"a b": True}}}}, {"/properties": ["keywords"]}),
    Case("Email/set", "invalidProperties", {"update": {"<draft>": {"subject": "x"}}}, {"/properties": ["subject"]}),
    Case("Email/set", "invalidPatch", {"update": {"<draft>": {"keywords": {}, "keywords/$seen": True}}}),
    Case("Email/set", "invalidPatch", {"update": {"<draft>": {"keywords/a/b": True}}}),
    Case("Email/set", "notFound", {"update": {"M999": {"keywords/$seen": True}}}),
    Case("Email/set", "notFound", {"destroy": ["M999"]}),
    Case("Email/set", "blobNotFound", {"create": {"d": _attached("B999")}}, {"/notFound": ["B999"]}),
    Case("Email/set", "tooManyMailboxes", {"create": {"d": DRAFT | {"mailboxIds": {"<inbox>": True, "<drafts>": True}}}}, limits={"JMAP_MAILBOXES_PER_EMAIL": 1}),
    Case("Email/set", "tooManyKeywords", {"update": {"<draft>": {f"keywords/k{n}": True for n in range(70)}}}),
    Case("Email/set", "tooLarge", {"create": {"d": DRAFT | {"bodyValues": {"t": {"value": "x" * 70_000}}}}}),
    Case("Email/set", "overQuota", {"create": {"d": DRAFT}}, quota=1),
    Case("Email/set", SUCCESS, {"destroy": ["<draft>"]}, {"/destroyed": ["<draft>"]}),
    Case("Email/copy", "invalidArguments", {"fromAccountId": "<account>", "create": {}}),
    Case("Email/copy", "fromAccountNotFound", {"fromAccountId": "<other>", "create": {}}),
    Case("Email/import", SUCCESS, {"emails": {"i": {"blobId": "<upload>", "mailboxIds": {"<inbox>": True}}}}, keep={"imported": "/created/i/id"}),
    Case("Email/import", "stateMismatch", {"ifInState": "4-4-4", "emails": {}}),
    Case("Email/import", "requestTooLarge", {"emails": {f"i{n}": {} for n in range(1001)}}),
    Case("Email/import", "invalidProperties", {"emails": {"i": {"blobId": "B999", "mailboxIds": {"<inbox>": True}}}}, {"/properties": ["blobId"]}),
    Case("Email/import", "invalidProperties", {"emails": {"i": {"blobId": "<upload>", "mailboxIds": {}}}}, {"/properties": ["mailboxIds"]}),
    Case("Email/import", "invalidEmail", {"emails": {"i": {"blobId": "<nomail>", "mailboxIds": {"<inbox>": True}}}}),
    Case("Email/import", "tooLarge", {"emails": {"i": {"blobId": "B<large>", "mailboxIds": {"<inbox>": True}}}}),
    Case("Email/import", "overQuota", {"emails": {"i": {"blobId": "<upload>", "mailboxIds": {"<inbox>": True}}}}, quota=1),
    Case("Email/parse", SUCCESS, {"blobIds": ["<upload>", "<nomail>", "B999"]}, {"/parsed/<upload>/subject": "Uploaded", "/notParsable": ["<nomail>"], "/notFound": ["B999"]}),
    Case("Email/parse", "requestTooLarge", {"blobIds": [f"B{n}" for n in range(99)]}),
    # --- SearchSnippet
    Case("SearchSnippet/get", SUCCESS, {"filter": {"subject": "plan"}, "emailIds": ["<mail>"]}, {"/list/0/subject": "<mark>Plan</mark>"}),
    Case("SearchSnippet/get", "requestTooLarge", {"filter": {}, "emailIds": [f"M{n}" for n in range(999)]}),
    Case("SearchSnippet/get", "unsupportedFilter", {"filter": {"nonsense": 1}, "emailIds": []}),
]  # fmt: skip

REASONS: Final = {
    ("Mailbox/set", "tooLarge"): "each property of a mailbox has its own bound: invalidProperties",
    (
        "Email/import",
        "alreadyExists",
    ): "the same message may be imported twice (RFC 8621 §4.8 leaves it to the server)",
}
