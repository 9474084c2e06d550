"""Principal and ShareNotification (RFC 9670), and copies between accounts (RFC 8621 §4.7)."""

from __future__ import annotations

from typing import Final

from tests.jmap.every.case import SUCCESS, Case

DEMANDED: Final[dict[str, set[str]]] = {
    # RFC 8620 §3.6.2
    "Quota/get": {"accountNotSupportedByMethod"},
}

_TAKEN: Final = {"id": "<theirs>", "mailboxIds": {"<inbox>": True}}

CASES: Final = [
    Case("Quota/get", "accountNotSupportedByMethod", {"accountId": "<friend>"}),
    # --- Email/copy
    Case("Email/copy", SUCCESS, {"fromAccountId": "<friend>", "create": {"c": _TAKEN}}, keep={"copied": "/created/c/id"}),
    Case("Email/copy", "notFound", {"fromAccountId": "<friend>", "create": {"c": _TAKEN | {"id": "M999"}}}),
    Case("Email/copy", "stateMismatch", {"fromAccountId": "<friend>", "ifInState": "4-4-4", "create": {}}),
    Case("Email/copy", "stateMismatch", {"fromAccountId": "<friend>", "ifFromInState": "4-4-4", "create": {}}),
    Case("Email/copy", "forbidden", {"accountId": "<friend>", "fromAccountId": "<account>", "create": {"c": {"id": "<copied>", "mailboxIds": {"<theirbox>": True}}}}),
    Case("Email/copy", "invalidProperties", {"fromAccountId": "<friend>", "create": {"c": _TAKEN | {"subject": "x"}}}, {"/properties": ["subject"]}),
    Case("Email/set", "forbidden", {"accountId": "<friend>", "destroy": ["<theirs>"]}),
    # --- Mailbox
    Case("Mailbox/get", SUCCESS, {"accountId": "<friend>"}, {"/list/0/id": "<theirbox>", "/list/0/myRights/mayAddItems": False}),
    Case("Mailbox/set", "forbidden", {"accountId": "<friend>", "update": {"<theirbox>": {"name": "x"}}}),
    Case("Mailbox/set", "invalidProperties", {"update": {"<inbox>": {"shareWith": {"W999": {}}}}}, {"/properties": ["shareWith"]}),
    Case("Mailbox/set", "overQuota", {"update": {"<parent>": {"shareWith": {"<someone>": {"mayReadItems": True}}}}}, limits={"SHARES": 0}),
    Case("Mailbox/set", "overQuota", {"update": {"<parent>": {"shareWith": {"<someone>": {"mayReadItems": True}}}}}, limits={"GRANTS": 0}),
    Case("Mailbox/set", "overQuota", {"update": {"<parent>": {"shareWith": {"<someone>": {"mayReadItems": True}}}}}, limits={"SHARED_ACCOUNTS": 0}),
    # --- Principal
    Case("Principal/get", SUCCESS, {"ids": ["<someone>", "W999"]}, {"/list/0/email": "bob@example.test", "/notFound": ["W999"]}),
    Case("Principal/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("Principal/query", SUCCESS, {"filter": {"email": "bob@"}}, {"/ids": ["<someone>"], "/canCalculateChanges": False}),
    Case("Principal/query", SUCCESS, {"filter": {"operator": "NOT", "conditions": [{"type": "individual"}]}}, {"/ids": []}),
    Case("Principal/get", SUCCESS, {"ids": []}, keep={"people": "/state"}),
    Case("Principal/changes", SUCCESS, {"sinceState": "<people>"}, {"/updated": []}),
    Case("Principal/set", SUCCESS, {"ifInState": "<people>"}),
    Case("Principal/set", "forbidden", {"create": {"p": {"name": "Somebody"}}}),
    Case("Principal/set", "forbidden", {"update": {"<someone>": {"name": "Alice"}}}),
    Case("Principal/set", "forbidden", {"destroy": ["<someone>"]}),
    Case("Principal/set", "notFound", {"destroy": ["W999"]}),
    # --- ShareNotification
    Case("ShareNotification/get", SUCCESS, says={"/list/0/objectId": "<theirbox>", "/list/0/oldRights": None}, keep={"notice": "/list/0/id"}),
    Case("ShareNotification/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("ShareNotification/changes", SUCCESS, {"sinceState": "0"}, {"/created": ["<notice>"]}),
    Case("ShareNotification/query", SUCCESS, {"filter": {"objectType": "Mailbox"}, "sort": [{"property": "created", "isAscending": False}]}, {"/ids": ["<notice>"]}),
    Case("ShareNotification/query", SUCCESS, {"filter": {"objectAccountId": "<account>"}}, {"/ids": []}),
    Case("ShareNotification/query", SUCCESS, {"filter": {"before": "2001-01-01T00:00:00Z"}}, {"/ids": []}),
    Case("ShareNotification/query", SUCCESS, {"filter": {"after": "2001-01-01T00:00:00Z"}}, {"/ids": ["<notice>"]}),
    Case("ShareNotification/queryChanges", SUCCESS, {"sinceQueryState": "0"}, {"/added/0/id": "<notice>"}),
    Case("ShareNotification/queryChanges", "tooManyChanges", {"sinceQueryState": "0", "maxChanges": 1}),
    Case("ShareNotification/set", "forbidden", {"create": {"n": {"name": "x"}}}),
    Case("ShareNotification/set", "forbidden", {"update": {"<notice>": {"name": "x"}}}),
    Case("ShareNotification/set", "notFound", {"destroy": ["N999"]}),
    Case("ShareNotification/set", SUCCESS, {"destroy": ["<notice>"]}, {"/destroyed": ["<notice>"]}),
]  # fmt: skip

_UNTOLD: Final = "canCalculateChanges is false (RFC 9670 §2.5)"
_MANAGED: Final = "administrators manage accounts: forbidden (RFC 9670 §2.3)"
_MADE: Final = "the server makes them: forbidden (RFC 9670 §3.3)"
REASONS: Final = {
    **{
        ("Principal/queryChanges", kind): _UNTOLD
        for kind in (SUCCESS, "tooManyChanges", "unsupportedSort", "unsupportedFilter")
    },
    **{
        (f"{name}/set", kind): why
        for name, why in (("Principal", _MANAGED), ("ShareNotification", _MADE))
        for kind in ("overQuota", "tooLarge", "invalidPatch", "invalidProperties")
    },
}
