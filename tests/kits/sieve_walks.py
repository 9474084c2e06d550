"""Real scripts on mail that comes by SMTP: each walk is one script, and what it makes of messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tests.inbound.office import ALICE, BOB, RAW, Office

Walk = Callable[[Office], Awaitable[None]]


async def rejected(office: Office) -> None:
    """RFC 5429 §2.2: at the door, or by a message where another recipient takes the mail."""
    await office.filter(
        'require "reject"; if header :is "subject" "offer" { reject "Nothing is bought here."; }'
    )
    assert await office.send(RAW.format("offer")) == (550, "5.7.1 Nothing is bought here.")
    assert await office.send(RAW.format("hello")) == {}
    async with office.queueing() as queued:
        assert await office.send(RAW.format("offer"), ALICE, BOB) == {}
    assert (await office.subjects("INBOX"), await office.subjects("INBOX", BOB)) == (["hello"], ["offer"])
    [told] = queued
    assert (told.message.reverse_path, told.message.recipients[0].address) == ("", "eve@elsewhere.test")


async def rejected_in_the_protocol(office: Office) -> None:
    """RFC 5429 §2.1."""
    await office.filter('require "ereject"; ereject "Go away.";')
    code, said = await office.send()
    assert (code, said.startswith("5.7.1 "), "Go away." in said) == (550, True, True)
    assert await office.subjects("INBOX") == []


async def flagged(office: Office) -> None:
    """RFC 5232."""
    await office.filter(
        """
        require ["imap4flags", "fileinto", "copy", "variables"];
        setflag ["\\\\Flagged", "first"];
        addflag "second third";
        removeflag "FIRST";
        fileinto :copy :flags "\\\\Seen" "Archive";
        if hasflag :contains "eco" { addflag "found"; }
        """
    )
    await office.send()
    [(inbox, _)] = await office.mailbox("INBOX")
    [(archive, _)] = await office.mailbox("Archive")
    assert set(_flags(inbox)) == {"\\Flagged", "second", "third", "found"}
    assert set(_flags(archive)) == {"\\Seen"}


def _flags(answer: str) -> list[str]:
    return [word for word in answer.partition("FLAGS (")[2].partition(")")[0].split() if word != "\\Recent"]


async def changed(office: Office) -> None:
    """RFC 5293: the account's copy is changed, and only that."""
    await office.filter(
        """
        require ["editheader", "variables"];
        if header :matches "subject" "*" { set "old" "${1}"; }
        deleteheader "subject";
        addheader :last "Subject" "[list] ${old}";
        addheader "X-Sorted" "yes";
        """
    )
    await office.send(RAW.format("hello"), ALICE, BOB)
    [(_, mine)] = await office.mailbox("INBOX")
    [(_, other)] = await office.mailbox("INBOX", BOB)
    assert b"\r\nSubject: [list] hello\r\n" in mine and b"Subject: hello\r\n" not in mine
    assert mine.startswith(b"X-Sorted: yes\r\n")
    assert b"\r\nSubject: hello\r\n" in other and b"X-Sorted" not in other
    assert mine.partition(b"\r\n\r\n")[2] == b"About hello.\r\n"


async def told_of(office: Office) -> None:
    """RFC 5435, RFC 5436."""
    await office.filter(
        f"""
        require ["enotify", "variables"];
        if header :matches "from" "*" {{ set "from" "${{1}}"; }}
        notify :importance "1" :message "Mail of ${{from}}" "mailto:{BOB}";
        """
    )
    await office.send()
    assert await office.subjects("INBOX") == ["hello"]
    [(_, notice)] = await office.mailbox("INBOX", BOB)
    assert b"\r\nSubject: Mail of Eve <eve@elsewhere.test>\r\n" in notice
    assert b"\r\nImportance: High\r\n" in notice and b"\r\nAuto-Submitted: auto-notified" in notice


async def answered(office: Office) -> None:
    """RFC 5230, and RFC 8580: what was answered is kept; the second message gets no answer."""
    await office.filter(
        """
        require ["vacation", "fcc", "imap4flags"];
        vacation :days 2 :subject "Away" :fcc "Sent" :flags "\\\\Seen" "Back on Monday.";
        """
    )
    mail = RAW.replace("Eve <eve@elsewhere.test>", f"Bob <{BOB}>")
    for subject in ("one", "two"):
        assert await office.send(mail.format(subject), door="submission", sender=BOB) == {}
    assert await office.subjects("INBOX") == ["one", "two"]
    assert await office.subjects("INBOX", BOB) == ["Away"]
    [(flags, copy)] = await office.mailbox("Sent")
    assert _flags(flags) == ["\\Seen"]
    assert b"\r\nTo: <bob@example.test>\r\n" in copy and copy.endswith(b"\r\nBack on Monday.")


async def seen_before(office: Office) -> None:
    """RFC 7352."""
    await office.filter('require ["duplicate", "fileinto"]; if duplicate { fileinto "Trash"; }')
    for subject in ("one", "two", "one"):
        await office.send(RAW.format(subject))
    assert (await office.subjects("INBOX"), await office.subjects("Trash")) == (["one", "two"], ["one"])


async def filed_by_use(office: Office) -> None:
    """RFC 8579."""
    await office.filter(
        """
        require ["fileinto", "special-use", "mailbox"];
        if header :is "subject" "old" { fileinto :specialuse "\\\\Archive" "Elsewhere"; stop; }
        if specialuse_exists "\\\\Sent" { fileinto :specialuse "\\\\Nothing" :create "Made/here"; }
        """
    )
    await office.send(RAW.format("old"))
    await office.send(RAW.format("new"))
    assert (await office.subjects("Archive"), await office.subjects("Made/here")) == (["old"], ["new"])


async def filed_by_id(office: Office) -> None:
    """RFC 9042: also when the mailbox has another name by then."""
    [line] = await office.imap("STATUS Archive (MAILBOXID)")
    number = line.decode().rpartition("(")[2].rstrip(")")
    await office.filter(
        f"""
        require ["fileinto", "mailboxid"];
        if mailboxidexists "{number}" {{ fileinto :mailboxid "{number}" "Gone"; }} else {{ discard; }}
        """
    )
    await office.imap("RENAME Archive Attic")
    await office.send()
    assert await office.subjects("Attic") == ["hello"]


async def included(office: Office) -> None:
    """RFC 6609: another script of the account, its variables, and its end."""
    await office.put(
        "rules",
        """
        require ["include", "variables"];
        global "place";
        set "place" "Archive";
        if header :is "subject" "hello" { return; }
        discard;
        """,
    )
    await office.filter(
        """
        require ["include", "variables", "fileinto"];
        global "place";
        include "rules";
        include :optional "nothing";
        if header :is "subject" "hello" { fileinto "${place}"; }
        """
    )
    await office.send()
    await office.send(RAW.format("other"))
    assert (await office.subjects("INBOX"), await office.subjects("Archive")) == ([], ["hello"])


async def dated(office: Office) -> None:
    """RFC 5260."""
    await office.filter(
        """
        require ["date", "relational", "fileinto", "index"];
        if allof (date :originalzone "date" "date" "2026-11-02", date :zone "+0200" "date" "hour" "12",
                  currentdate :value "ge" "year" "2026",
                  date :index 1 :value "ge" "received" "year" "2026") { fileinto "Archive"; }
        """
    )
    await office.send()
    assert await office.subjects("Archive") == ["hello"]


async def looked_into(office: Office) -> None:
    """RFC 5173: the text, decoded."""
    await office.filter('require ["body", "fileinto"]; if body :contains "café" { fileinto "Archive"; }')
    encoded = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n"
    head, _, _ = RAW.format("coded").partition("\r\n\r\n")
    await office.send(f"{head}\r\n{encoded}\r\nb3VyIGNhZsOpIGlzIG9wZW4K\r\n")
    await office.send(RAW.format("plain"))
    assert (await office.subjects("INBOX"), await office.subjects("Archive")) == (["plain"], ["coded"])


async def switched_by_annotations(office: Office) -> None:
    """RFC 5490 §3.3 to §4.2: what a program sets by IMAP (RFC 5464) steers a script."""
    await office.filter(
        """
        require ["mboxmetadata", "servermetadata", "variables", "fileinto"];
        if metadata "INBOX" "/private/vendor/example/away" "on" { fileinto "Archive"; }
        if servermetadata :matches "/private/vendor/example/place" "*" { fileinto "${1}"; }
        if not metadataexists "INBOX" "/private/vendor/example/away" { keep; }
        if not servermetadata "/shared/admin" "mailto:postmaster@example.test" { discard; }
        """
    )
    await office.send(RAW.format("one"))
    await office.imap('SETMETADATA INBOX (/private/vendor/example/away "ON")')
    await office.send(RAW.format("two"))
    await office.imap('SETMETADATA "" (/private/vendor/example/place "Trash")')
    await office.send(RAW.format("three"))
    await office.imap("SETMETADATA INBOX (/private/vendor/example/away NIL)")
    await office.send(RAW.format("four"))
    assert await office.subjects("INBOX") == ["one", "four"]
    assert await office.subjects("Archive") == ["two", "three"]
    assert await office.subjects("Trash") == ["three", "four"]


async def sent_on_and_reported(office: Office) -> None:
    """RFC 6009: of what the sender is told, in the queue's words (RFC 3461 §4.1, §4.3)."""
    await office.filter(
        'require "redirect-dsn"; redirect :notify "SUCCESS,FAILURE" :ret "HDRS" "friend@elsewhere.test";'
    )
    async with office.queueing() as queued:
        await office.send()
    [sent] = queued
    assert [(each.address, each.notify) for each in sent.message.recipients] == [
        ("friend@elsewhere.test", "SUCCESS,FAILURE")
    ]
    assert sent.message.ret == "HDRS"
    # what comes of it comes to us first, and goes on to her
    assert sent.message.reverse_path.partition("=")[0].upper() == "SRS0"
    assert "elsewhere.test=eve@" in sent.message.reverse_path


async def sent_on_for_a_time(office: Office) -> None:
    """RFC 6009 §4: until when it is to be delivered, in the queue's words (RFC 2852 §4)."""
    await office.filter(
        'require "redirect-deliverby"; redirect :bytimerelative 600 :bymode "return" "friend@elsewhere.test";'
    )
    async with office.queueing() as queued:
        await office.send()
    [sent] = queued
    assert sent.message.by_mode == "R"
    assert sent.message.deliver_by == sent.message.created_at + 600


WALKS: Final[tuple[Walk, ...]] = (
    sent_on_for_a_time,
    rejected,
    rejected_in_the_protocol,
    flagged,
    changed,
    told_of,
    answered,
    seen_before,
    filed_by_use,
    filed_by_id,
    included,
    dated,
    looked_into,
    switched_by_annotations,
    sent_on_and_reported,
)
KEEPING: Final[tuple[Walk, ...]] = (
    changed,
    answered,
    seen_before,
    filed_by_id,
    included,
    switched_by_annotations,
)
"""Those that keep or ask something of the store that no other test of scripts has on every engine."""
