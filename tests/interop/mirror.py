"""mbsync: a Maildir that it keeps in step with an account."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


class Mirror:
    """One Maildir for an account, whose server may be another each time."""

    def __init__(self, folder: Path, program: str, user: str, password: str, patterns: str = "INBOX") -> None:
        """`program`: mbsync. `patterns`: which mailboxes."""
        self.folder = folder
        self._program = program
        self._login = f"User {user}\nPass {password}\n"
        self._patterns = patterns

    def run(self, host: str, port: int, certificate: Path | None = None) -> str:
        """Bring both sides in step; what mbsync said and was told. `certificate`: TLS, with a server that has it."""
        security = f"SSLType IMAPS\nCertificateFile {certificate}" if certificate else "SSLType None"
        rc = self.folder / "rc"
        rc.write_text(
            f"IMAPAccount house\nHost {host}\nPort {port}\n{self._login}{security}\nAuthMechs LOGIN\n\n"
            "IMAPStore far\nAccount house\n\n"
            f"MaildirStore near\nPath {self.folder}/\nInbox {self.folder}/INBOX\nSubFolders Verbatim\n\n"
            f"Channel all\nFar :far:\nNear :near:\nPatterns {self._patterns}\nCreate Near\nSyncState *\n"
        )
        words = [self._program, "-c", str(rc), "-Dn", "all"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def files(self) -> list[Path]:
        """The inbox's messages."""
        return [path for name in ("cur", "new") for path in (self.folder / "INBOX" / name).iterdir()]

    def letters(self) -> dict[str, str]:
        """Name of a file without its flags → text."""
        return {path.name.partition(":")[0]: path.read_text() for path in self.files()}

    def flag(self, text: str, flags: str) -> None:
        """Give the message with that text Maildir's flags, as a mail program does that looks at the folder."""
        (file,) = [path for path in self.files() if text in path.read_text()]
        file.rename(self.folder / "INBOX" / "cur" / f"{file.name.partition(':')[0]}:2,{flags}")


def fetched(said: str) -> int:
    """How many messages mbsync fetched whole, by its log."""
    return len(re.findall(r"UID FETCH \d+ \(.*BODY\.PEEK\[\]", said))
