"""Mail that nobody here wrote, examined as if strangers brought it: every message gets a verdict, in bounded time."""

from __future__ import annotations

import time

import pytest

from posthouse.config import MsgAuth
from posthouse.inbound.authenticate import Authenticate
from posthouse.inbound.checks import Refused, examine
from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.store.model import Content
from tests.fakes.resolver import FakeResolver
from tests.machine import slowness
from tests.message.vectors import wild_messages

MESSAGES = wild_messages()


@pytest.mark.skipif(not MESSAGES, reason="no test vectors beside the repository: ../shared/vectors")
async def test_every_message_gets_a_verdict() -> None:
    check = Authenticate(FakeResolver(), MsgAuth(), hostname="mx.here.test")
    judged = 0
    for name, raw in MESSAGES:
        mail = Mail(
            trace_id="x",
            reverse_path="someone@far.test",
            recipients=(MailRecipient("bob@here.test"),),
            content=Content.of(raw),
            received_at=1_700_000_000.0,
            helo="mx.far.test",
            peer="192.0.2.1",
            via=Via.MX,
        )
        try:
            examination = examine(mail, trusted=False)
        except Refused:
            continue
        begun = time.process_time()
        await check(examination)
        assert time.process_time() - begun < 0.5 * slowness(), name
        if examination.authentication is not None:
            judged += 1
            assert examination.authentication.in_words().isprintable(), name
            assert all(field.isascii() for field in examination.fields), name
            assert not examination.aligned, name
    assert judged > len(MESSAGES) * 0.9
