"""THREAD (RFC 5256) over a socket and the real store: what of a message decides where it stands."""

from __future__ import annotations

from posthouse import limits
from tests.imap.conftest import Client, Post


def raw(*fields: str, text: str = "x") -> bytes:
    return ("\r\n".join(fields) + f"\r\n\r\n{text}\r\n").encode()


async def threads(post: Post, *raws: bytes, algorithm: str = "REFERENCES") -> str:
    await post.fill(*raws)
    client = await post.login()
    await client.command(b"SELECT INBOX")
    [line, done] = await client.command(f"THREAD {algorithm} UTF-8 ALL".encode())
    assert done == b"t OK THREAD completed\r\n"
    return line.decode().removeprefix("* THREAD ").strip()


async def test_references_decide_and_else_the_first_of_in_reply_to(post: Post) -> None:
    found = await threads(
        post,
        raw("Message-ID: <a@x>", "Subject: budget"),
        raw("Message-ID: <b@x>", "Subject: Re: budget", 'References: <"a"@x>', "In-Reply-To: <z@x>"),
        raw("Message-ID: <c@x>", "Subject: another", "In-Reply-To: Ann's <b@x> of Monday <a@x>"),
        raw("Message-ID: <d@x>", "Subject: alone", "References: none"),
    )
    assert found == "(1 2 3)(4)"


async def test_one_subject_is_one_conversation(post: Post) -> None:
    subjects = ("Re: lamp", "lamp", "[list] LAMP (fwd)", "[Fwd: lamp]")
    found = await threads(post, *(raw(f"Subject: {subject}") for subject in subjects))
    assert found == "(2 (1)(3)(4))"


async def test_of_two_subjects_the_last_counts_as_in_envelope(post: Post) -> None:
    found = await threads(
        post, raw("Subject: lamp"), raw("Subject: added", "Subject: Re: lamp"), raw("Subject: added")
    )
    assert found == "(1 2)(3)"


async def test_by_subject_alone(post: Post) -> None:
    dated = [("b", 3), ("a", 9), ("Re: b", 4), ("b", 1)]
    letters = (raw(f"Subject: {subject}", f"Date: {day} Jan 2025 10:00:00 +0000") for subject, day in dated)
    assert await threads(post, *letters, algorithm="ORDEREDSUBJECT") == "(4 (1)(3))(2)"


async def test_a_large_message_has_its_place_too(post: Post) -> None:
    large = raw("Message-ID: <b@x>", "References: <a@x>", text="x" * (limits.IMAP_WHOLE_FOR_HEADER + 1))
    found = await threads(
        post, raw("Message-ID: <a@x>"), large, raw("Message-ID: <c@x>", "References: <b@x>"), raw("X: y")
    )
    assert found == "(1 2 3)(4)"


async def test_the_latest_references_count(post: Post) -> None:
    many = " ".join(f"<r{n}@x>" for n in range(limits.THREAD_REFERENCES - 1))
    found = await threads(
        post,
        raw("Message-ID: <first@x>"),
        raw("Message-ID: <a@x>", f"References: <first@x> {many}"),
        raw("Message-ID: <second@x>"),
        raw("Message-ID: <b@x>", f"References: <second@x> <y@x> {many.replace('<r', '<s')}"),
    )
    assert found == "(1 2)(3)(4)"
    assert limits.THREAD_REFERENCES == 100


async def test_uids_and_the_highest_mod_sequence(post: Post) -> None:
    await post.fill(raw("X: y"), raw("Message-ID: <a@x>"), raw("In-Reply-To: <a@x>"))
    client: Client = await post.login()
    await client.command(b"SELECT INBOX (CONDSTORE)")
    await client.command(b"STORE 1 +FLAGS (\\Deleted)")
    await client.command(b"EXPUNGE")
    line = (await client.command(b"UID THREAD REFERENCES UTF-8 MODSEQ 1"))[0]
    assert line.startswith(b"* THREAD (2 3) (MODSEQ ")
