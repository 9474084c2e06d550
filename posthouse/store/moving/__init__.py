"""Moving a store from one engine to the other, row by row: every number stays what it is, so no client notices.

`tables.py` says which rows belong to whom; `embedded.py` and `cluster.py` are the two sides; `move.py` is the course of
it: accounts are copied while mail goes on, what has changed is copied again, and the rest in the short time in which
nothing may change.
"""
