"""The configuration file: what it may say, and that every mistake is named with its line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from posthouse import config
from posthouse.config import Config, ConfigError, find, load, parse
from posthouse.name_servers import NameServer
from posthouse.units import duration, size

ACME_DNS = 'hostname = "mx.test"\n[tls.acme]\ndirectory = "https://ca.test/"\n[tls.acme.dns]\n'
EXAMPLE = """\
hostname = "mx.north.test"
data     = "data"
workers  = 1

[listen]
smtp        = "0.0.0.0:25"
submission  = ["0.0.0.0:587", "[::]:587"]
lmtp        = "unix:run/lmtp"
sieve = "0.0.0.0:4190"

[tls]
certificate = "cert.pem"
key = "/etc/ssl/key.pem"

[auth]
plaintext = "loopback"

[outbound]
port = 25
retry = ["1m","5m","1h30m", 60]
expire = "5d"

[limits]
message_size = "50MB"
"""


def read(text: str, environment: dict[str, str] | None = None) -> Config:
    return parse(text, Path("/etc/posthouse/posthouse.toml"), environment or {})


def test_the_example_of_the_documentation() -> None:
    config = read(EXAMPLE)
    assert config.data == Path("/etc/posthouse/data")
    assert config.listen.smtp == ("0.0.0.0:25",)
    assert config.listen.submission == ("0.0.0.0:587", "[::]:587")
    assert config.tls.certificate == Path("/etc/posthouse/cert.pem")
    assert config.tls.key == Path("/etc/ssl/key.pem")
    assert config.outbound.retry == (60, 300, 5400, 60)
    assert config.outbound.expire == 432_000
    assert config.limits.message_size == 50 * 1024 * 1024


def test_the_hostname_is_enough() -> None:
    config = read('hostname = "mx.test"')
    assert config.data == Path("/etc/posthouse/data")
    assert config.auth.plaintext == "loopback"


def test_what_an_administrator_may_raise_is_bounded_until_then() -> None:
    config = read('hostname = "mx.test"')
    doors = config.limits
    assert (doors.connections, doors.connections_per_address, doors.recipients) == (20_000, 200, 1_000)
    assert (config.outbound.concurrency, config.outbound.per_destination) == (100, 10)
    assert (config.junk.rate, config.dns.timeout) == (600, 10)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "hostname is missing"),
        ("hostname = ", ""),
        (
            'hostname = "mx.test"\nhostnam = 1',
            "posthouse.toml:2: unknown key hostnam; did you mean hostname?",
        ),
        (
            'hostname = "mx.test"\n[listen]\nsmtps = "x"',
            "posthouse.toml:3: unknown key listen.smtps; did you mean listen.smtp?",
        ),
        (
            'hostname = "mx.test"\nmessage_size = "1MB"',
            "unknown key message_size; did you mean limits.message_size?",
        ),
        (
            'hostname = "mx.test"\n[lissten]\nsmtp = "x"',
            "posthouse.toml:2: unknown key lissten; did you mean listen?",
        ),
        ('hostname = "no host"', 'hostname: "no host" is no host name'),
        ('hostname = "mx.test"\nworkers = 0', "posthouse.toml:2: workers"),
        ('hostname = "mx.test"\nworkers = "x"', "posthouse.toml:2: workers"),
        ('hostname = "mx.test"\n[listen]\nsmtp = "25"', "listen.smtp"),
        ('hostname = "mx.test"\n[listen]\nsmtp = 25', "posthouse.toml:3: listen.smtp"),
        ('hostname = "mx.test"\nlisten = 25', "[listen] is a table"),
        ('hostname = "mx.test"\n[auth]\nplaintext = "perhaps"', "posthouse.toml:3: auth.plaintext"),
        ('hostname = "mx.test"\n[tls]\nkey = "k.pem"', "certificate and key go together"),
        (f'{ACME_DNS}server = "192.0.2.53"\ncommand = ["x"]', "either a server or a command"),
        (f'{ACME_DNS}server = "192.0.2.53"\nkey = "k."', "key and secret go together"),
        (f'{ACME_DNS}command = ["x"]\nkey = "k."\nsecret = "AAAA"', "none is named"),
        (f'{ACME_DNS}server = "ns.mx.test"', "tls.acme.dns.server: "),
        (f'{ACME_DNS}server = "192.0.2.53"\nkey = "k."\nsecret = "no!"', "no base64"),
        (f'{ACME_DNS}command = ["x"]\nwait = "301s"', "at most 300 seconds"),
        (f'{ACME_DNS}server = "192.0.2.53"\nalgorithm = "hmac-md5"', "Invalid enum value 'hmac-md5'"),
        ('hostname = "mx.test"\n[outbound]\nexpire = "soon"', 'outbound.expire: "soon" is no duration'),
        ('hostname = "mx.test"\n[outbound]\nexpire = -1', "outbound.expire"),
        ('hostname = "mx.test"\n[outbound]\nexpire = inf', "posthouse.toml:3: outbound.expire: inf"),
        ('hostname = "mx.test"\n[outbound]\nexpire = "inf"', 'outbound.expire: "inf" is no duration'),
        ('hostname = "mx.test"\n[outbound]\nretry = [60, nan]', "outbound.retry: nan"),
        ('hostname = "mx.test"\n[outbound]\nport = 70000', "outbound.port"),
        ('hostname = "mx.test"\n[outbound]\nretry = []', "outbound.retry"),
        ('hostname = "mx.test"\n[outbound]\nrelay = "mail.test"', "outbound.relay"),
        ('hostname = "mx.test"\n[listen]\nimap = "127.0.0.1:65536"', "posthouse.toml:3: listen.imap"),
        ('hostname = "mx.test"\n[listen]\nimap = ["[::]:143", "[::]:99999"]', "listen.imap"),
        (
            'hostname = "mx.test"\n[outbound]\nrelay = "smtp://mail.test:x"',
            "posthouse.toml:3: outbound.relay",
        ),
        ('hostname = "mx.test"\n[outbound]\nrelay = "smtp://mail.test:65536"', "outbound.relay"),
        ('hostname = "mx.test"\n[outbound]\nrelay = "smtp://[::1"', "posthouse.toml:3: outbound.relay"),
        ('hostname = "mx.test"\n[outbound]\nretry = ["1m", 0]', "outbound.retry: without a pause"),
        ('hostname = "mx.test"\n[outbound]\nsource = ["192.0.2.0/24"]', "posthouse.toml:3: outbound.source"),
        ('hostname = "mx.test"\n[auth]\ndefault_domain = "no domain"', "auth.default_domain"),
        ('hostname = "mx.test"\n[junk]\nrspamd = "http://[::1"', "junk.rspamd"),
        ('hostname = "mx.test"\n[junk]\nclamav = "scanner:70000"', "junk.clamav"),
        ('hostname = "mx.test"\n[[milter]]\nname = "x"', "milter.socket is missing"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "127.0.0.1:1"', 'is not "inet:HOST:PORT"'),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "inet:127.0.0.1:70000"', "milter.socket"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "inet::1"', "milter.socket"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "unix:relative"', "milter.socket"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "inet:h:1"\nroles = ["imap"]', "milter.roles"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "inet:h:1"\nroles = []', "never be asked"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "inet:h:1"\nwhen_away = "panic"', "milter.when_away"),
        ('hostname = "mx.test"\n[[milter]]\nsocket = "inet:h:1"\ntimeout = 0', "milter.timeout"),
        ('hostname = "mx.test"\n[[milter]]\nsockets = "inet:h:1"', "milter.socket?"),
        ('hostname = "mx.test"\n' + '[[milter]]\nsocket = "inet:h:1"\n' * 9, "at most 8"),
        ('hostname = "mx.test"\n[web]\nurl = "https://mail.test:70000"', "web.url"),
        ('hostname = "mx.test"\n[web]\nurl = "https://[mail.test"', "web.url"),
        (
            'hostname = "mx.test"\n[store]\nurl = "postgresql://db/mail"\nblobs = "s3://[bucket"',
            "posthouse.toml:4: store.blobs",
        ),
        ('hostname = "mx.test"\n[limits]\nmessage_size = "big"', "limits.message_size"),
        ('hostname = "mx.test"\n[store]\nurl = "mysql://x"', "store.url"),
        ('hostname = "mx.test"\n[inbound]\ntrusted = ["10.0.0.0/99"]', "inbound.trusted"),
        ('hostname = "mx.test"\n[inbound]\nbackups = ["not a host"]', "inbound.backups"),
        *(
            (f'hostname = "mx.test"\n[dns]\nservers = ["{server}"]', "posthouse.toml:3: dns.servers")
            for server in ("ns.north.test", "127.0.0.1:x", "127.0.0.1:0", "[::1", "[::1]:65536", "")
        ),
        ('hostname = {env = "NONE"}', "the environment has no NONE"),
        ('hostname = {file = "none"}', "hostname"),
        ('hostname = "mx.test"\ndata = "~nobody-of-this-name/data"', "posthouse.toml:2: data: no user"),
        ('hostname = {file = "none", env = "x"}', "a table here is"),
    ],
)
def test_mistakes_are_named(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(text)
    assert complaint in error.value.public
    assert error.value.public.startswith("/etc/posthouse/posthouse.toml")


def test_a_secret_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "relay").write_bytes(b"\x80\x81")
    text = 'hostname = "mx.test"\n[outbound]\nrelay = {file = "relay"}'
    with pytest.raises(ConfigError, match=r"posthouse.toml:3: outbound.relay: 'utf-8'"):
        parse(text, tmp_path / "posthouse.toml", {})


@pytest.mark.parametrize(
    "server", ["192.0.2.1", "127.0.0.1:5353", "2001:db8::1", "[2001:db8::1]:5353", "fe80::1%eth0"]
)
def test_name_servers(server: str) -> None:
    config = read(f'hostname = "mx.test"\n[dns]\nservers = ["{server}"]')
    assert [str(NameServer.parse(one)) for one in config.dns.servers] == [server]


def test_secrets_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "relay").write_text("smtp://u:p@host:587\n")
    text = 'hostname = {env = "NAME"}\n[outbound]\nrelay = {file = "relay"}'
    config = parse(text, tmp_path / "posthouse.toml", {"NAME": "mx.test"})
    assert (config.hostname, config.outbound.relay) == ("mx.test", "smtp://u:p@host:587")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("5d", 432000), ("250ms", 0.25), ("2 w", 1209600), ("7", 7)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "octets"),
    [("50MB", 52428800), ("64KB", 65536), ("2g", 2**31), ("1.5 kib", 1536), ("17", 17), ("3B", 3)],
)
def test_sizes(text: str, octets: int) -> None:
    assert size(text) == octets


@pytest.mark.parametrize("text", ["", "soon", "inf", "-inf", "nan", "1e400", "9" * 400 + "d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        duration(text)


@pytest.mark.parametrize("text", ["", "big", "-1", "inf", "9" * 400, "9" * 307 + "GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size(text)


def test_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="quickstart"):
        find(None, {})
    (tmp_path / "posthouse.toml").write_text('hostname = "here.test"')
    assert find(None, {}) == tmp_path / "posthouse.toml"
    assert find(None, {"POSTHOUSE_CONFIG": "/a/b.toml"}) == Path("/a/b.toml")
    assert find("c.toml", {"POSTHOUSE_CONFIG": "/a/b.toml"}) == tmp_path / "c.toml"
    assert load(find(None, {}), {}).hostname == "here.test"


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml", {})


def test_a_folder_that_may_not_be_looked_into_has_no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (usual := folder / "usual.toml").touch()
        (closed := folder / "closed").mkdir()
        monkeypatch.setattr(config, "USUAL_PLACES", (Path("posthouse.toml"), usual))
        with monkeypatch.context() as inside:
            inside.chdir(closed)
            closed.chmod(0)
            if root:
                os.seteuid(65534)  # nobody
            try:
                assert find(None, {}) == usual
            finally:
                if root:
                    os.seteuid(0)
                closed.chmod(0o700)
