"""SQLite, the embedded default: one writer thread that commits many use cases together.

The writer takes what has queued while the last commit was being synced, runs each use case under its own savepoint,
and commits them in one transaction: a lone caller waits for one sync, a crowd shares it. Durability is WAL with
`synchronous=FULL` (B94); every answer waits for the commit that carries it.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from leverlock.domain.audit import AuditEvent
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.ports import Clock, UseCase
from leverlock.store.acts_accounts import AccountActs
from leverlock.store.acts_challenges import ChallengeActs
from leverlock.store.acts_desk import DeskActs
from leverlock.store.acts_keys import KeyActs
from leverlock.store.acts_recovery import RecoveryActs
from leverlock.store.acts_safeguards import SafeguardActs
from leverlock.store.acts_security_keys import SecurityKeyActs
from leverlock.store.acts_sms import SmsActs
from leverlock.store.acts_upkeep import UpkeepActs
from leverlock.store.connection import BUSY_MS, Connect, Connection, open_file
from leverlock.store.jobs import Job, answer
from leverlock.store.migrate import migrate
from leverlock.store.server_time import ServerTime

T = TypeVar("T")

_log = structlog.get_logger("leverlock.store")

BATCH = 256  # use cases in one commit; more only makes the first of them wait
LOCK_WAIT_S = 1.6  # from a request's arrival: how long another process may hold the file (B98: an answer within 2 s)
LOCK_POLL_S = 0.001
READERS = 2

# A statement that broke a constraint or was written wrongly concerns its own use case alone.
_DEFECTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


class SqliteTransaction(
    AccountActs, RecoveryActs, ChallengeActs, SafeguardActs, SmsActs, SecurityKeyActs, KeyActs, DeskActs, UpkeepActs
):
    """`ports.Transaction` on an SQLite connection."""


class SqliteStore:
    """`ports.Store` on one SQLite file. `start()` before use, `close()` after; safe from any thread."""

    def __init__(self, path: Path, *, clock: Clock, limits: Limits | None = None, connect: Connect = open_file) -> None:
        self._path = path
        self._clock = clock
        self._limits = limits or Limits()
        self._time = ServerTime(clock, self._limits)
        self._connect = connect
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="leverlock-read")
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._closed = False
        self._gate = threading.Lock()  # nothing is queued behind the writer's end
        self.commits = 0
        self.committed = 0
        self.alarms: Counter[str] = Counter()

    @classmethod
    def create(cls, path: Path, *, clock: Clock) -> None:
        """Create or migrate the database file, readable by its owner alone."""
        path.touch(mode=0o600, exist_ok=True)
        connection = Connection(open_file, path, read_only=False)
        try:
            migrate(connection.raw, now_ms=clock.now_ms())
        finally:
            connection.close()

    def start(self) -> None:
        """Open the file and start the writer. Raises FileNotFoundError, NotDurable, SchemaError for another schema."""
        if not self._path.exists():
            raise FileNotFoundError(f"no database at {self._path}; create one with `leverlock init`")
        connection = Connection(self._connect, self._path, read_only=False)
        migrate(connection.raw, now_ms=self._clock.now_ms())
        self._time.learn(_marks(connection))
        connection.raw.execute("PRAGMA busy_timeout = 0")  # from here on `_begin` waits
        self._writer = threading.Thread(
            target=self._write_forever, args=(connection,), name="leverlock-write", daemon=True
        )
        self._writer.start()

    def close(self) -> None:
        """Finish what was queued, then close every connection; last the writer's, for it brings in the log."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self._jobs.put(None)
        if self._writer is not None:
            self._writer.join()

    # -- callers -----------------------------------------------------------------------------------------------------
    def submit(self, use_case: UseCase[T], *, at_mark: bool = False) -> Future[T]:
        """Queue a use case from any thread; the future is done after the commit."""
        future: Future[T] = Future()
        self._queue(Job(use_case, future, at_mark=at_mark))
        return future

    async def run(self, use_case: UseCase[T]) -> T:
        """Queue a use case and await its commit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue(Job(use_case, future, loop))
        return await future

    async def run_at_mark(self, use_case: UseCase[T]) -> T:
        """The same for what must be written although the clock is behind or a fence is being raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue(Job(use_case, future, loop, at_mark=True))
        return await future

    def _queue(self, job: Job[Any]) -> None:
        with self._gate:
            if self._closed or self._writer is None:
                job.future.set_exception(Refused(Reason.STORE_UNAVAILABLE, "the store is closed"))
            else:
                self._jobs.put(job)

    async def read(self, use_case: UseCase[T]) -> T:
        """Run a use case on a read-only connection, which sees the last commit."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, use_case)
        except RuntimeError as problem:
            if self._closed:
                raise Refused(Reason.STORE_UNAVAILABLE, "the store is closed") from problem
            raise

    def read_now(self, use_case: UseCase[T]) -> T:
        """The same, from a plain thread."""
        try:
            connection = self._reader()
            _abandon(connection)
            connection.raw.execute("BEGIN")
            try:
                self._time.learn(_marks(connection))
                return use_case(SqliteTransaction(connection, now=self._time.now(), limits=self._limits))
            finally:
                _abandon(connection)
        except sqlite3.Error as problem:
            raise _unavailable(problem) from problem

    async def shed_log(self) -> bool:
        """Write the log back into the file and cut it to nothing, so that no older page is left in it.

        False where somebody was reading or writing all the time; ask again.
        """
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._shed_log)

    def _shed_log(self) -> bool:
        try:
            connection = self._connect(self._path, False)
            try:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as problem:
            raise _unavailable(problem) from problem
        return bool(busy == 0)

    def _reader(self) -> Connection:
        found: Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = Connection(self._connect, self._path, read_only=True)
            self._local.connection = found
            self._connections.append(found)
        return found

    # -- the writer --------------------------------------------------------------------------------------------------
    def _write_forever(self, connection: Connection) -> None:
        stopping = False
        while not stopping:
            batch: list[Job[Any]] = []
            job = self._jobs.get()
            while True:
                if job is None:
                    stopping = True
                elif job.begins():
                    batch.append(job)
                if stopping or len(batch) >= BATCH:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(connection, batch)
        connection.close()

    def _commit(self, connection: Connection, batch: list[Job[Any]]) -> None:
        try:
            _abandon(connection)  # what an earlier failure could not take back
            _begin(connection, give_up_at=batch[0].queued_at + LOCK_WAIT_S)
            self._time.learn(_marks(connection))
            now = self._time.now()
            due = isinstance(now, int) and self._time.told(now)
            raised: list[AuditEvent] = []
            for job in batch:
                raised += self._run_one(connection, job, self._time.at_mark() if job.at_mark else now)
            if due:
                connection.write("raise_high_water", {"now": str(now)})
            connection.raw.execute("COMMIT")
        except BaseException as problem:
            # Whatever it was, nothing of this batch became durable, so nothing of it is answered but a refusal.
            _abandon(connection)
            for job in batch:
                job.problem = _unavailable(problem)
        else:
            self.commits += 1
            self.committed += len(batch)
            for event in raised:
                self.alarms[event.kind.value] += 1
                _log.error("alarm", kind=event.kind.value, principal=event.principal, **event.details)
            if due and isinstance(now, int):
                self._time.marked(now)
        answer(batch)

    def _run_one(self, connection: Connection, job: Job[Any], now: int | Reason) -> list[AuditEvent]:
        """One use case under its savepoint; the alarms it raised. What it raises as an exception takes back its
        effect, never its charge (B74)."""
        connection.raw.execute("SAVEPOINT use_case")
        transaction = SqliteTransaction(connection, now=now, limits=self._limits)
        try:
            job.result = job.use_case(transaction)
            transaction.finish()
        except BaseException as problem:
            if isinstance(problem, sqlite3.Error) and not isinstance(problem, _DEFECTS):
                raise  # the disk, the lock or the file: nothing of this batch can be trusted to be durable
            job.problem = problem
            connection.raw.execute("ROLLBACK TO use_case")
            transaction.settle(problem)
        connection.raw.execute("RELEASE use_case")
        return transaction.alarms


def _marks(connection: Connection) -> dict[str, str]:
    """What the file says about time."""
    return dict(connection.all("marks", {}))


def _begin(connection: Connection, *, give_up_at: float) -> None:
    """Take the file's one write lock.

    SQLite's own waiting sleeps longer and longer, and another process that commits without a pause would win every
    time; asking every millisecond, each gets its turn.
    """
    while True:
        try:
            connection.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            busy = getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= give_up_at:
                raise
            time.sleep(LOCK_POLL_S)
        else:
            return


def _abandon(connection: Connection) -> None:
    """Roll back whatever is left; SQLite may have done so itself when the disk was full."""
    try:
        if connection.raw.in_transaction:
            connection.raw.execute("ROLLBACK")
    except sqlite3.Error:
        pass


def _unavailable(problem: BaseException) -> Refused:
    refused = Refused(Reason.STORE_UNAVAILABLE, "nothing could be made durable; nothing was approved")
    refused.__cause__ = problem
    return refused
