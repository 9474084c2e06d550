"""Conformance kits: classes of behaviours that anybody's engine can be held to.

Derive a class from each kit in a test module and offer the fixture `engine` (see `engine.py`); pytest runs the
inherited tests. An engine is done when its kits pass, not when IMAP seems to work.
"""
