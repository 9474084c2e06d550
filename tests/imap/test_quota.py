"""GETQUOTA, GETQUOTAROOT and what EXPUNGE would free (RFC 9208), over a socket and the real store."""

from __future__ import annotations

import msgspec

from posthouse.store.interface import PutAccount
from tests.imap.conftest import Post

RAW = b"Subject: news\r\n\r\n" + b"x" * 3_000 + b"\r\n"


async def limited(post: Post, octets: int) -> None:
    await post.store.apply(PutAccount(account=msgspec.structs.replace(post.account, quota=octets)))


async def test_what_is_used_and_allowed(post: Post) -> None:
    await post.fill(RAW, RAW)
    await limited(post, 10_000)
    alice = await post.login()
    quota = (
        b"* QUOTA alice@example.test (STORAGE 6 10)\r\n"  # 6,038 of 10,000 octets, in begun units of 1,024
    )
    assert (await alice.command(b"GETQUOTAROOT INBOX"))[:-1] == [
        b"* QUOTAROOT INBOX alice@example.test\r\n",
        quota,
    ]
    assert (await alice.command(b"GETQUOTAROOT not-there-yet"))[0] == (
        b"* QUOTAROOT not-there-yet alice@example.test\r\n"
    )
    assert (await alice.command(b'GETQUOTA "alice@example.test"'))[:-1] == [quota]
    await limited(post, 20_480)
    changed = await alice.command(b"GETQUOTA alice@example.test")
    assert changed[0] == b"* QUOTA alice@example.test (STORAGE 6 20)\r\n", "as it is now, not as at the login"


async def test_there_is_no_root_where_nothing_is_limited(post: Post) -> None:
    alice = await post.login()
    assert await alice.command(b"GETQUOTAROOT INBOX") == [
        b"* QUOTAROOT INBOX\r\n",
        b"t OK GETQUOTAROOT completed\r\n",
    ]
    assert (await alice.command(b"GETQUOTA alice@example.test"))[0].startswith(b"t NO [NONEXISTENT] ")


async def test_nobody_learns_of_anothers_quota(post: Post) -> None:
    await limited(post, 10_000)
    alice = await post.login()
    for name in (b"bob@example.test", b'""', b"{3+}\r\nbob"):
        assert (await alice.command(b"GETQUOTA " + name))[0].startswith(b"t NO [NONEXISTENT] ")
    stranger = await post.connect()
    assert (await stranger.command(b"GETQUOTA alice@example.test"))[0].startswith(b"t BAD ")


async def test_what_expunge_would_free(post: Post) -> None:
    await post.fill(RAW, RAW, RAW[:-2])
    alice = await post.login()
    ask = b"STATUS INBOX (MESSAGES DELETED DELETED-STORAGE)"
    assert (await alice.command(ask))[0] == b"* STATUS INBOX (MESSAGES 3 DELETED 0 DELETED-STORAGE 0)\r\n"
    await alice.command(b"SELECT INBOX")
    await alice.command(b"STORE 2:3 +FLAGS.SILENT (\\Deleted)")
    freed = len(RAW) + len(RAW) - 2
    told = b"* STATUS INBOX (MESSAGES 3 DELETED 2 DELETED-STORAGE %d)\r\n" % freed
    assert told in await alice.command(ask)
    listed = await alice.command(b'LIST "" INBOX RETURN (STATUS (DELETED-STORAGE))')
    assert b"* STATUS INBOX (DELETED-STORAGE %d)\r\n" % freed in listed
    usage = (await post.store.usage(post.account.account_id)).octets
    await alice.command(b"EXPUNGE")
    assert usage - (await post.store.usage(post.account.account_id)).octets == freed
