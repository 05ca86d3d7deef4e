"""Every edit, deletion, swap and cut of the audit trail is found, and where it was made is named (B90)."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from leverlock.app.trail import Finding, verify_account
from leverlock.checkpoints import CheckpointMaker, public_key_of, verify_all
from leverlock.domain.audit import GENESIS, AuditEvent, EventKind, link
from leverlock.domain.limits import Limits
from leverlock.store.host import SystemClock
from leverlock.store.rows import Row
from leverlock.store.sqlite import SqliteTransaction
from leverlock.store.statements import statements
from world import Deployment

KEY = bytes(range(32))
ACCOUNTS, RECORDS = 20, 50  # a thousand records


class Meddler:
    """A connection of somebody who has the file. Reads with the store's own statements what he has not committed."""

    def __init__(self, path: Path) -> None:
        self.raw = sqlite3.connect(path, isolation_level=None)
        self.raw.execute("PRAGMA synchronous = OFF")

    def all(self, name: str, parameters: Mapping[str, Any]) -> list[Row]:
        return self.raw.execute(statements()[name], parameters).fetchall()

    def one(self, name: str, parameters: Mapping[str, Any]) -> Row | None:
        found: Row | None = self.raw.execute(statements()[name], parameters).fetchone()
        return found

    def write(self, name: str, parameters: Mapping[str, Any]) -> int:
        return self.raw.execute(statements()[name], parameters).rowcount


class Trail:
    """A thousand records on twenty chains, sealed by checkpoints, and a second connection for whoever meddles."""

    def __init__(self, folder: Path) -> None:
        self.deployment = Deployment.create(folder, clock=SystemClock())
        self.file = folder / "checkpoints.jsonl"
        self.maker = CheckpointMaker(self.deployment.store, self.file, signing_key=KEY)
        self.accounts = [self.deployment.owner(f"owner{n}").account_id for n in range(ACCOUNTS)]
        for part in range(4):
            for account_id in self.accounts:
                self.fill(account_id, RECORDS * (part + 1) // 4)
            asyncio.run(self.maker.make())
        self.meddler = Meddler(self.deployment.path)

    def fill(self, account_id: str, until: int) -> None:
        """Add records until the chain has `until` of them."""

        def use_case(tx: object) -> None:
            account = tx.lock_account(account_id)  # type: ignore[attr-defined]
            for number in range(account.chain_seq, until):
                event = AuditEvent(EventKind.SESSION_ENDED, "test:", {"number": number})
                tx.record(event)  # type: ignore[attr-defined]

        self.deployment.run(use_case)

    def check(self, account_id: str) -> list[Finding]:
        """What is wrong with a chain as the meddler left it, committed or not."""
        tx = SqliteTransaction(self.meddler, now=self.deployment.clock.now_ms(), limits=Limits())
        return verify_account(tx, account_id=account_id)[1]

    def check_all(self) -> list[Finding]:
        public = public_key_of(KEY)
        report = asyncio.run(verify_all(self.deployment.store, checkpoint_file=self.file, public_key=public))
        assert report.ok == (not report.findings)
        return report.findings

    def sql(self, statement: str, *parameters: object) -> None:
        self.meddler.raw.execute(statement, parameters)

    def close(self) -> None:
        self.meddler.raw.close()
        self.deployment.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    """Shared: a test that meddles with it puts everything back."""
    trail = Trail(tmp_path_factory.mktemp("trail"))
    yield trail
    trail.close()


@pytest.fixture
def meddled(whole: Trail) -> Iterator[Trail]:
    tables = ("audit_event", "account", "setting")
    for table in tables:
        whole.sql(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
    lines = whole.file.read_bytes()
    yield whole
    for table in tables:
        whole.sql(f"DELETE FROM {table}")
        whole.sql(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        whole.sql(f"DROP TABLE kept_{table}")
    whole.file.write_bytes(lines)
    assert not whole.check_all()


def places(findings: list[Finding]) -> str:
    return "; ".join(f"{finding.where}: {finding.what}" for finding in findings)


# -- a thousand records, each one meddled with -----------------------------------------------------------------------
Meddle = Callable[[Trail, str, int], None]


def _edit(trail: Trail, account: str, seq: int) -> None:
    trail.sql(
        "UPDATE audit_event SET body = CAST(replace(CAST(body AS TEXT), '\"principal\"', '\"principle\"') AS BLOB)"
        " WHERE account_id = ? AND seq = ?",
        account,
        seq,
    )


def _set(assignment: str) -> Meddle:
    def act(trail: Trail, account: str, seq: int) -> None:
        trail.sql(f"UPDATE audit_event SET {assignment} WHERE account_id = ? AND seq = ?", account, seq)

    return act


def _delete(trail: Trail, account: str, seq: int) -> None:
    trail.sql("DELETE FROM audit_event WHERE account_id = ? AND seq = ?", account, seq)


def _cut(trail: Trail, account: str, seq: int) -> None:
    trail.sql("DELETE FROM audit_event WHERE account_id = ? AND seq >= ?", account, seq)


def _swap_places(trail: Trail, account: str, seq: int) -> None:
    """Change places with the next record, the last one with the one before."""
    other = seq + 1 if seq < RECORDS else seq - 1
    for before, after in ((seq, -1), (other, seq), (-1, other)):
        trail.sql("UPDATE audit_event SET seq = ? WHERE account_id = ? AND seq = ?", after, account, before)


def _swap_texts(trail: Trail, account: str, seq: int) -> None:
    """Bodies change places, hashes and numbers stay."""
    other = seq + 1 if seq < RECORDS else seq - 1
    read = "SELECT body FROM audit_event WHERE account_id = ? AND seq = ?"
    [(first,)], [(second,)] = (trail.meddler.raw.execute(read, (account, n)).fetchall() for n in (seq, other))
    for number, body in ((seq, second), (other, first)):
        trail.sql("UPDATE audit_event SET body = ? WHERE account_id = ? AND seq = ?", body, account, number)


def _copy_over(trail: Trail, account: str, seq: int) -> None:
    """The next record's row, but for its number, replaces this one: an event is told twice, another one never."""
    other = seq + 1 if seq < RECORDS else seq - 1
    trail.sql(
        "UPDATE audit_event SET (at, kind, body, hash) ="
        " (SELECT at, kind, body, hash FROM audit_event WHERE account_id = ? AND seq = ?)"
        " WHERE account_id = ? AND seq = ?",
        account,
        other,
        account,
        seq,
    )


MEDDLERS: dict[str, Meddle] = {
    "edited": _edit,
    "its time edited": _set("at = at + 1"),
    "its kind edited to another": _set("kind = 'challenge.approved'"),
    "its kind edited to none": _set("kind = 'no such kind'"),
    "its text emptied": _set("body = x''"),
    "its hash edited": _set("hash = zeroblob(32)"),
    "deleted": _delete,
    "swapped with its neighbour": _swap_places,
    "its text swapped": _swap_texts,
    "another copied over it": _copy_over,
    "cut off with all after it": _cut,
}


@pytest.mark.bar("B90")
@pytest.mark.parametrize("meddle", MEDDLERS.values(), ids=MEDDLERS)
def test_each_of_a_thousand_records_is_missed(whole: Trail, meddle: Meddle) -> None:
    swaps = meddle in (_swap_places, _swap_texts)
    for account in whole.accounts:
        for seq in range(1, RECORDS + 1):
            whole.sql("BEGIN")
            meddle(whole, account, seq)
            findings = whole.check(account)
            whole.sql("ROLLBACK")
            first = seq - 1 if swaps and seq == RECORDS else seq
            assert findings, f"{account} {seq}"
            assert re.match(rf"account {account}, records? {first}( to \d+)?$", findings[0].where), places(findings)
        assert not whole.check(account)
    assert not whole.check_all()


# -- with the account's row, or the whole chain, made to fit ---------------------------------------------------------
def rewrite(trail: Trail, account: str) -> None:
    """What somebody with the whole database does: hash the chain anew from the first record to the account's row."""
    head, seq = GENESIS, 0
    for seq, body in trail.meddler.raw.execute(
        "SELECT seq, body FROM audit_event WHERE account_id = ? ORDER BY seq", (account,)
    ).fetchall():
        head = link(head, body)
        trail.sql("UPDATE audit_event SET hash = ? WHERE account_id = ? AND seq = ?", head, account, seq)
    trail.sql("UPDATE account SET chain_seq = ?, chain_head = ? WHERE account_id = ?", seq, head, account)


@pytest.mark.bar("B90")
@pytest.mark.parametrize("cut_at", [RECORDS, RECORDS - 1, RECORDS // 2, 1])
def test_a_cut_chain_whose_account_was_set_back_is_found(meddled: Trail, cut_at: int) -> None:
    account = meddled.accounts[3]
    meddled.sql("DELETE FROM audit_event WHERE account_id = ? AND seq >= ?", account, cut_at)
    rewrite(meddled, account)
    assert not meddled.check(account), "the chain alone looks whole"
    assert "checkpoint" in places(meddled.check_all())


@pytest.mark.bar("B90")
def test_a_chain_hashed_anew_after_an_edit_is_found(meddled: Trail) -> None:
    account = meddled.accounts[5]
    _edit(meddled, account, 20)
    rewrite(meddled, account)
    assert not meddled.check(account), "the chain alone looks whole"
    findings = meddled.check_all()
    assert findings
    assert all("events" in finding.where for finding in findings)
    assert "checkpoint 2" in places(findings), "the first one above the edit"
    assert "checkpoint 1 " not in places(findings)


@pytest.mark.bar("B90")
def test_a_removed_account_is_found(meddled: Trail) -> None:
    account = meddled.accounts[7]
    meddled.sql("DELETE FROM account WHERE account_id = ?", account)
    assert f"account {account}: its row is gone" in places(meddled.check_all())
    meddled.sql("DELETE FROM audit_event WHERE account_id = ?", account)
    assert "checkpoint 1 sealed" in places(meddled.check_all())


@pytest.mark.bar("B90")
@pytest.mark.parametrize("cut", [1, 10, ACCOUNTS * RECORDS])
def test_a_cut_table_is_found(meddled: Trail, cut: int) -> None:
    """The newest records of all chains go, and every account is set back to fit."""
    meddled.sql("DELETE FROM audit_event WHERE event_no > (SELECT max(event_no) FROM audit_event) - ?", cut)
    for account in meddled.accounts:
        rewrite(meddled, account)
    findings = meddled.check_all()
    assert "cut off after event" in places(findings)


@pytest.mark.bar("B90")
def test_records_added_behind_the_head_are_found(meddled: Trail) -> None:
    account = meddled.accounts[0]
    meddled.sql(
        "INSERT INTO audit_event (account_id, seq, at, kind, body, hash)"
        " SELECT account_id, seq + 1, at, kind, body, hash FROM audit_event WHERE account_id = ? AND seq = ?",
        account,
        RECORDS,
    )
    assert f"record {RECORDS + 1}" in places(meddled.check(account))


@pytest.mark.bar("B90")
def test_a_head_that_names_another_record_is_found(meddled: Trail) -> None:
    account = meddled.accounts[0]
    meddled.sql("UPDATE account SET chain_head = zeroblob(32) WHERE account_id = ?", account)
    assert "not the head" in places(meddled.check(account))


def test_a_chain_broken_everywhere_is_told_once(meddled: Trail) -> None:
    account = meddled.accounts[0]
    meddled.fill(account, 400)
    meddled.sql("UPDATE audit_event SET at = at + 1 WHERE account_id = ?", account)
    findings = meddled.check(account)
    assert len(findings) == 101
    assert "too much is wrong" in findings[-1].what
