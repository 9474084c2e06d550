"""Core, PushSubscription, Blob, Quota, contacts, scripts (RFC 8620 §4, §6.3, §7.2, RFC 9404, 9425, 9610, 9661)."""

from __future__ import annotations

from typing import Any, Final

from tests.jmap.every.case import SUCCESS, Case

_DEVICE: Final = {"deviceClientId": "phone", "url": "https://push.example.net/x"}
_CARD: Final[dict[str, Any]] = {
    "addressBookIds": {"B1": True}, "name": {"full": "Carol Example"}, "emails": {"e": {"address": "carol@x.test"}}
}  # fmt: skip

DEMANDED: Final = {
    "Core/echo": {SUCCESS},
    "PushSubscription/get": {"forbidden"},
    # RFC 8620 §6.3
    "Blob/copy": {SUCCESS, "accountNotFound", "invalidArguments", "fromAccountNotFound", "notFound"},
    # RFC 9404 §4
    "Blob/upload": {
        SUCCESS, "accountNotFound", "invalidArguments", "requestTooLarge", "invalidProperties", "tooLarge",
        "overQuota", "blobNotFound",
    },
    "Blob/lookup": {SUCCESS, "accountNotFound", "invalidArguments", "requestTooLarge", "unknownDataType"},
    # RFC 9610 §2.3
    "AddressBook/set": {"addressBookHasContents"},
    # RFC 9661 §2.4, §2.6
    "SieveScript/set": {"alreadyExists", "invalidSieve", "sieveIsActive", "blobNotFound"},
    "SieveScript/validate": {SUCCESS, "accountNotFound", "invalidArguments", "blobNotFound"},
}  # fmt: skip

CASES: Final = [
    Case("Core/echo", SUCCESS, {"hello": True}, {"/hello": True}),
    # --- PushSubscription
    Case("PushSubscription/get", SUCCESS, {"ids": ["P999"]}, {"/list": [], "/notFound": ["P999"]}),
    Case("PushSubscription/get", "forbidden", {"properties": ["url"]}),
    Case("PushSubscription/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("PushSubscription/get", "requestTooLarge", {"ids": [f"P{n}" for n in range(1001)]}),
    Case("PushSubscription/set", SUCCESS, {"create": {"p": _DEVICE}}, keep={"made": "/created/p/id"}),
    Case("PushSubscription/set", SUCCESS, {"update": {"<made>": {"types": ["Email"]}}}, {"/updated/<made>": None}),
    Case("PushSubscription/set", "invalidProperties", {"create": {"p": _DEVICE | {"url": "http://x.test"}}}, {"/properties": ["url"]}),
    Case("PushSubscription/set", "invalidProperties", {"create": {"p": _DEVICE | {"keys": {"p256dh": "x", "auth": "y"}}}}, {"/properties": ["keys"]}),
    Case("PushSubscription/set", "invalidProperties", {"create": {"p": _DEVICE | {"verificationCode": "x"}}}, {"/properties": ["verificationCode"]}),
    Case("PushSubscription/set", "invalidProperties", {"update": {"<made>": {"verificationCode": "guessed"}}}, {"/properties": ["verificationCode"]}),
    Case("PushSubscription/set", "invalidProperties", {"update": {"<made>": {"url": "https://x.test"}}}, {"/properties": ["url"]}),
    Case("PushSubscription/set", "invalidPatch", {"update": {"<made>": {"types/Email": True}}}),
    Case("PushSubscription/set", "notFound", {"update": {"P999": {"types": None}}}),
    Case("PushSubscription/set", "notFound", {"destroy": ["P999"]}),
    Case("PushSubscription/set", "overQuota", {"create": {"p": _DEVICE}}, limits={"PUSH_SUBSCRIPTIONS": 1}),
    Case("PushSubscription/set", "rateLimit", {"create": {"p": _DEVICE}}, limits={"PUSH_CREATED": 1}),
    Case("PushSubscription/set", SUCCESS, {"destroy": ["<made>"]}, {"/destroyed": ["<made>"]}),
    # --- Blob
    Case("Blob/copy", SUCCESS, {"fromAccountId": "<account>", "blobIds": ["<upload>"]}, {"/notCopied": None}),
    Case("Blob/copy", "notFound", {"fromAccountId": "<account>", "blobIds": ["B999"]}),
    Case("Blob/copy", "fromAccountNotFound", {"fromAccountId": "<other>", "blobIds": []}),
    Case("Blob/upload", SUCCESS, {"create": {"b": {"data": [{"data:asText": "hi"}], "type": "text/plain"}}}, {"/created/b/size": 2}),
    Case("Blob/upload", "invalidProperties", {"create": {"b": {"data": [{"data:asBase64": "!"}]}}}),
    Case("Blob/upload", "invalidProperties", {"create": {"b": {"data": [], "type": "no type"}}}, {"/properties": ["type"]}),
    Case("Blob/upload", "blobNotFound", {"create": {"b": {"data": [{"blobId": "B999"}]}}}),
    Case("Blob/upload", "tooLarge", {"create": {"b": {"data": [{"data:asText": "x" * 70_000}]}}}),
    Case("Blob/upload", "overQuota", {"create": {"b": {"data": [{"data:asText": "hello"}]}}}, limits={"UPLOAD_OCTETS": 3}),
    Case("Blob/upload", "requestTooLarge", {"create": {f"b{n}": {} for n in range(1001)}}),
    Case("Blob/get", SUCCESS, {"ids": ["<upload>", "B999"], "properties": ["size"]}, {"/notFound": ["B999"]}),
    Case("Blob/get", "invalidArguments", {"ids": [], "properties": ["digest:nonsense"]}),
    Case("Blob/lookup", SUCCESS, {"typeNames": ["Email"], "ids": ["B999"]}, {"/notFound": ["B999"]}),
    Case("Blob/lookup", "unknownDataType", {"typeNames": ["Nonsense"], "ids": []}),
    Case("Blob/lookup", "requestTooLarge", {"typeNames": ["Email"], "ids": [f"B{n}" for n in range(999)]}),
    # --- Quota
    Case("Quota/get", SUCCESS, {"ids": ["octets"]}, {"/list/0/resourceType": "octets"}, quota=10**9),
    Case("Quota/changes", SUCCESS, {"sinceState": "none"}),
    Case("Quota/query", SUCCESS, {"filter": {"scope": "account"}}, {"/canCalculateChanges": False}, quota=10**9),
    Case("Quota/query", "unsupportedFilter", {"filter": {"nonsense": "x"}}, quota=10**9),
    # --- AddressBook
    Case("AddressBook/get", SUCCESS, {"ids": ["B1"]}, {"/list/0/isDefault": True}),
    Case("AddressBook/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("AddressBook/changes", SUCCESS, {"sinceState": "0"}),
    Case("AddressBook/set", SUCCESS, {"create": {"b": {"name": "Club"}}}, keep={"book": "/created/b/id"}),
    Case("AddressBook/set", SUCCESS, {"update": {"<book>": {"name": "The club"}}}, {"/updated/<book>": None}),
    Case("AddressBook/set", "invalidProperties", {"create": {"b": {"name": ""}}}, {"/properties": ["name"]}),
    Case("AddressBook/set", "invalidProperties", {"update": {"<book>": {"isDefault": True}}}, {"/properties": ["isDefault"]}),
    Case("AddressBook/set", "invalidPatch", {"update": {"<book>": {"name/x": "y"}}}),
    Case("AddressBook/set", "notFound", {"update": {"B999": {"name": "x"}}}),
    Case("AddressBook/set", "notFound", {"destroy": ["B999"]}),
    Case("AddressBook/set", "forbidden", {"destroy": ["B1"]}),
    Case("AddressBook/set", "overQuota", {"create": {"b": {"name": "x"}}}, limits={"AddressBook.most": 1}),
    Case("AddressBook/set", "tooLarge", {"create": {"b": {"name": "x", "description": "y" * 400_000}}}),
    # --- ContactCard
    Case("ContactCard/set", SUCCESS, {"create": {"c": _CARD | {"addressBookIds": {"<book>": True}}}}, keep={"card": "/created/c/id"}),
    Case("AddressBook/set", "addressBookHasContents", {"destroy": ["<book>"]}),
    Case("ContactCard/set", SUCCESS, {"update": {"<card>": {"name/full": "Carol Other"}}}),
    Case("ContactCard/set", "invalidProperties", {"create": {"c": _CARD | {"addressBookIds": {"B999": True}}}}, {"/properties": ["addressBookIds"]}),
    Case("ContactCard/set", "invalidProperties", {"update": {"<card>": {"uid": "other"}}}, {"/properties": ["uid"]}),
    Case("ContactCard/set", "invalidProperties", {"create": {"c": _CARD | {"media": {"m": {"kind": "photo", "blobId": "U999"}}}}}, {"/properties": ["media"]}),
    Case("ContactCard/set", "invalidPatch", {"update": {"<card>": {"nicknames/a/name": "x"}}}),
    Case("ContactCard/set", "notFound", {"update": {"C999": {}}}),
    Case("ContactCard/set", "notFound", {"destroy": ["C999"]}),
    Case("ContactCard/set", "overQuota", {"create": {"c": _CARD}}, limits={"ContactCard.most": 1}),
    Case("ContactCard/set", "tooLarge", {"create": {"c": _CARD | {"notes": {"n": {"note": "x" * 400_000}}}}}),
    Case("ContactCard/get", SUCCESS, {"ids": ["<card>"]}, {"/list/0/name/full": "Carol Other"}),
    Case("ContactCard/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("ContactCard/changes", SUCCESS, {"sinceState": "0"}, {"/created": ["<card>"]}),
    Case("ContactCard/query", SUCCESS, {"filter": {"name": "carol"}}, {"/ids": ["<card>"]}),
    Case("ContactCard/queryChanges", SUCCESS, {"sinceQueryState": "0"}),
    Case("ContactCard/queryChanges", "tooManyChanges", {"sinceQueryState": "0", "maxChanges": 1}),
    Case("ContactCard/copy", "invalidArguments", {"fromAccountId": "<account>", "create": {}}),
    Case("ContactCard/copy", "fromAccountNotFound", {"fromAccountId": "<other>", "create": {}}),
    Case("ContactCard/set", SUCCESS, {"destroy": ["<card>"]}, {"/destroyed": ["<card>"]}),
    Case("AddressBook/set", SUCCESS, {"destroy": ["<book>"]}, {"/destroyed": ["<book>"]}),
    # --- SieveScript
    Case("SieveScript/get", SUCCESS, {"ids": ["S999"]}, {"/notFound": ["S999"]}),
    Case("SieveScript/get", "invalidArguments", {"properties": ["nonsense"]}),
    Case("SieveScript/validate", SUCCESS, {"blobId": "<script>"}, {"/error": None}),
    Case("SieveScript/validate", SUCCESS, {"blobId": "<upload>"}, {"/error/type": "invalidSieve"}),
    Case("SieveScript/validate", "blobNotFound", {"blobId": "U999"}),
    Case("SieveScript/set", SUCCESS, {"create": {"s": {"name": "Mine", "blobId": "<script>"}}, "onSuccessActivateScript": "#s"}, {"/created/s/isActive": True}, keep={"sieve": "/created/s/id"}),
    Case("SieveScript/set", SUCCESS, {"update": {"<sieve>": {"name": "My own"}}}, {"/updated/<sieve>": None}),
    Case("SieveScript/set", "alreadyExists", {"create": {"s": {"name": "My own", "blobId": "<script>"}}}, {"/existingId": "<sieve>"}),
    Case("SieveScript/set", "invalidSieve", {"update": {"<sieve>": {"blobId": "<upload>"}}}, {"/faults/0/line": 1}),
    Case("SieveScript/set", "blobNotFound", {"create": {"s": {"blobId": "B999"}}}, {"/notFound": ["B999"]}),
    Case("SieveScript/set", "invalidProperties", {"update": {"<sieve>": {"isActive": False}}}, {"/properties": ["isActive"]}),
    Case("SieveScript/set", "invalidPatch", {"update": {"<sieve>": {"name/x": "y"}}}),
    Case("SieveScript/set", "notFound", {"update": {"S999": {"name": "x"}}}),
    Case("SieveScript/set", "notFound", {"destroy": ["S999"]}),
    Case("SieveScript/set", "sieveIsActive", {"destroy": ["<sieve>"]}),
    Case("SieveScript/set", "overQuota", {"create": {"s": {"blobId": "<script>"}}}, limits={"sieve_shelf.SIEVE_SCRIPTS": 1}),
    Case("SieveScript/set", "tooLarge", {"create": {"s": {"blobId": "<script>"}}}, limits={"sieve_shelf.SIEVE_SCRIPT": 4}),
    Case("SieveScript/changes", SUCCESS, {"sinceState": "0"}, {"/created": ["<sieve>"]}),
    Case("SieveScript/query", SUCCESS, {"filter": {"isActive": True}}, {"/ids": ["<sieve>"]}),
    Case("SieveScript/set", SUCCESS, {"onSuccessDeactivateScript": True}, {"/updated/<sieve>/isActive": False}),
    Case("SieveScript/set", SUCCESS, {"destroy": ["<sieve>"]}, {"/destroyed": ["<sieve>"]}),
]  # fmt: skip

_NO_ACCOUNT: Final = "it has no accountId and no state (RFC 8620 §7.2)"
REASONS: Final = {
    ("PushSubscription/get", "accountNotFound"): _NO_ACCOUNT,
    ("PushSubscription/set", "accountNotFound"): _NO_ACCOUNT,
    ("PushSubscription/set", "stateMismatch"): _NO_ACCOUNT,
    ("PushSubscription/set", "forbidden"): "who asks sees only what the same credentials have made",
    ("PushSubscription/set", "tooLarge"): "each property has its own bound: invalidProperties",
    ("Quota/queryChanges", SUCCESS): "canCalculateChanges is false (RFC 9425 §4.5)",
    ("Quota/queryChanges", "tooManyChanges"): "canCalculateChanges is false (RFC 9425 §4.5)",
    ("Quota/queryChanges", "unsupportedSort"): "canCalculateChanges is false (RFC 9425 §4.5)",
    ("Quota/queryChanges", "unsupportedFilter"): "canCalculateChanges is false (RFC 9425 §4.5)",
    ("ContactCard/set", "forbidden"): "an account's contacts are its owner's",
    ("SieveScript/set", "forbidden"): "an account's scripts are its owner's",
}
