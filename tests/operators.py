"""The desk of a running deployment, for tests: operators who sign in like anybody, owners with addresses, documents,
and the chores that the clock's moving sets off. Everything goes over HTTP but what a machine's command does.
"""

from __future__ import annotations

import asyncio
import io
import json
from functools import cache
from typing import Any

from PIL import Image

from api_deployment import PASSWORD, Deployment, Owner, Reply
from leverlock.app.accounts import set_address
from leverlock.app.case_link import completed
from leverlock.app.operators import change_role
from leverlock.desk_chores import bring_policies, remove_strays, settle
from leverlock.domain.messages import Channel, Message
from leverlock.domain.roles import Role
from trail_state import must_agree

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@cache
def picture(kind: str = "JPEG", *, size: tuple[int, int] = (320, 200), colour: str = "navy") -> bytes:
    """A small picture, such as a telephone takes of a passport."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def operator(deployment: Deployment, role: Role | None, *, login_factor: bool = True) -> Owner:
    """Somebody at the desk with this role, signed in through the login challenge."""
    person = deployment.owner(futures=True)
    if role is not None:
        deployment.now(
            lambda tx: (
                tx.lock_account(person.account_id),
                change_role(tx, deployment.world, account_id=person.account_id, role=role, by=("command:test",)),
            )
        )
    return with_login_factor(person) if login_factor else person


def with_login_factor(person: Owner) -> Owner:
    """Bind the login authenticator (a market that is on vouches), sign in anew, and answer the login challenge."""
    asked = person.call("POST", "/v1/environments/login/authenticators")
    assert asked.status == 401, asked
    body = {"code": person.code(), "password": PASSWORD}
    proved = person.call("POST", f"/v1/challenges/{asked.json['challenge']['id']}/proof", body)
    assert proved.status == 200, proved
    person.enable("login")
    return signed_in(person)


def signed_in(person: Owner) -> Owner:
    """The same person in a new session, with the login challenge answered."""
    person.sign_in()
    if "login" in person.seeds:
        answered = person.call("POST", "/v1/sessions/current/login-challenge", {"code": person.code("login")})
        assert answered.status == 200, answered
        person.deployment.clock.next_step()
    return person


def client(deployment: Deployment, *, futures: bool = True) -> Owner:
    """An owner with two addresses."""
    owner = deployment.owner(futures=futures)
    for channel, target in ((Channel.EMAIL, f"{owner.login}@example.com"), (Channel.WEBHOOK, "https://hook.example/x")):
        deployment.now(
            lambda tx, channel=channel, target=target: set_address(
                tx, deployment.world, account_id=owner.account_id, channel=channel, target=target, by="test:"
            )
        )
    return owner


def upload(person: Owner, path: str, content: bytes, media: str = "image/jpeg", *, kind: str = "identity") -> Reply:
    return person.call("POST", f"{path}/documents?kind={kind}", raw=content, headers=[("Content-Type", media)])


def opened(owner: Owner, environments: tuple[str, ...] = ("futures",)) -> str:
    """The id of a new case."""
    body = {"environments": list(environments), "statement": f"My telephone fell into the sea ({owner.login})."}
    answer = owner.call("POST", "/v1/recovery-cases", body)
    assert answer.status == 201, answer
    return str(answer.json["id"])


def submitted(owner: Owner, environments: tuple[str, ...] = ("futures",)) -> str:
    """The id of a case with both documents, handed in."""
    case = opened(owner, environments)
    for kind in ("identity", "ownership"):
        taken = upload(owner, f"/v1/recovery-cases/{case}", picture(), kind=kind)
        assert taken.status == 201, taken
    handed = owner.call("POST", f"/v1/recovery-cases/{case}/submission")
    assert handed.status == 200, handed
    return case


def at_desk(owner: Owner, case: str) -> str:
    """The path of a case for operators."""
    return f"/v1/operator/accounts/{owner.account_id}/cases/{case}"


def approved(owner: Owner, case: str, *agents: Owner) -> Reply:
    """The case after these agents have approved it."""
    answer: Reply | None = None
    for agent in agents:
        answer = agent.call("POST", at_desk(owner, case) + "/approval")
        assert answer.status == 200, answer
    assert answer is not None
    return answer


def sweep(deployment: Deployment) -> None:
    """What the background does in its next rounds."""

    async def rounds() -> None:
        await settle(deployment.store, deployment.world, deployment.vault)
        while await bring_policies(deployment.store, deployment.world):
            pass
        await remove_strays(deployment.store, deployment.vault, deployment.clock)

    asyncio.run(rounds())


def messages(deployment: Deployment, account_id: str, kind: str | None = None) -> list[dict[str, Any]]:
    """What was written to an account's addresses, as it leaves: with its links."""
    rows = deployment.rows(
        "SELECT account_id, message_id, channel, target, kind, body, created_at, expires_at FROM outbox"
        " WHERE account_id = ? ORDER BY created_at, message_id",
        (account_id,),
    )
    found = []
    for account, message_id, channel, target, told, body, created_at, expires_at in rows:
        message = Message(account, message_id, Channel(channel), target, told, body, created_at, expires_at)
        if kind in (None, told):
            found.append({"target": target, **json.loads(completed(deployment.sealer, message).body)})
    return found


def enrolment_link(deployment: Deployment, account_id: str) -> str:
    """The newest link that a case has sent; the ones before are void."""
    sent = messages(deployment, account_id, "recovery_case.link")
    return str(max(sent, key=lambda message: int(message["number"]))["link"])


def cancel_link(deployment: Deployment, account_id: str) -> str:
    """The newest cancel link that was sent."""
    return str([message for message in messages(deployment, account_id) if "cancel" in message][-1]["cancel"])


def must_be_told(deployment: Deployment, account_id: str) -> None:
    """The account's trail alone rebuilds what the tables hold of it (B88)."""
    events = deployment.now(lambda tx: tx.events(account_id, after_seq=0, limit=10_000))
    must_agree(deployment.path, account_id, events)


def state(owner: Owner, case: str) -> str:
    ((found,),) = owner.deployment.rows("SELECT state FROM recovery_case WHERE case_id = ?", (case,))
    return str(found)
