"""What the server core says of its own accord: replies that are the same at every listener."""

from __future__ import annotations

from typing import Final

from posthouse.smtp.replies import Reply

LINE_ENDS: Final = Reply(500, "5.5.2", "Lines end with CR LF, and neither stands alone")
TOO_LONG: Final = Reply(500, "5.5.2", "Line too long")
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "Too many errors, closing")
TOO_MANY_TRANSACTIONS: Final = Reply(421, "4.7.0", "Too many messages on one connection, connect again")
TOO_IDLE: Final = Reply(421, "4.7.0", "Too many commands without mail, closing")
RECIPIENTS_FULL: Final = Reply(452, "4.5.3", "Too many recipients, send to the rest in another transaction")
HERE: Final = Reply(250, "2.0.0", "Here")
NO_EXPANSION: Final = Reply(502, "5.5.1", "Lists are not expanded here")
NO_RECIPIENTS: Final = Reply(503, "5.5.1", "No valid recipients")
NOT_A_FRONT: Final = Reply(550, "5.7.1", "This host may not tell whose mail it hands on")
