"""Leaving a mailing list by its link (RFC 8058): a POST leaves, a GET shows a button, nothing is told to others."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.inbound.list_tokens import Purpose
from posthouse.store.mailing_lists import AddMembers, MailingList, PutList
from tests.house import TestHouse
from tests.web.browser import Browser

TEAM = "crew@example.test"
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n'
    b"Content-Type: text/plain\r\n\r\nOne-Click\r\n--b--\r\n"
)


@pytest.fixture
async def link(house: TestHouse) -> str:
    """Of pal@friend.test."""
    store = house.app.store
    await store.apply(PutList(mailing_list=MailingList(address=TEAM, title="The <team>"), new=True))
    await store.apply(AddMembers(address=TEAM, members=("pal@friend.test", "x@y.test"), at=1, most=9))
    token = (await house.app.house.lists.tokens()).token(Purpose.UNSUBSCRIBE, TEAM, "pal@friend.test")
    return f"/unsubscribe/{TEAM}/{token}"


async def members(house: TestHouse) -> list[str]:
    found = await house.app.store.mailing_list(TEAM)
    assert found is not None
    return [one.address for one in found.members]


@pytest.mark.parametrize(
    ("kind", "body"),
    [(FORM, ONE_CLICK), ("", ONE_CLICK), ('multipart/form-data; boundary="b"', PARTS)],
)
async def test_one_click_leaves_at_once(house: TestHouse, link: str, kind: str, body: bytes) -> None:
    # RFC 8058 §3.2: from anywhere, without cookies, and the answer leads nowhere else.
    page = await Browser(house).send(
        "POST", link, body, {"content_type": kind, "origin": "https://evil.test"}
    )
    assert page.status == 200 and not page.all("set-cookie")
    assert "You have left" in page.text
    assert await members(house) == ["x@y.test"]
    events = await house.app.store.events(address="pal@friend.test")
    assert [(one.kind, one.detail) for one in events] == [("left", f"the list {TEAM}, by its link")]


async def test_to_look_changes_nothing(house: TestHouse, link: str) -> None:
    browser = Browser(house)
    for method in ("GET", "HEAD"):
        page = await browser.send(method, link, b"", {})
        assert page.status == 200 and page.first("cache-control") == "no-store"
        assert page.first("referrer-policy") == "no-referrer", "the link is a secret"
    page = await browser.get(link)
    assert "The &lt;team&gt; (crew@example.test)" in page.text and 'method="post"' in page.text
    assert "pal@friend.test" not in page.text
    assert "退订" in (await browser.get(link, accept_language="zh-CN,zh;q=0.9")).text
    assert "退订" in (await browser.get(f"{link}?lang=zh-CN")).text
    assert await members(house) == ["pal@friend.test", "x@y.test"]
    done = await browser.submit(f"{link}?lang=zh-CN", {"List-Unsubscribe": "One-Click"})
    assert "已退订" in done.text
    assert await members(house) == ["x@y.test"]


@pytest.mark.parametrize(
    "body", [b"", b"List-Unsubscribe=Two", b"x=1", ONE_CLICK + b"&x=" + b"x" * limits.LEAVING_FORM]
)
async def test_only_the_pair_itself_leaves(house: TestHouse, link: str, body: bytes) -> None:
    page = await Browser(house).send("POST", link, body, {"content_type": FORM})
    assert page.status == 400
    assert len(await members(house)) == 2


async def test_what_is_not_good_tells_nothing(house: TestHouse, link: str) -> None:
    browser = Browser(house)
    token = link.rpartition("/")[2]
    bounces = (await house.app.house.lists.tokens()).token(Purpose.BOUNCES, TEAM, "pal@friend.test")
    texts = set()
    for path in (
        f"/unsubscribe/{TEAM}/{'a' * 16}",
        f"/unsubscribe/{TEAM}/{bounces}",
        f"/unsubscribe/other@example.test/{token}",
        f"/unsubscribe/alice@example.test/{token}",
        f"/unsubscribe/crew-owner@example.test/{token}",
        f"/unsubscribe/nonsense/{token}",
        f"/unsubscribe/%00@%ff/{token}",
    ):
        for page in (await browser.get(path), await browser.send("POST", path, ONE_CLICK, {})):
            assert page.status == 404
            texts.add(page.text)
    assert len(texts) == 1
    assert len(await members(house)) == 2
    await browser.send("POST", link, ONE_CLICK, {})
    assert (await browser.get(link)).text == texts.pop(), "who has left is not known any more"
