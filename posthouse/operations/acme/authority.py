"""An authority's ACME server, as one account of ours sees it (RFC 8555 §7). Everything here blocks.

The steps of an order are apart, so that the caller can remember where it is between them: `account`, `begin`, `prove`,
`finish`. Each may be called again for an order that an earlier process began. Every wait has an end.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import requests
from acme import client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding
from josepy.b64 import b64encode
from josepy.errors import Error as JoseError
from josepy.json_util import field
from josepy.jwk import JWKEC

from posthouse import limits
from posthouse.config_tls import Acme
from posthouse.operations.acme.challenges import Offered
from posthouse.operations.acme.faults import AcmeFault
from posthouse.operations.acme.transport import Network

_GONE = frozenset({"accountDoesNotExist", "unauthorized", "malformed", "orderNotReady"})
"""Problems after which an order under way is no use to us any more."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """When the authority would have us renew (RFC 9773)."""

    at: float
    """Seconds since 1970; 0: it does not say."""
    ask_after: float | None
    """Seconds to the next question; None: it does not say."""


class Authority:
    """One authority. Use it in one thread at a time."""

    def __init__(self, settings: Acme, account_key: bytes, account: str, ended: threading.Event) -> None:
        """`account`: its URL, when it is known; `ended`: set when nobody waits for an outcome any more."""
        self._settings = settings
        self._ended = ended
        key = JWKEC(key=serialization.load_pem_private_key(account_key, None))
        self._key = key
        self._net = Network(key, settings.ca)
        self._client: client.ClientV2 | None = None
        self._account = account

    # --- the account ---------------------------------------------------------------------------------

    def account(self) -> str:
        """The account's URL; made when there is none (RFC 8555 §7.3). AcmeFault."""
        with self._told():
            acme = self._open()
            if not self._account:
                self._account = self._register(acme)
            self._net.account = messages.RegistrationResource(uri=self._account, body=messages.Registration())
        return self._account

    def _open(self) -> client.ClientV2:
        if self._client is None:
            directory = client.ClientV2.get_directory(self._settings.directory, self._net)
            self._client = client.ClientV2(directory, self._net)
        return self._client

    def _register(self, acme: client.ClientV2) -> str:
        settings, bound = self._settings, None
        if settings.eab_kid:  # RFC 8555 §7.3.4
            bound = messages.ExternalAccountBinding.from_data(
                account_public_key=self._key.public_key(),
                kid=settings.eab_kid,
                hmac_key=settings.eab_hmac,
                directory=acme.directory,
            )
        asked = messages.NewRegistration.from_data(
            email=settings.contact.removeprefix("mailto:") or None,
            terms_of_service_agreed=True,
            external_account_binding=bound,
        )
        try:
            return str(acme.new_account(asked).uri)
        except errors.ConflictError as known:  # §7.3.1: this key has an account already
            return str(known.location)

    # --- an order ------------------------------------------------------------------------------------

    def begin(self, names: Sequence[str], replaces: x509.Certificate | None = None) -> str:
        """Order a certificate for these names; the order's URL (RFC 8555 §7.4). AcmeFault.

        `replaces`: the one that this one follows (RFC 9773 §5), if it is this authority's.
        """
        with self._told():
            acme = self._open()
            asked = NewOrder(
                identifiers=[messages.Identifier(typ=messages.IDENTIFIER_FQDN, value=name) for name in names]
            )
            if replaces is not None and "renewalInfo" in acme.directory.to_partial_json():
                asked = asked.update(replaces=certificate_id(replaces))
            try:
                response = self._post(acme.directory["newOrder"], asked)
            except errors.ConflictError:  # RFC 9773 §5: it was replaced already
                response = self._post(acme.directory["newOrder"], asked.update(replaces=None))
            return str(response.headers["Location"])

    def prove(self, order: str, offered: Offered) -> None:
        """Let the authority look whether the names are ours, and wait for what it says. AcmeFault with the names."""
        with self._told():
            found = self._order(order)
            if found.body.status not in (messages.STATUS_PENDING, messages.STATUS_READY):
                return
            tokens: list[str] = []
            try:
                pending = [one for one in found.authorizations if one.body.status == messages.STATUS_PENDING]
                answered = [self._offer(each, offered, tokens) for each in pending]
                if answered and offered.wait:
                    self._pause(offered.wait)
                for each in answered:
                    if each.status == messages.STATUS_PENDING:
                        self._post(each.uri, each.chall.response(self._key))
                self._await_proof(found.authorizations)
            finally:
                for token in tokens:
                    offered.withdraw(token)

    def _order(self, url: str) -> messages.OrderResource:
        body = self._order_body(url)
        asked = [self._authorization(each) for each in body.authorizations]
        return messages.OrderResource(body=body, uri=url, authorizations=asked)

    def _order_body(self, url: str) -> messages.Order:
        body: messages.Order = messages.Order.from_json(self._post(url, None).json())
        if body.status == messages.STATUS_INVALID:
            text = _text(body.error) if body.error is not None else "it does not say why"
            raise AcmeFault(f"the authority gave the order up: {text}", gone=True)
        return body

    def _authorization(self, url: str) -> messages.AuthorizationResource:
        body = messages.Authorization.from_json(self._post(url, None).json())
        return messages.AuthorizationResource(body=body, uri=url)

    def _offer(
        self, asked: messages.AuthorizationResource, offered: Offered, tokens: list[str]
    ) -> messages.ChallengeBody:
        """Offer the answer to one name's challenge; the token goes to `tokens`. RFC 8555 §7.5.1, §8."""
        name = asked.body.identifier.value
        for each in asked.body.challenges:
            if each.chall.typ == offered.kind:
                tokens.append(each.chall.encode("token"))
                offered.offer(name, tokens[-1], each.chall.validation(self._key))
                return each
        why = f"the authority offers no {offered.kind}"
        raise AcmeFault(f"{name}: {why}", names={name: why}, gone=True)

    def _await_proof(self, asked: Sequence[messages.AuthorizationResource]) -> None:
        deadline = time.monotonic() + limits.ACME_PROOF
        failed: dict[str, str] = {}
        for each in asked:
            while each.body.status == messages.STATUS_PENDING:
                if time.monotonic() > deadline:
                    raise AcmeFault(
                        f"the authority did not look at {each.body.identifier.value} in time", gone=True
                    )
                self._pause(limits.ACME_POLL)
                each = self._authorization(each.uri)
            if each.body.status != messages.STATUS_VALID:
                said = [_text(one.error) for one in each.body.challenges if one.error is not None]
                failed[each.body.identifier.value] = "; ".join(said) or str(each.body.status.name)
        if failed:
            raise AcmeFault(
                "; ".join(f"{name}: {why}" for name, why in failed.items()), names=failed, gone=True
            )

    def finish(self, order: str, key: bytes, names: Sequence[str]) -> bytes:
        """Have the certificate made, and fetch it with its chain (PEM; RFC 8555 §7.4, §7.4.2). AcmeFault."""
        with self._told():
            acme = self._open()
            body = self._order_body(order)
            found = messages.OrderResource(body=body, uri=order, csr_pem=signing_request(key, names))
            deadline = datetime.now() + timedelta(seconds=limits.ACME_PROOF)  # as the library does
            done = acme.poll_finalization(found, deadline)
            return str(done.fullchain_pem).encode()

    # --- renewal -------------------------------------------------------------------------------------

    def suggestion(self, leaf: x509.Certificate) -> Suggestion:
        """When to renew a certificate (RFC 9773 §4). AcmeFault: it cannot be asked."""
        with self._told():
            acme = self._open()
            base = acme.directory.to_partial_json().get("renewalInfo")
            if base is None:
                return Suggestion(at=0.0, ask_after=None)
            try:
                at, _ = acme.renewal_time(leaf.public_bytes(Encoding.PEM))
            except errors.ARIError as fault:
                raise AcmeFault("the authority's suggestion cannot be read") from fault
            return Suggestion(
                at=at.timestamp() if at is not None else 0.0,
                ask_after=seconds_of(self._net.adapter.retry_after),
            )

    # --- requests ------------------------------------------------------------------------------------

    def _post(self, url: str, body: Any) -> requests.Response:
        return self._net.post(url, body, new_nonce_url=self._open().directory["newNonce"])

    def _pause(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise AcmeFault("broken off: the server stops")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong, as AcmeFault."""
        try:
            yield
        except messages.Error as fault:
            raise self._fault(fault) from fault
        except errors.IssuanceError as fault:
            raise AcmeFault(f"the authority gave the order up: {_text(fault.error)}", gone=True) from fault
        except requests.RequestException as fault:
            raise AcmeFault(f"the authority cannot be reached: {_reason(fault)}") from fault
        except errors.TimeoutError as fault:
            raise AcmeFault("the authority did not make the certificate in time", gone=True) from fault
        except (errors.Error, JoseError, KeyError, ValueError, OSError) as fault:
            raise AcmeFault(
                f"the authority's answer cannot be used: {type(fault).__name__}: {fault}"
            ) from fault

    def _fault(self, fault: messages.Error) -> AcmeFault:
        told = seconds_of(self._net.adapter.retry_after) or 0.0
        names = {
            each.identifier.value: _text(each)
            for each in (fault, *(fault.subproblems or ()))  # RFC 8555 §6.7.1
            if each.identifier is not None
        }
        gone = fault.code in _GONE
        return AcmeFault(_text(fault), retry_after=told, names=names, gone=gone, code=fault.code or "")


class NewOrder(messages.NewOrder):
    """The library's order, which does not know RFC 9773 §5."""

    replaces: str | None = field("replaces", omitempty=True)


def signing_request(key: bytes, names: Sequence[str]) -> bytes:
    """A CSR for these names (PEM; RFC 8555 §7.4: exactly those of the order)."""
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    private: Any = serialization.load_pem_private_key(key, None)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = builder.add_extension(alternative, critical=False).sign(private, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


def certificate_id(leaf: x509.Certificate) -> str:
    """How RFC 9773 §4.1 names a certificate: its issuer's key and its serial number."""
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier or b""
    serial = leaf.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # DER: with room for the sign
    return f"{b64encode(issuer).decode()}.{b64encode(octets).decode()}"


def seconds_of(retry_after: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> float | None:
    """Retry-After as seconds from now (RFC 9110 §10.2.3); None: there is none that can be read."""
    if retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(retry_after) - now()).total_seconds())
    except (TypeError, ValueError):
        return None


def _text(fault: messages.Error) -> str:
    """A problem document as one line (RFC 8555 §6.7)."""
    detail = str(fault.detail or fault.title or fault.description or "")
    return " ".join(f"{fault.code or fault.typ}: {detail}".split())


def _reason(fault: BaseException) -> str:
    """The innermost cause says it; what is around it repeats addresses of objects."""
    seen: BaseException = fault
    while (below := getattr(seen, "reason", None) or seen.__cause__ or seen.__context__) is not None:
        if not isinstance(below, BaseException):
            break
        seen = below
    return f"{type(seen).__name__}: {seen}"
