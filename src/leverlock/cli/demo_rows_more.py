"""The mission, row by row, second part: SMS, API keys, the ways back, security keys."""

from __future__ import annotations

import io
import json
import re
import time
from typing import Any, Final

import segno

from leverlock.cli.connection import perform
from leverlock.cli.demo_key import DemoKey
from leverlock.cli.demo_people import SYMBOL, Person, by_bot, order, person, refused, settings_of, trader
from leverlock.cli.demo_row import Row
from leverlock.cli.demo_stage import Stage
from leverlock.cli.output import CommandError

RP_ID: Final = "localhost"
ORIGIN: Final = "http://localhost:8700"
NUMBER: Final = "+491701234567"
PASSWORD: Final = "correct horse battery staple"  # of the demo's operators


# -- SMS as a fallback -------------------------------------------------------------------------------------------------
def _sms(stage: Stage, number: str) -> str:
    """The code in the newest SMS to a number: the provider of this machine writes each as a line."""
    lines = [json.loads(line) for line in stage.sms.read_text().splitlines()]
    texts = [str(line["text"]) for line in lines if number.lstrip("+") in json.dumps(line)]
    return str(re.findall(r"#?(\d{8})", texts[-1])[-1])


def _sent(owner: Person, number: str) -> str:
    """Wait for the SMS that a call has asked for; its code."""
    return owner.patiently(lambda: _sms(owner.stage, number))


def _entered(owner: Person, number: str) -> dict[str, Any]:
    entered = owner.call("POST", "/v1/environments/futures/sms", {"number": number})
    path = f"/v1/environments/futures/sms/{entered['id']}/confirmation"
    return owner.call("POST", path, {"code": _sent(owner, number)})


def _backed_up(stage: Stage, login: str, number: str) -> Person:
    owner = person(stage, login, ("futures",))
    _entered(owner, number)
    owner.agreed("PUT", "/v1/environments/futures/sms", {"backup": True})
    return owner


def _m11(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m11")
    early = refused(lambda: owner.call("POST", "/v1/environments/futures/sms", {"number": NUMBER}))
    owner.enable("futures")
    entered = owner.call("POST", "/v1/environments/futures/sms", {"number": NUMBER})
    return f"before the app: {early}; after it: a code is sent to {entered['number']}"


def _m12(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m12", ("futures",))
    states = []
    for number in ("+491701234512", "+8613812345612", "+12015550112"):
        try:
            states.append(str(_entered(owner, number)["state"]))
        except CommandError as problem:
            states.append(str(problem))
    return ", ".join(states)


def _m13(stage: Stage, _ccxt: Any) -> str:
    number = "+491701234513"
    owner = _backed_up(stage, "m13", number)
    challenge = owner.asked("POST", "/v1/authorize", order())
    time.sleep(1.1)  # the demo lets one number have an SMS a second
    before = _sms(stage, number)
    owner.call("POST", f"/v1/challenges/{challenge['id']}/sms")

    def newer() -> str:
        code = _sms(stage, number)
        if code == before:
            raise IndexError
        return code

    owner.prove(challenge, sms_code=owner.patiently(newer))
    return f"an order above 50x, by SMS: {owner.call('POST', '/v1/authorize', order())['decision']}"


def _m14(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m14", ("futures",))
    _entered(owner, "+491701234514")
    challenge = owner.asked("PUT", "/v1/environments/futures/sms", {"backup": True})
    wrong = refused(lambda: owner.prove(challenge, code=owner.wrong_code()))
    owner.answer(challenge)
    saved = owner.call("PUT", "/v1/environments/futures/sms", {"backup": True})
    return f"wants {', '.join(challenge['requires'])}; {wrong}; saved: {saved['backup']}"


# -- API keys ----------------------------------------------------------------------------------------------------------
def _m18(stage: Stage, ccxt: Any) -> str:
    owner = trader(stage, ccxt, "m18", ("futures",))
    wanted = {"label": "mine", "scopes": ["read", "futures"]}
    challenge = owner.asked("POST", "/v1/keys", wanted)
    owner.answer(challenge)
    made = owner.call("POST", "/v1/keys", wanted)
    exchange = owner.bot_with(ccxt, made)
    traded = by_bot(lambda: exchange.create_order(SYMBOL, "market", "buy", 0.01), "trades")
    return f"wants {', '.join(challenge['requires'])}; made, and {traded}"


def _m21(stage: Stage, ccxt: Any) -> str:
    owner = trader(stage, ccxt, "m21", ("futures",), before=True)
    [key] = owner.call("GET", "/v1/keys")["keys"]
    owner.exchange.set_leverage(75, SYMBOL)
    legacy = by_bot(lambda: owner.exchange.create_order(SYMBOL, "market", "buy", 0.01), "executed")
    owner.agreed("PATCH", f"/v1/keys/{key['id']}", {"label": "edited"})
    time.sleep(1.1)  # what a key may do is read from a snapshot that is at most a second old
    edited = by_bot(lambda: owner.exchange.create_order(SYMBOL, "market", "buy", 0.01), "executed")
    return f"a legacy key at 75x: {legacy}; once edited: {edited[:15]}"


# -- ways back ---------------------------------------------------------------------------------------------------------
def _m20_code(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m20code", ("futures", "login"))
    owner.session.sign_in(owner.login, owner.password)
    state = owner.call("POST", "/v1/sessions/current/recovery")["state"]
    code = owner.recovery_codes["futures"][0]
    owner.call("POST", "/v1/recoveries", {"environment": "futures", "code": code})
    again = refused(lambda: owner.call("POST", "/v1/recoveries", {"environment": "futures", "code": code}))
    bound = owner.enable("futures")
    return f"{state}; the code again: {again}; bound anew with {len(bound['recovery_codes'])} new codes"


def _m20_desk(stage: Stage, _ccxt: Any) -> str:
    owner = person(stage, "m20desk", ("futures",))
    perform(settings_of(stage), "notice.set", account="m20desk", channel="email", target="m20@example.com")
    wanted = {"environments": ["futures"], "statement": "My telephone fell into the sea."}
    case = owner.call("POST", "/v1/recovery-cases", wanted)
    path = f"/v1/recovery-cases/{case['id']}"
    for kind in ("identity", "ownership"):
        owner.session.send(f"{path}/documents?kind={kind}", _picture(), "image/png")
    owner.call("POST", f"{path}/submission")
    approval = f"/v1/operator/accounts/{case['account']}/cases/{case['id']}/approval"
    one, other = _desk(stage)
    one.call("POST", approval)
    twice = refused(lambda: one.call("POST", approval))
    decided = other.call("POST", approval)
    return f"the same agent twice: {twice}; two agents: {decided['state']} for a day"


def _desk(stage: Stage) -> tuple[Person, Person]:
    """Two agents. The first operator is made by the command on the machine, and decides about the others with it."""
    admin = _operator(stage, "admin", "admin")
    agents = []
    for login in ("sam", "kim"):
        made = perform(settings_of(stage), "operator.create", login=login, password=PASSWORD, role="support")
        admin.call("POST", f"/v1/operator/accounts/{made['account']}/proposals/{made['proposal']}/approval")
        agents.append(_bound(stage, login))
    return agents[0], agents[1]


def _operator(stage: Stage, login: str, role: str) -> Person:
    perform(settings_of(stage), "operator.create", login=login, password=PASSWORD, role=role)
    return _bound(stage, login)


def _bound(stage: Stage, login: str) -> Person:
    """Nothing at the desk opens before a login authenticator is bound."""
    made = Person.signed_in(stage, login, PASSWORD)
    made.enable("login")
    return made


def _picture() -> bytes:
    drawn = io.BytesIO()
    segno.make("a passport").save(drawn, kind="png", scale=4)
    return drawn.getvalue()


# -- security keys -----------------------------------------------------------------------------------------------------
def _m22(stage: Stage, _ccxt: Any) -> str:
    owner, key = person(stage, "m22", ("futures",)), DemoKey(RP_ID, ORIGIN)
    options = owner.agreed("POST", "/v1/security-keys/registration-options", {"label": "demo"})
    owner.call("POST", "/v1/security-keys", key.register(options["public_key"]))
    state = owner.session.sign_in(owner.login, owner.password)
    challenge = "/v1/sessions/current/login-challenge"
    asked = owner.call("POST", f"{challenge}/assertion-options")
    opened = owner.call("POST", f"{challenge}/assertion", key.sign(asked["public_key"]))
    waiting = owner.asked("POST", "/v1/authorize", order())
    for_order = refused(lambda: owner.call("POST", f"/v1/challenges/{waiting['id']}/assertion-options"))
    return f"{state}: by the key {opened['state']}; for an order: {for_order}"


MORE_ROWS: Final = (
    Row("M11", "SMS beneath Futures, after the app", "before the app: ", _m11),
    Row("M12", "Any international number", "confirmed", _m12),
    Row("M13", "SMS as backup for Futures trading", "an order above 50x, by SMS: granted", _m13),
    Row("M14", "Saving it takes the primary code", "wants totp; Wrong answer; saved: True", _m14),
    Row("M20", "A lost phone: a saved recovery code", "recovery; the code again: ", _m20_code),
    Row("M20", "A lost phone: support", "the same agent twice: ", _m20_desk),
    Row("M22", "Security keys: login and withdrawals alone", "login_challenge: by the key full; for an order: ", _m22),
    Row("M18", "A Futures API key", "wants password, totp; made, and trades", _m18),
    Row("M21", "Keys from before go on, until edited", "a legacy key at 75x: executed; once edited: stopped", _m21),
)
