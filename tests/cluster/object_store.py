"""An S3 server of the tests' own: SeaweedFS from PyPI, all its parts in one process, on free ports, in a folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.cluster.database import free_ports, scratch

ALONE = (
    "-master.telemetry=false",
    "-master.resumeState=false",
    "-master.electionTimeout=1s",
    "-master.heartbeatInterval=100ms",
)
"""It tells nobody that it is there, and waits for no others when it starts."""


def program() -> Path | None:
    """SeaweedFS, or None when it is not installed."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    return Path(found) if found else None


class ObjectStore:
    """One server with one bucket `mail`. `start`, `pause`, `go_on`, `kill`, `stop`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.folder = scratch("s3")
        self.port, *self._ports = free_ports(8)
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "s3.json").write_text(
            json.dumps(
                {
                    "identities": [
                        {
                            "name": "mail",
                            "credentials": [{"accessKey": "mail", "secretKey": "secret"}],
                            "actions": ["Admin", "Read", "Write", "List"],
                        }
                    ]
                }
            )
        )

    @property
    def url(self) -> str:
        """What stands in `store.blobs`."""
        return f"s3://mail:secret@mail/bodies?endpoint=http://{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes objects."""
        weed = program()
        assert weed is not None
        master, volume, filer, *grpc = self._ports
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(weed), "server", f"-dir={self.folder}", f"-ip={self.host}", "-ip.bind=0.0.0.0"),
                    *("-s3", f"-s3.port={self.port}", f"-s3.port.grpc={grpc[2]}", "-s3.port.iceberg=0"),
                    *("-s3.port.lance=0", f"-s3.config={self.folder}/s3.json"),
                    *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
                    *(f"-master.port.grpc={grpc[0]}", f"-volume.port.grpc={grpc[1]}"),
                    *(f"-filer.port.grpc={grpc[3]}", "-master.volumeSizeLimitMB=64", "-volume.max=20"),
                    *ALONE,
                ],
                stdout=log,
                stderr=log,
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            "mail",
            config={
                "endpoint": f"http://{self.host}:{self.port}",
                "access_key_id": "mail",
                "secret_access_key": "secret",
                "region": "us-east-1",
            },
            client_options={"allow_http": True, "timeout": "2s"},
            retry_config={"max_retries": 0},
        )
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError):
                request = urllib.request.Request(
                    f"http://{self.host}:{self._ports[2]}/buckets/mail/", method="POST"
                )
                urllib.request.urlopen(request, timeout=2)
            try:
                obstore.put(store, "ready", b"yes")
                return
            except Exception as fault:
                if time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-3000:]) from fault
                time.sleep(0.2)

    def pause(self) -> None:
        """It takes connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
