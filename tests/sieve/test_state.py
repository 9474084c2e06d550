"""What a script keeps while it runs: variables (RFC 5229), flags (RFC 5232), included scripts (RFC 6609), `ihave`."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Discard, FileInto, Keep
from posthouse.sieve.questions import Included, MailboxExists, MailboxIdExists, Question, SpecialUseExists
from posthouse.sieve.validate import compile_script
from tests.sieve.running import MESSAGE, actions, holds, outcome, refusal


@pytest.mark.parametrize(
    ("commands", "value"),
    [
        ('set "x" "${full}";', ""),
        ('set "x" "&%${}!";', "&%${}!"),
        ('set "x" "${doh!}";', "${doh!}"),
        ('set "company" "ACME"; set "x" "${BAD${Company}";', "${BADACME"),
        ('set "company" "ACME"; set "x" "${President, ${Company} Inc.}";', "${President, ACME Inc.}"),
        (r'set "foo" "1"; set "x" "${fo\o}";', "1"),
        (r'set "foo" "1"; set "x" "${fo\\o}";', r"${fo\o}"),
        (r'set "foo" "1"; set "x" "\${foo}";', "1"),
        (r'set "foo" "1"; set "x" "\\${foo}";', "\\1"),
        ('set "dollar" "$"; set "x" "regarding ${dollar}{beep}";', "regarding ${beep}"),
        ('set "a" "juMBlEd lETteRS"; set :length "x" "${a}";', "15"),
        ('set "a" "juMBlEd lETteRS"; set :lower "x" "${a}";', "jumbled letters"),
        ('set "a" "juMBlEd lETteRS"; set :upperfirst "x" "${a}";', "JuMBlEd lETteRS"),
        ('set "a" "juMBlEd lETteRS"; set :upperfirst :lower "x" "${a}";', "Jumbled letters"),
        ('set :lowerfirst :upper "x" "abc";', "aBC"),
        ('set :upper "x" "äb";', "äB"),
        ('set :quotewildcard "x" "Rock*";', r"Rock\*"),
        ('set :length :quotewildcard "x" "a*";', "3"),
        ('set "X" "1"; set "x" "${x}2";', "12"),
    ],
)
def test_variables(commands: str, value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${unicode:24}")
    assert holds_after(commands, f'string :comparator "i;octet" "${{x}}" "{quoted}"')


def holds_after(commands: str, test: str) -> bool:
    script = f'require ["variables", "encoded-character"]; set "d" "$"; {commands} if {test} {{ discard; }}'
    if "${unicode:24}" in test:  # a dollar that is not the beginning of a variable
        script = script.replace("${unicode:24}", "${d}")
    return actions(script) == (Discard(line=1),)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('set "a.b" "c";', "cannot be set"),
        ('set "1" "c";', "is not a name for a variable"),
        ('set "${a}" "c";', "must be constant"),
        ('set "ä" "c";', "is not a name for a variable"),
        ('set :upper :lower "a" "c";', ":upper and :lower cannot both be"),
        ('set :whatever "a" "c";', "knows no :whatever"),
        ('set "a" "${b.c}";', "is not a namespace"),
        ('set "a" "${33}";', "match variables go up to ${32}"),
        (f'set "{"a" * 65}" "b";', "64 characters at most"),
        (f'set "a" "${{{"a" * 65}}}";', "64 characters at most"),
        (f'set "a" "{"b" * 8193}";', "8,192 characters at most"),
    ],
)
def test_variables_that_cannot_be(script: str, said: str) -> None:
    assert said in refusal(f'require "variables"; {script}')


def test_a_value_that_gets_too_long_is_cut_off() -> None:
    script = 'set "a" "0123456789abcdef"; ' + 'set "a" "${a}${a}"; ' * 12 + 'set :length "x" "${a}";'
    assert holds_after(script, 'string "${x}" "8192"')
    longest = 'set "a" "' + "x" * 8192 + '"; '
    assert holds_after(longest, 'string :matches "' + "${a}" * 9 + '" "' + "${a}" * 8 + '"')


def test_the_limits_of_variables_bite() -> None:
    fine = "".join(f'set "v{number}" "";' for number in range(256))
    assert outcome(f'require "variables"; {fine}').fault == ""
    assert "256 variables at most" in outcome(f'require "variables"; {fine} set "one_more" "";').fault


def flags(script: str) -> list[list[str]]:
    found = actions(f'require ["imap4flags", "fileinto", "variables"]; {script}')
    return [sorted(action.flags) for action in found if isinstance(action, Keep | FileInto)]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('keep :flags "\\\\seen";', [["\\Seen"]]),
        ('keep :flags ["a b", "", " A "];', [["a", "b"]]),
        ('keep :flags ["\\\\Recent", "\\\\Strange", "ä", "a(b"];', [[]]),
        ('setflag "a"; addflag "b"; removeflag "A";', [["b"]]),
        ('setflag "a"; keep; setflag "b"; fileinto "x";', [["a"], ["b"]]),
        ('setflag "a"; keep :flags "c"; fileinto :flags [""] "x";', [["c"], []]),
        ('keep :flags "a"; keep :flags "b";', [["b"]]),
        (
            'addflag "v" "\\\\Deleted"; addflag "v" "\\\\Answered"; keep :flags "${v}";',
            [["\\Answered", "\\Deleted"]],
        ),
        ('set "v" "a b"; removeflag "v" "b"; keep :flags "${v}";', [["a"]]),
    ],
)
def test_flags(script: str, found: list[list[str]]) -> None:
    assert flags(script) == found


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('hasflag "b A"', True),
        ('hasflag ["b", "A"]', True),
        ('hasflag "c"', False),
        ('hasflag :contains "MyVar" ["label", "forward"]', True),
        ('hasflag :contains "MyVar" "forward junk"', True),
        ('hasflag :contains "MyVar" ["label1", "label2"]', False),
        ('hasflag :count "ge" :comparator "i;ascii-numeric" "MyVar" "2"', True),
        ('hasflag :count "eq" ["MyVar", "none"] "2"', True),
    ],
)
def test_hasflag(test: str, true: bool) -> None:
    require = 'require ["imap4flags", "variables", "relational", "comparator-i;ascii-numeric"];'
    script = f'{require} setflag "A B"; set "MyVar" "Junk gnus-forward"; if {test} {{ discard; }}'
    assert (actions(script) == (Discard(line=1),)) is true


def test_flags_in_variables_need_variables_and_are_limited() -> None:
    assert 'needs require "variables"' in refusal('require "imap4flags"; setflag "a" "b";')
    assert 'needs require "variables"' in refusal('require "imap4flags"; if hasflag "a" "b" { }')
    many = " ".join(f"f{number}" for number in range(200))
    assert len(flags(f'keep :flags "{many}";')[0]) == 128


def including(script: str, **scripts: str) -> object:
    def answer(question: Question) -> object:
        assert isinstance(question, Included)
        text = scripts.get(question.name if question.personal else f"house_{question.name}")
        return None if text is None else compile_script(text.encode())

    return outcome(script, MESSAGE, answer)


def test_included_scripts() -> None:
    """RFC 6609 §3."""
    need = 'require ["include", "variables", "fileinto"];'
    tests = f'{need} global ["test", "box"]; if header :contains "Subject" "${{test}}" {{ set "box" "got-${{test}}"; }}'
    main = f'{need} global "test"; global "box"; set "test" "present"; include "t"; fileinto "${{box}}"; stop; discard;'
    assert including(main, t=tests).actions == (FileInto(line=1, mailbox="got-present"),)  # type: ignore[attr-defined]
    cases = [
        (f'{need} include "s"; discard;', "stop;", Keep()),
        (f'{need} include "s"; discard;', f"{need} return; keep;", Discard(line=1)),
        (
            f'{need} set "a" "1"; include "s"; if string "${{a}}" "1" {{ discard; }}',
            f'{need} set "a" "2";',
            Discard(line=1),
        ),
        (
            f'{need} include "s"; if string "${{global.a}}" "2" {{ discard; }}',
            f'{need} set "global.a" "2";',
            Discard(line=1),
        ),
        (f'{need} include :optional "none"; discard;', "", Discard(line=1)),
        (f'{need} include :global "s"; keep;', "discard;", Keep(line=1)),
    ]
    for script, inner, action in cases:
        found = including(script, s=inner, house_s="keep;")
        assert found.actions == (action,), script  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('include "none";', 'line 1: there is no script "none" to include'),
        ('include "again";', 'line 1 of "again": "again" includes itself'),
        ('include "wrong";', 'line 2 of "wrong": sorry'),
        ('include "deep0";', 'line 1 of "deep7": scripts may include one another 8 deep at most'),
        ('include "many";', 'line 1 of "many": one run may include 32 scripts at most'),
    ],
)
def test_included_scripts_that_cannot_be(script: str, said: str) -> None:
    need = 'require "include";'
    scripts = {
        "again": f'{need} include "again";',
        "wrong": 'require "ihave";\nerror "sorry";',
        "many": need + "".join(f' include "leaf{number}";' for number in range(33)),
        **{f"deep{number}": f'{need} include "deep{number + 1}";' for number in range(12)},
        **{f"leaf{number}": f"# {number}" for number in range(40)},
    }
    found = including(f"{need} keep; {script}", **scripts)
    assert found.fault == said  # type: ignore[attr-defined]
    assert found.actions == (Keep(),)  # type: ignore[attr-defined]


def test_once_is_once() -> None:
    need = 'require ["include", "fileinto", "variables"];'
    inner = f'{need} set "global.n" "${{global.n}}x";'
    script = f'{need} include :once "s"; include :once "s"; fileinto "${{global.n}}";'
    assert including(script, s=inner).actions == (FileInto(line=1, mailbox="x"),)  # type: ignore[attr-defined]
    own = f'{need} include :once "s"; discard;'
    assert including(own, s=own).actions == (Discard(line=1),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('require "include"; global "a";', '"global" needs require "variables" too'),
        ('require ["include", "variables"]; global "a.b";', "cannot be set"),
        ('require ["include", "variables"]; set "global.a.b" "c";', "is not a name for a variable"),
        ('require "variables"; set "a" "${global.b}";', "is not a namespace"),
        ('require ["include", "variables"]; include "${a}";', "must be constant"),
        ('require "include"; include :personal :global "a";', "cannot both be"),
        ('require "include"; include "a\tb";', "is not a name that a script can have"),
    ],
)
def test_include_is_checked(script: str, said: str) -> None:
    assert said in refusal(script)


def test_ihave() -> None:
    """RFC 5463 §4."""
    script = 'require "ihave"; if ihave "fileinto" { fileinto "a"; } else { discard; } if not ihave "frob" { keep; }'
    assert actions(script) == (FileInto(line=1, mailbox="a"), Keep(line=1))
    assert actions('require "ihave"; if ihave ["fileinto", "frob"] { frob :x 3 (true) { y; } }') == (Keep(),)
    assert outcome('require "ihave"; frob "x";').fault == 'line 1: unknown command "frob"'
    assert outcome('require "ihave"; fileinto "x";').fault == 'line 1: "fileinto" needs require "fileinto"'
    assert outcome('require "ihave"; discard; error "no";').fault == "line 1: no"
    assert "bad" in refusal('require "ihave"; redirect "bad";')


def test_mailboxes_are_asked_for() -> None:
    asked: list[Question] = []

    def answer(question: Question) -> object:
        asked.append(question)
        return question != MailboxExists("b")

    require = "mailbox special-use mailboxid"
    assert holds('mailboxexists "a"', answer=answer, require=require)
    assert not holds('mailboxexists ["a", "b", "c"]', answer=answer, require=require)
    assert holds('specialuse_exists ["\\\\Junk", "\\\\Sent"]', answer=answer, require=require)
    assert holds('specialuse_exists "a" "\\\\Junk"', answer=answer, require=require)
    assert holds('mailboxidexists "F1"', answer=answer, require=require)
    assert asked == [
        MailboxExists("a"),
        MailboxExists("a"),
        MailboxExists("b"),
        SpecialUseExists("", "\\Junk"),
        SpecialUseExists("", "\\Sent"),
        SpecialUseExists("a", "\\Junk"),
        MailboxIdExists("F1"),
    ]


def test_tags_of_fileinto() -> None:
    script = """require ["fileinto", "mailbox", "special-use", "mailboxid"];
        fileinto :create "a"; fileinto :specialuse "\\\\Junk" "b"; fileinto :mailboxid "F1" "c";"""
    assert actions(script) == (
        FileInto(line=2, mailbox="a", create=True),
        FileInto(line=2, mailbox="b", special_use="\\Junk"),
        FileInto(line=2, mailbox="c", mailbox_id="F1"),
    )
    both = 'require ["fileinto", "special-use", "mailboxid"]; fileinto :mailboxid "F" :specialuse "\\\\Junk" "c";'
    assert ":mailboxid and :specialuse cannot both be" in refusal(both)
