"""The command line without a server: what it prints, its JSON, its exit codes; the store is opened and closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from rich.cells import cell_len

from posthouse import limits
from posthouse.cli import COMMANDS, main
from posthouse.config import load
from posthouse.net.certificates import make_pair

ROOT = Path(__file__).resolve().parents[2]


class Shell:
    """Runs commands on one configuration."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "posthouse.toml"
        self.file.write_text('hostname = "mx.north.test"\n[dns]\nservers = ["127.0.0.1:9"]\ntimeout = 0.2\n')

    def __call__(self, *words: str, text: str = "", code: int = 0) -> str:
        done: Result = CliRunner().invoke(main, ["-c", str(self.file), *words], input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, (words, done.output)
        return done.output

    def json(self, *words: str, code: int = 0) -> object:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(limits, "ARGON2_MEMORY", 8)
    monkeypatch.setattr(limits, "ARGON2_PASSES", 1)
    monkeypatch.setattr(limits, "SCRAM_ITERATIONS", 4096)
    return Shell(tmp_path)


def test_domains(shell: Shell) -> None:
    assert shell("domain", "add", "North.test") == "we take mail for north.test\n"
    assert "backup MX of south.test" in shell("domain", "add", "south.test", "--backup")
    rows = shell.json("domain", "list")
    assert [(row["name"], row["kind"]) for row in rows] == [("north.test", "local"), ("south.test", "backup")]  # type: ignore[attr-defined]
    assert "north.test" in shell("domain", "show", "north.test")
    shell("domain", "set", "north.test", "--catch-all", "alice@north.test")
    assert shell.json("domain", "show", "north.test")["catch_all"] == "alice@north.test"  # type: ignore[index]
    assert "north.test." in shell("domain", "dns", "north.test", "--zone")
    shell("domain", "remove", "south.test")
    assert "posthouse: " in shell("domain", "add", "north.test", code=1)
    assert "no domain" in shell("domain", "show", "south.test", code=1)


def test_known_recipients_of_a_backup_domain(shell: Shell, tmp_path: Path) -> None:
    listing = tmp_path / "known"
    listing.write_text("bob@south.test  # a remark\n\n# nobody\ncarol@south.test\n")
    shell(
        "domain", "add", "south.test", "--backup", "--recipients", "list", "--recipients-file", str(listing)
    )
    assert shell.json("domain", "show", "south.test")["recipients"] == "list"  # type: ignore[index]
    shell("domain", "add", "x.test", "--recipients", "list", code=2)


def test_accounts(shell: Shell) -> None:
    shell("domain", "add", "north.test")
    assert shell("account", "add", "Alice@north.test", "--password", "secret", "--quota", "1MB") == (
        "added alice@north.test\n"
    )
    shell("account", "add", "bob@north.test", "--password-stdin", text="secret\n")
    (alice, bob) = shell.json("account", "list")  # type: ignore[misc]
    assert (alice["address"], alice["quota"], bob["quota"]) == ("alice@north.test", 1024 * 1024, 0)
    shell("account", "disable", "alice@north.test")
    assert shell.json("account", "show", "alice@north.test")["disabled"] is True  # type: ignore[index]
    shell("account", "enable", "alice@north.test")
    shell("account", "quota", "alice@north.test", "2GB")
    assert "2.0 GB" in shell("account", "quota", "alice@north.test")
    shell("account", "set", "alice@north.test", "--name", "Alice", "--admin")
    assert "Alice" in shell("account", "show", "alice@north.test")
    shell("account", "passwd", "alice@north.test", "--password", "other")
    made = shell.json("account", "app-password", "alice@north.test", "phone")
    assert "phone" in shell("account", "app-password", "alice@north.test")
    shell("account", "app-password", "alice@north.test", "--revoke", str(made["id"]))  # type: ignore[index]
    shell("account", "remove", "bob@north.test", text="n\n", code=1)
    shell("account", "remove", "bob@north.test", "--yes")
    assert "bob" not in shell("account", "list")


def test_import_tells_the_lines_it_refused(shell: Shell, tmp_path: Path) -> None:
    shell("domain", "add", "north.test")
    listing = tmp_path / "accounts.csv"
    listing.write_text("address,password\nalice@north.test,secret\nbob@elsewhere.test,secret\n")
    output = shell("account", "import", str(listing), code=1)
    assert "line 3: bob@elsewhere.test: no domain elsewhere.test here" in output
    assert "added 1, refused 1" in output


def test_aliases(shell: Shell) -> None:
    shell("domain", "add", "north.test")
    shell("alias", "add", "team@north.test", "alice@north.test", "bob@far.test")
    assert "alice@north.test, bob@far.test" in shell("alias", "list")
    shell("alias", "add", "team@north.test", "bob@far.test", "--replace")
    shell("alias", "remove", "team@north.test")
    assert shell.json("alias", "list", "north.test") == []


def test_mailing_lists(shell: Shell, tmp_path: Path) -> None:
    shell("domain", "add", "north.test")
    crew = "crew@north.test"
    made = ("list", "add", crew, "--title", "The crew", "--owner", "ann@north.test", "--member", "x@far.test")
    assert "The crew" in shell(*made)
    assert shell(*made, code=1) == "posthouse: That address is in use already.\n"
    shell("list", "set", crew, code=2)
    shell("list", "set", crew, "--owner", "ann@north.test", "--no-owners", code=2)
    shell("list", "set", crew, "--posting", "nobody", code=2)
    assert "anyone" in shell("list", "set", crew, "--posting", "anyone", "--no-owners")
    assert shell.json("list", "show", crew) | {"created_at": 0} == {
        "address": crew,
        "title": "The crew",
        "posting": "anyone",
        "rewriting": "strict",
        "owners": [],
        "members": 1,
        "created_at": 0,
    }
    assert "title       The crew\n" in shell("list", "show", crew)
    people = tmp_path / "people"
    people.write_text("# those of the north\nbob@north.test\n\n cat@far.test\n")
    assert shell("list", "join", crew, "dan@far.test", "--from", str(people)) == "3 joined, 4 members\n"
    shell("list", "join", crew, code=2)
    assert shell("list", "drop", crew, "--from", "-", text="x@far.test\n") == "1 left, 3 members\n"
    assert [row["address"] for row in shell.json("list", "members", crew)] == [  # type: ignore[attr-defined]
        *("bob@north.test", "cat@far.test", "dan@far.test")
    ]
    assert crew in shell("list", "list") and shell.json("list", "list", "north.test") != []
    shell("list", "remove", crew, text="n\n", code=1)
    assert shell("list", "remove", crew, "--yes") == f"removed {crew}\n"
    assert shell.json("list", "list") == []
    assert "no mailing list" in shell("list", "show", crew, code=1)


def test_queue(shell: Shell) -> None:
    shell("domain", "add", "north.test")
    shell("sendmail", "-f", "alice@north.test", "bob@far.test", text="Subject: x\n\nhello\n")
    (row,) = shell.json("queue", "list")  # type: ignore[misc]
    assert "bob@far.test" in shell("queue", "list")
    number = str(row["id"])
    assert "bob@far.test: waiting" in shell("queue", "show", number)
    assert shell("queue", "hold", number) == "hold: 1 recipients\n"
    assert shell("queue", "release", "--all") == "release: 1 recipients\n"
    assert shell.json("queue", "flush", "far.test") == {"recipients": 0}, "it is due already"
    shell("queue", "drop", code=2)
    shell("queue", "drop", number, "--all", code=2)
    assert shell("queue", "drop", number) == "drop: 1 recipients\n"
    assert shell("queue", "list") == ""
    assert "received" in shell("message", "log", "bob@far.test")
    assert "nothing about" in shell("message", "log", "nobody@far.test", code=1)


@pytest.mark.parametrize(
    "words",
    [
        ("-N", "failure,delay", "-R", "hdrs", "-V", "id1"),
        ("-Nnever", "-Rfull"),
        ("-B8BITMIME", "-oi", "-oem", "-h", "17"),
        ("-B", "8bitmime", "-O", "DeliveryMode=b", "-L", "tag", "-X", "log", "-em", "-v", "-G"),
    ],
)
def test_options_of_sendmail_that_mean_nothing_here_take_their_values_along(
    shell: Shell, words: tuple[str, ...]
) -> None:
    shell("domain", "add", "north.test")
    shell("sendmail", "-f", "alice@north.test", *words, "bob@far.test", text="Subject: x\n\nhello\n")
    (row,) = shell.json("queue", "list")  # type: ignore[misc]
    assert row["sender"] == "alice@north.test"
    assert [one["address"] for one in row["recipients"]] == ["bob@far.test"]


def test_a_message_is_found_by_its_address_however_that_is_written(shell: Shell) -> None:
    for name in ("north.test", "邮局.test"):
        shell("domain", "add", name)
    shell("account", "add", "我@邮局.test", "--password", "secret")
    people = ("John.Smith@Far.test", "我@邮局.test", "bob@例子.test")
    shell("sendmail", "-f", "Alice@North.test", *people, text="Subject: x\n\nhello\n")
    spellings = ("John.Smith@Far.test", "john.smith@far.test", "我@邮局.test", "我@xn--dgtz33j.test")
    for address in (
        *spellings,
        "bob@例子.test",
        "BOB@xn--fsqu00a.test",
        "alice@north.test",
        "<ALICE@north.test>",
    ):
        assert "received" in shell("message", "log", address), address


def test_suppressions(shell: Shell) -> None:
    assert shell("queue", "suppress") == ""
    assert shell("queue", "suppress", "Old@Far.test", "b@far.test", "--reason", "left us") == "added 2\n"
    rows = shell.json("queue", "suppress")
    assert [(row["address"], row["active"], row["reason"]) for row in rows] == [  # type: ignore[attr-defined]
        ("b@far.test", True, "left us"),
        ("old@far.test", True, "left us"),
    ]
    assert "by hand" in shell("queue", "suppress")
    assert shell("queue", "suppress", "--remove", "b@far.test") == "removed 1\n"
    assert "not on the suppression list" in shell("queue", "suppress", "--remove", "b@far.test", code=1)
    shell("queue", "suppress", "nobody", code=2)
    shell("queue", "suppress", "--remove", code=2)
    shell("queue", "suppress", "b@far.test", "--reason", "two\nlines", code=2)


def test_status_finds_that_nothing_runs(shell: Shell) -> None:
    output = shell("status", code=1)
    assert "✗ server: is not running  → start it: posthouse serve" in output


def test_configuration_commands(shell: Shell) -> None:
    assert "fine" in shell("config", "check")
    assert "hostname = mx.north.test" in shell("config", "show")
    assert "[listen]" in shell("config", "describe")
    shell.file.write_text("hostnam = 1\n")
    assert "did you mean hostname?" in shell("config", "check", code=2)


def test_a_certificate_that_is_not_there_is_found_before_the_start(shell: Shell) -> None:
    shell.file.write_text('hostname = "mx.test"\n\n[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n')
    said = shell("config", "check", code=2)
    assert "cert.pem" in said
    assert "No such file" in said
    (shell.file.parent / "cert.pem").write_text("nonsense")
    (shell.file.parent / "key.pem").write_text("nonsense")
    assert "cannot be used" in shell("config", "check", code=2)


def test_a_key_under_a_passphrase_is_found_before_the_start(shell: Shell) -> None:
    """Whoever checks on a terminal could give it; the service that starts at night can not."""
    pair = make_pair("mx.test", datetime.now(UTC))
    secret = serialization.BestAvailableEncryption(b"hush")
    form = serialization.PrivateFormat.PKCS8
    key = serialization.load_pem_private_key(pair.key, None)
    (shell.file.parent / "cert.pem").write_bytes(pair.certificate)
    (shell.file.parent / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    shell.file.write_text('hostname = "mx.test"\n\n[tls]\ncertificate = "cert.pem"\nkey = "key.pem"\n')
    assert "the key is under a passphrase" in shell("config", "check", code=2)


def test_the_relay_password_is_not_shown(shell: Shell) -> None:
    shell.file.write_text('hostname = "mx.test"\n[outbound]\nrelay = "smtp://me:hush@host:587"\n')
    output = shell("config", "show")
    assert "hush" not in output
    assert "smtp://me:…@host:587" in output


def test_no_password_of_any_address_is_shown(shell: Shell) -> None:
    shell.file.write_text(
        'hostname = "mx.test"\n[store]\nurl = "postgresql://me:hush1@db:5432/mail?password=hush2&sslmode=require"\n'
        'blobs = "s3://key:hush3@bucket/mail?endpoint=https://objects.test"\n'
        '[junk]\nrspamd = "http://me:hush4@scanner:11333"\n'
    )
    for output in (shell("config", "show"), shell("config", "show", "--json")):
        assert "hush" not in output
        assert "postgresql://me:…@db:5432/mail?password=…&sslmode=require" in output
        assert "s3://key:…@bucket/mail?endpoint=https://objects.test" in output


def test_no_key_is_shown(shell: Shell) -> None:
    shell.file.write_text(
        'hostname = "mx.test"\n[tls.acme]\ndirectory = "https://ca.test/"\neab_kid = "kid"\neab_hmac = "aHVzaA"\n'
        '[tls.acme.dns]\nserver = "192.0.2.53"\nkey = "posthouse."\nsecret = "aHVzaDI="\n'
    )
    for output in (shell("config", "show"), shell("config", "show", "--json")):
        assert "aHVza" not in output
        assert "posthouse." in output


def test_a_relay_that_serve_would_not_take_is_found_before_the_start(shell: Shell) -> None:
    shell.file.write_text('hostname = "mx.test"\n[outbound]\nrelay = "smtp://host:587?tls=maybe"\n')
    assert "?tls=" in shell("config", "check", code=2)


def test_the_described_file_is_a_configuration(shell: Shell) -> None:
    from posthouse.config import parse

    text = shell("config", "describe")
    assert parse(text, shell.file, {}).hostname == "mx.example.org"
    # Tables that may stand several times are remarks altogether.
    tables = [part for part in text.split("\n\n") if not part.startswith("# [[")]
    lines = "\n".join(tables).splitlines()
    every = [line.removeprefix("# ") for line in lines if " = " in line or line.startswith("[")]
    keys = [line for line in every if not line.endswith('= ""')]
    whole = "\n".join(line for line in keys if line.startswith("[") or "." not in line.split(" = ")[0])
    assert parse(whole, shell.file, {}).workers == 1


def test_the_page_of_the_configuration_is_current() -> None:
    from posthouse.cli.describe import as_page

    assert (ROOT / "docs" / "config.md").read_text() == as_page(), (
        "run: posthouse config describe --markdown > docs/config.md"
    )


def test_quickstart_makes_a_house(shell: Shell, tmp_path: Path) -> None:
    place = tmp_path / "new"
    words = ("quickstart", "you@example.test", "--dir", str(place), "--yes")
    output = shell(*words)
    assert "password of you@example.test: " in output
    assert "example.test.  " in output.replace("\n", "  ")
    assert "MX" in output
    text = (place / "posthouse.toml").read_text()
    assert all(f"{door} = " in text for door in ("smtp", "submissions", "imaps", "pop3s", "http", "https"))
    done = CliRunner().invoke(main, ["-c", str(place / "posthouse.toml"), "account", "list", "--json"])
    assert [(row["address"], row["admin"]) for row in json.loads(done.output)] == [("you@example.test", True)]
    again = shell(*words)
    assert "kept the account you@example.test" in again
    shell("quickstart", "nobody", "--yes", code=2)


def test_quickstart_names_an_authority_when_told(shell: Shell, tmp_path: Path) -> None:
    directory = "https://ca.example.test/directory"
    words = ("quickstart", "you@example.test", "--yes", "--dir")
    for more, found in (((), ""), (("--acme", directory), directory)):
        place = tmp_path / f"new{bool(more)}"
        shell(*words, str(place), *more)
        config = load(place / "posthouse.toml", {})
        assert config.tls.acme.directory == found
        assert 'acme = {directory = "https://' in (place / "posthouse.toml").read_text(), "shown at least"
    assert config.tls.acme.contact == "postmaster@example.test"
    shell(*words, str(tmp_path / "no"), "--acme", "http://ca.example.test/", code=2)


def test_quickstart_takes_names_in_every_spelling(shell: Shell, tmp_path: Path) -> None:
    for number, (address, found) in enumerate(
        (
            ("You@Example.TEST", "you@example.test"),
            ("我@邮局.test", "我@xn--dgtz33j.test"),
        )
    ):
        place = tmp_path / f"new{number}"
        words = ("quickstart", address, "--dir", str(place), "--yes")
        assert f"password of {found}: " in shell(*words)
        again = shell(*words)
        assert f"kept the account {found}" in again, "the second run finds what the first one made"
        assert "added" not in again
        assert f'hostname = "mail.{found.partition("@")[2]}"' in (place / "posthouse.toml").read_text()
    shell("quickstart", "you@two words", "--dir", str(tmp_path / "no"), "--yes", code=2)
    assert not (tmp_path / "no").exists()


def test_tables_stand_straight_with_chinese_in_them(shell: Shell) -> None:
    shell("domain", "add", "north.test")
    for address, name in (
        ("ann@north.test", "Ann"),
        ("中文@north.test", "李雷"),
        ("e\u0301@north.test", "é"),
    ):
        shell("account", "add", address, "--password", "secret", "--name", name)
    head, *rows = shell("account", "list").splitlines()
    places = {cell_len(row[: row.index("unlimited")]) for row in rows}
    assert places == {cell_len(head[: head.index("quota")])}


def test_the_nearest_command_is_named(shell: Shell) -> None:
    assert "did you mean account?" in shell("acount", "list", code=2)


def test_passwords_come_from_somewhere(shell: Shell) -> None:
    shell("domain", "add", "north.test")
    shell("account", "add", "a@north.test", code=2)
    shell("account", "add", "a@north.test", "--password", "x", "--password-stdin", code=2)


def test_every_line_of_the_menu_is_a_command() -> None:
    context = click.Context(main)
    for name in COMMANDS:
        found = main.get_command(context, name)
        assert found is not None
        assert found.name == name


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.mark.slow
def test_help_comes_at_once() -> None:
    """In processor time: how long that takes depends on who else wants the machine."""

    def once() -> float:
        words = [sys.executable, "-m", "posthouse", "--help"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return used.ru_utime + used.ru_stime

    assert min(once() for _ in range(3)) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_a_terminal_of_another_character_set_shows_what_it_can(shell: Shell, encoding: str) -> None:
    shell("domain", "add", "north.test")
    shell("account", "add", "e@north.test", "--password", "secret", "--name", "李雷 Müller")
    words = [sys.executable, "-m", "posthouse", "-c", str(shell.file)]
    elsewhere = environment() | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([*words, "status"], capture_output=True, env=elsewhere, check=False)
    assert done.returncode == 1, done.stderr
    assert "server: is not running" in done.stdout.decode(encoding)
    done = subprocess.run(
        [*words, "account", "list", "--json"], capture_output=True, env=elsewhere, check=True
    )
    shown = json.loads(done.stdout.decode(encoding))
    assert shown[0]["name"] == "李雷 Müller"


@pytest.mark.slow
def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from posthouse.cli import main;"
        "CliRunner().invoke(main, ['--help']); heavy = {'asyncio', 'apsw', 'rich', 'cryptography', 'dns', 'argon2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, env=environment(), check=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_command_waits_for_a_server_that_is_starting(shell: Shell, tmp_path: Path) -> None:
    """The lock is held, the socket not there yet: the command comes again until it is."""
    code = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from posthouse.store.sqlite.lock import StoreLock\n"
        "lock = StoreLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.readline()"
    )
    shell("domain", "add", "north.test")
    words = [sys.executable, "-c", code, str(tmp_path / "data" / "mail.db.lock")]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    command = subprocess.Popen(
        [sys.executable, "-m", "posthouse", "-c", str(shell.file), "domain", "list"],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(1)
    holder.communicate(b"\n")
    output, _ = command.communicate(timeout=20)
    assert b"north.test" in output


def test_for_how_long_a_mailbox_keeps_its_mail(shell: Shell) -> None:
    shell("domain", "add", "north.test")
    shell("account", "add", "alice@north.test", "--password", "wonderland")
    with shell.file.open("a") as file:
        file.write("[store]\ntrash_days = 30\n")
    command = ("account", "retention", "alice@north.test")

    def rows(*words: str) -> dict[str, tuple[int, bool]]:
        return {row["mailbox"]: (row["days"], row["chosen"]) for row in shell.json(*command, *words)}  # type: ignore[attr-defined]

    assert rows() == {
        **dict.fromkeys(("INBOX", "Archive", "Drafts", "Junk", "Sent"), (0, False)),
        "Trash": (30, False),
    }
    assert rows("Archive", "--days", "7") == {"Archive": (7, True)}
    assert rows("Trash", "--days", "0") == {"Trash": (0, True)}
    assert "for good" in shell(*command, "Trash")
    assert rows("Trash", "--default") == {"Trash": (30, False)}
    shell(*command, "INBOX", "--days", "7", code=1)
    shell(*command, "Nowhere", code=1)
    shell(*command, "--days", "7", code=2)
    shell(*command, "Trash", "--days", "7", "--default", code=2)
