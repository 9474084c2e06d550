"""Posthouse (驿站): a complete internet mail system in one program.

Start at `docs/flow.md`; `app.py` is the only place that builds objects.
"""

__version__ = "0.1.0"
