"""The login page: what opens a session, and what an attacker's page, form or cookie can not do."""

from __future__ import annotations

import base64
import re
import ssl

import pyotp
import pytest

from posthouse import limits
from posthouse.accounts.passwords import generate_app_password, hash_app_password
from posthouse.store.interface import AddAppPassword, PutAccount, RemoveAppPassword
from tests.house import TestHouse
from tests.web.browser import Browser
from tests.web.conftest import answer_of

ALICE = ("alice@example.test", "wonderland")
SESSION = "/.well-known/jmap"


async def test_signing_in_opens_a_session(house: TestHouse) -> None:
    browser = Browser(house)
    page = await browser.sign_in(*ALICE, onward="/mail/inbox?x=1")
    assert (page.status, page.first("location")) == (303, "/mail/inbox?x=1")
    session = await browser.get(SESSION)
    assert session.status == 200
    assert '"username":"alice@example.test"' in session.text


async def test_the_cookie_is_strict(house: TestHouse) -> None:
    browser = Browser(house)
    page = await browser.sign_in(*ALICE)
    (cookie,) = [line for line in page.all("set-cookie") if line.startswith("posthouse-session=")]
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)


async def test_over_tls_the_cookie_belongs_to_the_host(house: TestHouse) -> None:
    import asyncio

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("https"), ssl=context)
    writer.write(b"GET /login HTTP/1.1\r\nHost: mail.example.test\r\nConnection: close\r\n\r\n")
    head = (await reader.read()).partition(b"\r\n\r\n")[0].decode().lower()
    writer.close()
    (cookie,) = re.findall(r"set-cookie: (.*)", head)
    assert cookie.startswith("__host-posthouse-form=")
    assert "secure" in cookie


async def test_a_wrong_password_and_an_unknown_name_read_the_same(house: TestHouse) -> None:
    texts = []
    for login in ("alice@example.test", "nobody@example.test"):
        page = await Browser(house).sign_in(login, "wrong")
        assert page.status == 401
        texts.append(re.sub(r'value="[^"]*"', "", page.text))
    assert texts[0] == texts[1]
    assert 'role="alert"' in texts[0]


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.test/",
        "https://evil.test/",
        "/\\evil.test",
        "\\\\evil.test",
        "/%0d",
        "javascript:alert(1)",
        "/\t/e.test",
    ],
)
async def test_nobody_is_led_to_other_sites(house: TestHouse, onward: str) -> None:
    page = await Browser(house).sign_in(*ALICE, onward=onward)
    assert page.status == 303
    assert page.first("location") in {"/", "/%0d"}


async def test_what_is_typed_comes_back_escaped(house: TestHouse) -> None:
    page = await Browser(house).sign_in('"><script>alert(1)</script>', "x", onward='/"><script>')
    assert "<script>alert" not in page.text
    assert '"><script>' not in page.text


async def test_a_form_of_another_site_is_refused(house: TestHouse) -> None:
    for fields in (
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ):
        browser = Browser(house)
        page = await browser.get("/login")
        values = {"form": page.form, "login": ALICE[0], "password": ALICE[1]}
        refused = await browser.submit("/login", values, **fields)
        assert refused.status == 403, fields
        assert "posthouse-session" not in browser.cookies


async def test_a_form_belongs_to_one_browser(house: TestHouse) -> None:
    victim, attacker = Browser(house), Browser(house)
    await victim.get("/login")
    theirs = (await attacker.get("/login")).form
    values = {"form": theirs, "login": ALICE[0], "password": ALICE[1]}
    assert (await victim.submit("/login", values, origin="")).status == 403
    assert (await Browser(house).submit("/login", values, origin="")).status == 403, "no cookie at all"


async def test_a_planted_session_is_not_taken_over(house: TestHouse) -> None:
    attacker, victim = Browser(house), Browser(house)
    await attacker.sign_in("bob@example.test", "builder")
    planted = attacker.cookies["posthouse-session"]
    victim.cookies["posthouse-session"] = planted
    await victim.sign_in(*ALICE)
    assert victim.cookies["posthouse-session"] != planted
    assert (await attacker.get(SESSION)).status == 401, "the planted one ends"
    victim.cookies["posthouse-session"] = "chosen-by-somebody"
    assert (await victim.get(SESSION)).status == 401


async def test_requests_of_other_sites_are_not_believed(house: TestHouse) -> None:
    browser = Browser(house)
    await browser.sign_in(*ALICE)
    echo = b'{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{},"a"]]}'
    kind = {"content_type": "application/json"}
    assert (await browser.post("/jmap/", echo, **kind)).status == 200
    for fields in ({"origin": "https://evil.test"}, {"origin": "", "sec_fetch_site": "cross-site"}):
        assert (await browser.post("/jmap/", echo, **(kind | fields))).status == 401
    assert (await browser.get(SESSION, sec_fetch_site="cross-site")).status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/jmap/upload/A1/"),
        ("GET", "/jmap/eventsource/?types=*&closeafter=state&ping=0"),
        ("POST", "/login/passkey"),
        ("POST", "/logout"),
    ],
)
@pytest.mark.parametrize(
    "fields", [{"origin": "https://evil.test"}, {"origin": "", "sec_fetch_site": "cross-site"}]
)
async def test_no_door_opens_for_another_site(
    house: TestHouse, method: str, path: str, fields: dict[str, str]
) -> None:
    browser = Browser(house)
    await browser.sign_in(*ALICE)
    kept = dict(browser.cookies)
    kind = {"content_type": "application/json"}
    refused = await browser.send(method, path, b"{}" if method == "POST" else b"", kind | fields)
    assert refused.status in {401, 403}, (path, refused.text)
    browser.cookies = kept
    assert (await browser.get(SESSION)).status == 200, "nothing happened"


@pytest.mark.parametrize(
    "path", ["/", "/mail/inbox", "/admin/status", "/login", "/no-such-place", "/jmap/", SESSION]
)
async def test_no_page_of_ours_is_framed(house: TestHouse, path: str) -> None:
    browser = Browser(house)
    await browser.sign_in(*ALICE)
    page = await browser.get(path)
    assert page.first("x-frame-options") == "DENY"
    assert "frame-ancestors 'none'" in page.first("content-security-policy")


async def test_nobody_can_frame_the_page(house: TestHouse) -> None:
    page = await Browser(house).get("/login")
    assert "frame-ancestors 'none'" in page.first("content-security-policy")
    assert page.first("x-frame-options") == "DENY"
    assert "script-src 'self'" in page.first("content-security-policy")
    assert "unsafe" not in page.first("content-security-policy")
    assert page.first("cache-control") == "no-store"
    assert page.first("referrer-policy") == "same-origin", "else a browser sends the form with Origin: null"
    assert not re.search(r"<script>|\sstyle=|\son\w+=", page.text), "what the policy would refuse"


async def test_guesses_are_counted_with_all_other_doors(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_DELAY", 0.0)
    browser = Browser(house, peer="127.0.0.7")
    statuses = [(await browser.sign_in("alice@example.test", f"guess{n}")).status for n in range(21)]
    assert statuses[:19] == [401] * 19
    assert statuses[-1] == 429
    right = await browser.sign_in(*ALICE)
    assert right.status == 429, "not even the right one is tried"
    assert right.first("retry-after")
    basic = base64.b64encode(b"alice@example.test:wonderland")
    raw = b"GET /.well-known/jmap HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic "
    assert (await answer_of(house.port("http"), raw + basic + b"\r\n\r\n")).status == 429


async def test_signing_out_ends_it_everywhere(house: TestHouse) -> None:
    browser, copy = Browser(house), Browser(house)
    await browser.sign_in(*ALICE)
    copy.cookies = dict(browser.cookies)
    assert (await browser.get("/logout")).status == 200, "a link alone does nothing"
    assert (await browser.get(SESSION)).status == 200
    assert (await browser.post("/logout", b"", origin="https://evil.test")).status == 403
    page = await browser.post("/logout", b"")
    assert (page.status, page.first("location")) == (303, "/login")
    assert (await copy.get(SESSION)).status == 401


async def test_a_disabled_account_is_out_at_once(house: TestHouse) -> None:
    import msgspec

    browser = Browser(house)
    await browser.sign_in(*ALICE)
    account = house.accounts[ALICE[0]]
    await house.app.store.apply(PutAccount(account=msgspec.structs.replace(account, disabled=True)))
    assert (await browser.get(SESSION)).status == 401


async def test_sessions_end_by_time(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(house)
    await browser.sign_in(*ALICE)
    bearers = house.app.house.security.bearers
    began = bearers._now()
    monkeypatch.setattr(bearers, "_now", lambda: began + limits.WEB_SESSION_IDLE - 10)
    assert (await browser.get(SESSION)).status == 200, "used in time"
    monkeypatch.setattr(bearers, "_now", lambda: began + 2 * limits.WEB_SESSION_IDLE - 20)
    assert (await browser.get(SESSION)).status == 200, "its life was lengthened"
    monkeypatch.setattr(bearers, "_now", lambda: began + limits.WEB_SESSION_LIFE + 1)
    assert (await browser.get(SESSION)).status == 401, "but not for ever"


async def test_too_many_sessions_push_the_oldest_out(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WEB_SESSIONS", 2)
    browsers = [Browser(house) for _ in range(3)]
    for browser in browsers:
        await browser.sign_in(*ALICE)
    assert [(await browser.get(SESSION)).status for browser in browsers] == [401, 200, 200]


# --- the second factor ------------------------------------------------------------------------------------


async def with_totp(house: TestHouse) -> tuple[pyotp.TOTP, tuple[str, ...]]:
    factors = house.app.house.security.factors
    account = house.accounts[ALICE[0]]
    made = await factors.begin_totp(account)
    totp = pyotp.TOTP(made.secret)
    now = factors._now()
    codes = await factors.confirm_totp(account, totp.at(now - 30))
    assert codes is not None
    return totp, codes


async def test_a_code_follows_the_password(house: TestHouse) -> None:
    totp, _ = await with_totp(house)
    browser = Browser(house)
    page = await browser.sign_in(*ALICE, onward="/settings")
    assert page.status == 303
    assert (await browser.get(SESSION)).status == 401, "the password alone opens nothing"
    step = await browser.get(page.first("location"))
    assert 'autocomplete="one-time-code"' in step.text
    code = totp.at(house.app.house.security.factors._now())
    page = await browser.submit("/login/code", {"form": step.form, "next": "/settings", "code": code})
    assert (page.status, page.first("location")) == (303, "/settings")
    assert (await browser.get(SESSION)).status == 200
    other = Browser(house)
    step = await other.get((await other.sign_in(*ALICE)).first("location"))
    page = await other.submit("/login/code", {"form": step.form, "code": code})
    assert page.status == 401, "a code is good once"


async def test_a_recovery_code_is_good_once(house: TestHouse) -> None:
    _, codes = await with_totp(house)
    assert len(set(codes)) == limits.RECOVERY_CODES
    for status in (303, 401):
        browser = Browser(house)
        step = await browser.get((await browser.sign_in(*ALICE)).first("location"))
        page = await browser.submit("/login/code", {"form": step.form, "code": codes[3].upper()})
        assert page.status == status


async def test_a_code_without_a_password_is_nothing(house: TestHouse) -> None:
    totp, _ = await with_totp(house)
    browser = Browser(house)
    form = (await browser.get("/login")).form
    code = totp.at(house.app.house.security.factors._now())
    assert (await browser.submit("/login/code", {"form": form, "code": code})).status == 401
    browser.cookies["posthouse-step"] = house.app.house.security.tickets.seal("form", "x", 60)
    assert (await browser.submit("/login/code", {"form": form, "code": code})).status == 401


async def test_guessed_codes_are_counted(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGIN_DELAY", 0.0)
    await with_totp(house)
    browser = Browser(house, peer="127.0.0.8")
    step = await browser.get((await browser.sign_in(*ALICE)).first("location"))
    last = 0
    for number in range(25):
        page = await browser.submit("/login/code", {"form": step.form, "code": f"{number:06d}"})
        last = page.status
    assert last == 429


async def test_a_step_and_a_form_are_good_for_their_time(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in a browser that somebody left is not good for days."""
    totp, _ = await with_totp(house)
    tickets, now = house.app.house.security.tickets, house.app.house.clock
    for later, status in ((310, 401), (3_590, 401), (3_610, 403), (290, 303)):
        browser = Browser(house)
        step = await browser.get((await browser.sign_in(*ALICE)).first("location"))
        monkeypatch.setattr(tickets, "_now", lambda later=later: now() + later)
        code = {"form": step.form, "code": totp.at(house.app.house.security.factors._now())}
        assert (await browser.submit("/login/code", code)).status == status, later
        monkeypatch.setattr(tickets, "_now", now)


async def test_the_right_password_forgives_no_guessed_codes(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_DELAY", 0.0)
    monkeypatch.setattr(limits, "LOGIN_MEMORY", -1.0)  # as if minutes had gone by from one to the next
    await with_totp(house)
    statuses = []
    for each in range(6):
        browser = Browser(house)
        entered = await browser.sign_in(*ALICE)
        if entered.status != 303:
            break
        step = await browser.get(entered.first("location"))
        for number in range(5):
            page = await browser.submit("/login/code", {"form": step.form, "code": f"{each}{number:05d}"})
            statuses.append(page.status)
    assert statuses[:19] == [401] * 19
    assert statuses.count(401) < 25, "as many as of a guesser without the password"
    assert entered.status == 429


async def test_whoever_is_nobody_yet_does_not_keep_the_others_behind_a_proxy_out(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A web server on this machine speaks for many: what one of them guesses is counted by name, and here is none."""
    monkeypatch.setattr(limits, "LOGIN_DELAY", 0.0)
    browser = Browser(house)
    kind = {"content_type": "application/json"}
    for number in range(25):
        page = await browser.get(SESSION, authorization=f"Bearer pht_{number}")
        assert page.status == 401
        page = await browser.post("/login/passkey", b'{"ticket":"x","answer":{}}', **kind)
        assert page.status == 401


async def test_programs_need_an_app_password_then(house: TestHouse) -> None:
    import asyncio
    import imaplib

    account = house.accounts[ALICE[0]]
    password = generate_app_password()
    made = await house.app.store.apply(
        AddAppPassword(
            account_id=account.account_id,
            name="phone",
            password=hash_app_password(password),
            created_at=1,
            scope=("imap",),
        )
    )

    def try_imap(secret: str) -> str:
        client = imaplib.IMAP4("127.0.0.1", house.port("imap"))
        try:
            return str(client.login(ALICE[0], secret)[0])
        except client.error as fault:
            return str(fault)
        finally:
            client.logout()

    async def basic(secret: str) -> int:
        token = base64.b64encode(f"{ALICE[0]}:{secret}".encode())
        raw = b"GET /.well-known/jmap HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Basic "
        return (await answer_of(house.port("http"), raw + token + b"\r\n\r\n")).status

    assert await asyncio.to_thread(try_imap, ALICE[1]) == "OK"
    await with_totp(house)
    assert "app password" in await asyncio.to_thread(try_imap, ALICE[1])
    assert await asyncio.to_thread(try_imap, password) == "OK"
    assert await basic(ALICE[1]) == 401
    assert await basic(password) == 401, "it is for IMAP alone"
    assert (await Browser(house).sign_in(ALICE[0], password)).status == 401, "no app password at the page"
    await house.app.store.apply(
        RemoveAppPassword(account_id=account.account_id, app_password_id=made.app_password_id)
    )
    assert await asyncio.to_thread(try_imap, password) != "OK"


# --- tokens -----------------------------------------------------------------------------------------------


async def test_bearer_tokens(house: TestHouse) -> None:
    bearers = house.app.house.security.bearers
    account = house.accounts[ALICE[0]]
    credential, good = await bearers.add_token(account, name="script", scope=("jmap",), expires_at=0)
    _, elsewhere = await bearers.add_token(account, name="imap", scope=("imap",), expires_at=0)
    _, ended = await bearers.add_token(account, name="old", scope=(), expires_at=5)

    async def status(token: str) -> int:
        return (await Browser(house).get(SESSION, authorization=f"Bearer {token}")).status

    assert good.encode() not in credential.key
    assert [await status(token) for token in (good, elsewhere, ended, "pht_guess")] == [200, 401, 401, 401]
    from posthouse.store.credentials import RemoveCredentials

    await house.app.store.apply(
        RemoveCredentials(account_id=account.account_id, credential_ids=(credential.credential_id,))
    )
    assert await status(good) == 401


async def test_both_languages(house: TestHouse) -> None:
    browser = Browser(house)
    assert "邮箱地址" in (await browser.get("/login", accept_language="zh-CN,en;q=0.5")).text
    assert 'lang="en"' in (await browser.get("/login", accept_language="fr")).text
    await browser.get("/login?lang=zh-CN")
    assert "邮箱地址" in (await browser.get("/login", accept_language="en")).text


def test_the_languages_have_the_same_words() -> None:
    from posthouse.web.entrance.words import CHINESE, ENGLISH

    assert CHINESE.keys() == ENGLISH.keys()


async def test_a_form_has_an_end(house: TestHouse) -> None:
    browser = Browser(house)
    values = {"form": (await browser.get("/login")).form, "login": "a" * limits.LOGIN_FORM}
    assert (await browser.submit("/login", values)).status == 403
    kind = {"content_type": "application/json"}
    for body in (b"{", b"[" * 5000, b'{"ticket":"x","answer":{}}', b"x" * (limits.LOGIN_FORM + 1)):
        assert (await browser.post("/login/passkey", body, **kind)).status in {400, 401}
