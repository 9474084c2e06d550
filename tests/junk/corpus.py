"""A corpus made by rule: mail that people want and junk, in English and Chinese, from a seed.

Both sorts share words, names, hosts and forms: invoices and prizes stand in wanted mail too, junk greets by name, and
newsletters are HTML like junk. What differs is how topics, phrases and links go together, as in life.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from random import Random

NAMES = (
    "Anna",
    "Bert",
    "Carla",
    "David",
    "Emma",
    "Fred",
    "Greta",
    "Hans",
    "Ida",
    "Jan",
    "Karin",
    "Leo",
    "Mia",
)
COMMON_WORDS = (
    "the and for with this that from have will your our please today week time day now new first last best "
    "free order number account price offer team link click here see more only help thanks message service"
)
COMMON = tuple(COMMON_WORDS.split(" "))
GOOD = {
    "work": (
        "meeting agenda minutes project deadline review draft report budget quarter customer release bug patch "
        "server ticket deploy schedule room slides feedback invoice contract signature department holiday"
    ),
    "family": (
        "mum dad kids school birthday dinner garden weekend train photos grandma recipe cake holiday beach dog "
        "walk football match doctor present party sister brother house paint kitchen visit"
    ),
    "shop": (
        "delivery parcel tracking shipped receipt invoice refund size colour warehouse courier arriving order "
        "confirmation address returns basket total vat item quantity"
    ),
    "list": (
        "thread patch compile kernel module python function test branch merge commit release documentation "
        "maintainer reply quote wrote archive subscribe digest version interface"
    ),
}
JUNK = {
    "pills": (
        "viagra cialis pharmacy pills prescription discount meds cheap guaranteed erection weight loss miracle "
        "doctor approved shipping worldwide order discreet"
    ),
    "money": (
        "million dollars inheritance transfer beneficiary barrister fund bank confidential deceased kin partner "
        "percent lottery winner prize claim urgent western union atm card"
    ),
    "phish": (
        "verify suspended account password unusual activity confirm identity limited security update billing "
        "mailbox quota expire login immediately unauthorized restore access invoice attached"
    ),
    "casino": (
        "casino bonus jackpot spins win deposit bet odds winner slots exclusive vip cash claim free money "
        "crypto bitcoin investment profit trading signal guaranteed returns"
    ),
}
GOOD_ZH = (
    "明天下午开会请准时参加",
    "附件是本周的项目报告",
    "孩子们放学后去公园玩",
    "您的包裹已经发货预计三天到达",
    "周末一起吃饭吧",
)
JUNK_ZH = (
    "代开发票点数优惠请联系",
    "恭喜您中奖请立即领取奖金",
    "高额贷款无抵押当天放款",
    "澳门赌场注册送彩金",
    "加微信领取内部股票",
)


def made(random: Random, *, junk: bool) -> bytes:
    """One message."""
    topics = JUNK if junk else GOOD
    topic = random.choice(list(topics))
    words = topics[topic].split()
    # One in ten borrows from the other side: a friend writes of a lottery, junk speaks of meetings.
    other = random.choice(list((GOOD if junk else JUNK).values())).split()
    text = " ".join(_word(random, words, other) for _ in range(random.randint(30, 160)))
    if random.random() < 0.2:
        text = "\n".join(random.choice(JUNK_ZH if junk else GOOD_ZH) for _ in range(4)) + "\n" + text
    name = random.choice(NAMES)
    host = (
        f"{random.choice(words)}{random.randint(1, 400)}.test"
        if junk
        else f"{topic}{random.randint(1, 25)}.test"
    )
    subject = " ".join(random.sample(words, 3))
    if junk and random.random() < 0.3:
        subject = subject.upper() + "!!"
    head = [
        f"From: {name} <{name.lower()}@{host}>",
        f"To: {random.choice(NAMES).lower()}@example.test",
        f"Subject: {subject}",
        "MIME-Version: 1.0",
    ]
    if not junk or random.random() < 0.7:
        head += ["Date: Mon, 2 Nov 2026 10:00:00 +0000", f"Message-ID: <{random.getrandbits(64)}@{host}>"]
    link = f"http://{host}/{random.choice(words)}"
    if random.random() < (0.6 if junk else 0.35):
        body = f"<html><body><p>Dear {name},</p><p>{text}</p><a href='{link}'>{random.choice(COMMON)}</a></body></html>"
        kind = "text/html"
    else:
        body, kind = f"Dear {name},\n\n{text}\n\n{link}\n", "text/plain"
    octets = body.encode()
    if random.random() < 0.3:
        head.append("Content-Transfer-Encoding: base64")
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    head.append(f"Content-Type: {kind}; charset=utf-8")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _word(random: Random, words: Sequence[str], other: Sequence[str]) -> str:
    chance = random.random()
    if chance < 0.55:
        return random.choice(COMMON)
    return random.choice(words if chance < 0.94 else other)
