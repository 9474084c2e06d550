"""The login page, server-rendered: it works without scripts; only passkeys need one."""
