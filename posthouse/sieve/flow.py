"""How a script ends before its last command."""

from __future__ import annotations


class Stop(Exception):
    """The script has said `stop` (RFC 5228 §3.3): all is over, in including scripts too."""


class Return(Exception):
    """It has said `return` (RFC 6609 §3.3): the script that is running is over."""


class Unfinished(Exception):
    """A run that was to be brief takes longer: nothing came of it, and it may be begun anew."""
