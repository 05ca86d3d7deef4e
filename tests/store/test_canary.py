"""What must never be written is looked for in every byte that the store leaves on disk, in every usual form (B85)."""

from __future__ import annotations

import base64
import logging
import urllib.parse
from pathlib import Path

import pytest

from app.phone import NUMBER, by_sms, pause, text_for, with_number
from leverlock.app import decide, redeem
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason
from leverlock.domain.messages import Address, Channel
from world import PASSWORD, Deployment, Owner, order, refused

FUTURES = Environment.FUTURES


def forms(secret: bytes) -> dict[str, bytes]:
    """A secret as somebody might have written it down."""
    text = secret.decode("latin-1")
    made = {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "base32": base64.b32encode(secret).rstrip(b"="),
        "base32 lower": base64.b32encode(secret).rstrip(b"=").lower(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(secret).rstrip(b"="),
        "URL": urllib.parse.quote(text, safe="", encoding="latin-1").encode(),
    }
    if secret[-1:] not in b"=":  # base64 inside a longer text begins at one of three places
        made |= {f"base64 +{n}": base64.b64encode(b"\0" * n + secret)[4 * bool(n) : -4] for n in (1, 2)}
    return made


def text_for_another(owner: Owner) -> str:
    """A code by SMS that nobody uses: it waits in the outbox, sealed."""
    pause(owner)
    return text_for(owner, owner.asked(order(symbol="ANOTHER")))


@pytest.mark.bar("B17")
@pytest.mark.bar("B85")
def test_no_secret_is_on_disk_or_in_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Deployment.create(tmp_path, sms=True) as deployment:
        owner = deployment.owner(enrolled=list(Environment))
        deployment.run(lambda tx: tx.set_address(Address(owner.account_id, "adr", Channel.EMAIL, "a@example.com")))
        with_number(owner, NUMBER)
        pause(owner)
        texted = owner.asked(order(symbol="TEXTED"))
        sms_code = text_for(owner, texted)
        unused = text_for_another(owner)
        assert by_sms(owner, texted, sms_code)
        key, api_secret = owner.key_and_secret()
        intent = owner.intent(order(), principal=key.principal)
        asked = deployment.run(lambda tx: decide.ask(tx, deployment.world, intent=intent))
        assert isinstance(asked, decide.Asked)
        code = owner.fresh_code()
        with refused(Reason.WRONG_CODE):
            owner.prove(asked.challenge, code=owner.wrong_code())
        [approved] = owner.prove(asked.challenge, code=code)
        assert isinstance(
            deployment.run(lambda tx: redeem.redeem(tx, deployment.world, intent=intent, grant=approved.grant)),
            redeem.Redeemed,
        )
        secrets = {
            **{f"seed {name}": seed for name, seed in owner.seeds.items()},
            "session token": owner.token.partition(".")[2].encode(),
            "session token, whole": owner.token.encode(),
            "API secret": api_secret.encode(),
            "API secret, bytes": base64.b32decode(api_secret.upper() + "===="),
            "venue secret": b"venue-secret",
            "phone number": NUMBER.replace(" ", "").encode(),
            "phone number, bare": NUMBER.replace(" ", "").removeprefix("+").encode(),
            "code by SMS": sms_code.encode(),
            "code by SMS, not used": unused.encode(),
            "grant": approved.grant.removeprefix("gr_").encode(),
            "grant, bytes": bytes.fromhex(approved.grant.removeprefix("gr_")),
            "password": PASSWORD.encode(),
            "wrong code in its record": f'"{owner.wrong_code()}"'.encode(),
            "code in its record": f'"{code}"'.encode(),
        }
        for environment, codes in owner.recovery_codes.items():
            assert len(codes) == 10
            for number, recovery in enumerate(codes):
                secrets[f"recovery {environment} {number}"] = recovery.encode()
                secrets[f"recovery {environment} {number}, plain"] = recovery.replace("-", "").encode()
        written = {path.name: path.read_bytes() for path in tmp_path.glob("leverlock.db*")}
    written |= {f"{path.name}, closed": path.read_bytes() for path in tmp_path.glob("leverlock.db*")}
    written["log"] = caplog.text.encode()
    assert {"leverlock.db", "leverlock.db-wal", "leverlock.db, closed"} <= written.keys()
    found = [
        f"{name} as {form} in {place}"
        for name, secret in secrets.items()
        for form, wanted in forms(secret).items()
        for place, content in written.items()
        if len(wanted) >= 6 and wanted in content
    ]
    assert not found
    # The scan itself sees: what may be there is found.
    assert any(owner.account_id.encode() in content for content in written.values())
    assert any(b"a@example.com" in content for content in written.values())
