"""What the event loop has in memory of a store, whichever engine it is: mailbox indexes, accounts, people, caches.

`live.py` brings what was committed to all of it, in commit order. Everything here can be dropped and read again.
"""
