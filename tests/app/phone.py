"""An owner's phone: what the outbox holds for it, opened as the messenger opens it, and the owner's way through SMS."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass

from leverlock.app import sms_numbers, sms_settings
from leverlock.app.decide import Asked
from leverlock.app.prove import Advanced, Approved
from leverlock.app.sms_approval import send_for
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, SealedSecret
from leverlock.domain.challenge import Challenge
from leverlock.domain.environment import Environment
from leverlock.domain.sms_code import message_context
from world import SOURCE, Deployment, Owner

FUTURES = Environment.FUTURES
NUMBER, OTHER_NUMBER, CHINESE_NUMBER = "+44 7400 123456", "+49 1512 3456789", "+86 138 0013 8000"


@dataclass(frozen=True)
class Text:
    """One SMS that waits to be sent."""

    message_id: str
    number: str
    text: str
    kind: str

    @property
    def code(self) -> str:
        """The digits of its last line."""
        found = re.fullmatch(r"@\S+ #([0-9]+)", self.text.splitlines()[-1])
        assert found is not None, self.text
        return found[1]


def texts(deployment: Deployment) -> list[Text]:
    """All that wait in the outbox, oldest first."""
    with sqlite3.connect(deployment.path) as raw:
        rows = raw.execute(
            "SELECT account_id, message_id, kind, body FROM outbox WHERE channel = 'sms' ORDER BY created_at"
        ).fetchall()
    found = []
    for account_id, message_id, kind, body in rows:
        opened = deployment.sealer.open(SealedSecret.from_bytes(body), context=message_context(account_id, message_id))
        said = json.loads(opened)
        found.append(Text(message_id, said["number"], said["text"], kind))
    return found


def last(deployment: Deployment) -> Text:
    """The newest code on its way."""
    return [text for text in texts(deployment) if text.kind == "sms.code"][-1]


def enter(owner: Owner, typed: str = NUMBER, *, environment: Environment = FUTURES) -> sms_numbers.Entered:
    deployment, session = owner.deployment, owner.session
    assert session is not None
    return deployment.run(
        lambda tx: sms_numbers.enter(
            tx, deployment.world, session=session, environment=environment, typed=typed, source=SOURCE
        )
    )


def confirm(owner: Owner, entered: sms_numbers.Entered, *, code: str = "") -> Authenticator:
    deployment, session = owner.deployment, owner.session
    assert session is not None
    given = code or last(deployment).code
    return deployment.run(
        lambda tx: sms_numbers.confirm(
            tx, deployment.world, session=session, authenticator_id=entered.authenticator_id, code=given
        )
    )


def save(owner: Owner, *, backup: bool = True, environment: Environment = FUTURES) -> sms_settings.Saved | Asked:
    deployment, session = owner.deployment, owner.session
    assert session is not None
    return deployment.run(
        lambda tx: sms_settings.save(tx, deployment.world, session=session, environment=environment, backup=backup)
    )


def remove(owner: Owner, *, environment: Environment = FUTURES) -> Asked | None:
    deployment, session = owner.deployment, owner.session
    assert session is not None
    return deployment.run(
        lambda tx: sms_settings.remove(tx, deployment.world, session=session, environment=environment)
    )


def saved(owner: Owner, *, backup: bool = True) -> sms_settings.Saved:
    """*Save Changes*, with the primary code (and the password where it is asked for)."""
    answer = save(owner, backup=backup)
    assert isinstance(answer, Asked)
    owner.prove(answer.challenge)
    answer = save(owner, backup=backup)
    assert isinstance(answer, sms_settings.Saved)
    return answer


def with_number(owner: Owner, typed: str = NUMBER, *, backup: bool = True) -> sms_settings.Saved:
    """A number entered, confirmed and saved."""
    confirm(owner, enter(owner, typed))
    return saved(owner, backup=backup)


def text_for(owner: Owner, challenge: Challenge, *, source: str = SOURCE) -> str:
    """Have a code sent for a challenge; the code, read off the phone."""
    deployment, session = owner.deployment, owner.session
    assert session is not None
    deployment.run(
        lambda tx: send_for(tx, deployment.world, session=session, challenge_id=challenge.challenge_id, source=source)
    )
    return last(deployment).code


def by_sms(owner: Owner, challenge: Challenge, code: str = "") -> list[Approved | Advanced]:
    """Answer with a code by SMS; with the one that is sent for it where none is given."""
    return owner.prove(challenge, sms_code=code or text_for(owner, challenge))


def number_of(owner: Owner) -> Authenticator:
    found = owner.deployment.read(
        lambda tx: tx.bound_authenticator(owner.account_id, FUTURES, kind=AuthenticatorKind.SMS)
    )
    assert found is not None
    return found


def pause(owner: Owner) -> None:
    """As long as a number is not texted again."""
    owner.deployment.clock.tick(owner.deployment.world.limits.sms_resend_ms)
