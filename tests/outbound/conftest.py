"""What the outbound tests share: a courier over zone text, and parcels."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from posthouse.config import Outbound
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.net.certificates import make_pair
from posthouse.net.tls import server_context
from posthouse.outbound.attempt import Courier
from posthouse.outbound.ourselves import Ourselves
from posthouse.outbound.parcel import Parcel
from posthouse.store.model import QueuedMessage, QueuedRecipient, RecipientState, Stored
from tests.fakes.resolver import FakeResolver

MESSAGE = b"From: <a@us.test>\r\nSubject: hello\r\n\r\n.text\r\n"


def recipient(address: str, number: int = 1, **changes: object) -> QueuedRecipient:
    fields = {
        "recipient_id": number,
        "address": address,
        "destination": address.rpartition("@")[2],
        "state": RecipientState.LEASED,
        "notify": "",
        "orcpt": "",
        "attempts": 0,
        "next_attempt_at": 0.0,
        "delay_noticed": False,
        "last_at": 0.0,
        "last_reply": "",
        "last_host": "",
        "last_tls": "",
    }
    return QueuedRecipient(**(fields | changes))  # type: ignore[arg-type]


def parcel(*addresses: str, content: bytes = MESSAGE, backup: bool = False, **changes: object) -> Parcel:
    recipients = tuple(recipient(address, number) for number, address in enumerate(addresses, 1))
    fields = {
        "queue_id": 1,
        "trace_id": "t1",
        "reverse_path": "a@us.test",
        "account_id": None,
        "stored": Stored(blob_id=1, prefix=b"", size=len(content)),
        "created_at": 0.0,
        "ret": "",
        "envid": "",
        "smtputf8": False,
        "body": "7BIT",
        "recipients": recipients,
    }

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 65536):
            yield content[start : start + 65536]

    message = QueuedMessage(**(fields | changes))  # type: ignore[arg-type]
    return Parcel(message, recipients[0].destination, recipients, chunks, backup=backup)


MakeCourier = Callable[..., Courier]


@pytest.fixture
async def make_courier() -> AsyncIterator[MakeCourier]:
    """make_courier(zone, port, setting=…): closed afterwards."""
    made: list[Courier] = []

    def make(
        zone: str, port: int, *, tell: Callable[[str, TlsSeen], None] | None = None, **settings: object
    ) -> Courier:
        courier = Courier(
            Outbound(port=port, **settings),  # type: ignore[arg-type]
            hostname="mx.us.test",
            resolver=FakeResolver(zone),
            ourselves=Ourselves(["mx.us.test"]),
            random=Random(1),
            tell=tell,
        )
        made.append(courier)
        return courier

    yield make
    for courier in made:
        await courier.close()


@pytest.fixture(scope="session")
def far_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A foreign server's context with a certificate that nobody vouches for."""
    folder: Path = tmp_path_factory.mktemp("tls")
    pair = make_pair("mx.far.test", datetime.now(UTC))
    (folder / "cert.pem").write_bytes(pair.certificate)
    (folder / "key.pem").write_bytes(pair.key)
    return server_context(folder / "cert.pem", folder / "key.pem")
