"""Email/get and Email/parse (RFC 8621 §4.1, §4.2, §4.9)."""

from __future__ import annotations

import asyncio
import base64
import smtplib

import pytest

from posthouse import limits
from tests.jmap.conftest import Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_default_properties(alice: Client) -> None:
    name = await alice.add(letter("Default"), flags=("\\Seen", "$Forwarded"))
    (email,) = await alice.get(name)
    inbox = await alice.mailbox("inbox")
    assert list(email) == [
        *("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "messageId"),
        *("inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt"),
        *("hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments"),
    ]
    assert email["mailboxIds"] == {inbox: True}
    assert email["keywords"] == {"$seen": True, "$forwarded": True}
    assert email["receivedAt"] == "2026-11-02T06:13:20Z"
    assert email["from"] == [{"name": "Bob", "email": "bob@elsewhere.test"}]
    assert email["to"] == [{"name": None, "email": "alice@example.test"}]
    assert email["cc"] is None
    assert email["subject"] == "Default"
    assert email["sentAt"] == "2026-11-02T10:00:00+01:00"
    assert email["messageId"] == ["Default@elsewhere.test"]
    assert email["inReplyTo"] is None
    assert email["hasAttachment"] is False
    assert email["preview"] == "Hello."
    assert email["bodyValues"] == {}
    (part,) = email["textBody"]
    assert part["partId"] == "1"
    assert (part["type"], part["charset"], part["size"]) == ("text/plain", "us-ascii", 8)
    assert email["htmlBody"] == email["textBody"]


HALF = "=?utf-7?Q?+2AA-?="
"""Half a surrogate pair: no text, and nothing that JSON could hold."""
NO_TEXT = [
    b"From: <\xd6\xd0@elsewhere.test>\r\nTo: a@\xd6\xd0.test, \xd6\r\n",
    b"From: a@b.test\r\nReply-To: \x01\xf3\r\nCc: \xd6: <\xd6@b>;\r\nSender: <@\xd6:\xd6@\xd6>\r\n",
    f"From: {HALF} <a@b.test>\r\nSubject: {HALF}\r\n".encode(),
    b"From: a@b.test\r\nMessage-ID: <\xd6@x>\r\nReferences: <\xd6@x>\r\nIn-Reply-To: <\xd6@x>\r\n",
    b"From: a@b.test\r\nList-Unsubscribe: <https://\xd6.test/>, <mailto:\xd6@x>\r\nX-Any: \xd6\r\n",
    b"From: a@b.test\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nfound +2AA-\r\n",
    b"From: a@b.test\r\nContent-Type: text/html; charset=utf-7\r\n\r\n<b>found</b> +2AA- &#xD800;\r\n",
    f'From: a@b.test\r\nContent-Type: x/y; name="{HALF}"\r\nContent-ID: <'.encode()
    + b"\xd6>\r\nContent-Language: \xd6\r\nContent-Location: \xd6\r\n"
    + b"Content-Disposition: attachment; filename*=utf-7''%2B2AA-\r\n",
    b"From: a@b.test\r\nContent-Type: x/\xd6; charset=\xd6\r\nContent-Disposition: \xd6\r\n",
]


async def test_what_is_no_text_spoils_no_answer(alice: Client) -> None:
    # One such letter among others must not keep them all from being shown.
    lines = [raw.replace(b"\r\n", b"\n") for raw in NO_TEXT]
    names = [await alice.add(raw if b"\n\n" in raw else raw + b"\n") for raw in lines]
    names.append(await alice.add(letter("Beside them")))
    wanted = [
        *("messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject"),
        *("preview", "bodyValues", "textBody", "htmlBody", "attachments", "bodyStructure", "headers"),
        *("header:To:asGroupedAddresses", "header:Cc:asGroupedAddresses", "header:From:asRaw"),
        *("header:List-Unsubscribe:asURLs", "header:X-Any:asText", "header:Subject:asText"),
    ]
    answer = await alice.call("Email/get", ids=names, properties=wanted, fetchAllBodyValues=True)
    assert len(answer["list"]) == len(names)
    assert answer["list"][0]["from"] == [{"name": None, "email": "\ufffd\ufffd@elsewhere.test"}]
    assert answer["list"][2]["subject"] == "\ufffd"
    found = await alice.call("Email/query", filter={"text": "found"})
    assert set(names[5:7]) <= set(found["ids"])


async def test_only_what_is_asked_for_is_told(alice: Client) -> None:
    name = await alice.add(letter("Narrow"))
    (email,) = await alice.get(name, properties=["subject", "keywords"])
    assert email == {"id": name, "subject": "Narrow", "keywords": {}}


async def test_unknown_ids_are_not_found_and_others_stay_foreign(alice: Client, bob: Client) -> None:
    name = await alice.add(letter("Private"))
    for foreign in (name, "M999999", "nonsense", "F1"):
        answer = await bob.call("Email/get", ids=[foreign])
        assert (answer["list"], answer["notFound"]) == ([], [foreign])
    assert await bob.error("Email/get", ids=[name], accountId=alice.account_id) == "accountNotFound"


HEADERS = """\
From: "  James Smythe" <james@example.com>, Friends:
 jane@example.com, =?UTF-8?Q?John_Sm=C3=AEth?=
 <john@example.com>;
Subject: =?utf-8?q?f=C3=BCnf?= =?utf-8?q?_Dinge?=
List-Unsubscribe: <https://lists.test/u?a=1> (web), <mailto:leave@lists.test>
List-Help: (not <https://lists.test/old>) <https://lists.test/help(1)?q=(a)> (or write), <mailto:help
 @lists.test>
X-Twice: one
X-Twice: two
Resent-To: a@x.test
Resent-To: b@x.test
Message-ID: <some@where>
References: <a@b> <c@d>
Date: not at all

text
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (
            "from",
            [
                {"name": "James Smythe", "email": "james@example.com"},
                {"name": None, "email": "jane@example.com"},
                {"name": "John Smîth", "email": "john@example.com"},
            ],
        ),
        (
            "header:From:asGroupedAddresses",
            [
                {"name": None, "addresses": [{"name": "James Smythe", "email": "james@example.com"}]},
                {
                    "name": "Friends",
                    "addresses": [
                        {"name": None, "email": "jane@example.com"},
                        {"name": "John Smîth", "email": "john@example.com"},
                    ],
                },
            ],
        ),
        ("subject", "fünf Dinge"),
        ("header:Subject", " =?utf-8?q?f=C3=BCnf?= =?utf-8?q?_Dinge?="),
        ("header:SUBJECT:asText", "fünf Dinge"),
        ("header:List-Unsubscribe:asURLs", ["https://lists.test/u?a=1", "mailto:leave@lists.test"]),
        ("header:List-Help:asURLs", ["https://lists.test/help(1)?q=(a)", "mailto:help@lists.test"]),
        ("header:X-Twice", " two"),
        ("header:x-twice:asText", "two"),
        ("header:X-Twice:all", [" one", " two"]),
        ("header:X-None", None),
        ("header:X-None:all", []),
        (
            "header:Resent-To:asAddresses:all",
            [[{"name": None, "email": "a@x.test"}], [{"name": None, "email": "b@x.test"}]],
        ),
        ("references", ["a@b", "c@d"]),
        ("header:References:asMessageIds", ["a@b", "c@d"]),
        ("sentAt", None),
        ("header:X-Twice:asDate", None),
    ],
)
async def test_header_forms(alice: Client, name: str, value: object) -> None:
    (email,) = await alice.get(await alice.add(HEADERS), properties=[name])
    assert email[name] == value


@pytest.mark.parametrize(
    "name",
    [
        "header:From:asDate",
        "header:Subject:asAddresses",
        "header:Date:asText",
        "header:To:asNothing",
        "header:",
        "colour",
    ],
)
async def test_forms_that_do_not_suit_are_refused(alice: Client, name: str) -> None:
    assert await alice.error("Email/get", ids=[], properties=[name]) == "invalidArguments"


async def test_all_headers_come_in_order_as_they_are(alice: Client) -> None:
    (email,) = await alice.get(await alice.add(HEADERS), properties=["headers"])
    names = [each["name"] for each in email["headers"]]
    assert names == [
        *("From", "Subject", "List-Unsubscribe", "List-Help", "X-Twice", "X-Twice", "Resent-To", "Resent-To"),
        *("Message-ID", "References", "Date"),
    ]
    assert email["headers"][5]["value"] == " two"


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("5\u00a0€\u3000件名", None),
        ("می\u200cخواهم \U0001f468\u200d\U0001f469\u200d\U0001f467", None),
        ("a\x07b\u0085c\u2028d\u202egpj.exe\u202c", "abcdgpj.exe"),
    ],
)
async def test_of_a_text_control_characters_are_dropped_and_nothing_else(
    alice: Client, subject: str, shown: str | None
) -> None:
    """RFC 8621 §4.1.2.2."""
    encoded = base64.b64encode(subject.encode()).decode()
    name = await alice.add(f"Subject: =?utf-8?B?{encoded}?=\n\ntext\n")
    (email,) = await alice.get(name, properties=["subject"])
    assert email["subject"] == (subject if shown is None else shown)


# RFC 8621 §4.1.4: the example of the text.
EXAMPLE = b"""\
Subject: example
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: text/plain
Content-Disposition: inline

A
--m
Content-Type: multipart/mixed; boundary=n

--n
Content-Type: multipart/alternative; boundary=o

--o
Content-Type: multipart/mixed; boundary=p

--p
Content-Type: text/plain
Content-Disposition: inline

B
--p
Content-Type: image/jpeg
Content-Disposition: inline

C
--p
Content-Type: text/plain
Content-Disposition: inline

D
--p--
--o
Content-Type: multipart/related; boundary=q

--q
Content-Type: text/html

E
--q
Content-Type: image/jpeg

F
--q--
--o--
--n
Content-Type: image/jpeg
Content-Disposition: attachment

G
--n
Content-Type: application/x-excel

H
--n
Content-Type: message/rfc822

Subject: J

J
--n--
--m
Content-Type: text/plain
Content-Disposition: inline

K
--m--
"""


# As Apple's program sends a letter with a file in the midst of it.
ALTERNATIVE = b"""\
Subject: a file in the midst
Content-Type: multipart/alternative; boundary=m

--m
Content-Type: text/plain

plain
--m
Content-Type: multipart/mixed; boundary=n

--n
Content-Type: text/html

<p>before</p>
--n
Content-Type: application/pdf
Content-Disposition: inline; filename=x.pdf

x
--n
Content-Type: text/html

<p>behind</p>
--n--
--m--
"""


async def test_alternatives_at_the_top_are_alternatives_however_deep(alice: Client) -> None:
    """RFC 8621 §4.1.4: what is below one of them is no text of the other."""
    (email,) = await alice.get(
        await alice.add(ALTERNATIVE),
        properties=["textBody", "htmlBody", "attachments"],
        bodyProperties=["partId"],
    )
    shown = {name: [part["partId"] for part in email[name]] for name in email if name != "id"}
    assert shown == {"textBody": ["1"], "htmlBody": ["2.1", "2.3"], "attachments": ["2.2"]}


async def test_the_example_of_the_standard(alice: Client) -> None:
    name = await alice.add(EXAMPLE)
    (email,) = await alice.get(
        name,
        properties=["textBody", "htmlBody", "attachments", "bodyStructure", "bodyValues", "hasAttachment"],
        bodyProperties=["partId", "type", "subParts"],
        fetchAllBodyValues=True,
    )
    numbers = {
        "A": "1", "B": "2.1.1.1", "C": "2.1.1.2", "D": "2.1.1.3", "E": "2.1.2.1", "F": "2.1.2.2",
        "G": "2.2", "H": "2.3", "J": "2.4", "K": "3",
    }  # fmt: skip
    letters = {number: name for name, number in numbers.items()}
    for key, wanted in (("textBody", "ABCDK"), ("htmlBody", "AEK"), ("attachments", "CFGHJ")):
        assert "".join(letters[part["partId"]] for part in email[key]) == wanted, key
    assert email["hasAttachment"] is True
    assert {letters[k]: v["value"] for k, v in email["bodyValues"].items()} == {k: k for k in "ABDEK"}
    root = email["bodyStructure"]
    assert (root["type"], root["partId"]) == ("multipart/mixed", None)
    assert [part["type"] for part in root["subParts"]] == ["text/plain", "multipart/mixed", "text/plain"]
    assert root["subParts"][1]["subParts"][3] == {"partId": "2.4", "type": "message/rfc822", "subParts": None}


PARTS = """\
Subject: parts
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable
Content-Language: de, en
Content-Location: http://a.test/

<p>gr=C3=BCn</p>=20
--x
Content-Type: application/pdf; name="=?utf-8?q?gr=C3=BCn.pdf?="
Content-Transfer-Encoding: base64
Content-Disposition: attachment
Content-ID: <pic@a>

SGVsbG8gd29ybGQ=
--x
Content-Type: text/plain; charset=x-nobody-knows
Content-Disposition: attachment; filename*=utf-8''na%C3%AFve.txt

some text
--x--
"""


async def test_body_parts_tell_everything(alice: Client) -> None:
    name = await alice.add(PARTS)
    (email,) = await alice.get(
        name,
        properties=["bodyStructure", "bodyValues"],
        fetchAllBodyValues=True,
        bodyProperties=[
            *("partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language"),
            *("location", "headers", "header:Content-Type"),
        ],
    )
    html, pdf, text = email["bodyStructure"]["subParts"]
    assert (html["language"], html["location"]) == (["de", "en"], "http://a.test/")
    assert html["size"] == len("<p>grün</p> ".encode())
    assert (pdf["name"], pdf["cid"], pdf["disposition"]) == ("grün.pdf", "pic@a", "attachment")
    assert (pdf["size"], pdf["charset"]) == (11, None)
    assert pdf["header:Content-Type"] == ' application/pdf; name="=?utf-8?q?gr=C3=BCn.pdf?="'
    assert pdf["headers"][0]["name"] == "Content-Type"
    assert text["name"] == "naïve.txt"
    value = {"value": "<p>grün</p> ", "isEncodingProblem": False, "isTruncated": False}
    assert email["bodyValues"]["1"] == value
    assert email["bodyValues"]["3"]["isEncodingProblem"] is True


@pytest.mark.parametrize(
    ("octets", "value"), [(3, "<p>"), (4, "<p>g"), (5, "<p>gr"), (6, "<p>gr"), (7, "<p>grü"), (9, "<p>grün")]
)
async def test_values_are_cut_between_characters_and_outside_of_tags(
    alice: Client, octets: int, value: str
) -> None:
    name = await alice.add(PARTS)
    (email,) = await alice.get(
        name, properties=["bodyValues"], fetchHTMLBodyValues=True, maxBodyValueBytes=octets
    )
    assert email["bodyValues"] == {"1": {"value": value, "isEncodingProblem": False, "isTruncated": True}}


async def test_parse_reads_an_embedded_message(alice: Client) -> None:
    inner = base64.b64encode(letter("Within", "inner text").replace("\n", "\r\n").encode()).decode()
    outer = (
        "Subject: outer\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n--x\n"
        f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{inner}\n--x--\n"
    )
    name = await alice.add(outer)
    (email,) = await alice.get(name, properties=["attachments"])
    blob = email["attachments"][0]["blobId"]
    answer = await alice.call(
        "Email/parse",
        blobIds=[blob, "U99", "Bnonsense"],
        properties=["id", "subject", "textBody", "receivedAt", "bodyValues"],
        fetchTextBodyValues=True,
    )
    parsed = answer["parsed"][blob]
    assert (parsed["id"], parsed["receivedAt"], parsed["subject"]) == (None, None, "Within")
    assert parsed["bodyValues"]["1"]["value"] == "inner text\n"
    assert parsed["textBody"][0]["blobId"] == f"{blob}-1"
    assert answer["notFound"] == ["U99", "Bnonsense"]
    assert answer["notParsable"] is None
    inner_blob = f"{blob}-1"
    assert (await alice.call("Email/parse", blobIds=[inner_blob]))["notParsable"] == [inner_blob]


async def test_deleted_messages_are_not_there(alice: Client) -> None:
    name = await alice.add(letter("Marked"), flags=("\\Deleted",))
    answer = await alice.call("Email/get", ids=[name])
    assert answer["notFound"] == [name]
    assert (await alice.call("Email/query"))["ids"] == []
    (box,) = (await alice.call("Mailbox/get", ids=[await alice.mailbox("inbox")]))["list"]
    assert (box["totalEmails"], box["unreadEmails"], box["totalThreads"]) == (0, 0, 0)


async def test_too_many_ids_are_refused(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await alice.error("Email/get", ids=[f"M{i}" for i in range(1001)]) == "requestTooLarge"
    monkeypatch.setattr(limits, "JMAP_GET", 2)
    made = [await alice.add(letter(f"{n}")) for n in range(2)]
    hidden = await alice.add(letter("Deleted"), flags=("\\Deleted",))
    for kind in ("Email", "Thread"):  # RFC 8620 §5.1: null is all, unless they are too many
        found = (await alice.call(f"{kind}/get", ids=None))["list"]
        assert [each["id"][1:] for each in found] == [name[1:] for name in made]
    assert hidden not in made
    await alice.add(letter("One more"), mailbox="Archive")
    assert await alice.error("Email/get", ids=None) == "requestTooLarge"
    assert await alice.error("Thread/get", ids=None) == "requestTooLarge"


async def test_the_verdict_is_given_when_it_is_asked_for(alice: Client) -> None:
    port = alice.house.port("smtp")

    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", port) as sender:
            text = "From: Pat <pat@elsewhere.test>\r\nSubject: verdict wanted\r\n\r\nhello\r\n"
            sender.sendmail("pat@elsewhere.test", ["alice@example.test"], text)

    await asyncio.to_thread(deliver)
    query = await alice.call("Email/query", filter={"subject": "verdict wanted"})
    got = await alice.call("Email/get", ids=query["ids"], properties=["verdict", "subject"])
    (email,) = got["list"]
    verdict = email["verdict"]
    assert verdict["decision"] == "accept"
    assert verdict["score"] < verdict["junk_at"]
    assert "first-contact" in [fact["fact"] for fact in verdict["facts"]]
    (plain,) = (await alice.call("Email/get", ids=query["ids"]))["list"]
    assert "verdict" not in plain


async def test_caution_is_the_worst_fact_of_the_verdict(alice: Client) -> None:
    port = alice.house.port("smtp")
    authors = {
        "named otherwise": '"bank@bank.test" <pat@elsewhere.test>',
        "both at once": '"bank@bank.test" <pat@examp1e.test>',
        "nothing to say": "Pat <pat@elsewhere.test>",
    }

    def deliver() -> None:
        with smtplib.SMTP("127.0.0.1", port) as sender:
            for subject, author in authors.items():
                text = f"From: {author}\r\nSubject: {subject}\r\n\r\nhello\r\n"
                sender.sendmail("pat@elsewhere.test", ["alice@example.test"], text)

    await asyncio.to_thread(deliver)
    own = await alice.add(letter("put here by a program"))
    query = await alice.call("Email/query")
    got = await alice.call("Email/get", ids=query["ids"], properties=["caution", "subject"])
    assert {email["subject"]: email["caution"] for email in got["list"]} == {
        "named otherwise": "address-in-name",
        "both at once": "look-alike",
        "nothing to say": None,
        "put here by a program": None,
    }, own
