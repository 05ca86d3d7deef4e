"""Racers: a process that opens the store on a file that others have open too, and starts many threads at one moment.

`python -m race.racers FOLDER RACERS` reads a job per line: {"kind", "now", "first", ...}. It answers "ready" when all
its racers stand at the line, starts them on "go", and then prints the list of their outcomes: "ok…" or the reason of
the refusal. `Track` is the other side: it starts the processes, and a round is one job for all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leverlock.app import decide, enrol, password, prove, recovery, redeem, sign_in
from leverlock.app.proofs import Proof
from leverlock.domain.account import Session, SessionState
from leverlock.domain.action import Intent
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Refused
from leverlock.domain.limits import Limits
from leverlock.domain.security_key import Purpose
from leverlock.ports import PasswordFinding, Transaction, UseCase, World
from leverlock.ports_security_keys import Assertion
from world import Deployment, SettableClock, order, password_hash

Job = dict[str, Any]


def _prove(world: World, job: Job, number: int) -> UseCase[str]:
    """Each racer answers one of the challenges with the same code."""
    ids = job["challenges"]

    def run(tx: Transaction) -> str:
        prove.prove(
            tx,
            world,
            account_id=job["account"],
            answered_by="session:racer",
            challenge_ids=[ids[number % len(ids)]],
            proof=Proof(job["code"]),
        )
        return "ok"

    return run


def _intent(job: Job, symbol: str) -> Intent:
    return Intent(job["account"], job["principal"], "up_test", order(symbol=symbol))


def _redeem(world: World, job: Job, number: int) -> UseCase[str]:
    def run(tx: Transaction) -> str:
        return f"ok {type(redeem.redeem(tx, world, intent=_intent(job, 'A'), grant=job['grant'])).__name__}"

    return run


def _repeat(world: World, job: Job, number: int) -> UseCase[str]:
    """The gateway's way: the same call again."""

    def run(tx: Transaction) -> str:
        answer = redeem.redeem_or_ask(tx, world, intent=_intent(job, "A"))
        return f"ok Asked {answer.challenge.challenge_id}" if isinstance(answer, decide.Asked) else "ok Redeemed"

    return run


def _ask(world: World, job: Job, number: int) -> UseCase[str]:
    """Each racer its own intent, or all the same."""

    def run(tx: Transaction) -> str:
        symbol = "SAME" if job.get("same") else f"S{job['first'] + number}"
        answer = decide.ask(tx, world, intent=_intent(job, symbol))
        assert isinstance(answer, decide.Asked)
        return f"ok {answer.challenge.challenge_id}"

    return run


def _confirm(world: World, job: Job, number: int) -> UseCase[str]:
    stored = {**job["session"], "state": SessionState(job["session"]["state"])}

    def run(tx: Transaction) -> str:
        enrol.confirm(tx, world, session=Session(**stored), authenticator_id=job["authenticator"], code=job["code"])
        return "ok"

    return run


def _complete(world: World, job: Job, number: int) -> UseCase[str]:
    def run(tx: Transaction) -> str:
        sign_in.complete_login(tx, world, token=job["token"], code=job["code"])
        return "ok"

    return run


def _recover(world: World, job: Job, number: int) -> UseCase[str]:
    """Each racer the same recovery code, with the password."""
    stored = {**job["session"], "state": SessionState(job["session"]["state"])}
    finding = PasswordFinding(job["account"], job["password_hash"], True)

    def run(tx: Transaction) -> str:
        recovery.recover(
            tx,
            world,
            session=Session(**stored),
            environment=Environment(job["environment"]),
            code=job["code"],
            password=finding,
        )
        return "ok"

    return run


def _assertion(job: Job) -> Assertion:
    given = {name: None if text is None else bytes.fromhex(text) for name, text in job["assertion"].items()}
    return Assertion(**given)


def _key_login(world: World, job: Job, number: int) -> UseCase[str]:
    """Each racer the same signature, for the same login."""
    assertion = _assertion(job)

    def run(tx: Transaction) -> str:
        sign_in.complete_login_with_key(tx, world, token=job["token"], assertion=assertion)
        return "ok"

    return run


def _follow(world: World, job: Job, number: int) -> UseCase[str]:
    """Each racer the same link of a mail."""

    def run(tx: Transaction) -> str:
        password.open_reset(tx, world, token=job["token"])
        return "ok"

    return run


def _key_movement(world: World, job: Job, number: int) -> UseCase[str]:
    """Each racer the same signature, for the same movement."""
    proof = Proof(assertion=_assertion(job))

    def run(tx: Transaction) -> str:
        named = {"answered_by": job["principal"], "challenge_ids": job["challenges"]}
        prove.prove(tx, world, account_id=job["account"], proof=proof, **named)
        return "ok"

    return run


def _take(world: World, job: Job, number: int) -> UseCase[str]:
    """The bare write, without lock, budget or charge."""

    def run(tx: Transaction) -> str:
        taken = tx.take_ceremony(job["account"], job["session"], Purpose.LOGIN)
        return "lost" if taken is None else "ok"

    return run


def _sign_in(world: World, job: Job, number: int) -> UseCase[str]:
    finding = PasswordFinding(job["account"], password_hash(), False)

    def run(tx: Transaction) -> str:
        sign_in.sign_in(tx, world, login=job["login"], source="racer", finding=finding)
        return "ok"

    return run


def _claim(world: World, job: Job, number: int) -> UseCase[str]:
    def run(tx: Transaction) -> str:
        named = {"principal": "racer", "key": job["key"], "fingerprint": b"f"}
        return "ok" if tx.claim_idempotency(job["account"], **named) is None else "taken"

    return run


def _step(world: World, job: Job, number: int) -> UseCase[str]:
    """The bare write: one step for all, or each racer its own."""

    def run(tx: Transaction) -> str:
        step = job["step"] + (0 if job.get("same") else job["first"] + number)
        done = tx.advance_totp_step(job["account"], job["authenticator"], step=step)
        return f"ok {step}" if done else "lost"

    return run


KINDS: dict[str, Callable[[World, Job, int], UseCase[str]]] = {
    "prove": _prove,
    "redeem": _redeem,
    "repeat": _repeat,
    "ask": _ask,
    "confirm": _confirm,
    "complete": _complete,
    "recover": _recover,
    "follow": _follow,
    "sign in": _sign_in,
    "claim": _claim,
    "step": _step,
    "key login": _key_login,
    "key movement": _key_movement,
    "take": _take,
}

# The account's budgets are wide here, so that a factor may be raced for round after round.
LIMITS = Limits(account_wrong_answers=100, account_window_ms=3_600_000, recovery_window_ms=3_600_000)


def race(deployment: Deployment, job: Job, racers: int) -> list[str]:
    """One round of this process. Prints "ready", waits for a line, starts everybody at once."""
    outcomes = ["none"] * racers
    line = threading.Barrier(racers + 1)

    def run(number: int) -> None:
        use_case = KINDS[job["kind"]](deployment.world, job, number)
        line.wait(30)
        try:
            outcomes[number] = deployment.run(use_case)
        except Refused as why:
            outcomes[number] = why.reason.value

    threads = [threading.Thread(target=run, args=(number,)) for number in range(racers)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    line.wait(30)
    for thread in threads:
        thread.join()
    return outcomes


def main(folder: str, racers: int) -> None:
    clock = SettableClock()
    password_hash()  # once, not once per racer
    with Deployment.open(Path(folder), clock=clock, limits=LIMITS) as deployment:
        for text in sys.stdin:
            job = json.loads(text)
            clock.ms = job["now"]
            print(json.dumps(race(deployment, job, racers)), flush=True)


class Track:
    """Two processes (or more) of racers on one database file."""

    def __init__(self, folder: Path, *, processes: int = 2, racers: int = 64) -> None:
        self.share = racers // processes
        command = [sys.executable, "-m", "race.racers", str(folder), str(self.share)]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]

    def round(self, kind: str, now: int, **job: Any) -> list[str]:
        """All racers at once; their outcomes."""
        for place, process in enumerate(self.processes):
            self._say(process, json.dumps({"kind": kind, "now": now, "first": place * self.share, **job}))
        for process in self.processes:
            assert self._hear(process) == "ready"
        for process in self.processes:
            self._say(process, "go")
        return [outcome for process in self.processes for outcome in json.loads(self._hear(process))]

    def _say(self, process: subprocess.Popen[str], text: str) -> None:
        assert process.stdin is not None
        process.stdin.write(text + "\n")
        process.stdin.flush()

    def _hear(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        heard = process.stdout.readline().strip()
        assert heard, f"a process of racers ended with {process.poll()}"
        return heard

    def __enter__(self) -> Track:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def sent(session: Session) -> dict[str, Any]:
    """A session as a job carries it."""
    return asdict(session)


def winners(outcomes: Sequence[str]) -> list[str]:
    return [outcome for outcome in outcomes if outcome.startswith("ok")]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
