"""Mail at rest: one model under every protocol. Knows nothing of any wire format.

`model.py` holds the values, `interface.py` the contract that every engine keeps (`tests/kits` proves it),
`sqlite/` the embedded engine. SQL lives below this folder and nowhere else.
"""
