"""The command line's end of the control socket: plain blocking sockets, for it starts in a moment.

`connect` says None when no server runs; then the caller opens the store itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posthouse import limits
from posthouse.errors import PosthouseError


class ControlFailed(PosthouseError):
    """The server answered with an error. `kind` is its class's name ("NotFound", "Usage", …)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class ControlClient:
    """One connection to a running server."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._file = sock.makefile("rb")

    @classmethod
    def connect(cls, data: Path) -> ControlClient | None:
        """The server of a data folder, or None when none answers. PermissionError: it is somebody else's."""
        folder = data / "run"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(limits.CONTROL_IDLE)
        try:
            if len(os.fsencode(folder / "control")) < limits.SOCKET_PATH:
                sock.connect(str(folder / "control"))
            else:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    sock.connect(f"/proc/self/fd/{descriptor}/control")
                finally:
                    os.close(descriptor)
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            return None
        except OSError:
            sock.close()
            raise
        return cls(sock)

    def run(self, command: str, arguments: dict[str, Any], body: bytes = b"") -> Iterator[Any]:
        """Each result of a command. ControlFailed; ConnectionError when the server goes away."""
        request = {"command": command, "arguments": arguments, "octets": len(body)}
        # A server that takes no more has said why before it hung up; and a broken pipe is not that of our output.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(json.dumps(request).encode() + b"\r\n" + body)
        while True:
            line = self._file.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("the server closed the control socket")
            answer = json.loads(line)
            if "item" in answer:
                yield answer["item"]
            elif "error" in answer:
                raise ControlFailed(answer["error"]["kind"], answer["error"]["text"])
            else:
                return

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()
