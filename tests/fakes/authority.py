"""An ACME server of a few lines for what Pebble does not do: it verifies nothing, and says what the test wants."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from posthouse.net.certificates import make_pair

Reply = tuple[int, dict[str, str], Any]


class FakeAuthority:
    """Serves until `stop`. `answers` (path → function of the payload) takes the place of what it would say."""

    def __init__(self, folder: Path) -> None:
        pair = make_pair("127.0.0.1", datetime.now(UTC), authority=True)
        self.ca = folder / "fake-ca.pem"
        self.ca.write_bytes(pair.authority)
        own = folder / "fake-authority.pem"
        own.write_bytes(pair.certificate + pair.key)
        self.asked: list[tuple[str, Any]] = []
        """(path, payload) of each request."""
        self.answers: dict[str, Callable[[Any], Reply]] = {}
        self.window: tuple[datetime, datetime] | None = None
        """Of the suggested time of renewal."""
        self.life = timedelta(days=90)
        self.names: list[str] = []
        self.chain = b""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self.directory = f"{self.url}/directory"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(one == path for one, _ in self.asked)

    def problem(self, code: str, **more: Any) -> dict[str, Any]:
        """A problem document (RFC 8555 §6.7)."""
        return {"type": f"urn:ietf:params:acme:error:{code}", "detail": f"this is {code}", **more}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake._serve(self, None)

            do_HEAD = do_GET

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                payload = base64.urlsafe_b64decode(body["payload"] + "==")
                fake._serve(self, json.loads(payload) if payload else None)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler, payload: Any) -> None:
        path = handler.path
        self.asked.append((path, payload))
        answer = self.answers.get(path)
        status, fields, value = answer(payload) if answer is not None else self.usual(path, payload)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response(status)
        kind = "application/problem+json" if status >= 400 else "application/json"
        usual = {"Replay-Nonce": "bm9uY2U", "Content-Type": kind, "Content-Length": str(len(body))}
        for name, text in (usual | fields).items():
            handler.send_header(name, text)
        handler.end_headers()
        try:
            if handler.command != "HEAD":
                handler.wfile.write(body)
        except OSError:
            pass  # it has heard enough

    def usual(self, path: str, payload: Any) -> Reply:
        """What it says when the test says nothing."""
        order = {
            "status": "ready",
            "finalize": f"{self.url}/finalize",
            "authorizations": [],
            "identifiers": [],
        }
        if self.chain:
            order |= {"status": "valid", "certificate": f"{self.url}/certificate"}
        if path.startswith("/renewal/") and self.window is not None:
            start, end = (moment.isoformat().replace("+00:00", "Z") for moment in self.window)
            return 200, {"Retry-After": "7200"}, {"suggestedWindow": {"start": start, "end": end}}
        match path:
            case "/directory":
                words = ("newNonce", "newAccount", "newOrder")
                found = {word: f"{self.url}/{word}" for word in words}
                more = {"renewalInfo": f"{self.url}/renewal"} if self.window is not None else {}
                return 200, {}, found | more
            case "/newNonce":
                return 200, {}, b""
            case "/newAccount":
                return 201, {"Location": f"{self.url}/account/1"}, {"status": "valid"}
            case "/newOrder":
                self.chain = b""
                self.names = [each["value"] for each in payload["identifiers"]]
                return 201, {"Location": f"{self.url}/order/1"}, order | {"status": "ready"}
            case "/order/1":
                return 200, {}, order
            case "/finalize":
                self.chain = self._issue(payload["csr"])
                return 200, {}, order | {"status": "processing"}
            case "/certificate":
                return 200, {"Content-Type": "application/pem-certificate-chain"}, self.chain
        return 404, {}, self.problem("malformed")

    def _issue(self, csr: str) -> bytes:
        asked = x509.load_der_x509_csr(base64.urlsafe_b64decode(csr + "=="))
        now = datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Fake authority")])
        alternative = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(name)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + self.life)
            .add_extension(alternative, critical=True)
            .add_extension(by, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM)


def silent(seconds: float) -> Callable[[Any], Reply]:
    """An answer that comes late."""

    def answer(_: Any) -> Reply:
        time.sleep(seconds)
        return 200, {}, {}

    return answer
