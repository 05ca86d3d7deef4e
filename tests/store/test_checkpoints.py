"""The checkpoint file: signed, chained, replayed; edited, cut and torn files, and crashes in between (B90)."""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leverlock.app.trail import NOTED, Report
from leverlock.checkpoints import CheckpointBroken, CheckpointMaker, public_key_of, verify_all
from leverlock.domain.audit import GENESIS, AuditEvent, EventKind, merkle_root
from leverlock.domain.checkpoint import Checkpoint, NotACheckpoint, read
from world import NOW_MS, Deployment

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


class Sealed:
    """A deployment with an account, a checkpoint file, and as many checkpoints as asked for."""

    def __init__(self, folder: Path) -> None:
        self.deployment = Deployment.create(folder)
        self.account = self.deployment.owner().account_id
        self.file = folder / "checkpoints.jsonl"
        self.maker = CheckpointMaker(self.deployment.store, self.file, signing_key=KEY)

    def happen(self, times: int = 3) -> None:
        def use_case(tx: object) -> None:
            tx.lock_account(self.account)  # type: ignore[attr-defined]
            for _ in range(times):
                tx.record(AuditEvent(EventKind.SESSION_ENDED, "test:"))  # type: ignore[attr-defined]

        self.deployment.run(use_case)

    def seal(self, checkpoints: int = 1) -> None:
        for _ in range(checkpoints):
            self.happen()
            assert asyncio.run(self.maker.make()) is not None

    def make(self) -> Checkpoint | None:
        return asyncio.run(self.maker.make())

    def verify(self, *, key: bytes = KEY) -> Report:
        public = public_key_of(key)
        return asyncio.run(verify_all(self.deployment.store, checkpoint_file=self.file, public_key=public))

    def lines(self) -> list[bytes]:
        return self.file.read_bytes().splitlines(keepends=True)

    def note(self, text: str) -> None:
        self.deployment.run(lambda tx: tx.set_setting(NOTED, text))


@pytest.fixture
def sealed(tmp_path: Path) -> Iterator[Sealed]:
    made = Sealed(tmp_path)
    yield made
    made.deployment.close()


def told(report: Report) -> str:
    return "; ".join(f"{finding.where}: {finding.what}" for finding in report.findings)


@pytest.mark.bar("B90")
def test_the_form_of_a_line_is_pinned() -> None:
    checkpoint = Checkpoint(7, NOW_MS, 42, b"\x01" * 32, b"\x02" * 32, 3)
    signed = checkpoint.signed(Ed25519PrivateKey.from_private_bytes(KEY))
    assert signed.line() == (
        b'{"at":1767225615000,"heads":3,"last_event":42,"number":7,"previous":"' + b"01" * 32 + b'",'
        b'"root":"' + b"02" * 32 + b'","signature":"' + signed.signature.hex().encode() + b'","version":1}'
    )
    assert len(signed.signature) == 64
    assert read(signed.line(), Ed25519PrivateKey.from_private_bytes(KEY).public_key()) == signed


def test_what_happened_is_sealed_and_verifies(sealed: Sealed) -> None:
    sealed.seal(4)
    report = sealed.verify()
    assert report.ok, told(report)
    assert (report.accounts, report.checkpoints, report.unsealed) == (2, 4, 0)
    assert report.records == 2 + 4 * 3
    assert stat.S_IMODE(sealed.file.stat().st_mode) == 0o600
    assert [json.loads(line)["number"] for line in sealed.lines()] == [1, 2, 3, 4]


def test_nothing_is_written_when_nothing_happened(sealed: Sealed) -> None:
    sealed.seal()
    before = sealed.file.read_bytes()
    assert sealed.make() is None
    assert sealed.file.read_bytes() == before


def test_what_came_after_the_last_checkpoint_is_said_to_be_unsealed(sealed: Sealed) -> None:
    sealed.seal()
    sealed.happen(5)
    report = sealed.verify()
    assert report.ok
    assert report.unsealed == 5


def test_a_deployment_without_a_checkpoint_yet_verifies(sealed: Sealed) -> None:
    report = sealed.verify()
    assert report.ok
    assert report.checkpoints == 0
    assert report.unsealed == 2


def test_a_new_maker_goes_on_where_the_last_one_ended(sealed: Sealed) -> None:
    sealed.seal(2)
    sealed.maker = CheckpointMaker(sealed.deployment.store, sealed.file, signing_key=KEY)
    sealed.seal(2)
    assert sealed.verify().checkpoints == 4
    assert sealed.verify().ok


# -- meddling with the file ------------------------------------------------------------------------------------------
@pytest.mark.bar("B90")
@pytest.mark.parametrize("position", range(5))
def test_a_removed_line_is_found(sealed: Sealed, position: int) -> None:
    sealed.seal(5)
    lines = sealed.lines()
    sealed.file.write_bytes(b"".join(lines[:position] + lines[position + 1 :]))
    report = sealed.verify()
    expected = "line " + str(position + 1) if position < 4 else "checkpoints 5 to 5 are missing at its end"
    assert expected in told(report)


@pytest.mark.bar("B90")
@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("field", ["at", "heads", "last_event", "number", "previous", "root", "signature"])
def test_an_edited_line_is_found(sealed: Sealed, position: int, field: str) -> None:
    sealed.seal(5)
    lines = sealed.lines()
    document = json.loads(lines[position])
    value = document[field]
    document[field] = value + 1 if isinstance(value, int) else ("0" if value[0] != "0" else "1") + value[1:]
    lines[position] = json.dumps(document, separators=(",", ":"), sort_keys=True).encode() + b"\n"
    sealed.file.write_bytes(b"".join(lines))
    report = sealed.verify()
    assert not report.ok
    expected = f"lines [{position + 1}] were edited" if position < 4 else "checkpoints 5 to 5 are missing"
    assert expected in told(report)


@pytest.mark.bar("B90")
def test_lines_in_another_order_are_found(sealed: Sealed) -> None:
    sealed.seal(4)
    first, second, third, fourth = sealed.lines()
    sealed.file.write_bytes(first + third + second + fourth)
    assert "line 2" in told(sealed.verify())


@pytest.mark.bar("B90")
def test_a_removed_file_is_found_and_not_begun_anew(sealed: Sealed) -> None:
    sealed.seal(3)
    sealed.file.unlink()
    assert "checkpoints 1 to 3 are missing" in told(sealed.verify())
    sealed.happen()
    with pytest.raises(CheckpointBroken, match="ends at 0"):
        sealed.make()
    assert not sealed.file.exists()


@pytest.mark.bar("B90")
def test_a_file_written_anew_with_another_key_is_found(sealed: Sealed, tmp_path: Path) -> None:
    sealed.seal(3)
    sealed.file.unlink()
    sealed.note(f"0:{GENESIS.hex()}")
    sealed.maker = CheckpointMaker(sealed.deployment.store, sealed.file, signing_key=OTHER_KEY)
    sealed.happen()
    assert sealed.make() is not None
    assert "missing" in told(sealed.verify())
    assert sealed.verify(key=OTHER_KEY).ok


@pytest.mark.bar("B90")
def test_a_database_put_back_to_an_older_state_is_found(sealed: Sealed) -> None:
    sealed.seal(1)
    older = sqlite3.connect(":memory:")
    with sqlite3.connect(sealed.deployment.path) as raw:
        raw.backup(older)
    sealed.seal(3)
    with sqlite3.connect(sealed.deployment.path) as raw:
        for table in ("audit_event", "account", "setting"):
            raw.execute(f"DELETE FROM {table}")
            rows = older.execute(f"SELECT * FROM {table}").fetchall()
            raw.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
    report = sealed.verify()
    assert "older than the checkpoint file" in told(report)
    assert "cut off after event" in told(report)
    with pytest.raises(CheckpointBroken, match="the trail ends at"):
        sealed.make()


# -- crashes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("length", [1, 50, -1])
def test_a_torn_last_line_is_a_fragment_and_the_next_checkpoint_follows_past_it(sealed: Sealed, length: int) -> None:
    sealed.seal(2)
    torn = sealed.lines()[1][:length]
    sealed.file.write_bytes(sealed.file.read_bytes() + torn)
    # A copy of the last line without its newline is a line of ours that does not follow; only a piece is a fragment.
    if length == -1:
        assert "does not follow" in told(sealed.verify())
        return
    report = sealed.verify()
    assert report.ok, told(report)
    assert [note.what for note in report.notes] == ["a fragment at the end"]
    sealed.seal(2)
    report = sealed.verify()
    assert report.ok, told(report)
    assert [note.where for note in report.notes] == ["checkpoint file, line 3"]
    assert report.checkpoints == 4


def test_a_last_line_without_its_newline_is_a_checkpoint(sealed: Sealed) -> None:
    sealed.seal(2)
    sealed.file.write_bytes(sealed.file.read_bytes().removesuffix(b"\n"))
    assert sealed.verify().ok
    sealed.seal(1)
    assert sealed.verify().ok
    assert sealed.verify().checkpoints == 3


def test_a_crash_between_file_and_note_is_mended_by_the_next_checkpoint(sealed: Sealed) -> None:
    sealed.seal(1)
    noted = sealed.deployment.read(lambda tx: tx.setting(NOTED))
    sealed.seal(1)
    assert noted is not None
    sealed.note(noted)
    assert sealed.verify().ok
    assert sealed.make() is None
    assert sealed.deployment.read(lambda tx: tx.setting(NOTED)) != noted
    sealed.seal(1)
    assert sealed.verify().ok


def test_two_makers_at_once_do_not_fork_the_file(sealed: Sealed) -> None:
    sealed.seal(1)

    async def race() -> list[object]:
        makers = [CheckpointMaker(sealed.deployment.store, sealed.file, signing_key=KEY) for _ in range(4)]
        return list(await asyncio.gather(*(maker.make() for maker in makers), return_exceptions=True))

    for _ in range(10):
        sealed.happen()
        results = asyncio.run(race())
        assert sum(isinstance(result, Checkpoint) for result in results) >= 1
        assert all(result is None or isinstance(result, Checkpoint | CheckpointBroken) for result in results)
        report = sealed.verify()
        assert report.ok, told(report)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_disk_that_is_full_is_an_error_and_what_it_took_a_fragment(sealed: Sealed, room: int) -> None:
    sealed.seal(1)
    noted = sealed.deployment.read(lambda tx: tx.setting(NOTED))
    sealed.happen()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sealed.file.stat().st_size + room, hard))
    try:
        with pytest.raises(OSError, match=r"part of a line|File too large"):
            sealed.make()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sealed.deployment.read(lambda tx: tx.setting(NOTED)) == noted
    made = sealed.make()
    assert made is not None
    assert made.number == 2
    report = sealed.verify()
    assert report.ok, told(report)
    assert len(report.notes) == (1 if room else 0)


# -- forms -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"{}",
        b'{"at":true,"heads":1,"last_event":1,"number":1,"previous":"","root":"","signature":"","version":1}',
        b'{"at":1.0,"heads":1,"last_event":1,"number":1,"previous":"","root":"","signature":"","version":1}',
        b'{"at":1,"heads":-1,"last_event":1,"number":1,"previous":"","root":"","signature":"","version":1}',
        b'{"at":1,"heads":1,"last_event":1,"number":99999999999999999999,"previous":"","root":"","signature":"","version":1}',
        b'{"at":1,"heads":1,"last_event":1,"number":1,"previous":"zz","root":"","signature":"","version":1}',
        b'{"at":1,"heads":1,"last_event":1,"number":1,"previous":null,"root":"","signature":"","version":1}',
        b'{"at":1,"heads":1,"last_event":1,"number":1,"previous":"","root":"","signature":"","version":2}',
    ],
)
def test_what_is_no_checkpoint_is_refused(line: bytes) -> None:
    with pytest.raises(NotACheckpoint):
        read(line, Ed25519PrivateKey.from_private_bytes(KEY).public_key())


def test_another_spelling_of_a_signed_line_is_refused(sealed: Sealed) -> None:
    sealed.seal(1)
    [line] = sealed.lines()
    public = Ed25519PrivateKey.from_private_bytes(KEY).public_key()
    spelled = json.dumps(json.loads(line)).encode()
    assert read(line.rstrip(b"\n"), public)
    with pytest.raises(NotACheckpoint, match="canonical"):
        read(spelled, public)


@pytest.mark.bar("B90")
def test_every_head_counts_in_the_root() -> None:
    heads = [(f"acc_{n}", n, bytes([n]) * 32) for n in range(9)]
    for size in range(1, 10):
        root = merkle_root(heads[:size])
        for position in range(size):
            account, seq, head = heads[position]
            for other in ((account + "x", seq, head), (account, seq + 1, head), (account, seq, bytes(32 * [255]))):
                changed = [*heads[:position], other, *heads[position + 1 : size]]
                assert merkle_root(changed) != root
        assert merkle_root(heads[: size - 1]) != root
