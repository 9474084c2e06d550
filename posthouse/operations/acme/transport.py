"""How requests reach an ACME server: bounded in size, in time, and in how often a nonce may fail.

The library speaks HTTP by `requests`; its trust would be a list of its own, and its patience one further nonce.
Imported only when there is something to ask.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import requests
from acme import client, messages
from josepy.jwa import ES256
from josepy.jwk import JWK
from requests.adapters import HTTPAdapter

from posthouse import __version__, limits


class TooLarge(requests.RequestException):
    """An answer has more octets than any should."""


class Adapter(HTTPAdapter):
    """Trusts the system's authorities (or those of a file), and reads no more than it must."""

    def __init__(self, authorities: Path | None) -> None:
        self._context = ssl.create_default_context(cafile=authorities)
        self.retry_after = ""
        """The last answer's Retry-After (RFC 8555 §6.6); the library's errors do not keep it."""
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(*args, **kwargs, ssl_context=self._context)

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Nothing is added to what the context trusts."""
        conn.cert_reqs = "CERT_REQUIRED"

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["stream"] = True
        response = super().send(*args, **kwargs)
        self.retry_after = response.headers.get("Retry-After", "")
        pieces, size = [], 0
        for piece in response.iter_content(64 * limits.KB):
            pieces.append(piece)
            size += len(piece)
            if size > limits.ACME_SIZE:
                response.close()
                raise TooLarge("the authority's answer is too large")
        response._content = b"".join(pieces)
        return response


class Network(client.ClientNetwork):
    """The library's, with our adapter; a nonce that is not taken is no fault until it happens again and again."""

    def __init__(self, key: JWK, authorities: Path | None) -> None:
        super().__init__(
            key, alg=ES256, user_agent=f"posthouse/{__version__}", timeout=int(limits.ACME_ANSWER)
        )
        self.adapter = Adapter(authorities)
        self.session.mount("https://", self.adapter)

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(limits.ACME_NONCES - 1):
            try:
                return self._post_once(*args, **kwargs)
            except messages.Error as fault:
                # RFC 8555 §6.5: try again with the nonce that came with the refusal.
                if fault.code != "badNonce":
                    raise
                self._nonces.clear()
        return self._post_once(*args, **kwargs)
