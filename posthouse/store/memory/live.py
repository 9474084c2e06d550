"""What commits did, brought to everything the event loop has in memory, in commit order.

For each batch, in one turn of the loop: first the indexes, lists and caches are changed, then those who committed
get their answers, then the watchers are called. So whoever sees an answer sees its effect too.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

from posthouse import limits
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.memory import changes
from posthouse.store.memory.cache import Recent, RecentBytes, StoredPlaces
from posthouse.store.memory.indexes import MailboxIndexes
from posthouse.store.memory.notice import Notice
from posthouse.store.memory.people_cache import PeopleCache
from posthouse.store.memory.views import AccountView, AccountViews
from posthouse.store.sql.writer import Submission
from posthouse.store.text_search import TextSearch

log = logging.getLogger("posthouse.store")


class Live:
    """All memory of the event loop's side. `publish` is called in the writer's thread, the rest on the loop."""

    def __init__(self, indexes: MailboxIndexes, views: AccountViews, people: PeopleCache[Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._batches: list[tuple[list[changes.Change], list[Submission]]] = []
        self.indexes = indexes
        self.views = views
        views.was_read = self._account_was_read
        self.people = people
        self.bytes = RecentBytes()
        self.places: StoredPlaces = Recent(limits.STORED_CACHED)
        self.search: TextSearch | None = None
        self.mail_came: Callable[[], None] = _nothing
        self.mail_went: Callable[[], None] = _nothing
        self.flags_logged: Callable[[], None] = _nothing
        """The engine's own watchers: there is something to derive, to sweep, to settle."""
        self.spread: Callable[[list[changes.Change]], None] = _unheard
        """Tells other nodes what was committed here."""
        self._later: set[asyncio.Task[None]] = set()
        self._queue_watchers: list[Callable[[], None]] = []
        self._lesson_watchers: list[Callable[[], None]] = []

    def publish(self, published: list[changes.Change], answered: list[Submission]) -> None:
        """Hand a batch to the loop, waking it once however many batches wait."""
        with self._lock:
            self._batches.append((published, answered))
            if len(self._batches) > 1:
                return
        try:
            self._loop.call_soon_threadsafe(self.receive)
        except RuntimeError:
            pass  # the loop is closed, nobody waits any more

    def watch_queue(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` when something may have become due; the result ends it."""
        return watch(self._queue_watchers, heard)

    def watch_lessons(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` when there is something to learn from; the result ends it."""
        return watch(self._lesson_watchers, heard)

    def receive(self) -> None:
        """Take over the batches that wait (in the loop's turn, or at the very end)."""
        with self._lock:
            batches, self._batches = self._batches, []
        told = _Told()
        for published, answered in batches:
            for change in published:
                try:
                    self._apply(change, told)
                except Exception:  # memory is a cache: the truth is committed, and the answers must go out
                    log.exception("a change could not be applied in memory")
            self.spread(published)
            self._answer_when_seen(published, answered)
        self._tell(told)

    def _answer_when_seen(self, published: list[changes.Change], answered: list[Submission]) -> None:
        """Answer, at once or when the indexes concerned have come up to what other nodes did before."""
        coming = [
            task
            for change in published
            if isinstance(change, changes.Appended | changes.Flagged | changes.Vanished)
            and (task := self.indexes.coming_up(change.account_id, change.mailbox_id)) is not None
        ]
        if coming and answered:
            task = asyncio.create_task(_answer_after(coming, answered))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
            return
        for submission in answered:
            _answer(submission)

    def heard(self, notice: Notice) -> None:
        """Another node has committed something."""
        told = _Told()
        for account_id, modseq, mailboxes in notice.accounts:
            told.accounts.add(account_id)
            self.views.behind(account_id, modseq)
            for mailbox_id, mailbox_modseq in mailboxes:
                self.indexes.behind(account_id, mailbox_id, mailbox_modseq)
        for account_id in notice.gone:
            told.accounts.add(account_id)
            self.views.forget(account_id)
        told.queue = notice.queue
        told.came = notice.came
        told.went = notice.went
        if notice.people:
            told.people = True
            self.people.forget()
        self._tell(told)

    def _account_was_read(self, account_id: int, view: AccountView) -> None:
        """Its row may know of commits of other nodes that nobody has told of yet: then its indexes must come up too."""
        for mailbox in view.mailboxes():
            self.indexes.behind(account_id, mailbox.mailbox_id, mailbox.highest_modseq)

    def _apply(self, change: changes.Change, told: _Told) -> None:
        if isinstance(change, changes.ContentKept):
            self._keep(change)
        elif isinstance(change, changes.Appended | changes.Flagged | changes.Vanished):
            told.accounts.add(change.account_id)
            told.came |= isinstance(change, changes.Appended)
            told.went |= isinstance(change, changes.Vanished)
            index = self.indexes.apply(change)
            if index is not None:
                told.indexes[id(index)] = index
        elif isinstance(change, changes.FlagsLogged):
            self.flags_logged()
        elif isinstance(change, changes.AccountChanged):
            told.accounts.add(change.account_id)
            self.views.apply(change)
        elif isinstance(change, changes.MailboxGone):
            told.accounts.add(change.account_id)
            told.went = True
            index = self.indexes.remove(change.account_id, change.mailbox_id)
            if index is not None:
                told.indexes[id(index)] = index
        elif isinstance(change, changes.AccountGone):
            told.accounts.add(change.account_id)
            self.views.forget(change.account_id)
        elif isinstance(change, changes.EmailsSwept):
            if self.search is not None:
                self.search.notify_removed(change.account_id, change.email_ids)
        elif isinstance(change, changes.PeopleChanged):
            told.people = True
            self.people.forget()
        elif isinstance(change, changes.RecipientKnown):
            self.people.learnt(change)
        elif isinstance(change, changes.QueueChanged):
            told.queue = True
        elif isinstance(change, changes.LessonsCame):
            told.lessons = True
        elif isinstance(change, changes.RemainsCame):
            told.went = True

    def _keep(self, change: changes.ContentKept) -> None:
        self.places.put((change.account_id, change.email_id), change.stored)
        content = change.content
        if content.path is None and (len(content.chunks) == 1 or content.size <= limits.BLOB_CHUNK):
            self.bytes.put(change.stored.blob_id, content.beginning())

    def _tell(self, told: _Told) -> None:
        for index in told.indexes.values():
            call(index.tell)
        for account_id in told.accounts:
            for heard in self.views.watchers(account_id):
                call(heard)
        if told.came:
            call(self.mail_came)
            if self.search is not None:
                call(self.search.notify_added)
        if told.went:
            call(self.mail_went)
        if told.people:
            for heard in self.people.watchers():
                call(heard)
        if told.queue:
            for heard in tuple(self._queue_watchers):
                call(heard)
        if told.lessons:
            for heard in tuple(self._lesson_watchers):
                call(heard)


class _Told:
    """Whose watchers are to be called after a turn."""

    __slots__ = ("accounts", "came", "indexes", "lessons", "people", "queue", "went")

    def __init__(self) -> None:
        self.indexes: dict[int, MailboxIndex] = {}
        self.accounts: set[int] = set()
        self.came = self.went = self.people = self.queue = self.lessons = False


def _nothing() -> None:
    pass


def _unheard(_: list[changes.Change]) -> None:
    pass


async def _answer_after(coming: list[asyncio.Task[None]], answered: list[Submission]) -> None:
    await asyncio.wait(coming, timeout=limits.DATABASE_TIMEOUT)
    for submission in answered:
        _answer(submission)


def _answer(submission: Submission) -> None:
    if submission.done.done():
        return  # the caller was cancelled; what it committed stays
    if submission.fault is not None:
        submission.done.set_exception(submission.fault)
    else:
        submission.done.set_result(submission.results or [])


def call(heard: Callable[[], None]) -> None:
    """Call a watcher; its fault is its own."""
    try:
        heard()
    except Exception:
        log.exception("a watcher of the store failed")


def watch(watchers: list[Callable[[], None]], heard: Callable[[], None]) -> Callable[[], None]:
    """Add a watcher; the result ends it."""
    watchers.append(heard)

    def end() -> None:
        if heard in watchers:
            watchers.remove(heard)

    return end
