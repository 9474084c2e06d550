"""Where an authority looks whether a name is ours (RFC 8555 §8.3): only tokens that we offer just now are answered."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from posthouse.operations.acme.challenges import Challenges


class AcmePages:
    """The answers to http-01."""

    def __init__(self, challenges: Challenges) -> None:
        self._challenges = challenges

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [Route("/.well-known/acme-challenge/{token:path}", self.answer, methods=["GET"])]

    async def answer(self, request: Request) -> Response:
        """The key authorization of a token."""
        found = self._challenges.answer(request.path_params["token"])
        if found is None:
            return PlainTextResponse("not found\n", 404)
        # RFC 8555 §8.3: application/octet-stream
        return Response(found.encode(), 200, {"cache-control": "no-store"}, "application/octet-stream")
