"""RFC 5321 §4.1.2 as tables: what is read, and what is refused with which code."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.limits import SMTP_PARAMETERS
from posthouse.smtp import grammar
from posthouse.smtp.extensions import MailParameters, RcptParameters, mail_parameters, rcpt_parameters
from posthouse.smtp.replies import CommandError

KNOWN = frozenset({"SIZE", "8BITMIME", "SMTPUTF8", "DSN", "AUTH"})


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        (b"NOOP", (b"NOOP", b"")),
        (b"noop  ", (b"NOOP", b"")),
        (b"Mail FROM:<a@b>  ", (b"MAIL", b"FROM:<a@b>")),
        (b"", (b"", b"")),
        (b" MAIL", (b"", b"MAIL")),
    ],
)
def test_command_is_split(line, parts):
    assert grammar.split_command(line) == parts


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("FROM:<>", ""),
        ("from:<a@b.example>", "a@b.example"),
        ("FROM: <a@b.example>", "a@b.example"),
        ("FROM:<@x.example,@y.example:a@b.example>", "a@b.example"),
        ('FROM:<"a b"@c.example>', '"a b"@c.example'),
        ('FROM:<"ab"@c.example>', "ab@c.example"),
        ('FROM:<"a\\b"@c.example>', "ab@c.example"),
        ('FROM:<"a\\"b"@c.example>', '"a\\"b"@c.example'),
        ('FROM:<">"@c.example>', '">"@c.example'),
        ("FROM:<a@[127.0.0.1]>", "a@[127.0.0.1]"),
        ("FROM:<a@[IPv6:::1]>", "a@[IPv6:::1]"),
        ("FROM:<o'n+e=two/!#$%&*?^_`{|}~-@b>", "o'n+e=two/!#$%&*?^_`{|}~-@b"),
        ("FROM:<用户@例子.example>", "用户@例子.example"),
        ("FROM:<a@b_c.example>", "a@b_c.example"),
        ("FROM:<a@b.example.>", "a@b.example"),
    ],
)
def test_reverse_path_is_read(argument, address):
    assert grammar.parse_reverse_path(argument.encode()) == grammar.Path(address, ())


@pytest.mark.parametrize("argument", ["TO:<postmaster>", "to:<PostMaster>"])
def test_postmaster_needs_no_domain(argument):
    assert grammar.parse_forward_path(argument.encode()).address == "postmaster"


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "FROM",
        "FROM:",
        "FROM:a@b",
        "FROM:<a@b",
        "FROM:<a>",
        "FROM:<a@>",
        "FROM:<@b>",
        "FROM:<a@b>x",
        "FROM:<a@b> =x",
        "FROM:<a@b> SIZE=",
        "FROM:<a@b> SIZE=1 SIZE=1",
        "FROM:<a..b@c>",
        "FROM:<.a@c>",
        "FROM:<a@b..c>",
        "FROM:<a@-b>",
        "FROM:<a@b->",
        "FROM:<a@[1.2.3]>",
        "FROM:<a@[1.2.3.4.5]>",
        "FROM:<a@[IPv6:1]>",
        "FROM:<a@[x:1]>",
        "FROM:<a b@c>",
        'FROM:<"a@c>',
        'FROM:<"a"b@c>',
        "FROM:<<a@b>>",
        "FROM:<a@b\t>",
        "FROM:<a\0@b>",
        "FROM:<a\u0085@b>",
        "FROM:<" + "a" * 400 + "@b>",
        "FROM:<a@" + "b" * 64 + ">",
        "TO:<a@b>",
        "FROM:<a@b> " + " ".join(f"X{n}=1" for n in range(SMTP_PARAMETERS + 1)),
    ],
)
def test_what_is_no_reverse_path_is_a_syntax_error(argument):
    with pytest.raises(CommandError) as raised:
        grammar.parse_reverse_path(argument.encode())
    assert raised.value.reply.code == 501


def test_broken_utf8_is_a_syntax_error():
    with pytest.raises(CommandError):
        grammar.parse_reverse_path(b"FROM:<\xff@b>")


@given(st.binary(max_size=300))
def test_parsers_raise_nothing_but_their_error(argument):
    for parse in (
        grammar.parse_reverse_path,
        grammar.parse_forward_path,
        grammar.parse_helo,
        grammar.parse_chunk,
        grammar.parse_auth,
        grammar.decode_base64,
        lambda x: grammar.parse_reverse_path(b"FROM:<" + x + b">"),
        lambda x: grammar.parse_reverse_path(b"FROM:<a@b> " + x),
    ):
        try:
            parse(argument)
        except CommandError as error:
            assert error.reply.code == 501


@pytest.mark.parametrize(
    ("parameters", "want"),
    [
        ("SIZE=100", MailParameters(size=100)),
        ("body=8bitmime", MailParameters(body="8BITMIME")),
        ("BODY=BINARYMIME SMTPUTF8", MailParameters(body="BINARYMIME", smtputf8=True)),
        ("RET=hdrs ENVID=a+2Bb", MailParameters(ret="HDRS", envid="a+2Bb")),
        ("AUTH=<>", MailParameters(auth="<>")),
        ("AUTH=e+3Dmc2@example.com", MailParameters(auth="e=mc2@example.com")),
    ],
)
def test_mail_parameters(parameters, want):
    path = grammar.parse_reverse_path(f"FROM:<a@b> {parameters}".encode())
    assert mail_parameters(path.parameters, KNOWN) == want


@pytest.mark.parametrize(
    ("parameters", "want"),
    [
        ("NOTIFY=never", RcptParameters(notify="NEVER")),
        ("NOTIFY=SUCCESS,delay", RcptParameters(notify="SUCCESS,DELAY")),
        ("ORCPT=rfc822;a+2Bb@c", RcptParameters(orcpt="rfc822;a+2Bb@c")),
        ("ORCPT=utf-8;用户@c", RcptParameters(orcpt="utf-8;用户@c")),
    ],
)
def test_rcpt_parameters(parameters, want):
    path = grammar.parse_forward_path(f"TO:<a@b> {parameters}".encode())
    assert rcpt_parameters(path.parameters, KNOWN) == want


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        ("SIZE", 501),
        ("SIZE=x", 501),
        ("SIZE=" + "1" * 21, 501),
        ("BODY", 501),
        ("BODY=9BIT", 501),
        ("SMTPUTF8=1", 501),
        ("RET=NONE", 501),
        ("ENVID=a+2b", 501),
        ("ENVID=a+0Ab", 501),
        ("ENVID=" + "x" * 101, 501),
        ("AUTH=nobody", 501),
        ("XYZ=1", 555),
        ("NOTIFY=NEVER", 555),
    ],
)
def test_wrong_mail_parameters(parameter, code):
    path = grammar.parse_reverse_path(f"FROM:<a@b> {parameter}".encode())
    with pytest.raises(CommandError) as raised:
        mail_parameters(path.parameters, KNOWN)
    assert raised.value.reply.code == code


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        ("NOTIFY", 501),
        ("NOTIFY=NEVER,SUCCESS", 501),
        ("NOTIFY=SUCCESS,SUCCESS", 501),
        ("NOTIFY=,", 501),
        ("ORCPT=rfc822", 501),
        ("ORCPT=rfc822;a+b", 501),
        ("ORCPT=rfc822;" + "a" * 500, 501),
        ("SIZE=1", 555),
    ],
)
def test_wrong_rcpt_parameters(parameter, code):
    path = grammar.parse_forward_path(f"TO:<a@b> {parameter}".encode())
    with pytest.raises(CommandError) as raised:
        rcpt_parameters(path.parameters, KNOWN)
    assert raised.value.reply.code == code


def test_a_parameter_of_an_extension_that_is_not_offered_is_unknown():
    path = grammar.parse_reverse_path(b"FROM:<a@b> RET=FULL")
    with pytest.raises(CommandError) as raised:
        mail_parameters(path.parameters, KNOWN - {"DSN"})
    assert raised.value.reply.code == 555


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        (b"0 LAST", grammar.Chunk(0, True)),
        (b"12", grammar.Chunk(12, False)),
        (b"7 last", grammar.Chunk(7, True)),
    ],
)
def test_chunk(argument, chunk):
    assert grammar.parse_chunk(argument) == chunk


@pytest.mark.parametrize(
    "argument", [b"", b"x", b"-1", b"+1", b"1 FIRST", b"1 LAST LAST", b"1" * 21, b"1LAST"]
)
def test_wrong_chunk(argument):
    with pytest.raises(CommandError):
        grammar.parse_chunk(argument)


@pytest.mark.parametrize(
    ("argument", "want"),
    [
        (b"plain", ("PLAIN", None)),
        (b"PLAIN =", ("PLAIN", b"")),
        (b"SCRAM-SHA-256-PLUS YWI=", ("SCRAM-SHA-256-PLUS", b"ab")),
    ],
)
def test_auth(argument, want):
    assert grammar.parse_auth(argument) == want


@pytest.mark.parametrize(
    "argument", [b"", b"PLAIN YWI", b"PLAIN Y*I=", b"PL:AIN", b"PLAIN a b", b"PLAIN YWI=YWI="]
)
def test_wrong_auth(argument):
    with pytest.raises(CommandError):
        grammar.parse_auth(argument)


@pytest.mark.parametrize("name", ["mx.example", "[127.0.0.1]", "[IPv6:::1]", "under_score", "localhost"])
def test_helo_name(name):
    assert grammar.parse_helo(name.encode()) == name


@pytest.mark.parametrize(
    ("name", "want"),
    [
        (b"(none)", "?none?"),
        (b"Anna's laptop", "Anna?s?laptop"),
        (b"<a>", "?a?"),
        (b'a;"b\\', "a??b?"),
        (b"x@y, z", "x?y??z"),
        ("büro-pc".encode(), "b?ro-pc"),
        ("büro-pc".encode("latin-1"), "b?ro-pc"),
        ("张的电脑".encode(), "????"),
        ("a\u0085b\u202ec".encode(), "a?b?c"),
        (b"x" * 255, "x" * 255),
    ],
)
def test_odd_helo_names_are_taken_and_harmless(name, want):
    """RFC 5321 §4.1.4: mail is not refused for them."""
    assert grammar.parse_helo(name) == want


@pytest.mark.parametrize("name", [b"", b"x" * 256, b"a\tb", b"a\x00b", b"a\x1b[2J", b"a\x7f"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(CommandError) as raised:
        grammar.parse_helo(name)
    assert raised.value.reply.code == 501


@given(st.binary(min_size=1, max_size=255))
def test_a_helo_name_cannot_break_a_field_or_a_line(argument):
    try:
        name = grammar.parse_helo(argument)
    except CommandError:
        return
    assert re.fullmatch(r"[A-Za-z0-9_.:+%~/?\[\]-]+", name)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_xtext_comes_back(text):
    encoded = "".join(f"+{ord(character):02X}" for character in text)
    assert grammar.is_xtext(encoded)
    assert grammar.decode_xtext(encoded) == text
