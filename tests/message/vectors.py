"""Mail that nobody here wrote: where it lies, and how a test says that it is not there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"


def vectors(folder: str) -> Path:
    """The folder of one set of vectors; the test is skipped when it is absent."""
    path = VECTORS / folder
    if not path.is_dir():
        pytest.skip(f"test vectors are not beside the repository: ../shared/vectors/{folder}")
    return path


@cache
def wild_messages() -> tuple[tuple[str, bytes], ...]:
    """(name, octets) of every message of all sets; those with LF line ends also with CRLF."""
    found: list[tuple[str, bytes]] = []
    if not VECTORS.is_dir():
        return ()
    for folder, pattern in (
        ("mime-mail-parser-goldens/resources", "**/*.eml"),
        ("mime-mail-parser-goldens/resources/maildir", "**/cur/*"),
        ("mime-ruby-mail/spec", "**/*.eml"),
        ("cpython-email-data/data", "*.txt"),
        ("spamassassin-testdata/t/data", "**/*"),
    ):
        for path in sorted((VECTORS / folder).glob(pattern)):
            if not path.is_file():
                continue
            raw = path.read_bytes()
            name = str(path.relative_to(VECTORS))
            found.append((name, raw))
            if b"\r\n" not in raw:
                found.append((name + " (CRLF)", raw.replace(b"\n", b"\r\n")))
    return tuple(found)
