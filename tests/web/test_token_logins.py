"""One token, all doors: IMAP, POP3, SMTP by the standard library's clients, where JMAP takes it too (RFC 7628)."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import json
import poplib
import smtplib
import ssl

import httpx
import pytest

from tests.house import TestHouse

TRUSTING = ssl._create_unverified_context()


def message(token: str) -> str:
    return f"n,a=alice@example.test,\x01host=mx.example.test\x01auth=Bearer {token}\x01\x01"


def by_imap(house: TestHouse, token: str) -> None:
    with imaplib.IMAP4_SSL("127.0.0.1", house.port("imaps"), ssl_context=TRUSTING) as client:
        assert {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"} <= set(client.capabilities)
        client.authenticate("OAUTHBEARER", lambda _: message(token).encode())
        assert client.select("INBOX")[0] == "OK"


def by_pop(house: TestHouse, token: str) -> None:
    client = poplib.POP3_SSL("127.0.0.1", house.port("pop3s"), context=TRUSTING)
    assert "OAUTHBEARER" in client.capa()["SASL"]
    client._shortcmd(f"AUTH OAUTHBEARER {base64.b64encode(message(token).encode()).decode()}")
    assert client.stat() == (0, 0)
    client.quit()


def by_smtp(house: TestHouse, token: str) -> None:
    with smtplib.SMTP_SSL("127.0.0.1", house.port("submissions"), context=TRUSTING) as client:
        client.ehlo()
        assert "OAUTHBEARER" in client.esmtp_features["auth"].split()
        client.auth("OAUTHBEARER", lambda challenge=None: message(token) if challenge is None else "\x01")
        text = "From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n"
        assert client.sendmail("alice@example.test", ["bob@example.test"], text) == {}


async def made(house: TestHouse, *scope: str) -> str:
    account = house.accounts["alice@example.test"]
    _, token = await house.app.house.security.bearers.add_token(account, name="x", scope=scope, expires_at=0)
    return token


async def test_one_token_opens_every_door(house: TestHouse) -> None:
    token = await made(house)
    for door in (by_imap, by_pop, by_smtp):
        await asyncio.to_thread(door, house, token)
    bearer = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=bearer) as client:
        found = await client.get(f"http://127.0.0.1:{house.port('http')}/.well-known/jmap")
    assert found.json()["username"] == "alice@example.test"
    assert await house.total("bob@example.test") == 1


async def test_a_token_opens_no_other_door(house: TestHouse) -> None:
    token = await made(house, "smtp")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        await asyncio.to_thread(by_imap, house, token)
    with pytest.raises(poplib.error_proto):
        await asyncio.to_thread(by_pop, house, token)
    await asyncio.to_thread(by_smtp, house, token)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        await asyncio.to_thread(by_smtp, house, await made(house, "imap"))
    assert refused.value.smtp_code == 535


async def test_the_reason_of_a_refusal_is_a_challenge(house: TestHouse) -> None:
    """RFC 7628 §3.2.2, as IMAP shows it."""
    challenges: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return message("pht_wrong").encode() if len(challenges) == 1 else b"\x01"

    def run() -> None:
        with imaplib.IMAP4_SSL("127.0.0.1", house.port("imaps"), ssl_context=TRUSTING) as client:
            client.authenticate("OAUTHBEARER", answer)

    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        await asyncio.to_thread(run)
    assert json.loads(challenges[1]) == {"status": "invalid_token", "scope": "imap"}
