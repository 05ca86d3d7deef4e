"""A restored backup: found by the checkpoint file at the start, fenced, and told for ever after (B96)."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from leverlock.app import sign_in
from leverlock.app.fence import begin
from leverlock.app.redeem import Redeemed
from leverlock.app.trail import Report
from leverlock.checkpoints import CheckpointBroken, CheckpointMaker, public_key_of, verify_all
from leverlock.domain.audit import EventKind
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.fence import Because
from leverlock.start_checks import settle
from trail_state import must_agree
from world import STEP_MS, Deployment, order, refused

KEY = bytes(range(32))
FUTURES = Environment.FUTURES


class Site:
    """A deployment with its checkpoint file, of which a backup is taken and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "checkpoints.jsonl"
        self.backup = folder / "backup.db"
        self.deployment = Deployment.create(folder)
        self.alice = self.deployment.owner("alice", enrolled=[FUTURES])

    def maker(self) -> CheckpointMaker:
        return CheckpointMaker(self.deployment.store, self.file, signing_key=KEY)

    def seal(self) -> None:
        assert asyncio.run(self.maker().make()) is not None

    def happen(self) -> None:
        self.deployment.clock.tick(2 * STEP_MS)
        self.alice.sign_in()

    def back_up(self) -> None:
        with closing(sqlite3.connect(self.deployment.path)) as live, closing(sqlite3.connect(self.backup)) as copy:
            live.backup(copy)

    def restore(self) -> None:
        clock = self.deployment.clock
        self.deployment.close()
        for path in self.folder.glob("leverlock.db*"):
            path.unlink()
        shutil.copy2(self.backup, self.folder / "leverlock.db")
        self.deployment = Deployment.open(self.folder, clock=clock)
        self.alice.deployment = self.deployment

    def start(self) -> None:
        deployment = self.deployment
        asyncio.run(settle(deployment.store, deployment.world, deployment.clock, self.maker()))

    def verify(self) -> Report:
        public = public_key_of(KEY)
        return asyncio.run(verify_all(self.deployment.store, checkpoint_file=self.file, public_key=public))

    def kinds(self) -> list[str]:
        with closing(sqlite3.connect(self.deployment.path)) as raw:
            return [kind for (kind,) in raw.execute("SELECT kind FROM audit_event ORDER BY event_no")]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.deployment.close()


def restored(site: Site) -> Site:
    """Two checkpoints, a backup, three more checkpoints, and the backup put back."""
    for _ in range(2):
        site.happen()
        site.seal()
    site.happen()  # in the backup, but sealed only later
    site.back_up()
    for _ in range(3):
        site.happen()
        site.seal()
    site.restore()
    return site


@pytest.mark.bar("B96")
def test_what_was_spent_after_the_backup_does_not_live_again(site: Site) -> None:
    alice = site.alice
    site.happen()
    site.seal()
    token = alice.token
    challenge = alice.asked(order())
    site.back_up()
    code = alice.fresh_code()
    [approved] = alice.prove(challenge, code=code)
    assert isinstance(alice.redeem(order(), approved.grant), Redeemed)
    for _ in range(2):
        site.seal()
        site.happen()
    site.deployment.clock.ms -= 3 * STEP_MS  # the restore is so quick that the spent code is still in its window
    site.restore()
    site.start()

    fenced_at = site.deployment.clock.ms
    with refused(Reason.NOT_AUTHENTICATED):
        site.deployment.read(lambda tx: sign_in.owner(tx, site.deployment.world, token=token, touch=False))
    with pytest.raises(Refused):
        alice.redeem(order(), approved.grant)
    with refused(Reason.CHALLENGE_NOT_PENDING):
        alice.prove(challenge, code=code)
    alice.sign_in()
    with refused(Reason.CODE_ALREADY_USED):
        alice.prove(alice.asked(order()), code=alice.code())
    site.deployment.clock.tick(2 * STEP_MS)
    assert site.deployment.clock.ms - fenced_at <= 90_000
    assert alice.prove(alice.asked(order()), code=alice.code())
    events = site.deployment.read(lambda tx: tx.events(alice.account_id, after_seq=0, limit=10_000))
    must_agree(site.deployment.path, alice.account_id, events)


@pytest.mark.bar("B96")
def test_the_trail_goes_on_sealed_and_says_what_was_lost(site: Site) -> None:
    restored(site)
    assert not site.verify().ok
    site.start()
    assert site.kinds().count(EventKind.HISTORY_LOST) == 1
    assert site.kinds()[-1] == EventKind.FENCE_STANDS
    before = site.verify()
    assert before.ok, before.findings
    assert [note.where for note in before.notes] == ["checkpoint 3", "checkpoint 4", "checkpoint 5"]
    site.seal()
    site.happen()
    site.seal()
    after = site.verify()
    assert after.ok, after.findings
    assert (after.checkpoints, after.unsealed, len(after.notes)) == (7, 0, 3)
    with closing(sqlite3.connect(site.deployment.path)) as raw, raw:
        raw.execute("DELETE FROM audit_event WHERE event_no = (SELECT max(event_no) FROM audit_event)")
    assert not site.verify().ok


@pytest.mark.bar("B96")
def test_a_database_that_is_not_older_is_left_alone(site: Site) -> None:
    for _ in range(2):
        site.start()
        site.happen()
        site.seal()
    site.start()
    assert site.alice.approved(order())
    assert EventKind.FENCE_RAISED not in site.kinds()


@pytest.mark.bar("B96")
def test_it_is_fenced_once(site: Site) -> None:
    restored(site)
    site.start()
    site.start()
    assert site.kinds().count(EventKind.FENCE_RAISED) == 1
    assert site.alice.sign_in()


@pytest.mark.bar("B96")
def test_a_restored_database_that_went_on_unseen_is_still_older(site: Site) -> None:
    """As many events again as were lost: only the number of checkpoints that it noted tells."""
    restored(site)
    for _ in range(20):
        site.happen()
    site.start()
    assert site.kinds().count(EventKind.FENCE_RAISED) == 1
    site.seal()
    assert site.verify().ok, site.verify().findings


@pytest.mark.bar("B96")
def test_interrupted_after_the_fence_began_the_next_start_goes_on(site: Site) -> None:
    restored(site)
    now = site.deployment.clock.ms
    begun = site.deployment.store.submit(
        lambda tx: begin(tx, because=Because.RESTORED, now_ms=now, by="test:"), at_mark=True
    )
    assert begun.result(20).number == 1
    with refused(Reason.STORE_UNAVAILABLE):
        site.alice.sign_in()
    site.start()
    assert site.kinds().count(EventKind.FENCE_RAISED) == 1
    assert site.alice.sign_in()
    site.seal()
    assert site.verify().ok


@pytest.mark.parametrize("what", ["another deployment's", "before the first checkpoint"])
def test_a_file_that_does_not_go_on_from_it_is_refused(site: Site, tmp_path: Path, what: str) -> None:
    if what == "before the first checkpoint":
        site.back_up()
    for _ in range(3):
        site.happen()
        site.seal()
    if what == "before the first checkpoint":
        site.restore()
    else:
        (tmp_path / "other").mkdir()
        other = Site(tmp_path / "other")
        for _ in range(6):
            other.happen()
            other.seal()
        shutil.copy2(other.file, site.file)
        other.deployment.close()
    with pytest.raises(CheckpointBroken, match="move it away"):
        site.start()
