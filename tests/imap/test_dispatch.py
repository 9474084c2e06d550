"""What happens around a command: every fault becomes a tagged reply, and the connection lives on."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from posthouse import errors, limits
from posthouse.accounts.model import LoginDelayed
from posthouse.imap.commands import ROWS, TABLE
from posthouse.imap.commands.row import SELECTED
from posthouse.imap.refusal import Goodbye
from posthouse.imap.session import State
from posthouse.net.faults import ConnectionClosed
from tests.imap.talk import Talk


class FailingStore:
    """Raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def mailbox(self, account_id: int, name: str) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (errors.StoreUnavailable("disk full"), "NO [UNAVAILABLE] disk full"),
        (errors.OverQuota("no room"), "NO [OVERQUOTA] no room"),
        (errors.NotFound("gone"), "NO [NONEXISTENT] gone"),
        (errors.Conflict("there"), "NO [ALREADYEXISTS] there"),
        (errors.Permanent("never"), "NO [CANNOT] never"),
        (LoginDelayed("later"), "NO [UNAVAILABLE] later"),
    ],
)
async def test_an_error_of_the_store_has_its_response_code(error: Exception, reply: str) -> None:
    talk = Talk(FailingStore(error))
    assert await talk("STATUS INBOX (MESSAGES)") == [reply]
    assert await talk("NOOP") == ["OK NOOP completed"]


async def test_a_fault_is_logged_under_the_id_that_the_reply_shows(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(FailingStore(ZeroDivisionError("secret detail")))
    with caplog.at_level(logging.ERROR):
        (reply,) = await talk("STATUS INBOX (MESSAGES)")
    found = re.fullmatch(r"NO \[SERVERBUG\] Internal fault ([0-9a-f]{8})", reply)
    assert found is not None
    assert f"id={found[1]}" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert await talk("NOOP") == ["OK NOOP completed"]


@pytest.mark.parametrize("error", [ConnectionClosed("gone"), errors.LocalProtocolError("half a literal")])
async def test_what_breaks_the_connection_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)):
        await Talk(FailingStore(error)).raw("STATUS INBOX (MESSAGES)")


async def test_bad_commands_in_a_row_wear_out_the_patience() -> None:
    talk = Talk(None)
    for _ in range(limits.IMAP_BAD):
        await talk("NONSENSE")
    talk.session.check_patience()
    await talk("NONSENSE")
    with pytest.raises(Goodbye):
        talk.session.check_patience()
    await talk("NOOP")
    talk.session.check_patience()


async def test_output_leaves_in_one_piece() -> None:
    talk = Talk(None)
    await talk.raw("NAMESPACE")
    talk.session.send(b"a")
    talk.session.send(b"b")
    talk.session.push()
    assert talk.wire.written == [b"ab"]
    assert not talk.session.full
    talk.session.send(bytes(limits.IMAP_OUTPUT))
    assert talk.session.full


STATES = [state for state in State if state is not State.LOGOUT]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.decode())
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.value)
async def test_a_command_in_the_wrong_state_is_bad(row: Any, state: State) -> None:
    if state in row.states:
        return
    talk = Talk(None)
    talk.session.state = state
    name = ("UID " if row.uid_only else "") + row.name.decode()
    assert await talk(name) == [f"BAD {name} is not valid when {state.value}"]


def test_the_table_has_each_name_once_and_in_capitals() -> None:
    assert len(TABLE) == len(ROWS)
    assert all(name == name.upper() for name in TABLE)


def test_uid_commands_are_those_of_the_selected_state() -> None:
    # RFC 9051 §6.4.9
    assert all(row.states == SELECTED for row in ROWS if row.uid or row.uid_only)
