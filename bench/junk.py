"""What the checks of senders and the junk filter cost in processor time, message by message: no network, no commit.

    python bench/junk.py [--write]     (--write puts the table into docs/benchmark.md)

The messages are those of the load generator (plain, HTML, quoted-printable, base64, attachments), not signed, signed by
RSA-2048, and by RSA-2048 and Ed25519. The answers of the DNS are at hand, each sender has written to the account
before, and the filters of the house and of the account have learnt 300 messages each (40,000 tokens). `whole` is
everything between the final dot and the reply, with a commit for each message alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar

import uvloop

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

import name_server  # noqa: E402

from posthouse.config import Config, Dns  # noqa: E402
from posthouse.house import House  # noqa: E402
from posthouse.inbound.checks import Examination, examine  # noqa: E402
from posthouse.inbound.mail import Mail, MailRecipient, Via  # noqa: E402
from posthouse.judging import Judging  # noqa: E402
from posthouse.junk.letter import Letter  # noqa: E402
from posthouse.junk.tokens import read_tokens  # noqa: E402
from posthouse.message.headers import Headers  # noqa: E402
from posthouse.msgauth.dkim_canon import BodyHashes, raw_fields  # noqa: E402
from posthouse.msgauth.dkim_sign import FORM, SigningKey, key_record, make_private_key, sign  # noqa: E402
from posthouse.store.interface import AddAccount, PutDomain  # noqa: E402
from posthouse.store.judgement import HOUSE  # noqa: E402
from posthouse.store.model import Account, Content, Domain  # noqa: E402

SHARED: Final = Path(os.environ.get("POSTHOUSE_BENCH", ROOT.parent / "shared" / "bench"))
MARK: Final = "<!-- junk -->"
LESSONS: Final = 150
ROUNDS: Final = 9
SIZES: Final = (4096, 51200)

T = TypeVar("T")


class Post:
    """A house in a folder of its own that strangers' mail comes to, with keys of the strangers."""

    def __init__(self, house: House, account: Account, keys: list[SigningKey]) -> None:
        self.house = house
        self.account = account
        self.keys = keys
        self.checks = house.pipeline._checks[Via.MX]
        self.judging = Judging(house.junk.judge, house.config.junk, house.junk.guard.suspicion)

    @classmethod
    async def open(cls, folder: Path) -> Post:
        """Serve the DNS, make the account, teach the filters."""
        keys = [
            SigningKey(domain="example.net", selector=name, algorithm=name, key=make_private_key(name))
            for name in ("rsa-sha256", "ed25519-sha256")
        ]
        port = answer({f"{key.selector}._domainkey.example.net.": key_record(key.key) for key in keys})
        config = Config(
            hostname="mx.bench.test", data=folder, dns=Dns(servers=(f"127.0.0.1:{port}",), timeout=2.0)
        )
        house = await House.open(config)
        await house.store.apply(PutDomain(domain=Domain(name="bench.test"), new=True))
        account = await house.store.apply(AddAccount(address="u@bench.test", password="", created_at=1))
        return cls(house, account, keys)

    async def teach(self) -> None:
        """Let the filters of the house and of the account learn."""
        models = self.house.junk.models
        async with models.lesson(HOUSE, self.account.account_id) as taught:
            for seed, (owner, model) in enumerate(taught.items(), 1):
                for number in range(LESSONS):
                    for junk in (True, False):
                        raw = load().make_msg(made(seed, number, junk), 4096, False)
                        model.learn(names_of(raw), junk=junk)
                await self.house.store.commit(await models.packed(owner, model))
            models.taught(taught)

    def mail(self, raw: bytes) -> Mail:
        """A message as the SMTP server hands it over."""
        return Mail(
            trace_id="0", reverse_path="sender1@example.net", recipients=(MailRecipient("u@bench.test"),),
            content=Content.of(raw), received_at=time.time(), helo="load.example.net", peer="127.0.0.1",
            via=Via.MX, protocol="ESMTP",
        )  # fmt: skip

    async def check(self, mail: Mail) -> Examination:
        """Everything before the filter."""
        examination = examine(mail, trusted=False)
        for one in self.checks:
            reply = await one(examination)
            if reply is not None:
                raise SystemExit(f"a check refused: {reply}")
        return examination

    async def judge(self, examination: Examination) -> None:
        """The filter."""
        await self.judging(examination)([self.account])

    async def deliver(self, mail: Mail) -> None:
        """All of it."""
        (reply,) = await self.house.pipeline.accept(mail)
        if not reply.accepted:
            raise SystemExit(f"not taken: {reply}")


def answer(keys: dict[str, str]) -> int:
    """A name server of the senders in a thread; its port."""
    for name, record in keys.items():
        pieces = (record[start : start + 200] for start in range(0, len(record), 200))
        name_server.ZONE[name, "TXT"] = " ".join(f'"{piece}"' for piece in pieces)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            packet, asker = listener.recvfrom(4096)
            listener.sendto(name_server.reply(packet), asker)

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def load() -> ModuleType:
    """The load generator, for its messages."""
    if "loadgen" not in sys.modules:
        spec = importlib.util.spec_from_file_location("loadgen", SHARED / "loadgen.py")
        if spec is None or spec.loader is None or not (SHARED / "loadgen.py").exists():
            raise SystemExit(f"the load generator is not at {SHARED}; set POSTHOUSE_BENCH to its folder")
        module = sys.modules["loadgen"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["loadgen"]


def made(seed: int, number: int, junk: bool) -> random.Random:
    """What a message to learn is made from."""
    return random.Random(f"{seed}/{number}/{junk}")


def names_of(raw: bytes) -> tuple[str, ...]:
    """The tokens of a message."""
    letter = Letter.of(raw)
    return read_tokens(raw, letter.headers, letter.authors).names


def signed(raw: bytes, keys: list[SigningKey]) -> bytes:
    """The message, signed by these keys and nobody else."""
    raw = re.sub(rb"DKIM-Signature:[^\n]*\n(?:[ \t][^\n]*\n)*", b"", raw)
    if not keys:
        return raw
    headers = Headers.scan(raw)
    hashes = BodyHashes([FORM])
    hashes.feed(raw[headers.end :])
    return b"".join(sign(raw_fields(headers), hashes.finish()[FORM], keys, int(time.time()))) + raw


async def cost(work: Callable[[T], Awaitable[object]], inputs: list[T]) -> float:
    """Milliseconds of processor time a message, all threads: the least of some rounds."""
    best = 1e9
    for _ in range(ROUNDS):
        start = time.process_time()
        for one in inputs:
            await work(one)
        best = min(best, (time.process_time() - start) / len(inputs) * 1e3)
    return best


KINDS: Final = (("not signed", 0), ("RSA-2048", 1), ("RSA-2048 and Ed25519", 2))


async def rows(folder: Path) -> list[str]:
    """The table's rows."""
    post = await Post.open(folder)
    try:
        cases = []
        for size in SIZES:
            pool = [load().make_msg(random.Random(f"9/{size}/{i}"), size, False) for i in range(40)]
            for words, count in KINDS:
                mails = [post.mail(signed(raw, post.keys[:count])) for raw in pool]
                cases.append((f"{size // 1024} KB, {words}", mails))
        found = {name: [await cost(post.check, mails)] for name, mails in cases}
        for _ in range(2):
            for name, mails in cases:
                found[name].append(await cost(post.judge, [await post.check(mail) for mail in mails]))
            await post.teach()
        for name, mails in cases:
            found[name].append(await cost(post.deliver, mails))
    finally:
        await post.house.close()
    return [
        f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |" for name, values in found.items()
    ]


def main() -> None:
    """Measure, then print (and write) the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="posthouse-bench-") as folder:
        lines = uvloop.run(rows(Path(folder)))
    text = "\n".join(
        [
            "| ms of CPU a message | SPF, DKIM, ARC, DMARC, iprev | filter that has learnt nothing | filter | whole |",
            "|---|---|---|---|---|",
            *lines,
        ]
    )
    print(text)
    if options.write:
        page = ROOT / "docs" / "benchmark.md"
        before, _, after = page.read_text().partition(MARK)
        _, _, after = after.partition(MARK)
        page.write_text(f"{before}{MARK}\n{text}\n{MARK}{after}")


if __name__ == "__main__":
    main()
