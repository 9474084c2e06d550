"""What happens around every method call: capability, references, arguments, account, errors, implicit responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from posthouse.jmap.call import Invocation, References, Request
from posthouse.jmap.context import NOBODY, Context, Services
from posthouse.jmap.errors import MethodError, RequestError
from posthouse.jmap.faults import error_arguments
from posthouse.jmap.method import Method
from posthouse.jmap.session import session_state
from posthouse.jmap.via import Via
from posthouse.store.model import Account


class Response(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """RFC 8620 §3.4."""

    method_responses: list[tuple[str, Any, str]]
    created_ids: dict[str, str] | None = None
    session_state: str


class Dispatcher:
    """Answers requests by a table of methods."""

    def __init__(self, services: Services, methods: Mapping[str, Method], known: frozenset[str]) -> None:
        """`known`: capabilities that `using` may name."""
        self._services = services
        self._methods = methods
        self._known = known

    async def process(
        self, request: Request, account: Account, app_password_id: int | None = None, via: Via = NOBODY
    ) -> Response:
        """Run the calls in order. RequestError unknownCapability."""
        if unknown := sorted(set(request.using) - self._known):
            raise RequestError("unknownCapability", f"no such capability: {', '.join(unknown)}")
        context = Context(
            self._services,
            account,
            using=frozenset(request.using),
            created=dict(request.created_ids or {}),
            via=via,
            app_password_id=app_password_id,
        )
        responses: list[tuple[str, Any, str]] = []
        references = References()
        for call in request.method_calls:
            responses += await self._call(context, call, responses, references)
        return Response(
            method_responses=responses,
            created_ids=context.created if request.created_ids is not None else None,
            session_state=await session_state(self._services.store, account),
        )

    async def _call(
        self,
        context: Context,
        call: Invocation,
        responses: list[tuple[str, Any, str]],
        references: References,
    ) -> list[tuple[str, Any, str]]:
        name, arguments, call_id = call
        try:
            method = self._methods.get(name)
            if method is None or method.capability not in context.using:
                raise MethodError("unknownMethod")
            converted = _converted(method, references.resolve(arguments, responses))
            await context.learn(*_accounts(converted))
            answer = await method.run(context, converted)
        except Exception as fault:
            return [("error", error_arguments(fault, name), call_id)]
        if isinstance(answer, list):
            return [(each_name, each, call_id) for each_name, each in answer]
        return [(name, answer, call_id)]


def _accounts(arguments: Any) -> list[str]:
    """The accounts that a call names."""
    named = (getattr(arguments, name, None) for name in ("account_id", "from_account_id"))
    return [each for each in named if isinstance(each, str)]


def _converted(method: Method, arguments: dict[str, Any]) -> Any:
    if method.arguments is None:
        return arguments
    try:
        return msgspec.convert(arguments, method.arguments)
    except (msgspec.ValidationError, RecursionError) as fault:
        raise MethodError("invalidArguments", str(fault)) from fault
