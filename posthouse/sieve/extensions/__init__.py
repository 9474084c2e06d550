"""The extensions of Sieve, one module for each RFC. How one is written:

A module here has one constant, `EXTENSION`, an `Extension` (`sieve/tables.py`) with the rows that it adds; add the
module to `EXTENSIONS` below, and that is all: `require` knows it, it is announced, scripts are checked and run with it.
A row needs a `require` of `Extension.capabilities[0]`, unless its `capability` says another, or one of several
("spamtest spamtestplus").

- **A command or a test** is a `Spec`: its arguments by name, whether it takes tests, a block, MATCH-TYPE,
  ADDRESS-PART, `check` (while compiling: `checker.fault(line, text)` for constant arguments that cannot be;
  `checker.enclosing` are the commands around it) and `run(call, machine)`. There, `machine.text(call, "name")` and
  `machine.texts(call, "name")` are the arguments with their variables expanded, `call.number("name")`,
  `call.has("tag")`; tags and arguments share one space of names. A test returns a bool, or `machine.match(call,
  values)`, which compares with the argument `keys` (`base_tests.KEYS`). A command returns None and says what it
  wants with `machine.add(call, action)`, which cancels the implicit keep unless the row `keeps`.
- **Whoever must ask** makes `run` a generator: `answer = yield MailboxExists(name)`; what is inside runs by `yield
  from machine.test(call.tests[0])` and `yield from machine.block(call.block)`. `machine.match` may give a generator
  too; who does something with its result asks `result = yield from machine.matching(call, values)`.
- **What goes wrong** while running is `raise Fault(call.line, "words for people")`: nothing is done then, the
  message is kept.
- **A tag on somebody else's command** is a `Tag` with `on`. Its value is in `call` under its name. With `amend` it
  changes the action that the command makes (`:create`, `:flags`, `:fcc`); with `select` it chooses among the fields
  that `header`, `address`, `exists` and `date` look at (`:index`, `:mime`): always read fields by
  `machine.fields(call, name)` and make them text by `machine.decoded(raw)`. `keeps`: with it the implicit keep stays
  (`:copy`).
- **Match types, comparators, address parts, parts of the envelope, namespaces of variables, modifiers of `set`** are
  rows too. A match type gets a `Match` and counts its work with `machine.spend(match)` or
  `machine.charge(characters)`; match variables are `machine.matched([whole, first, …])`.
- **State of one run**: `machine.of(SomeClass)` is the run's only object of that class, made with no arguments.
- **The message**: `machine.headers`, `machine.content` (whole only if the row says `reads_text=True`),
  `machine.facts`; `machine.change(content)` puts another in its place for all that follows, and into
  `Outcome.content`.
- **All actions** (with the implicit keep) pass through `Extension.amend` of extensions that are required, and
  `Extension.guard` of all, which refuses those that do not go with what is in `machine.actions`.
- **Its test** is a table in `tests/sieve/test_NAME.py`, with `tests/sieve/running.py`: `outcome('script', message)`.

Pure (floor 1): no clock, no file, no chance; time is in `Facts`. Work that grows with the message is counted.
"""

from __future__ import annotations

from typing import Final

from posthouse.sieve.extensions import (
    body,
    comparators,
    copy,
    date,
    duplicate,
    editheader,
    encoded_character,
    enotify,
    envelope,
    environment,
    fcc,
    fileinto,
    ihave,
    imap4flags,
    include,
    index,
    mailbox,
    mailboxid,
    metadata,
    redirect_deliver_by,
    redirect_dsn,
    reject,
    relational,
    spamtest,
    special_use,
    subaddress,
    vacation,
    vacation_seconds,
    variables,
)
from posthouse.sieve.tables import Extension

EXTENSIONS: Final[tuple[Extension, ...]] = (
    body.EXTENSION,
    comparators.EXTENSION,
    copy.EXTENSION,
    date.EXTENSION,
    duplicate.EXTENSION,
    editheader.EXTENSION,
    encoded_character.EXTENSION,
    enotify.EXTENSION,
    envelope.EXTENSION,
    environment.EXTENSION,
    fcc.EXTENSION,
    fileinto.EXTENSION,
    ihave.EXTENSION,
    imap4flags.EXTENSION,
    include.EXTENSION,
    index.EXTENSION,
    mailbox.EXTENSION,
    mailboxid.EXTENSION,
    metadata.EXTENSION,
    redirect_deliver_by.EXTENSION,
    redirect_dsn.EXTENSION,
    reject.EXTENSION,
    relational.EXTENSION,
    spamtest.EXTENSION,
    special_use.EXTENSION,
    subaddress.EXTENSION,
    vacation.EXTENSION,
    vacation_seconds.EXTENSION,
    variables.EXTENSION,
)
