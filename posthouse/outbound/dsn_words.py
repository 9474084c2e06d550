"""What a delivery status notification says to a person: what happened, and what to do, in plain words.

One table from enhanced status codes (RFC 3463) to a sentence each. A code that is not there is looked for by its
subject and then by its class, so that every reply of the world finds words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

_WIDTH: Final = 76


class Words(msgspec.Struct, frozen=True):
    """What happened, and what the sender can do."""

    happened: str
    advice: str


WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "5.1.1": Words(
            "There is no such mailbox at that domain.",
            "Check the address for typing mistakes, or ask the recipient for the right one.",
        ),
        "5.1.2": Words(
            "The domain behind the @ does not exist, or takes no mail.",
            "Check the part of the address behind the @ for typing mistakes.",
        ),
        "5.1.3": Words("The address is not written as addresses are.", "Check it for typing mistakes."),
        "5.1.10": Words(
            "The domain behind the @ says that it takes no mail at all.",
            "Find out another address of the recipient.",
        ),
        "5.2.1": Words("The recipient's mailbox is disabled.", "Try to reach the recipient in another way."),
        "5.2.2": Words(
            "The recipient's mailbox is full.", "Tell the recipient in another way, and send it again later."
        ),
        "5.3.4": Words(
            "The message is larger than the recipient's mail server allows.",
            "Send smaller attachments, or put the files where the recipient can fetch them.",
        ),
        "5.4.4": Words(
            "No mail server of the domain can be found.",
            "Check the part of the address behind the @. If it is right, tell the recipient's postmaster.",
        ),
        "5.4.6": Words(
            "The message went round in a circle between mail servers.",
            "This must be mended by a postmaster: forward this notice to yours.",
        ),
        "5.4.7": Words(
            "The message could not be delivered in the time that was set for it when it was sent.",
            "If it is still of use, send it again without such a time.",
        ),
        "5.6": Words(
            "The recipient's mail server is too old for something in the message or its addresses.",
            "Send it as plain text with a plain address, if you can.",
        ),
        "5.7": Words(
            "The recipient's mail server refused the message by its rules.",
            "Read its reply below: it often says why. If it is a mistake, write to the recipient in another way, "
            "or to the postmaster of that domain.",
        ),
        "4.4.7": Words(
            "The recipient's mail server could not take the message for so long that we gave up.",
            "Try again later, or reach the recipient in another way. The last reason is below.",
        ),
        "5": Words(
            "The recipient's mail server refused the message.",
            "Read its reply below. If it does not help, ask the recipient or their postmaster.",
        ),
        "4": Words(
            "The recipient's mail server cannot take the message at the moment.",
            "There is nothing you must do.",
        ),
        "2": Words("", ""),
    }
)

OPENINGS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        # action: (subject, first sentence)
        "failed": ("Could not be delivered", "Your message could not be delivered to {who}."),
        "delayed": (
            "Delayed",
            "Your message has not yet been delivered to {who}. You need not send it again: delivery is tried on.",
        ),
        "relayed": (
            "Handed on",
            "Your message was handed on to the mail server of {who}. That server sends no notices of delivery, so "
            "this is the last you will hear, unless it is refused later.",
        ),
        "expanded": ("Delivered to a list", "Your message was delivered to all members of {who}."),
        "delivered": ("Delivered", "Your message was delivered to {who}."),
    }
)
"""In the order of how much they matter: the first that occurs names the whole notice."""


def words_for(status: str) -> Words:
    """The sentences for an enhanced status code."""
    subject = status.rpartition(".")[0]
    return WORDS.get(status) or WORDS.get(subject) or WORDS[status[:1]]


def paragraph(text: str, indent: str = "") -> str:
    """A wrapped paragraph; nothing is cut out of the middle of a word."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
