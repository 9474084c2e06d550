"""Identity, EmailSubmission, VacationResponse, MDN (RFC 8621 §6-8, RFC 9007)."""

from __future__ import annotations

from typing import Any, Final

from tests.jmap.every.case import SUCCESS, Case


def _to(*recipients: str, sender: str = "alice@example.test", **parameters: str) -> dict[str, Any]:
    mail_from = {"email": sender, "parameters": parameters or None}
    return {"mailFrom": mail_from, "rcptTo": [{"email": each} for each in recipients]}


def _submit(**more: Any) -> dict[str, Any]:
    given = {"identityId": "<identity>", "emailId": "<outgoing>", "envelope": _to("bob@example.test")} | more
    return {"create": {"s": {k: v for k, v in given.items() if v is not None}}}


_DISPOSITION: Final = {
    "actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"
}  # fmt: skip


def _mdn(**more: Any) -> dict[str, Any]:
    send = {"m": {"forEmailId": "<asking>", "disposition": _DISPOSITION} | more}
    return {"identityId": "<identity>", "send": send}


DEMANDED: Final = {
    # RFC 8621 §6.3
    "Identity/set": {"forbiddenFrom"},
    # RFC 8621 §7.5
    "EmailSubmission/set": {
        "invalidEmail", "tooManyRecipients", "noRecipients", "invalidRecipients", "forbiddenMailFrom",
        "forbiddenFrom", "forbiddenToSend", "cannotUnsend",
    },
    # RFC 9007 §2.1
    "MDN/send": {
        SUCCESS, "accountNotFound", "invalidArguments", "requestTooLarge", "notFound", "forbidden", "forbiddenFrom",
        "overQuota", "tooLarge", "rateLimit", "invalidProperties", "mdnAlreadySent",
    },
    "MDN/parse": {SUCCESS, "accountNotFound", "invalidArguments", "requestTooLarge"},
}  # fmt: skip

CASES: Final = [
    # --- Identity
    Case("Identity/get", SUCCESS, {"ids": ["<identity>"]}, {"/list/0/email": "alice@example.test"}),
    Case("Identity/get", "requestTooLarge", {"ids": None}, limits={"JMAP_GET": 1}),
    Case("Identity/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("Identity/changes", SUCCESS, {"sinceState": "0"}, {"/created/0": "<identity>"}),
    Case("Identity/set", SUCCESS, {"create": {"i": {"email": "team@example.test", "name": "Team"}}}, keep={"made": "/created/i/id"}),
    Case("Identity/set", SUCCESS, {"update": {"<made>": {"name": "The team"}}}, {"/updated/<made>": None}),
    Case("Identity/set", "forbiddenFrom", {"create": {"i": {"email": "bob@example.test"}}}),
    Case("Identity/set", "invalidProperties", {"create": {"i": {"name": "x"}}}, {"/properties": ["email"]}),
    Case("Identity/set", "invalidProperties", {"create": {"i": {"email": "alice@example.test", "mayDelete": True}}}, {"/properties": ["mayDelete"]}),
    Case("Identity/set", "invalidProperties", {"update": {"<made>": {"email": "alice@example.test"}}}, {"/properties": ["email"]}),
    Case("Identity/set", "invalidPatch", {"update": {"<made>": {"name/first": "x"}}}),
    Case("Identity/set", "notFound", {"update": {"I999": {"name": "x"}}}),
    Case("Identity/set", "notFound", {"destroy": ["I999"]}),
    Case("Identity/set", "forbidden", {"destroy": ["<identity>"]}),
    Case("Identity/set", "overQuota", {"create": {"i": {"email": "alice@example.test"}}}, limits={"Identity.most": 0}),
    Case("Identity/set", "tooLarge", {"create": {"i": {"email": "alice@example.test", "htmlSignature": "x" * 300_000}}}),
    Case("Identity/set", "tooLarge", {"update": {"<made>": {"textSignature": "x" * 300_000}}}),
    Case("Identity/set", SUCCESS, {"destroy": ["<made>"]}, {"/destroyed": ["<made>"]}),
    # --- EmailSubmission
    Case("EmailSubmission/set", SUCCESS, _submit(), {"/created/s/undoStatus": "final"}, keep={"sent": "/created/s/id"}),
    Case("EmailSubmission/set", SUCCESS, _submit(envelope=_to("bob@example.test", HOLDFOR="3600")), keep={"later": "/created/s/id"}),
    Case("EmailSubmission/set", "overQuota", _submit(envelope=_to("bob@example.test", HOLDFOR="3600")), limits={"UPLOAD_OCTETS": 250}),
    Case("EmailSubmission/set", "forbidden", {"destroy": ["<later>"]}),
    Case("EmailSubmission/set", SUCCESS, {"update": {"<later>": {"undoStatus": "canceled"}}}, {"/updated/<later>": None}),
    Case("EmailSubmission/set", "cannotUnsend", {"update": {"<sent>": {"undoStatus": "canceled"}}}),
    Case("EmailSubmission/set", "invalidProperties", _submit(emailId="M999"), {"/properties": ["emailId"]}),
    Case("EmailSubmission/set", "invalidProperties", _submit(identityId="I999"), {"/properties": ["identityId"]}),
    Case("EmailSubmission/set", "invalidProperties", _submit(emailId=None), {"/properties": ["emailId"]}),
    Case("EmailSubmission/set", "invalidProperties", {"update": {"<sent>": {"sendAt": "2026-01-01T00:00:00Z"}}}, {"/properties": ["sendAt"]}),
    Case("EmailSubmission/set", "invalidPatch", {"update": {"<sent>": {"undoStatus/x": "canceled"}}}),
    Case("EmailSubmission/set", "notFound", {"update": {"S999": {"undoStatus": "canceled"}}}),
    Case("EmailSubmission/set", "notFound", {"destroy": ["S999"]}),
    Case("EmailSubmission/set", "tooLarge", _submit(emailId="M<large>")),
    Case("EmailSubmission/set", "invalidEmail", _submit(emailId="<nofrom>"), {"/properties": ["from"]}),
    Case("EmailSubmission/set", "tooManyRecipients", _submit(envelope=_to("a@b.test", "c@d.test")), {"/maxRecipients": 1}, limits={"SMTP_RECIPIENTS": 1}),
    Case("EmailSubmission/set", "noRecipients", _submit(envelope=_to())),
    Case("EmailSubmission/set", "invalidRecipients", _submit(envelope=_to("bob@example.test", "no address")), {"/invalidRecipients": ["no address"]}),
    Case("EmailSubmission/set", "forbiddenMailFrom", _submit(envelope=_to("bob@example.test", sender="bob@example.test"))),
    Case("EmailSubmission/set", "forbiddenFrom", _submit(emailId="<mail>")),
    Case("EmailSubmission/set", "rateLimit", _submit(envelope=_to("far@far.test")), sent_too_much=True),
    Case("EmailSubmission/set", "forbiddenToSend", _submit(envelope=_to("far@far.test", "off@far.test")), sent_too_much=True),
    Case("EmailSubmission/set", "overQuota", _submit(), limits={"EmailSubmission.most": 1}),
    Case("EmailSubmission/set", SUCCESS, {"destroy": ["<later>"]}, {"/destroyed": ["<later>"]}),
    Case("EmailSubmission/get", SUCCESS, {"ids": ["<sent>"]}, {"/list/0/emailId": "<outgoing>"}),
    Case("EmailSubmission/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("EmailSubmission/changes", SUCCESS, {"sinceState": "0"}, {"/created": ["<sent>"]}),
    Case("EmailSubmission/query", SUCCESS, {"filter": {"undoStatus": "final"}}, {"/ids": ["<sent>"]}),
    Case("EmailSubmission/queryChanges", SUCCESS, {"sinceQueryState": "0"}),
    Case("EmailSubmission/queryChanges", "tooManyChanges", {"sinceQueryState": "0", "maxChanges": 1}),
    # --- VacationResponse
    Case("VacationResponse/get", SUCCESS, {"ids": None}, {"/list/0/id": "singleton"}),
    Case("VacationResponse/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("VacationResponse/set", SUCCESS, {"update": {"singleton": {"subject": "Away"}}}, {"/updated/singleton": None}),
    Case("VacationResponse/set", "singleton", {"create": {"v": {}}}),
    Case("VacationResponse/set", "singleton", {"destroy": ["singleton"]}),
    Case("VacationResponse/set", "notFound", {"update": {"other": {}}}),
    Case("VacationResponse/set", "notFound", {"destroy": ["other"]}),
    Case("VacationResponse/set", "invalidProperties", {"update": {"singleton": {"fromDate": "soon"}}}, {"/properties": ["fromDate"]}),
    Case("VacationResponse/set", "invalidProperties", {"update": {"singleton": {"nonsense": 1}}}, {"/properties": ["nonsense"]}),
    Case("VacationResponse/set", "invalidPatch", {"update": {"singleton": {"subject/x": "y"}}}),
    Case("VacationResponse/set", "tooLarge", {"update": {"singleton": {"textBody": "x" * 600_000}}}),
    # --- MDN
    Case("MDN/send", SUCCESS, _mdn() | {"onSuccessUpdateEmail": {"#m": {"keywords/$mdnsent": True}}}, {"/notSent": None}),
    Case("MDN/send", "mdnAlreadySent", _mdn()),
    Case("MDN/send", "notFound", _mdn(forEmailId="M999")),
    Case("MDN/send", "notFound", _mdn(forEmailId="<mail>")),
    Case("MDN/send", "forbiddenFrom", _mdn(forEmailId="<asking2>", finalRecipient="rfc822; bob@example.test")),
    Case("MDN/send", "rateLimit", _mdn(forEmailId="<asking3>"), sent_too_much=True),
    Case("MDN/send", "invalidProperties", _mdn(disposition=_DISPOSITION | {"type": "eaten"}), {"/properties": ["disposition"]}),
    Case("MDN/send", "invalidProperties", _mdn(mdnGateway="x"), {"/properties": ["mdnGateway"]}),
    Case("MDN/send", "tooLarge", _mdn(forEmailId="<asking2>", textBody="x" * 70_000)),
    Case("MDN/send", "forbiddenFrom", _mdn(forEmailId="<asking2>") | {"identityId": "<lost>"}),
    Case("MDN/send", "invalidArguments", _mdn() | {"identityId": "I999"}),
    Case("MDN/send", "requestTooLarge", {"identityId": "<identity>", "send": {f"m{n}": {} for n in range(1001)}}),
    Case("MDN/parse", SUCCESS, {"blobIds": ["<upload>", "B999"]}, {"/notParsable": ["<upload>"], "/notFound": ["B999"]}),
    Case("MDN/parse", "requestTooLarge", {"blobIds": [f"B{n}" for n in range(99)]}),
]  # fmt: skip

REASONS: Final = {
    ("VacationResponse/set", "forbidden"): "it is its owner's",
    ("VacationResponse/set", "overQuota"): "there is one, of bounded size",
    ("MDN/send", "overQuota"): "what is sent is not kept in the account",
    ("MDN/send", "forbidden"): "an account's mail is its owner's",
}
