"""Administration of domains, accounts and aliases: what is made, what is refused, and that it takes effect at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from posthouse import limits
from posthouse.accounts.model import DestinationKind, LoginFailed
from posthouse.errors import Conflict, NotFound, StoreUnavailable
from posthouse.house import House
from posthouse.operations.administration import UnknownCommand
from posthouse.operations.people import People
from posthouse.store.interface import AddAccount


async def run(house: House, command: str, body: bytes = b"", **arguments: Any) -> Any:
    return [item async for item in house.administration.run(command, arguments, body)][-1]


@pytest.fixture
async def furnished(house: House) -> House:
    await run(house, "domain.add", name="north.test")
    await run(house, "account.add", address="alice@north.test", password="secret")
    return house


async def test_an_account_can_log_in_as_soon_as_it_is_made(furnished: House) -> None:
    login = await furnished.directory.authenticate("alice@north.test", "secret", "")
    assert login.account.address == "alice@north.test"
    assert login.account.scram


async def test_a_domain_gives_its_accounts_a_quota(furnished: House) -> None:
    changed = await run(furnished, "domain.set", name="north.test", quota=3000)
    assert changed["quota"] == 3000
    row = await run(furnished, "account.show", address="alice@north.test")
    assert (row["quota"], row["own_quota"]) == (3000, 0)
    account = await furnished.store.account("alice@north.test")
    assert account is not None
    assert (await furnished.directory.quota(account), await furnished.directory.room(account)) == (3000, 3000)
    row = await run(furnished, "account.set", address="alice@north.test", quota=9000)
    assert (row["quota"], row["own_quota"]) == (9000, 9000)
    assert (await run(furnished, "domain.set", name="north.test", catch_all=""))["quota"] == 3000, "it stays"
    with pytest.raises(ValueError, match="not negative"):
        await run(furnished, "domain.set", name="north.test", quota=-1)


async def test_a_changed_password_counts_at_once(furnished: House) -> None:
    await furnished.directory.authenticate("alice@north.test", "secret", "")
    await run(furnished, "account.passwd", address="alice@north.test", password="other")
    with pytest.raises(LoginFailed):
        await furnished.directory.authenticate("alice@north.test", "secret", "")
    await furnished.directory.authenticate("alice@north.test", "other", "")


async def test_a_password_being_hashed_undoes_nothing(
    furnished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is disabled while a new password is made stays disabled; so does all else that others change."""
    begun, go_on = threading.Event(), threading.Event()
    real = People._hash

    def slow(people: People, password: str) -> tuple[str, str]:
        begun.set()
        assert go_on.wait(10)
        return real(people, password)

    monkeypatch.setattr(People, "_hash", slow)
    changing = asyncio.create_task(
        run(furnished, "account.passwd", address="alice@north.test", password="other")
    )
    assert await asyncio.to_thread(begun.wait, 10)
    await asyncio.gather(
        run(furnished, "account.set", address="alice@north.test", disabled=True),
        run(furnished, "account.set", address="alice@north.test", quota=9000),
    )
    go_on.set()
    await changing
    account = await furnished.store.account("alice@north.test")
    assert account is not None
    assert (account.disabled, account.quota) == (True, 9000)


async def test_disabling_and_enabling(furnished: House) -> None:
    await run(furnished, "account.set", address="alice@north.test", disabled=True)
    with pytest.raises(LoginFailed):
        await furnished.directory.authenticate("alice@north.test", "secret", "")
    row = await run(furnished, "account.set", address="alice@north.test", disabled=False)
    assert row["disabled"] is False
    await furnished.directory.authenticate("alice@north.test", "secret", "")


async def test_domain_life(house: House) -> None:
    row = await run(house, "domain.add", name="Süd.Test.", catch_all="Post@Süd.test")
    assert row["name"] == "xn--sd-xka.test"
    assert row["catch_all"] == "post@xn--sd-xka.test"
    row = await run(house, "domain.set", name="süd.test", catch_all="")
    assert row["catch_all"] == ""
    assert [r["name"] for r in await run(house, "domain.list")] == ["xn--sd-xka.test"]
    await run(house, "domain.remove", name="süd.test")
    assert await run(house, "domain.list") == []


async def test_two_changes_of_a_domain_at_once_both_stay(furnished: House) -> None:
    await asyncio.gather(
        run(furnished, "domain.set", name="north.test", quota=5000),
        run(furnished, "domain.set", name="north.test", catch_all="alice@north.test"),
    )
    row = await run(furnished, "domain.show", name="north.test")
    assert (row["quota"], row["catch_all"]) == (5000, "alice@north.test")


async def test_backup_domain_with_a_list(house: House) -> None:
    await run(
        house, "domain.add", name="south.test", backup=True, recipients="list", known=["Bob@South.test"]
    )
    found = await house.directory.destination("bob@south.test")
    assert found.kind is DestinationKind.BACKUP
    assert await house.store.known_recipient("bob@south.test") is not None
    with pytest.raises(Conflict, match="backup"):
        await run(house, "account.add", address="bob@south.test", password="x")


@pytest.mark.parametrize(
    ("command", "arguments", "error"),
    [
        ("domain.add", {"name": "north.test"}, Conflict),
        ("domain.add", {"name": "no domain"}, ValueError),
        ("domain.add", {"name": "x.test", "recipients": "perhaps"}, ValueError),
        ("domain.remove", {"name": "north.test"}, Conflict),
        ("domain.show", {"name": "elsewhere.test"}, NotFound),
        ("account.add", {"address": "alice@north.test", "password": "x"}, Conflict),
        ("account.add", {"address": "bob@elsewhere.test", "password": "x"}, NotFound),
        ("account.add", {"address": "bob", "password": "x"}, ValueError),
        ("account.add", {"address": "bob@north.test", "password": ""}, ValueError),
        ("account.add", {"address": "bob@north.test", "password": "bell\x07"}, ValueError),
        ("account.add", {"address": "bob@north.test", "password": "x" * 5000}, ValueError),
        ("account.show", {"address": "bob@north.test"}, NotFound),
        ("domain.add", {"name": "[192.0.2.1]"}, ValueError),
        ("account.add", {"address": "b" * 300 + "@north.test", "password": "x"}, ValueError),
        ("account.add", {"address": "b@north.test", "password": "x", "name": "a\nb"}, ValueError),
        ("account.set", {"address": "alice@north.test", "name": "a\r\nBcc: b@c.test"}, ValueError),
        ("alias.add", {"address": "b" * 300 + "@north.test", "targets": ["bob@far.test"]}, ValueError),
        ("account.set", {"address": "alice@north.test", "quota": -1}, ValueError),
        ("account.set", {"address": "alice@north.test", "quota": limits.QUOTA + 1}, ValueError),
        ("account.add", {"address": "bob@north.test", "password": "x", "quota": -1}, ValueError),
        ("account.set", {"address": "alice@north.test", "name": "\udcff"}, ValueError),
        ("app-password.add", {"address": "alice@north.test", "name": "a\nb"}, ValueError),
        ("app-password.revoke", {"address": "alice@north.test", "id": limits.NUMBER + 1}, ValueError),
        ("queue.show", {"id": -limits.NUMBER - 2}, ValueError),
        ("queue.show", {"id": limits.NUMBER}, NotFound),
        ("queue.change", {"action": "hold", "ids": [limits.NUMBER + 1]}, ValueError),
        (
            "account.add",
            {"address": "bob@north.test", "password": "x", "quota": limits.QUOTA + 1},
            ValueError,
        ),
        ("domain.add", {"name": "x.test", "quota": limits.QUOTA + 1}, ValueError),
        ("alias.add", {"address": "alice@north.test", "targets": ["bob@far.test"]}, Conflict),
        ("alias.add", {"address": "all@far.test", "targets": ["bob@far.test"]}, NotFound),
        ("alias.add", {"address": "all@north.test", "targets": []}, ValueError),
        ("alias.add", {"address": "all@north.test", "targets": ["All@north.test"]}, ValueError),
        ("alias.remove", {"address": "all@north.test"}, NotFound),
        ("queue.show", {"id": 17}, NotFound),
        ("queue.change", {"action": "burn", "ids": [1]}, ValueError),
        ("queue.change-all", {"action": "burn"}, ValueError),
        ("queue.change", {"action": "drop", "ids": [1]}, NotFound),
        ("message.log", {"what": "nobody@far.test"}, NotFound),
        ("message.log", {"what": "1a2b3c"}, NotFound),
        ("account.add", {"address": "bob@north.test"}, UnknownCommand),
        ("account.add", {"address": "b@north.test", "password": "x", "shoe_size": 43}, UnknownCommand),
        ("account.add", {"address": "b@north.test", "password": 17}, UnknownCommand),
        ("account.burn", {}, UnknownCommand),
    ],
)
async def test_refusals(
    furnished: House, command: str, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await run(furnished, command, **arguments)


async def test_aliases(furnished: House) -> None:
    row = await run(
        furnished, "alias.add", address="Team@north.test", targets=["Alice@north.test", "bob@far.test"]
    )
    assert row == {"address": "team@north.test", "targets": ("alice@north.test", "bob@far.test")}
    found = await furnished.directory.destination("team@north.test")
    assert found.kind is DestinationKind.ALIAS
    await run(furnished, "alias.add", address="team@north.test", targets=["bob@far.test"], replace=True)
    assert (await run(furnished, "alias.list"))[0]["targets"] == ("bob@far.test",)
    await run(furnished, "alias.remove", address="team@north.test")
    assert (await furnished.directory.destination("team@north.test")).kind is DestinationKind.UNKNOWN


async def test_aliases_that_lead_nowhere_but_to_each_other_are_refused(furnished: House) -> None:
    await run(furnished, "alias.add", address="one@north.test", targets=["two@north.test"])
    await run(furnished, "alias.add", address="two@north.test", targets=["three@north.test"])
    with pytest.raises(ValueError, match="nowhere"):
        await run(furnished, "alias.add", address="three@north.test", targets=["one@north.test"])
    targets = ["one@north.test", "alice@north.test"]
    row = await run(furnished, "alias.add", address="three@north.test", targets=targets)
    assert row["targets"] == tuple(targets), "a circle with a way out is one"
    with pytest.raises(ValueError, match="nowhere"):
        await run(
            furnished, "alias.add", address="three@north.test", targets=["two@north.test"], replace=True
        )


async def test_app_passwords(furnished: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await run(furnished, "app-password.add", address="alice@north.test", name="phone")
    await furnished.directory.authenticate("alice@north.test", made["password"], "")
    shown = await run(furnished, "account.show", address="alice@north.test")
    assert [p["name"] for p in shown["app_passwords"]] == ["phone"]
    assert made["password"] not in str(shown)
    await run(furnished, "app-password.revoke", address="alice@north.test", id=made["id"])
    with pytest.raises(LoginFailed):
        await furnished.directory.authenticate("alice@north.test", made["password"], "")
    monkeypatch.setattr(limits, "APP_PASSWORDS", 1)
    await run(furnished, "app-password.add", address="alice@north.test", name="phone")
    with pytest.raises(Conflict):
        await run(furnished, "app-password.add", address="alice@north.test", name="desk")


async def test_two_at_once_get_no_more_app_passwords_than_one_may_have(
    furnished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "APP_PASSWORDS", 2)
    adding = [run(furnished, "app-password.add", address="alice@north.test", name=str(n)) for n in range(5)]
    outcomes = await asyncio.gather(*adding, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in outcomes) == 3
    assert len((await run(furnished, "account.show", address="alice@north.test"))["app_passwords"]) == 2


LISTING = """address,password,name,quota,admin
bob@north.test,secret,Bob Builder,2GB,yes
carol@north.test,"with,comma",,,
alice@north.test,secret,,,
dora@elsewhere.test,secret,,,
eve@north.test,,,,
frank@north.test,secret,,big,
too,many,fields,in,this,line
"""


async def test_import_takes_what_can_be_and_tells_the_rest(furnished: House) -> None:
    answer = await run(furnished, "account.import", LISTING.encode())
    assert answer["added"] == 2
    assert [(r["line"], r["address"]) for r in answer["refused"]] == [
        (4, "alice@north.test"),
        (5, "dora@elsewhere.test"),
        (6, ""),
        (7, ""),
        (8, ""),
    ]
    bob = await run(furnished, "account.show", address="bob@north.test")
    assert (bob["name"], bob["quota"], bob["admin"]) == ("Bob Builder", 2 * 1024**3, True)
    await furnished.directory.authenticate("carol@north.test", "with,comma", "")


async def test_import_of_hashes(furnished: House) -> None:
    from posthouse.accounts.passwords import hash_password

    rows = 'address,hash\nbob@north.test,"' + hash_password("kept") + '"\ncarol@north.test,$1$md5$x\n'
    answer = await run(furnished, "account.import", rows.encode())
    assert answer["added"] == 1
    assert "argon2" in answer["refused"][0]["reason"]
    await furnished.directory.authenticate("bob@north.test", "kept", "")


async def test_import_of_keys_for_scram(furnished: House) -> None:
    from posthouse.accounts.passwords import SCRAM, hash_password, make_scram

    hashed, keys = hash_password("kept"), SCRAM + make_scram("kept")
    rows = (
        "address;hash;scram;disabled\n"
        f"bob@north.test;{hashed};{keys};\n"
        f"carol@north.test;{hashed};$scram-sha-1$x;\n"
        f"dora@north.test;{hashed};;yes\n"
    )
    answer = await run(furnished, "account.import", rows.encode())
    assert [(each["line"], "scram" in each["reason"]) for each in answer["refused"]] == [(3, True)]
    bob, dora = [await furnished.store.account(f"{name}@north.test") for name in ("bob", "dora")]
    assert bob is not None and dora is not None
    assert (SCRAM + bob.scram, bob.disabled) == (keys, False)
    assert (dora.scram, dora.disabled) == ("", True)


async def test_import_with_an_unknown_column(furnished: House) -> None:
    with pytest.raises(ValueError, match="unknown column"):
        await run(furnished, "account.import", b"address,pasword\nbob@north.test,x\n")


@pytest.mark.parametrize("between", [";", "\t", ","])
async def test_import_from_other_spreadsheets(furnished: House, between: str) -> None:
    rows = "\ufeffAddress,Password,Name\r\nbob@north.test,x,李\u3000雷\r\n".replace(",", between)
    answer = await run(furnished, "account.import", rows.encode())
    assert answer == {"added": 1, "refused": ()}
    assert (await run(furnished, "account.show", address="bob@north.test"))["name"] == "李\u3000雷"


async def test_import_in_another_charset_is_refused_with_a_word(furnished: House) -> None:
    rows = "address,password,name\r\nbob@north.test,x,李雷\r\n".encode("gbk")
    with pytest.raises(ValueError, match="UTF-8"):
        await run(furnished, "account.import", rows)


async def test_import_without_a_head_line(furnished: House) -> None:
    answer = await run(furnished, "account.import", b"bob@north.test,x\n\ncarol@north.test,y,Carol\n")
    assert answer == {"added": 2, "refused": ()}


async def test_an_import_tells_what_was_added_when_the_store_fails(
    furnished: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IMPORT_BATCH", 2)
    real, taken = furnished.store.apply, 0

    async def failing(op: Any) -> Any:
        nonlocal taken
        taken += isinstance(op, AddAccount)
        if taken > 3:
            raise StoreUnavailable("the disk is full")
        return await real(op)

    monkeypatch.setattr(furnished.store, "apply", failing)
    rows = "".join(f"user{n}@north.test,secret\n" for n in range(1, 8))
    answer = await run(furnished, "account.import", rows.encode())
    assert answer["added"] == 3
    assert [each["line"] for each in answer["refused"]][1:] == [5, 6, 7]
    assert all("the disk is full" in each["reason"] for each in answer["refused"])
    assert taken == 4, "a store that has failed is not asked for each of the others"
    there = {row["address"] for row in await run(furnished, "account.list")}
    assert len(there & {each["address"] for each in answer["refused"]}) == 0
    assert len(there) == 4


async def test_a_quote_that_is_not_closed_swallows_no_other_account(furnished: House) -> None:
    rows = (
        "address,password,name\n"
        'bob@north.test,"secret,Bob\n'
        'carol@north.test,"sec"ret,Carol\n'
        'dora@north.test,"two\n'
        'lines",Dora\n'
        f'eve@north.test,"{"x" * 200_000}\n'
        'frank@north.test,"say ""please""",Frank\n'
    )
    answer = await run(furnished, "account.import", rows.encode())
    assert [each["line"] for each in answer["refused"]] == [2, 3, 4, 5, 6]
    assert answer["added"] == 1
    await furnished.directory.authenticate("frank@north.test", 'say "please"', "")
