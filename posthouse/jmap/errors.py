"""The three kinds of JMAP errors: of a request, of a method, of one record in a set (RFC 8620 §3.6, §5.3)."""

from __future__ import annotations

from typing import Any

from posthouse.errors import PosthouseError


class RequestError(PosthouseError):
    """The whole request is refused (RFC 8620 §3.6.1)."""

    def __init__(self, kind: str, detail: str, *, limit: str | None = None) -> None:
        """`kind`: the last word of the problem's URN; `limit`: which one was passed."""
        super().__init__(detail)
        self.kind = f"urn:ietf:params:jmap:error:{kind}"
        self.limit = limit


class MethodError(PosthouseError):
    """One method call is refused and has changed nothing (RFC 8620 §3.6.2)."""

    def __init__(self, kind: str, description: str = "", **more: Any) -> None:
        super().__init__(description or kind)
        self.kind = kind
        self.description = description
        self.more = more

    def arguments(self) -> dict[str, Any]:
        """The arguments of the "error" response."""
        said = {"description": self.description} if self.description else {}
        return {"type": self.kind} | said | self.more


class Rejected(PosthouseError):
    """Raised while one record of a set is looked at; becomes its SetError."""

    def __init__(
        self, kind: str, description: str = "", properties: list[str] | None = None, **more: Any
    ) -> None:
        super().__init__(description or kind)
        self.kind = kind
        self.description = description
        self.properties = properties
        self.more = more

    def error(self) -> dict[str, Any]:
        """The SetError object."""
        found: dict[str, Any] = {"type": self.kind}
        if self.description:
            found["description"] = self.description
        if self.properties is not None:
            found["properties"] = self.properties
        return found | self.more


def invalid(description: str, *properties: str) -> Rejected:
    """The SetError invalidProperties."""
    return Rejected("invalidProperties", description, list(properties) or None)
