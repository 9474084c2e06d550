"""What mail programs are told when they ask how to reach us."""

from __future__ import annotations

import asyncio
import json
import plistlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from posthouse import limits
from posthouse.config import Inbound, Tls
from posthouse.msgauth.mta_sts import parse_sts_policy
from posthouse.operations.client_setup import AUTODISCOVER, OUTLOOK, ClientSetup, read_request
from posthouse.operations.household import Household
from tests.house import TestHouse
from tests.web.browser import Browser, Page

PORTS = {"imaps": 993, "imap": 143, "submissions": 465, "submission": 587, "pop3s": 995, "sieve": 4190}
REQUEST = (
    '<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/'
    'autodiscover/outlook/requestschema/2006"><Request><EMailAddress>%s</EMailAddress></Request></Autodiscover>'
)


async def at_host(house: TestHouse, host: str, path: str) -> Page:
    browser = Browser(house)
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    pairs = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
    return Page(int(first.split()[1]), pairs, body.decode())


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("autoconfig.example.test", "/mail/config-v1.1.xml?emailaddress=alice%40example.test"),
        ("autoconfig.example.test", "/mail/config-v1.1.xml"),
        ("example.test", "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=nobody%40example.test"),
    ],
)
async def test_thunderbird(house: TestHouse, host: str, path: str) -> None:
    page = await at_host(house, host, path)
    assert page.status == 200
    assert page.first("content-type").startswith("application/xml")
    root = ElementTree.fromstring(page.text)
    provider = root.find("emailProvider")
    assert provider is not None
    assert provider.get("id") == "example.test"
    incoming = provider.findall("incomingServer")
    assert [server.get("type") for server in incoming] == [
        *("imap", "imap", "pop3", "pop3"),
        "managesieve",
    ]
    assert provider[-1] is incoming[-1]  # a program that takes the first it finds is not led astray
    assert incoming[-1].findtext("socketType") == "STARTTLS"
    assert incoming[-1].findtext("port") == house.app.config.listen.sieve[0].rpartition(":")[2]
    assert incoming[0].findtext("socketType") == "SSL"
    assert incoming[0].findtext("port") == str(house.app.config.listen.imaps[0].rpartition(":")[2])
    assert provider.findtext("outgoingServer/username") == "%EMAILADDRESS%"


async def test_domains_of_others_are_not_answered(house: TestHouse) -> None:
    for path in (
        "/mail/config-v1.1.xml?emailaddress=a%40other.test",
        "/mail/config-v1.1.xml?emailaddress=a%40backup.test",
        "/apple.mobileconfig?address=a%40other.test",
        "/apple.mobileconfig?address=%00",
    ):
        assert (await at_host(house, "example.test", path)).status == 404, path
    assert (await at_host(house, "autoconfig.other.test", "/mail/config-v1.1.xml")).status == 404


async def test_outlook(house: TestHouse) -> None:
    browser = Browser(house)
    path = "/autodiscover/autodiscover.xml"
    page = await browser.post(path, (REQUEST % "Alice@Example.Test").encode(), content_type="text/xml")
    root = ElementTree.fromstring(page.text)
    assert root.tag == f"{{{AUTODISCOVER}}}Autodiscover"
    protocols = root.findall(f".//{{{OUTLOOK}}}Protocol")
    found = {p.findtext(f"{{{OUTLOOK}}}Type"): p.findtext(f"{{{OUTLOOK}}}LoginName") for p in protocols}
    assert found == dict.fromkeys(("IMAP", "POP3", "SMTP"), "alice@example.test")
    assert page.first("content-type").startswith("text/xml")
    page = await browser.get("/autodiscover/autodiscover.json?Email=a%40example.test&Protocol=AutodiscoverV1")
    assert json.loads(page.text)["Url"].endswith(path)
    assert (await browser.get("/autodiscover/autodiscover.json?Protocol=ActiveSync")).status == 400


def test_outlook_is_never_told_to_speak_in_the_clear() -> None:
    """[MS-OXDSCLI] 2.2.4.1.1.2.3: SSL is `on` whatever Encryption says, so who knows only the one is safe too."""
    root = ElementTree.fromstring(
        ClientSetup(Household("mx.example.test", {"imap": 143, "submission": 587})).autodiscover("a@b.test")
    )
    protocols = root.findall(f".//{{{OUTLOOK}}}Protocol")
    values = [{child.tag.rpartition("}")[2]: child.text for child in protocol} for protocol in protocols]
    assert [(v["Type"], v["SSL"], v["Encryption"]) for v in values] == [
        ("IMAP", "on", "TLS"),
        ("SMTP", "on", "TLS"),
    ]
    assert values[1]["UsePOPAuth"] == "on"


async def test_outlook_writes_the_path_as_it_likes(house: TestHouse) -> None:
    body = (REQUEST % "alice@example.test").encode()
    for path in (
        "/AutoDiscover/AutoDiscover.xml",
        "/Autodiscover/Autodiscover.xml",
        "/AutoDiscover/autodiscover.xml",
    ):
        assert (await Browser(house).post(path, body, content_type="text/xml")).status == 200, path


async def test_a_form_that_is_not_ours_is_refused_in_its_words(house: TestHouse) -> None:
    """A phone that asks for ActiveSync must not take the answer for it."""
    sync = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"
    wish = f"<AcceptableResponseSchema>{sync}</AcceptableResponseSchema></Request>"
    body = (REQUEST % "alice@example.test").replace("</Request>", wish)
    for text, code in ((body, "601"), ("<a/>", "600")):
        page = await Browser(house).post("/autodiscover/autodiscover.xml", text.encode())
        root = ElementTree.fromstring(page.text)
        assert root.findtext(f".//{{{AUTODISCOVER}}}ErrorCode") == code
    page = await Browser(house).post("/autodiscover/autodiscover.xml", body.replace(sync, OUTLOOK).encode())
    assert ElementTree.fromstring(page.text).find(f".//{{{OUTLOOK}}}Protocol") is not None


async def test_outlook_is_led_to_where_the_certificate_is_good(house: TestHouse) -> None:
    """Its last try is a GET at autodiscover.DOMAIN."""
    path = "/autodiscover/autodiscover.xml"
    page = await at_host(house, "autodiscover.example.test", path)
    assert (page.status, page.first("location")) == (302, f"https://mx.example.test{path}")
    assert (await at_host(house, "mx.example.test", path)).status == 405


@pytest.mark.parametrize(
    "body",
    [
        "<",
        "<a/>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><EMailAddress>&x;</EMailAddress></a>',
        '<!DOCTYPE a [<!ENTITY x "xx"><!ENTITY y "&x;&x;">]><a><EMailAddress>&y;</EMailAddress></a>',
        "<a>" * 20_000,
        (REQUEST % "no address"),
        (REQUEST % "a@b@\x01"),
    ],
)
async def test_strange_xml_is_refused(house: TestHouse, body: str) -> None:
    page = await Browser(house).post("/autodiscover/autodiscover.xml", body.encode())
    assert page.status in {400, 413}


async def test_a_large_request_is_cut_off(house: TestHouse) -> None:
    page = await Browser(house).post("/autodiscover/autodiscover.xml", b" " * (limits.AUTODISCOVER + 1))
    assert page.status == 413


async def test_apple(house: TestHouse) -> None:
    page = await at_host(house, "example.test", "/apple.mobileconfig?address=alice%40example.test&name=Alice")
    assert page.first("content-type") == "application/x-apple-aspen-config"
    profile = plistlib.loads(page.text.encode())
    (account,) = profile["PayloadContent"]
    assert account["EmailAddress"] == "alice@example.test"
    assert account["IncomingMailServerUseSSL"] is True
    assert not any("Password" in key and key != "OutgoingPasswordSameAsIncomingPassword" for key in account)


def test_the_better_service_comes_first() -> None:
    setup = ClientSetup(Household("mx.example.test", PORTS))
    assert [(s.protocol, s.port, s.security) for s in setup.services] == [
        ("imap", 993, "tls"),
        ("imap", 143, "starttls"),
        ("pop3", 995, "tls"),
        ("smtp", 465, "tls"),
        ("smtp", 587, "starttls"),
        ("managesieve", 4190, "starttls"),
    ]
    without = {name: port for name, port in PORTS.items() if name != "sieve"}
    assert "managesieve" not in {s.protocol for s in ClientSetup(Household("mx.test", without)).services}
    assert ClientSetup(Household("mx.example.test", {"pop3": 110})).best("imap") is None
    pop = plistlib.loads(
        ClientSetup(Household("mx.example.test", {"pop3": 110, "submission": 587})).mobileconfig(
            "a@b.test", ""
        )
    )
    assert pop["PayloadContent"][0]["EmailAccountType"] == "EmailTypePOP"
    with pytest.raises(ValueError, match="not offered"):
        ClientSetup(Household("mx.example.test", {"pop3": 110})).mobileconfig("a@b.test", "")


def test_the_address_is_found_in_any_namespace() -> None:
    assert read_request((REQUEST % "a@b.test").encode()).address == "a@b.test"


async def test_mta_sts_only_with_a_certificate_of_ours(house: TestHouse, tmp_path: Path) -> None:
    path = "/.well-known/mta-sts.txt"
    assert (await at_host(house, "mta-sts.example.test", path)).status == 404, "self-signed: no policy"
    tls = house.app.config.data / "tls"
    other = await TestHouse.open(
        tmp_path / "other",
        tls=Tls(certificate=tls / "certificate.pem", key=tls / "key.pem"),
        inbound=Inbound(backups=("backup.far.test",)),
    )
    try:
        page = await at_host(other, "mta-sts.example.test", path)
        assert page.text.split("\r\n")[:3] == ["version: STSv1", "mode: enforce", "mx: mx.example.test"]
        # RFC 8461 §4.1: a host of MX that the policy does not name gets no mail.
        assert parse_sts_policy(page.text).mx == ("mx.example.test", "backup.far.test"), "others can read it"
        assert page.first("content-type").startswith("text/plain")
        assert (await at_host(other, "example.test", path)).status == 404
        assert (await at_host(other, "mta-sts.other.test", path)).status == 404
    finally:
        await other.close()


async def test_security_txt(house: TestHouse) -> None:
    page = await at_host(house, "mail.example.test", "/.well-known/security.txt")
    assert page.text.startswith("Contact: mailto:postmaster@example.test\nExpires: 20")
