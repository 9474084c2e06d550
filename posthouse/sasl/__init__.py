"""SASL mechanisms (RFC 4422) as pure exchanges: octets in, outcomes out.

Nothing here reads a clock, a socket or chance: nonces and channel bindings come in as `Facts`. Whether a password
is right is asked of the caller (`NeedVerify`, `NeedKeys`); `accounts.sasl_login` drives an exchange for SMTP, IMAP
and POP3 alike. Base64 and the protocol's own framing are the caller's business too.
"""
