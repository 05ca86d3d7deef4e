"""Killed on either side of the commit: nobody was told anything that is not on disk (B74)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from trail_state import must_agree
from world import Deployment, Owner, order, refused

FUTURES = Environment.FUTURES


def die(owner: Owner, challenge_id: str, code: str, when: str) -> str:
    """Run one answer in a process that kills itself; what it said before."""
    deployment = owner.deployment
    job = {"account": owner.account_id, "challenge": challenge_id, "code": code, "now": deployment.clock.ms}
    done = subprocess.run(
        [sys.executable, "-m", "crash.last_words", str(deployment.path.parent), when],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout


@pytest.mark.bar("B74")
@pytest.mark.bar("B93")
@pytest.mark.parametrize("code", ["right", "wrong"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_was_said_that_is_not_on_disk(tmp_path: Path, when: str, code: str) -> None:
    with Deployment.create(tmp_path) as deployment:
        owner = deployment.owner(enrolled=[FUTURES])
        challenge = owner.asked(order())
        given = owner.fresh_code() if code == "right" else owner.wrong_code()

        said = die(owner, challenge.challenge_id, given, when)

        assert said == ""
        found = owner.challenge(challenge)
        trail = deployment.read(lambda tx: tx.events(owner.account_id, after_seq=0, limit=999))
        state = must_agree(deployment.path, owner.account_id, trail)
        factor = state.factors[owner.authenticators[FUTURES]]
        if when == "before":  # it is as if nobody had asked
            assert (found.state, found.wrong_answers, factor.streak, state.wrong_at) == ("pending", 0, 0, ())
        elif code == "right":
            assert (found.state, factor.last_step) == ("approved", owner.used[FUTURES])
            with refused(Reason.CHALLENGE_NOT_PENDING):
                owner.prove(challenge, code=given)
        else:  # the guess was evaluated, and it is counted
            assert (found.wrong_answers, factor.streak, len(state.wrong_at)) == (1, 1, 1)
