"""Auto-Submitted (RFC 3834 §5): what makes a message one that no program answers."""

from __future__ import annotations

import pytest

from posthouse.message.automatic import is_automatic
from posthouse.message.headers import Headers


@pytest.mark.parametrize(
    ("fields", "automatic"),
    [
        ("", False),
        ("Auto-Submitted: no\n", False),
        ("Auto-Submitted: No (a person; honestly)\n", False),
        ("Auto-Submitted: (really) no ; x-why=because\n", False),
        ("auto-submitted:\n no\n", False),
        ("Auto-Submitted: auto-replied (vacation)\n", True),
        ("Auto-Submitted: (no) auto-generated\n", True),
        ("Auto-Submitted: auto-generated; owner-email=x\n", True),
        ("Auto-Submitted: notify-x\n", True),
        ("Auto-Submitted: none\n", True),
        ("Auto-Submitted: no\nAuto-Submitted: auto-replied\n", True),
        ("Auto-Submitted:\n", True),
    ],
)
def test_a_message_that_a_program_wrote(fields: str, automatic: bool) -> None:
    assert is_automatic(Headers.scan(f"{fields}From: x@a.test\n\ntext\n".encode())) is automatic
