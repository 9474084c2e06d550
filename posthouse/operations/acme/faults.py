"""What goes wrong with an authority."""

from __future__ import annotations

from collections.abc import Mapping

from posthouse import limits
from posthouse.errors import Temporary


class AcmeFault(Temporary):
    """An order, or a step of it, failed. A later one may succeed."""

    def __init__(
        self,
        public: str,
        *,
        retry_after: float = 0.0,
        names: Mapping[str, str] | None = None,
        gone: bool = False,
        code: str = "",
    ) -> None:
        """`retry_after`: seconds that the authority asks for; `names`: those at fault, with what it says.

        `gone`: what was asked about is not there any more, or has failed for good; `code`: the last part of the
        problem's type (RFC 8555 §6.7).
        """
        super().__init__(public[: limits.ACME_FAULT])
        self.retry_after = retry_after
        self.names = dict(names or {})
        self.gone = gone
        self.code = code
