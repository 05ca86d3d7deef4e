"""Short ways to lose things and to come back, for tests of recovery."""

from __future__ import annotations

import json
from typing import Any

from leverlock.app import accounts, enrol, notice_addresses, password, prove, recovery, sign_in
from leverlock.app.decide import Asked
from leverlock.app.mailed_secrets import with_secret
from leverlock.app.proofs import Proof
from leverlock.domain.account import Session
from leverlock.domain.environment import Environment
from leverlock.domain.messages import Address, Channel
from leverlock.domain.totp import hotp, step_at
from leverlock.ports import PasswordFinding
from leverlock.ports_recovery import NewPassword
from world import SOURCE, Owner

OLD, NEW = "old@example.com", "new@example.com"


def half_signed(owner: Owner) -> sign_in.SignedIn:
    """A session that has passed the password."""
    deployment = owner.deployment
    return deployment.run(
        lambda tx: sign_in.sign_in(tx, deployment.world, login=owner.login, source=SOURCE, finding=owner.finding())
    )


def lost(owner: Owner) -> Session:
    """A session that says that the login authenticator is lost."""
    deployment = owner.deployment
    token = half_signed(owner).token
    deployment.run(lambda tx: recovery.begin(tx, deployment.world, token=token))
    return live(owner, token)


def live(owner: Owner, token: str) -> Session:
    return owner.deployment.read(lambda tx: sign_in.live_session(tx, owner.deployment.world, token=token))


def recover(
    owner: Owner,
    environment: Environment,
    code: str | None = None,
    *,
    session: Session | None = None,
    password: PasswordFinding | None = None,
) -> recovery.Recovered:
    """Use a code (default: the first of the set) in this session (default: the full one, with the password)."""
    deployment = owner.deployment
    where = session or owner.session
    assert where is not None
    typed = password or (owner.finding() if session is None else None)
    used = code or owner.recovery_codes[environment][0]
    return deployment.run(
        lambda tx: recovery.recover(
            tx, deployment.world, session=where, environment=environment, code=used, password=typed
        )
    )


def start(owner: Owner, environment: Environment, session: Session) -> enrol.Enrolment | Asked:
    deployment = owner.deployment
    return deployment.run(lambda tx: enrol.start(tx, deployment.world, session=session, environment=environment))


def bind_anew(owner: Owner, environment: Environment, session: Session | None = None) -> enrol.Confirmed:
    """Bind a new app in a session that may; the owner's seeds and codes are the new ones from here on."""
    deployment = owner.deployment
    where = session or owner.session
    assert where is not None
    begun = start(owner, environment, where)
    assert isinstance(begun, enrol.Enrolment), begun
    step = step_at(deployment.clock.ms)
    confirmed = deployment.run(
        lambda tx: enrol.confirm(
            tx, deployment.world, session=where, authenticator_id=begun.authenticator_id, code=hotp(begun.seed, step)
        )
    )
    owner.seeds[environment], owner.used[environment] = begun.seed, step
    owner.authenticators[environment] = begun.authenticator_id
    owner.recovery_codes[environment] = confirmed.recovery_codes
    return confirmed


def told(owner: Owner) -> list[tuple[str, str]]:
    """(kind, target) of everything in the outbox, in order."""
    messages = owner.deployment.read(lambda tx: tx.due_messages(limit=1000))
    return [(m.kind, m.target) for m in messages if m.account_id == owner.account_id]


def bodies(owner: Owner, kind: str) -> list[dict[str, Any]]:
    """What the messages of this kind tell their readers, as they leave."""
    messages = owner.deployment.read(lambda tx: tx.due_messages(limit=1000))
    mine = [m for m in messages if m.account_id == owner.account_id and m.kind == kind]
    return [json.loads(with_secret(owner.deployment.sealer, m).body) for m in mine]


def forget_messages(owner: Owner) -> None:
    deployment = owner.deployment
    for message in deployment.read(lambda tx: tx.due_messages(limit=1000)):
        deployment.run(lambda tx, m=message: tx.message_done(m))  # type: ignore[misc]


def reached_at(owner: Owner, target: str = OLD, channel: Channel = Channel.EMAIL) -> str:
    """An address that serves, as the operator's command sets it; its id."""
    deployment = owner.deployment
    return deployment.run(
        lambda tx: accounts.set_address(
            tx, deployment.world, account_id=owner.account_id, channel=channel, target=target, by="test:"
        )
    )


def consented(owner: Owner, call: Any, *, session: Session | None = None, password: bool = True) -> Any:
    """Make a call that asks its owner, answer, and make it again."""
    deployment = owner.deployment
    asked = deployment.run(call)
    assert isinstance(asked, Asked), asked
    environment = asked.challenge.environment
    protected = environment in owner.seeds
    proof = Proof(
        code=owner.fresh_code(environment) if protected else None, password=owner.finding() if password else None
    )
    deployment.run(
        lambda tx: prove.prove(
            tx,
            deployment.world,
            account_id=owner.account_id,
            answered_by=(session or owner.session).principal,  # type: ignore[union-attr]
            challenge_ids=[asked.challenge.challenge_id],
            proof=proof,
        )
    )
    return deployment.run(call)


def changing(owner: Owner, new: NewPassword, session: Session | None = None, **more: Any) -> Any:
    """The call that sets a new password."""
    world, where = owner.deployment.world, session or owner.session
    assert where is not None
    return lambda tx: password.set_password(tx, world, session=where, new=new, **more)


def naming(owner: Owner, target: str = NEW, *, replaces: str | None = None, **more: Any) -> Any:
    """The call that names a new mail address."""
    world, where = owner.deployment.world, owner.session
    assert where is not None
    change = notice_addresses.Change(Channel.EMAIL, target, replaces, **more)
    return lambda tx: notice_addresses.name_address(tx, world, session=where, change=change)


def addresses(owner: Owner) -> list[Address]:
    return owner.deployment.read(lambda tx: tx.addresses(owner.account_id))
