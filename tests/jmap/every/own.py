"""Our own methods (docs/jmap-extensions.md): for an account's owner, and for administrators."""

from __future__ import annotations

from typing import Final

from posthouse.jmap.admin import COMMANDS
from tests.jmap.every.case import SUCCESS, Case

_PASSWORD: Final = {"password": "wonderland"}
_OPEN: Final = ("ClientSetup/get", "Preferences/get", "Preferences/set", "Journey/get", "Journey/list")
_PERSONAL: Final = (
    "Security/get", "Security/checkPassword", "Security/changePassword", "WebSession/destroy", "AppPassword/create",
    "AppPassword/destroy", "ApiToken/create", "ApiToken/destroy", "SecondFactor/begin", "SecondFactor/confirm",
    "SecondFactor/end", "SecondFactor/newRecoveryCodes", "Passkey/begin", "Passkey/finish", "Passkey/destroy",
)  # fmt: skip
_COMMON: Final = {SUCCESS, "accountNotFound", "invalidArguments"}

DEMANDED: Final = {
    **dict.fromkeys(_OPEN, _COMMON),
    **dict.fromkeys(_PERSONAL, _COMMON | {"forbidden"}),
    **dict.fromkeys(COMMANDS, _COMMON | {"forbidden"}),
    "Security/checkPassword": _COMMON | {"forbidden", "wrongPassword"},
    "Preferences/set": _COMMON | {"tooLarge"},
    "LearntAddress/get": _COMMON,
    "LearntAddress/destroy": _COMMON | {"requestTooLarge"},
    "DeletedEmail/get": _COMMON,
    "DeletedEmail/restore": _COMMON | {"notFound", "requestTooLarge"},
    "DeletedEmail/destroy": _COMMON | {"requestTooLarge"},
    "Unsubscription/send": _COMMON | {"notFound", "notOneClick", "notProved", "listRefused"},
    "VCard/import": _COMMON | {"blobNotFound", "tooLarge"},
    "VCard/export": _COMMON | {"requestTooLarge"},
    "Journey/get": _COMMON | {"notFound"},
}

CASES: Final = [
    *(Case(name, "forbidden", _PASSWORD, app_password=True) for name in ("Security/checkPassword", "SecondFactor/begin", "SecondFactor/end", "SecondFactor/newRecoveryCodes", "Passkey/begin")),
    *(Case(name, "forbidden", {"ids": []}, app_password=True) for name in ("WebSession/destroy", "AppPassword/destroy", "ApiToken/destroy", "Passkey/destroy")),
    *(Case(name, "forbidden", _PASSWORD | {"name": "x", "scope": []}, app_password=True) for name in ("AppPassword/create", "ApiToken/create")),
    Case("Security/get", "forbidden", app_password=True),
    Case("Security/changePassword", "forbidden", _PASSWORD | {"newPassword": "through the glass"}, app_password=True),
    Case("SecondFactor/confirm", "forbidden", {"code": "000000"}, app_password=True),
    Case("Passkey/finish", "forbidden", {"ticket": "x", "answer": {}, "name": "x"}, app_password=True),
    *(Case(name, "forbidden") for name in COMMANDS),
    # --- in person
    Case("Security/get", SUCCESS, says={"/secondFactor": False}),
    Case("Security/checkPassword", SUCCESS, _PASSWORD),
    Case("Security/changePassword", SUCCESS, _PASSWORD | {"newPassword": "wonderland"}),
    Case("Security/changePassword", "invalidArguments", _PASSWORD | {"newPassword": "short"}),
    Case("WebSession/destroy", SUCCESS, {"ids": ["C999"]}, {"/destroyed": []}),
    Case("AppPassword/create", SUCCESS, _PASSWORD | {"name": "phone", "scope": ["imap"]}, keep={"app": "/id"}),
    Case("AppPassword/destroy", SUCCESS, {"ids": ["<app>"]}, {"/destroyed": ["<app>"]}),
    Case("ApiToken/create", SUCCESS, _PASSWORD | {"name": "script", "scope": ["jmap"]}, keep={"token": "/id"}),
    Case("ApiToken/destroy", SUCCESS, {"ids": ["<token>"]}, {"/destroyed": ["<token>"]}),
    Case("SecondFactor/begin", SUCCESS, _PASSWORD),
    Case("SecondFactor/end", SUCCESS, _PASSWORD),
    Case("Passkey/begin", SUCCESS, _PASSWORD),
    Case("Passkey/finish", "invalidArguments", {"ticket": "x", "answer": {}, "name": "x"}),
    Case("Passkey/destroy", SUCCESS, {"ids": ["C999"]}, {"/destroyed": []}),
    Case("ClientSetup/get", SUCCESS, says={"/address": "alice@example.test"}),
    Case("Preferences/set", SUCCESS, {"update": {"density": "compact"}}, {"/preferences/density": "compact"}),
    Case("Preferences/set", "tooLarge", {"update": {"density": "x" * 300_000}}),
    Case("Preferences/get", SUCCESS, says={"/preferences/density": "compact"}),
    Case("LearntAddress/get", SUCCESS),
    Case("LearntAddress/destroy", SUCCESS, {"emails": ["nobody@x.test"]}),
    Case("LearntAddress/destroy", "invalidArguments"),
    Case("LearntAddress/destroy", "requestTooLarge", {"emails": [f"{n}@x.test" for n in range(1001)]}),
    Case("DeletedEmail/get", SUCCESS, says={"/list": []}),
    Case("DeletedEmail/restore", SUCCESS, {"ids": ["M999"]}, {"/restored": [], "/notFound": ["M999"]}),
    Case("DeletedEmail/restore", "notFound", {"ids": ["M999"], "mailboxId": "F999"}),
    Case("DeletedEmail/restore", "requestTooLarge", {"ids": [f"M{n}" for n in range(1001)]}),
    Case("DeletedEmail/destroy", SUCCESS, {"ids": ["M999"]}, {"/destroyed": []}),
    Case("DeletedEmail/destroy", "requestTooLarge", {"ids": [f"M{n}" for n in range(1001)]}),
    Case("Unsubscription/send", "notFound", {"emailId": "M999"}),
    Case("Unsubscription/send", "notOneClick", {"emailId": "<mail>"}),
    Case("VCard/import", SUCCESS, {"blobId": "<vcard>"}, {"/skipped": 0, "/notCreated": []}),
    Case("VCard/import", "blobNotFound", {"blobId": "U999"}),
    Case("VCard/import", "invalidArguments", {"blobId": "<upload>"}),
    Case("VCard/import", "tooLarge", {"blobId": "B<large>"}),
    Case("VCard/export", SUCCESS, {"version": "3.0"}, {"/count": 1}),
    Case("VCard/export", "requestTooLarge", {"ids": [f"C{n}" for n in range(20_001)]}),
    Case("Journey/get", "notFound", {"traceId": "nonsense"}),
    Case("Journey/get", "invalidArguments"),
    Case("Journey/list", SUCCESS, keep={"trace": "/list/0/traceId"}),
    Case("Journey/get", SUCCESS, {"traceId": "<trace>"}, {"/list/0/traceId": "<trace>"}),
    # --- administrators
    Case("AdminStatus/get", SUCCESS),
    Case("AdminDomain/add", SUCCESS, {"name": "new.test"}),
    Case("AdminDomain/add", "conflict", {"name": "new.test"}),
    Case("AdminDomain/list", SUCCESS, says={"/result/2/name": "new.test"}),
    Case("AdminDomain/set", SUCCESS, {"name": "new.test", "quota": 5}, {"/result/quota": 5}),
    Case("AdminDomain/records", SUCCESS, {"name": "new.test"}),
    Case("AdminAccount/add", SUCCESS, {"address": "dora@new.test", "password": "explorer"}),
    Case("AdminAccount/list", SUCCESS, {"domain": "new.test"}, {"/result/0/address": "dora@new.test"}),
    Case("AdminAccount/show", SUCCESS, {"address": "dora@new.test"}, {"/result/address": "dora@new.test"}),
    Case("AdminAccount/set", SUCCESS, {"address": "dora@new.test", "disabled": True}),
    Case("AdminAccount/setPassword", SUCCESS, {"address": "dora@new.test", "password": "swiper no"}),
    Case("AdminAccount/setPassword", "notFound", {"address": "boots@new.test", "password": "swiper no"}),
    Case("AdminAlias/add", SUCCESS, {"address": "info@new.test", "targets": ["dora@new.test"]}),
    Case("AdminAlias/list", SUCCESS, {"domain": "new.test"}, {"/result/0/address": "info@new.test"}),
    Case("AdminAlias/remove", SUCCESS, {"address": "info@new.test"}),
    Case("AdminAccount/remove", SUCCESS, {"address": "dora@new.test"}),
    Case("AdminDomain/remove", SUCCESS, {"name": "new.test"}),
    Case("AdminDomain/remove", "notFound", {"name": "new.test"}),
    Case("AdminQueue/list", SUCCESS, keep={"queued": "/result/0/id"}),
    Case("AdminQueue/show", SUCCESS, {"id": "<queued>"}, {"/result/id": "<queued>"}),
    Case("AdminQueue/show", "notFound", {"id": 999}),
    Case("AdminQueue/change", SUCCESS, {"action": "hold", "ids": ["<queued>"]}, {"/result": 1}),
    Case("AdminQueue/flush", SUCCESS, {"destination": "far.test"}),
    Case("AdminSuppression/add", SUCCESS, {"addresses": ["gone@far.test"], "reason": "left"}, {"/result": 1}),
    Case("AdminSuppression/list", SUCCESS, says={"/result/0/address": "gone@far.test"}),
    Case("AdminSuppression/remove", SUCCESS, {"addresses": ["gone@far.test"]}, {"/result": 1}),
    Case("AdminReport/list", SUCCESS, says={"/result": []}),
    Case("AdminReject/list", SUCCESS, says={"/result": []}),
    Case("AdminHeld/list", SUCCESS, says={"/result/0/address": "admin@example.test"}),
    Case("AdminHeld/release", SUCCESS, {"address": "alice@example.test"}),
    Case("AdminCertificate/get", SUCCESS),
    Case("AdminBackup/list", SUCCESS, says={"/result": []}),
    Case("AdminTimeline/latest", SUCCESS, keep={"moment": "/result/0/traceId"}),
    Case("AdminTimeline/get", SUCCESS, {"what": "<moment>"}, {"/result/0/traceId": "<moment>"}),
    # --- last: a wrong password delays the right ones
    Case("Security/checkPassword", "wrongPassword", {"password": "looking glass"}),
]  # fmt: skip

REASONS: Final = {
    ("SecondFactor/confirm", SUCCESS): "needs the time: tests/web/test_own_account.py",
    (
        "SecondFactor/newRecoveryCodes",
        SUCCESS,
    ): "needs a second factor that is on: tests/web/test_own_account.py",
    ("Passkey/finish", SUCCESS): "needs an authenticator: tests/browser/suites/office.mjs",
    ("Unsubscription/send", SUCCESS): "needs a signed message and a list's host: tests/web/test_one_click.py",
    ("Unsubscription/send", "notProved"): "needs DNS: tests/web/test_one_click.py",
    ("Unsubscription/send", "listRefused"): "needs a list's host: tests/web/test_one_click.py",
    ("AdminDomain/check", SUCCESS): "needs DNS: tests/operations",
    ("AdminReport/show", SUCCESS): "needs a report: tests/web/test_admin.py",
    ("AdminReject/rescue", SUCCESS): "needs refused mail: tests/web/test_admin.py",
}
