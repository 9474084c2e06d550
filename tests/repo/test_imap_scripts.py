"""Every row of the IMAP command table has a conversation, in each of its forms, and says where it is defined."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from posthouse.imap.commands import ROWS

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts" / "imap"
FORMS = [
    prefix + row.name.decode()
    for row in ROWS
    for prefix, there in (("", not row.uid_only), ("UID ", row.uid or row.uid_only))
    if there
]


@pytest.mark.parametrize("form", FORMS)
def test_every_command_has_a_conversation_in_which_it_succeeds(form: str) -> None:
    sent = re.compile(rf"^C!?\d*: (\S+) {form}\b", re.IGNORECASE | re.MULTILINE)
    for path in sorted(SCRIPTS.glob("*.txt")):
        text = path.read_text("utf-8")
        for tag in sent.findall(text):
            if re.search(rf"^S[~?]?\d*: {re.escape(tag)} OK\b", text, re.MULTILINE):
                return
    pytest.fail(f"no script shows {form}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.decode())
def test_every_command_cites_its_definition(row: object) -> None:
    assert re.match(r"RFC \d+( §|\b)", getattr(row, "rfc", ""))
