"""Nothing that approves is ever in a message: seeds, codes, passwords, tokens, grants, key secrets (B85)."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from urllib.parse import quote

import pytest

from leverlock.app import answers, api_keys
from leverlock.app.prove import Approved
from leverlock.domain.challenge import Denial
from leverlock.domain.environment import Environment
from leverlock.domain.messages import Channel
from leverlock.messengers.webhook_secret import webhook_secret
from world import PASSWORD, Deployment, leverage_raise, margin_mode, order

from .delivering import delivering, mail, reach, webhooks
from .receivers import HttpReceiver, MailReceiver, until


def shapes(secret: bytes) -> set[bytes]:
    """The forms in which a secret could have slipped into a text."""
    encoded = {
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        base64.b32encode(secret).rstrip(b"="),
        base64.b32encode(secret).rstrip(b"=").lower(),
        base64.b64encode(secret).rstrip(b"="),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
        quote(secret).encode(),
    }
    return {shape for shape in encoded if len(shape) >= 6}


@pytest.mark.bar("B85")
def test_no_message_holds_anything_that_approves(deployment: Deployment) -> None:
    secrets: dict[str, bytes] = {"password": PASSWORD.encode()}
    kept: list[bytes] = []

    def keep_outbox() -> None:
        with sqlite3.connect(deployment.path) as raw:
            kept.extend(row[0] for row in raw.execute("SELECT body FROM outbox"))

    def live_through_everything(url: str) -> None:
        alice = deployment.owner()
        reach(alice, Channel.WEBHOOK, url)
        reach(alice, Channel.EMAIL, "alice@example.com")
        for environment in Environment:
            secrets[f"seed {environment}"] = alice.enrol(environment)
            for number, code in enumerate(alice.recovery_codes[environment]):
                secrets[f"recovery {environment} {number}"] = code.encode()
                secrets[f"recovery {environment} {number} bare"] = code.replace("-", "").encode()
        key, secret = alice.key_and_secret()
        secrets["key secret"], secrets["venue secret"], secrets["token"] = (
            secret.encode(),
            b"venue-secret",
            alice.token.encode(),
        )
        secrets["webhook secret"] = webhook_secret(deployment.sealer, alice.account_id)
        for number, action in enumerate([order(), margin_mode(), leverage_raise()]):
            challenge = alice.asked(action, principal=key.principal)
            code = alice.fresh_code()
            secrets[f"code {number}"] = code.encode()
            [approved] = alice.prove(challenge, code=code)
            assert isinstance(approved, Approved)
            secrets[f"grant {number}"] = approved.grant.removeprefix("gr_").encode()
            alice.redeem(action, approved.grant, principal=key.principal)
        alice.enrol(Environment.FUTURES)
        secrets["second seed"] = alice.seeds[Environment.FUTURES]
        doomed = alice.asked(order(leverage=99), principal=key.principal)
        deployment.run(
            lambda tx: answers.deny(
                tx,
                deployment.world,
                account_id=alice.account_id,
                answered_by=alice.principal,
                challenge_id=doomed.challenge_id,
                denial=Denial.NOT_ME,
            )
        )
        deployment.run(
            lambda tx: api_keys.revoke_key(
                tx, deployment.world, account_id=alice.account_id, key_id=key.key_id, by=alice.principal
            )
        )

    async def run() -> list[bytes]:
        with MailReceiver() as post:
            async with HttpReceiver() as receiver:
                await asyncio.to_thread(live_through_everything, receiver.url())
                keep_outbox()
                # Rings outlive their challenge by nothing, and this test has moved the clock by many codes.
                with sqlite3.connect(deployment.path) as raw:
                    raw.execute("UPDATE outbox SET expires_at = expires_at + 86400000")
                both = {Channel.WEBHOOK: webhooks(deployment), Channel.EMAIL: mail(post.port)}
                async with delivering(deployment, both):
                    await until(lambda: len(receiver.calls) + len(post.raw) == len(kept))
                decoded = [letter.get_content().encode() for letter in post.mails]
                return [call.body for call in receiver.calls] + post.raw + decoded + kept

    texts = asyncio.run(run())
    kinds = (b"challenge.waiting", b"challenge.not_me", b"authenticator.bound", b"key.created", b"key.revoked")
    assert all(any(kind in text for text in texts) for kind in kinds), "every kind of message was looked at"
    found = {
        name
        for name, secret in secrets.items()
        if not name.startswith("code ")
        for shape in shapes(secret)
        if any(shape in text for text in texts)
    }
    assert not found
    # Six digits stand in many numbers; a code is looked for as a word of its own.
    codes = [secret for name, secret in secrets.items() if name.startswith("code ")]
    words = {
        word.strip(b'".,:;[]{}()<>') for text in texts for word in text.replace(b",", b" ").replace(b":", b" ").split()
    }
    assert not words.intersection(codes)
