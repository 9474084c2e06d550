"""Administration over JMAP: the commands' own answers, and nobody but administrators."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.jmap.admin import COMMANDS
from posthouse.jmap.capabilities import ADMIN
from posthouse.junk.sending import State
from posthouse.store.interface import AddEmail, CreateMailbox
from posthouse.store.judgement import REJECTS
from posthouse.store.model import Content
from posthouse.store.trust import AddReport, Report
from tests.house import TestHouse
from tests.web import test_own_account
from tests.web.test_own_account import Owner


@pytest.fixture
async def admin(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setattr(test_own_account, "USING", ["urn:ietf:params:jmap:core", ADMIN])
    return await Owner(house).enter("admin@example.test", "steward")


@pytest.mark.parametrize("name", COMMANDS)
async def test_only_administrators(house: TestHouse, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(test_own_account, "USING", ["urn:ietf:params:jmap:core", ADMIN])
    alice = await Owner(house).enter()
    assert await alice.error(name) == "forbidden"
    session = (await alice.get("/.well-known/jmap")).text
    assert ADMIN not in session


async def test_every_command_is_one_of_the_administration(house: TestHouse) -> None:
    for command in COMMANDS.values():
        assert not house.app.house.administration.command(command).streams


async def result(admin: Owner, name: str, /, **arguments: Any) -> Any:
    return (await admin.call(name, **arguments))["result"]


async def test_domains(admin: Owner) -> None:
    added = await result(admin, "AdminDomain/add", name="new.test", catchAll="alice@example.test")
    assert (added["name"], added["catchAll"]) == ("new.test", "alice@example.test")
    assert [d["name"] for d in await result(admin, "AdminDomain/list")] == [
        "backup.test",
        "example.test",
        "new.test",
    ]
    records = await result(admin, "AdminDomain/records", name="new.test")
    assert records["records"][0]["type"] == "MX"
    assert "MX" in records["zone"]
    assert await admin.error("AdminDomain/add", name="new.test") == "conflict"
    assert await admin.error("AdminDomain/remove", name="other.test") == "notFound"
    assert await admin.error("AdminDomain/add", name="new.test", wrong=1) == "invalidArguments"
    await admin.call("AdminDomain/remove", name="new.test")


async def test_accounts_and_aliases(admin: Owner) -> None:
    added = await result(
        admin, "AdminAccount/add", address="dora@example.test", password="explorer", quota=1000
    )
    assert (added["quota"], added["admin"]) == (1000, False)
    changed = await result(admin, "AdminAccount/set", address="dora@example.test", disabled=True)
    assert changed["disabled"] is True
    shown = await result(admin, "AdminAccount/show", address="dora@example.test")
    assert shown["mailboxes"][0][0] == "INBOX"
    await admin.call("AdminAlias/add", address="info@example.test", targets=["dora@example.test"])
    aliases = await result(admin, "AdminAlias/list", domain="example.test")
    assert {"address": "info@example.test", "targets": ["dora@example.test"]} in aliases
    await admin.call("AdminAlias/remove", address="info@example.test")
    await admin.call("AdminAccount/remove", address="dora@example.test")
    assert await admin.error("AdminAccount/show", address="dora@example.test") == "notFound"


async def test_reports(house: TestHouse, admin: Owner) -> None:
    content = msgspec.json.encode({"policies": []}).decode()
    report = Report(
        sent=False,
        kind="tls",
        domain="example.test",
        organization="Far",
        name="1@far.test",
        begin=1,
        end=2,
        at=3,
        messages=9,
        failures=2,
        content=content,
    )
    number = await house.app.store.apply(AddReport(report=report))
    (row,) = await result(admin, "AdminReport/list", domain="example.test")
    assert (row["id"], row["organization"], row["failures"]) == (number, "Far", 2)
    shown = await result(admin, "AdminReport/show", id=number)
    assert (shown["row"], shown["content"]) == (row, {"policies": []})
    assert await result(admin, "AdminReport/list", domain="other.test") == []
    assert await admin.error("AdminReport/show", id=number + 1) == "notFound"
    assert await admin.error("AdminReport/show") == "invalidArguments"


async def test_refused_mail_is_listed_and_rescued(
    house: TestHouse, admin: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, alice = house.app.store, house.accounts["alice@example.test"]
    assert await result(admin, "AdminReject/list") == []
    kept = await store.apply(CreateMailbox(account_id=alice.account_id, name=REJECTS))
    checks = [
        {"check": "dmarc", "weight": 4.0, "evidence": "fails"},
        {"check": "known", "weight": -1.0},
        {"check": "words", "weight": 9.5},
    ]
    raw = b"From: =?utf-8?q?Eve_=E5=A4=8F?= <eve@far.test>\r\nSubject: Cheap\r\n\r\nbuy\r\n"
    for received in (10, 20):
        verdict = msgspec.json.encode({"decision": "reject", "score": 12.5, "checks": checks})
        await store.apply(
            AddEmail(
                account_id=alice.account_id,
                mailbox_id=kept.mailbox_id,
                content=Content.of(raw),
                received_at=received,
                verdict=verdict,
            )
        )
    rows = await result(admin, "AdminReject/list")
    assert [row["receivedAt"] for row in rows] == [20, 10], "the newest first"
    assert rows[0]["sender"] == "Eve 夏 <eve@far.test>"
    assert (rows[0]["subject"], rows[0]["address"], rows[0]["score"]) == ("Cheap", alice.address, 12.5)
    assert rows[0]["reasons"] == ["words", "dmarc: fails"], "the heaviest first, nothing that speaks for it"
    assert await result(admin, "AdminReject/list", address="bob@example.test") == []
    with monkeypatch.context() as patch:
        patch.setattr(limits, "REJECTS_LISTED", 1)
        patch.setattr(limits, "REJECTS_HEADER", raw.index(b"Subject"))
        (newest,) = await result(admin, "AdminReject/list")
        assert (newest["receivedAt"], newest["subject"]) == (20, ""), "what lies behind is not read"
    assert await admin.error("AdminReject/list", address="nobody@example.test") == "notFound"
    assert await admin.error("AdminReject/list", limit=0) == "invalidArguments"
    wanted = {"address": alice.address, "ids": [rows[1]["id"]]}
    assert await result(admin, "AdminReject/rescue", **wanted) == 1
    assert (await house.total(alice.address), await house.total(alice.address, REJECTS)) == (1, 1)
    assert await admin.error("AdminReject/rescue", **wanted) == "notFound"
    assert await admin.error("AdminReject/rescue", address="bob@example.test", ids=[1]) == "notFound"


async def test_the_brake_is_released(house: TestHouse, admin: Owner) -> None:
    assert await result(admin, "AdminHeld/list") == []
    alice = house.accounts["alice@example.test"]
    await house.app.house.junk.sending._hold(alice, State(), "500 recipients in an hour")
    assert await result(admin, "AdminHeld/list") == [
        {"address": alice.address, "why": "500 recipients in an hour"}
    ]
    released = await result(admin, "AdminHeld/release", address=alice.address)
    assert released["address"] == alice.address
    assert await result(admin, "AdminHeld/list") == []
    assert await admin.error("AdminHeld/release", address="nobody@example.test") == "notFound"


async def test_certificate_and_backups(house: TestHouse, admin: Owner, tmp_path: Path) -> None:
    shown = await result(admin, "AdminCertificate/get")
    assert shown["acme"] is None
    assert (shown["own"], shown["names"]) == (False, ["mx.example.test", "localhost"])
    assert shown["notBefore"] < time.time() < shown["notAfter"]
    assert await result(admin, "AdminBackup/list") == []
    async for _ in house.app.house.backups.backup_make(folder=str(tmp_path / "copy")):
        pass
    (made,) = await result(admin, "AdminBackup/list")
    assert (made["folder"], made["accounts"]) == (str(tmp_path / "copy"), 3)
    (house.app.config.data / "tls" / "certificate.pem").unlink()
    assert await admin.error("AdminCertificate/get") == "notFound"


async def test_suppressions(admin: Owner) -> None:
    assert await result(admin, "AdminSuppression/list") == []
    assert await result(admin, "AdminSuppression/add", addresses=["gone@far.test"], reason="left") == 1
    (row,) = await result(admin, "AdminSuppression/list")
    assert (row["address"], row["active"], row["reason"]) == ("gone@far.test", True, "left")
    assert await admin.error("AdminSuppression/add", addresses=["no address"]) == "invalidArguments"
    assert (
        await admin.error("AdminSuppression/add", addresses=["a@b.test"], reason="\n") == "invalidArguments"
    )
    assert await result(admin, "AdminSuppression/remove", addresses=["gone@far.test"]) == 1
    assert await admin.error("AdminSuppression/remove", addresses=["gone@far.test"]) == "notFound"


async def test_catch_all_and_lists_of_addresses(admin: Owner) -> None:
    changed = await result(admin, "AdminDomain/set", name="example.test", catchAll="bob@example.test")
    assert changed["catchAll"] == "bob@example.test"
    assert (
        await admin.error("AdminDomain/set", name="example.test", catchAll="nonsense") == "invalidArguments"
    )
    assert await admin.error("AdminDomain/set", name="example.test", quota=-1) == "invalidArguments"
    assert (await result(admin, "AdminDomain/set", name="example.test", quota=5000))["quota"] == 5000
    shown = await result(admin, "AdminAccount/show", address="alice@example.test")
    assert (shown["quota"], shown["ownQuota"]) == (5000, 0)
    assert await admin.error("AdminDomain/set", name="other.test", catchAll="") == "notFound"
    assert (await result(admin, "AdminDomain/set", name="example.test", catchAll=""))["catchAll"] == ""
    many = {"address": "all@example.test", "targets": ["bob@example.test", "x@far.test", "bob@example.test"]}
    made = await result(admin, "AdminAlias/add", **many)
    assert made["targets"] == ["bob@example.test", "x@far.test"], "each once"
    assert await admin.error("AdminAlias/add", **many) == "conflict"
    fewer = many | {"targets": ["alice@example.test"], "replace": True}
    assert (await result(admin, "AdminAlias/add", **fewer))["targets"] == ["alice@example.test"]
    assert await admin.error("AdminAlias/add", address="b@example.test", targets=[]) == "invalidArguments"
    assert await admin.error("AdminAlias/add", address="b@other.test", targets=["a@b.test"]) == "notFound"
    assert await admin.error("AdminAlias/add", address="bob@example.test", targets=["a@b.test"]) == "conflict"
    assert await admin.error("AdminAlias/remove", address="b@example.test") == "notFound"


async def test_status_queue_and_log(house: TestHouse, admin: Owner) -> None:
    findings = await result(admin, "AdminStatus/get")
    assert {f["level"] for f in findings} <= {"fine", "look", "wrong"}
    assert await result(admin, "AdminQueue/list") == []
    assert await admin.error("AdminQueue/change", action="retry", ids=[9]) == "notFound"
    assert await admin.error("AdminQueue/change", action="burn") == "invalidArguments"
    assert await result(admin, "AdminTimeline/latest", after=2**40) == []
