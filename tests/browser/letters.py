"""Mail of an ordinary week, in English and Chinese: what the browser tests read and the screenshots show."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import msgspec

ALICE: Final = "Alice Lindqvist <alice@north.test>"
PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFklEQVR4nGPYZmyJFTEMLgmG/1jBoHIVAOv1cwFV1iXcAAAAAElFTkSuQmCC"
)
PROVED: Final = (
    "mx.north.test; dmarc=pass header.from={domain}; dkim=pass header.d={domain} header.s=mail;"
    " spf=pass smtp.mailfrom={domain}"
)
FORGED: Final = (
    "mx.north.test; dmarc=fail header.from={domain}; dkim=none; spf=softfail smtp.mailfrom=cheap-host.test"
)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A message and where it lies."""

    raw: bytes
    minutes: int
    """How long ago it came."""
    mailbox: str = "INBOX"
    keywords: tuple[str, ...] = ()


class _Plain(msgspec.Struct, frozen=True, kw_only=True):
    sender: str
    subject: str
    text: str
    minutes: int
    keywords: tuple[str, ...] = ("\\Seen",)
    number: str = ""
    answers: str = ""
    mailbox: str = "INBOX"
    to: str = ALICE
    cc: str = ""
    results: str = PROVED
    html: str = ""
    file: tuple[str, str, bytes] | None = None
    extra: tuple[tuple[str, str], ...] = ()


_BUDGET: Final = """Hello Alice,

the figures for the third quarter are in. Travel is a fifth under
plan, hosting a little over it; the details are in the sheet from
Monday. Could you look at rows 14 to 22 before Thursday's meeting?

https://intranet.south.test/finance/2026-q3

Best
Carol
"""
_NEWS: Final = """<html><body style="margin:0;background:#f3f1ec"><table width="100%" cellpadding="0" cellspacing="0"
bgcolor="#f3f1ec"><tr><td align="center" style="padding:24px 12px"><table width="560" cellpadding="0" cellspacing="0"
bgcolor="#ffffff" style="font-family:Georgia,serif;color:#2b2b2b"><tr><td bgcolor="#20435c" style="padding:28px;
color:#ffffff;font-size:24px">The Harbour Letter</td></tr><tr><td style="padding:28px;font-size:16px;line-height:1.6">
<p>Good morning. The new ferry line opens on the first of December, and with it the old signal house, which has been
turned into a reading room.</p><img src="https://pictures.harbour.test/ferry.jpg" width="504" height="160" alt="The
ferry at dawn"><p>Three things worth your time this week:</p><ul><li>A walk along the northern mole, with lanterns</li>
<li>How the tide tables are made</li><li>The bakery that opens at four</li></ul><p><a href="https://harbour.test/letter"
style="color:#20435c">Read the whole letter</a></p></td></tr></table></td></tr></table></body></html>"""
_INVITE: Final = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
METHOD:REQUEST\r
BEGIN:VEVENT\r
UID:review-2026@south.test\r
SUMMARY:Autumn review\r
LOCATION:Room 4, second floor\r
DTSTART:20261203T130000Z\r
DTEND:20261203T143000Z\r
ORGANIZER;CN=Carol Meier:mailto:carol@south.test\r
ATTENDEE;CN=Alice Lindqvist:mailto:alice@north.test\r
ATTENDEE;CN=Bob Okafor:mailto:bob@south.test\r
END:VEVENT\r
END:VCALENDAR\r
"""

_WEEK: Final = (
    _Plain(
        sender="Carol Meier <carol@south.test>",
        subject="Budget for the third quarter",
        text=_BUDGET,
        minutes=12,
        keywords=(),
        number="budget-1",
        cc="Bob Okafor <bob@south.test>",
    ),
    _Plain(
        sender="王小明 <wang.xiaoming@huadong.test>",
        subject="关于下周二项目评审会的安排",
        minutes=47,
        keywords=("\\Flagged",),
        text="林女士，您好：\n\n下周二（12月1日）下午两点在三号会议室召开项目评审会，请您提前准备验收材料，"
        "并将参会名单于本周五之前发给我。\n\n附件中是上次会议的纪要，请查收。\n\n祝工作顺利！\n\n"
        "王小明\n华东分公司 技术部",
        file=("application/pdf", "会议纪要（2026年11月）.pdf", b"%PDF-1.4 minutes\n" * 2900),
    ),
    _Plain(
        sender="Bob Okafor <bob@south.test>",
        subject="Re: Trip to the lighthouse",
        minutes=95,
        keywords=(),
        number="trip-3",
        answers="trip-2",
        cc="Carol Meier <carol@south.test>",
        text="Saturday works for me too. I bring the thermos and the good map.\n\nBob\n\n"
        "On Monday Alice Lindqvist wrote:\n"
        "> Saturday at nine, at the pier?\n>> Who is coming to the lighthouse?\n",
    ),
    _Plain(
        sender=ALICE,
        to="Bob Okafor <bob@south.test>",
        cc="Carol Meier <carol@south.test>",
        mailbox="Sent",
        results="",
        subject="Re: Trip to the lighthouse",
        minutes=180,
        number="trip-2",
        answers="trip-1",
        text="Saturday at nine, at the pier?\n\nAlice\n\n> Who is coming to the lighthouse?\n",
    ),
    _Plain(
        sender="Bob Okafor <bob@south.test>",
        subject="Trip to the lighthouse",
        minutes=320,
        number="trip-1",
        text="Who is coming to the lighthouse?\n\nBob\n",
    ),
    _Plain(
        sender="The Harbour Letter <letter@harbour.test>",
        subject="The ferry, the signal house and a bakery",
        minutes=400,
        keywords=(),
        text="Good morning. The new ferry line opens on the first of December.",
        html=_NEWS,
        extra=(
            ("List-Id", '"The Harbour Letter" <letter.harbour.test>'),
            ("List-Unsubscribe", "<mailto:leave@harbour.test>, <https://harbour.test/leave/7f3>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ),
    ),
    _Plain(
        sender="Carol Meier <carol@south.test>",
        subject="Invitation: Autumn review",
        minutes=1500,
        text="Please join the autumn review.",
        file=("text/calendar", "invite.ics", _INVITE),
    ),
    _Plain(
        sender="Nordbank Security <security@nordbank-kunden.test>",
        subject="Your account needs your attention",
        minutes=1560,
        keywords=(),
        results=FORGED,
        text="Please confirm your details: https://nordbank-kunden.test/confirm\n",
    ),
    _Plain(
        sender="李雪 <lixue@xinhua-press.test>",
        subject="回复：书稿第三章修改意见",
        minutes=1700,
        keywords=("\\Seen", "书稿"),
        text="林老师：\n\n第三章已按您的意见修改完毕，插图重新绘制了两张，请审阅。\n\n李雪",
    ),
    _Plain(
        sender="Donaudampfschifffahrtsgesellschaft Kundendienst <kundendienst@donaudampfschifffahrt.test>",
        minutes=2900,
        subject="Ihre Fahrgastrechtebeschwerdebearbeitungsnummer 2026-11-4471 wurde angelegt",
        text="Sehr geehrte Frau Lindqvist,\n\nwir haben Ihre Nachricht erhalten.\n",
    ),
    _Plain(
        sender="Ingrid Sørensen <ingrid@fjord.test>",
        subject="Photographs from the opening",
        minutes=3100,
        keywords=("\\Seen", "\\Flagged", "family"),
        text="Here are the two best ones.\n\nIngrid",
        file=("image/png", "opening.png", PIXEL),
    ),
    _Plain(
        sender="build@ci.north.test",
        subject="main is green again (1,482 tests)",
        minutes=3300,
        keywords=("\\Seen", "work"),
        text="All 1,482 tests passed in 11 minutes.\n",
    ),
    _Plain(
        sender="陈建国 <chen.jianguo@huadong.test>",
        subject="十一月份差旅费报销单已审批通过",
        minutes=4400,
        text="您的报销单（编号 2026-1173）已审批通过，款项将于三个工作日内到账。",
    ),
    _Plain(
        sender="Mateus Albuquerque <mateus@lisboa.test>",
        subject="The translation, chapters 1–4",
        minutes=5900,
        keywords=("\\Seen", "\\Answered", "work"),
        text="Attached as promised. Chapter 3 still wants a native ear.\n",
        file=("text/plain", "chapters.txt", "Capítulo 1\n\nEra uma vez…\n".encode() * 40),
    ),
)
_MORE: Final = (
    ("Hanna Virtanen <hanna@helsinki.test>", "Minutes of the board", "Please find the minutes below."),
    ("赵敏 <zhaomin@huadong.test>", "供应商名单更新", "最新的供应商名单请见下文，如有变动请及时告知。"),
    (
        "Library of North <desk@library.north.test>",
        "Two of your books are due",
        "They can be renewed until Friday.",
    ),
    ("Kofi Mensah <kofi@accra.test>", "Re: Sensor readings", "The outliers are gone since the new firmware."),
    ("孙丽 <sunli@xinhua-press.test>", "样书已寄出", "样书已于今日寄出，预计后天送达，请注意查收。"),
)


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """A message that a stranger brings."""

    sender: str
    raw: bytes


def strangers() -> Iterator[Brought]:
    """A cheat whose domain looks like ours, and a bookshop that writes for the first time."""
    pretending = (
        'From: "IT Helpdesk helpdesk@north.test" <helpdesk@n0rth.test>\r\nTo: alice@north.test\r\n'
        "Reply-To: collect@elsewhere.test\r\nSubject: Your mailbox closes today\r\n\r\n"
        "Please log in within the hour: https://n0rth.test/login\r\n"
    )
    yield Brought(sender="helpdesk@n0rth.test", raw=pretending.encode())
    first = (
        "From: Bookshop at the Harbour <orders@books.test>\r\nTo: alice@north.test\r\n"
        "Reply-To: answers@books-service.test\r\nDate: Wed, 25 Nov 2026 08:00:00 +0000\r\n"
        "Message-ID: <order-7@books.test>\r\nSubject: Your order has arrived\r\n\r\n"
        "The two sea charts you ordered are here. We keep them for you until Saturday.\r\n"
    )
    yield Brought(sender="orders@books.test", raw=first.encode())


def letters(now: datetime) -> Iterator[Letter]:
    """All of them; the newest is twelve minutes old."""
    for plain in _WEEK:
        yield _letter(plain, now)
    for number in range(40):
        sender, subject, text = _MORE[number % len(_MORE)]
        plain = _Plain(
            sender=sender, subject=f"{subject} ({number + 1})", text=text, minutes=7000 + number * 1300
        )
        yield _letter(plain, now)


def _letter(plain: _Plain, now: datetime) -> Letter:
    moment = now.astimezone(UTC) - timedelta(minutes=plain.minutes)
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = plain.sender, plain.to, plain.subject
    made["Date"] = format_datetime(moment)
    made["Message-ID"] = f"<{plain.number or plain.minutes}@letters.test>"
    if plain.cc:
        made["Cc"] = plain.cc
    if plain.answers:
        made["In-Reply-To"] = made["References"] = f"<{plain.answers}@letters.test>"
    for name, value in plain.extra:
        made[name] = value
    made.set_content(plain.text)
    if plain.html:
        made.add_alternative(plain.html, subtype="html")
    if plain.file:
        kind, name, content = plain.file
        main, _, sub = kind.partition("/")
        made.add_attachment(content, maintype=main, subtype=sub, filename=name)
    domain = plain.sender.rpartition("@")[2].rstrip(">")
    above = f"Authentication-Results: {plain.results.format(domain=domain)}\r\n" if plain.results else ""
    raw = above.encode() + made.as_bytes(policy=made.policy.clone(linesep="\r\n"))
    return Letter(raw=raw, minutes=plain.minutes, mailbox=plain.mailbox, keywords=plain.keywords)
