"""A certificate by ACME (RFC 8555): ordered, proved, put in place and renewed without anybody's help.

`renewal.py` says what is done when; `timing.py` whether something is due, `names.py` for which names, `authority.py`
speaks with the authority (blocking, in a thread), `challenges.py` holds what it must find here, `files.py` what stays.
"""
